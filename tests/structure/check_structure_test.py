"""What tools/check_structure.py lets pass and what it reports. Small sources, no files but in one test."""
import contextlib
import io
import os
import pathlib
import sys
import tempfile
import textwrap
import unittest
import unittest.mock

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools"))
import check_structure

MODULES = {"base": "", "ir": "base", "backend": "ir base", "app": "backend base"}


def faults(files, **tables):
    """The lines that are reported for these files, with these tables and otherwise empty ones."""
    if isinstance(files, str): files = {"base/a.h": files}
    tables = {"MODULES": MODULES, "FILE_RULES": {}, "INCLUDERS": {}, "WORDS": {}, **tables}
    with contextlib.ExitStack() as stack:
        for name, table in tables.items(): stack.enter_context(unittest.mock.patch.object(check_structure, name, table))
        _, found = check_structure.find_faults({name: textwrap.dedent(text) for name, text in files.items()})
    return [f"{fault.file}:{fault.line}: {fault.text}" for fault in found]


class Rules(unittest.TestCase):
    def test_modules(self):
        self.assertEqual(faults({"ir/a.h": '#include "base/error.h"\n#include "ir/b.h"\n'}), [])
        self.assertEqual(faults({"base/a.h": '\n#include "ir/op.h"\n'}), ["base/a.h:2: base may not include ir"])
        self.assertEqual(faults({"cellar/a.h": ""}), ["cellar/a.h:1: no module is called cellar"])

    def test_backends_do_not_include_one_another(self):
        passes = {"backend/cpu/a.cpp": '#include "backend/backend.h"\n#include "backend/cpu/b.h"\n',
                  "backend/registry.cpp": '#include "backend/cpu/cpu.h"\n'}
        self.assertEqual(faults(passes), [])
        self.assertEqual(faults({"backend/cpu/a.cpp": '#include "backend/ascend/b.h"\n'}),
                         ["backend/cpu/a.cpp:1: a backend may not include its neighbour"])

    def test_x86_in_files_named_so(self):
        self.assertEqual(faults({"base/add_avx2.h": "__m256 a = _mm256_add_ps(b, c);\n"}), [])
        self.assertEqual(faults({"base/add.h": "\n__m256 a = _mm256_add_ps(b, c);\n"}),
                         ["base/add.h:2: x86 outside of *_x86, *_avx2 and *_avx512"])

    def test_file_length(self):
        self.assertEqual(faults("\n" * 500), [])
        self.assertEqual(faults("\n" * 501), ["base/a.h:1: 501 lines, at most 500"])

    def test_function_length(self):
        self.assertEqual(faults("void f() {\n" + "\n" * 98 + "}\n"), [])
        self.assertEqual(faults("\nvoid f() {\n" + "\n" * 99 + "}\n"), ["base/a.h:2: f has 101 lines, at most 100"])

    def test_parameters(self):
        self.assertEqual(faults("int f(int a, int b, int c, int d, int e, int f);"), [])
        self.assertEqual(faults("int f(int a, int b, int c, int d, int e, int f, int g);"),
                         ["base/a.h:1: f has 7 parameters, at most 6"])
        self.assertEqual(faults("auto f = [](int a, int b, int c, int d, int e, int f, int g) { return 0; };"),
                         ["base/a.h:1: (lambda) has 7 parameters, at most 6"])

    def test_methods(self):
        self.assertEqual(faults("class A {\n" + "  void f();\n" * 25 + "};"), [])
        self.assertEqual(faults("class A {\n" + "  void f();\n" * 26 + "};"),
                         ["base/a.h:1: class A has 26 methods, at most 25"])

    def test_methods_with_an_allowance(self):
        large = "template <typename T>\nclass A {\n" + "  void f();\n" * 30 + "};"
        self.assertEqual(faults("// methods: 30 allowed: each is a word of the language\n" + large), [])
        self.assertEqual(faults("// methods: 29 allowed: it was so\n" + large),
                         ["base/a.h:2: class A has 30 methods, at most 29"])
        self.assertEqual(faults("// methods: 30 allowed: it is not directly above\n\n" + large),
                         ["base/a.h:3: class A has 30 methods, at most 25"])
        self.assertEqual(faults("// methods: 30 allowed\n" + large),
                         ["base/a.h:1: say why so many methods: // methods: N allowed: <the reason>",
                          "base/a.h:2: class A has 30 methods, at most 25"])
        self.assertEqual(faults("// methods: 30 allowed: it once was large\nclass A {};"),
                         ["base/a.h:1: A has 0 methods, which need no allowance"])

    def test_types_defined_twice(self):
        one = "namespace inkstone { struct Turn {}; struct A { struct Part {}; }; class Later; }"
        passes = {"base/b.h": "namespace inkstone::http { class Turn {}; struct B { struct Part {}; }; }",
                  "base/b.cpp": "namespace inkstone { namespace { enum class Turn {}; } class Later {}; }",
                  "base/c.cpp": "namespace inkstone { void f() { struct Turn {}; } struct Turn* g(); }"}
        for name, other in passes.items(): self.assertEqual(faults({"base/a.h": one, name: other}), [], other)
        for other in "class Turn {};", "enum class Turn { kA };", "using Turn = int;", "typedef int Turn;":
            self.assertEqual(faults({"base/a.h": one, "ir/b.cpp": "namespace inkstone {\n" + other + "\n}"}),
                             ["base/a.h:1: type inkstone::Turn is defined twice: base/a.h:1, ir/b.cpp:2"], other)

    def test_portable_twins_may_define_one_type(self):
        text = "struct Half {};"
        self.assertEqual(faults({"base/dot_format_avx512.h": text, "base/dot_format_plain.h": text}), [])
        self.assertEqual(len(faults({"base/dot_format_avx512.h": text, "base/lanes_plain.h": text})), 1)

    def test_file_rules(self):
        rules = {"app/": {"backend/": "backend/backend.h"}, "app/*": {"app/": "app/*"}}
        self.assertEqual(faults({"app/a.cpp": '#include "backend/backend.h"\n#include "app/b.h"\n',
                                 "app/x/a.cpp": '#include "app/x/b.h"\n'}, FILE_RULES=rules), [])
        fails = {"app/a.cpp": '#include "backend/registry.h"\n#include "app/x/b.h"\n'}
        self.assertEqual(faults(fails, FILE_RULES=rules),
                         ["app/a.cpp:1: may not include backend/registry.h; of backend/ only: backend/backend.h",
                          "app/a.cpp:2: may not include app/x/b.h; of app/ only: app/*"])

    def test_external_libraries(self):
        rows = {r"<png\.h": "base/png.cpp", r"<boost/": "app/"}
        text = "#include <vector>\n#include <png.h>\n"
        self.assertEqual(faults({"base/png.cpp": text, "app/x/a.h": "#include <boost/any.hpp>\n"}, INCLUDERS=rows), [])
        self.assertEqual(faults({"base/a.cpp": text}, INCLUDERS=rows),
                         ["base/a.cpp:2: may not include png.h, only these may: base/png.cpp"])
        self.assertEqual(faults("#include <curl/curl.h>\n", INCLUDERS=rows),
                         ["base/a.h:1: no rule says who may include <curl/curl.h>"])

    def test_words(self):
        words = {"getenv": "base/environment.cpp"}
        text = "auto a = std::getenv(name);"
        passes = {"base/environment.cpp": text, "app/a.cpp": '// getenv\nauto a = "getenv";'}
        self.assertEqual(faults(passes, WORDS=words), [])
        self.assertEqual(faults({"app/a.cpp": text}, WORDS=words),
                         ["app/a.cpp:1: may not use getenv, only these may: base/environment.cpp"])

    def test_brackets_that_do_not_match(self):
        self.assertEqual(faults("void f() {\n"), ["base/a.h:1: cannot be read: this { is never closed"])
        self.assertEqual(faults("\n}"), ["base/a.h:2: cannot be read: this } closes nothing"])


class KnownFaults(unittest.TestCase):
    def test_known_faults_may_shrink_and_not_grow(self):
        outlines, found = check_structure.find_faults({"base/a.h": "class A {" + "void f();" * 30 + "};"})
        for known, left in (31, 0), (30, 0), (29, 1):
            self.assertEqual(len(check_structure.unknown(found, {"methods A": known})), left)
        self.assertEqual(len(check_structure.unknown(found, {})), 1)

    def test_entries_that_nothing_needs(self):
        texts = {"base/a.cpp": "#include <png.h>\nauto a = getenv(b);", "base/b.cpp": ""}
        outlines, found = check_structure.find_faults(texts)

        def unneeded(known, includers, words):
            with unittest.mock.patch.multiple(check_structure, INCLUDERS=includers, WORDS=words):
                return [entry for entry, _ in check_structure.unneeded_entries(outlines, found, known)]
        self.assertEqual(unneeded({}, {r"<png": "base/a.cpp"}, {"getenv": "base/"}), [])
        self.assertEqual(unneeded({"methods A": 30}, {r"<png": "base/b.cpp"}, {"getenv": "base/a.cpp base/b.cpp"}),
                         ["methods A", "<png", "getenv"])

    def test_the_program_prints_faults_and_fails(self):
        empty = dict.fromkeys(("KNOWN", "INCLUDERS", "WORDS", "FILE_RULES"), {})
        with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.multiple(check_structure, **empty):
            path = pathlib.Path(folder) / "base" / "a.h"
            path.parent.mkdir()
            for text, code, line in (("int a;", 0, "structure: no faults, but for 0 known ones"),
                                     ('#include "app/a.h"\n', 1, f"{path}:1: base may not include app")):
                path.write_text(text)
                with contextlib.redirect_stdout(io.StringIO()) as output:
                    self.assertEqual(int(check_structure.main([folder])), code)
                self.assertEqual(output.getvalue(), line + "\n")
                with contextlib.redirect_stdout(io.StringIO()) as output: check_structure.main([folder, "--report"])
                self.assertIn("1 files, 0 types, 0 methods", output.getvalue())


if __name__ == "__main__":
    unittest.main()
