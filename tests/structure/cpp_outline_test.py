"""How tools/cpp_outline.py counts what a C++ file declares. Small sources, no files."""
import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools"))
from cpp_outline import CannotRead, Outline


def methods(text):
    return {found.name: found.methods for found in Outline(text).types if found.kind != "enum"}


def functions(text):
    return [(found.name, found.parameters, found.length) for found in Outline(text).functions]


class Reader(unittest.TestCase):
    def test_methods_of_every_form(self):
        self.assertEqual(methods("""
            class A : public Base<int (*)(int)>, private B {
             public:
              A(int a, int b = f(1, 2)) noexcept(true) : a_{a}, b_(b), Base<int>{[] { return 1; }} { g(); }
              explicit(sizeof(int) > 2) A(double);
              ~A() override;
              A(const A&) = delete;
              A& operator=(const A&) = default;
              bool operator<(const A& other) const { return a_ < other.a_; }
              auto operator<=>(const A&) const = default;
              int operator()(int i) const;
              explicit operator bool() const { return a_ > 0; }
              template <typename F> requires(!std::is_same_v<F, A>) void each(const F& f);
              template <typename T> requires Of<T, int> && std::is_class_v<T> Json json(const T& t) { return {}; }
              template <typename T> void trailing(T t) requires requires(T u) { u.f(); } { t.f(); }
              [[nodiscard]] virtual std::map<int, std::vector<int>> pure(std::pair<int, int> p) const = 0;
              auto deduced() const -> decltype(f(1)) { return f(1); }
              INKSTONE_INLINE static constexpr int& fast() noexcept { return x; }
             private:
              MACRO_OF_MEMBERS(a, b)
            };"""), {"A": 12})

    def test_what_is_no_method(self):
        self.assertEqual(methods("""
            struct A {
              using Base::Base;
              using Callback = std::function<void(int, int)>;
              typedef void (*Plain)(int);
              friend class B;
              friend bool operator==(const A& a, const A& b) { return true; }
              friend void swap(A& a, A& b);
              static_assert(sizeof(int) == 4, "as it should");
              enum class Kind { kA = f(1), kB };
              std::function<bool(const A&, int)> on_ready, on_drained = [](int) { return true; };
              void (*call)(const void*, int) = nullptr;
              int (A::*member)(int);
              int (&row)[4];
              int sizes[f(3)], bits : 3, plain = g(1, 2), braces{h(1)};
              static constexpr bool kLess = 1 < 2;
              alignas(64) std::byte room[sizeof(int)];
            } instance;"""), {"A": 0, "A::Callback": 0})

    def test_nested_and_local_classes_have_methods_of_their_own(self):
        self.assertEqual(methods("""
            struct A {
              struct B { void f(); void g() { struct C { void h(); }; } };
              class D;
              void f();
            };
            class A::D final : public B { void a(); void b(); void c(); };
            template <> struct Of<int> { void f(); };
            union U { void f(); };"""), {"A": 1, "A::B": 2, "A::B::g::C": 1, "A::D": 3, "Of<int>": 1, "U": 1})

    def test_functions(self):
        self.assertEqual(functions("""
            namespace a::b { inline namespace c { namespace {
            template <typename T, int N = (1 > 0)>
            std::map<int, T> f(std::function<void(int, int)> g, int (*h)(int, int), T (&row)[N],
                               const char* text = "a, b", std::vector<int> list = {1, 2}, int less = 1 < 2) try {
            } catch (const E& e) { } catch (...) { }
            int none(void), a, b;
            }}}
            extern "C" { void g(); }
            A::B::~B() {}
            A::A(int a, Rest... rest) : A(a), b{a}, C<int, 2>(rest)... {
            }
            template <> int h<int, 2>(int x) { return x; }
            """), [("a::b::c::f", 6, 4), ("a::b::c::none", 0, 0), ("g", 0, 0), ("A::B::~B", 0, 1), ("A::A", 2, 2),
                   ("h", 1, 1)])

    def test_a_macro_may_head_a_body(self):
        self.assertEqual(functions("TEST(A, b) {\n}\nint f() { return 1; }"), [("TEST", 2, 2), ("f", 0, 1)])

    def test_lambdas(self):
        self.assertEqual(functions("""
            void f() {
              auto [x, y] = g[1](2);
              [[maybe_unused]] auto a = [&, x = y[0]](int b, int c) mutable -> int { return [] { return 1; }(); };
              for (auto& [k, v] : map) run([=]<typename T>(T t) INKSTONE_INLINE_LAMBDA { return t; });
            }
            const Row kRows[] = {{"name", [](int) { return 2; }}};"""),
                         [("f", 0, 5), ("f::(lambda)", 2, 1), ("f::(lambda)", 0, 1), ("f::(lambda)", 1, 1),
                          ("(lambda)", 1, 1)])

    def test_texts_comments_and_directives_hide_brackets(self):
        found = Outline('''
            #define OPEN(x) { \\
              (
            const char* a = "{\\"" u8"{", b = '{', *c = R"sh({ " )" )sh", *d = LR"({)";  // {
            /* { */ int million = 1'000'000, hex = 0xF'F; double e = 1e+5, f = .5;
            #include <vector>  // {
            #  include "base/error.h"
            struct A { void f(); };''')
        self.assertEqual([(each.name, each.line, each.methods) for each in found.types], [("A", 8, 1)])
        self.assertEqual(found.includes, [(6, "<vector"), (7, '"base/error.h')])

    def test_a_bracket_without_its_partner(self):
        for text in "(]", "{", ")": self.assertRaises(CannotRead, Outline, text)


if __name__ == "__main__":
    unittest.main()
