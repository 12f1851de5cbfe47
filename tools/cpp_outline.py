"""Reads what a C++ file declares: types with their methods, functions with their parameters and lengths, and includes.

The reader follows brackets and knows the forms of declarations, not the whole language. In a function's body it looks
for lambdas and local classes only. It expands no macros and reads both branches of an #if.
"""
import dataclasses
import re

TOKEN = re.compile(r"""
    (?P<space>\s+)
  | (?P<comment>//(?:\\\n|[^\n])*|/\*.*?\*/)
  | (?P<directive>\#(?:\\\n|/\*.*?\*/|[^\n])*)
  | (?P<text>(?:u8|[uUL])?(?:R"(?P<mark>[^()\\\s]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])+'))
  | (?P<number>\.?\d(?:'?[\w.]|(?<=[eEpP])[+-])*)
  | (?P<token>[A-Za-z_]\w*|::|->|&&|\|\||\.\.\.|<=>|[=!<>]=|.)""", re.X | re.S)
INCLUDE = re.compile(r'#\s*include\s*([<"][^>"]+)')
WORD = re.compile(r"[A-Za-z_]\w*$")
MACRO = re.compile(r"[A-Z][A-Z0-9_]{3,}$")
ACCESS = {"public", "private", "protected"}
TYPES = {"class", "struct", "union", "enum"}
NOT_A_NAME = {"alignas", "asm", "decltype", "explicit", "noexcept", "__attribute__", "static_assert"}  # of a function


@dataclasses.dataclass
class Type:
    name: str  # with its namespace
    line: int
    kind: str  # class, struct, union, enum or using
    at_namespace: bool  # not in a class, a function or an anonymous namespace
    methods: int = 0  # declared here, overloads and private ones too; without = default, = delete and friends


@dataclasses.dataclass
class Function:
    name: str
    line: int
    parameters: int
    length: int = 0  # lines from its first word to its closing bracket; 0 without a body


@dataclasses.dataclass
class Scope:
    path: tuple  # the names of the namespaces and classes around
    owner: Type = None  # the class whose body this is
    hidden: bool = False  # in a function or an anonymous namespace

    def named(self, name):
        return "::".join([*self.path, name])


class CannotRead(Exception):
    def __init__(self, line, why):
        super().__init__(why)
        self.line = line


class Outline:
    """One file: its tokens without comments and directives, and the types and functions that they declare."""

    def __init__(self, text):
        self.tokens, self.lines = [], []  # each token and its line
        self.comments = {}  # last line: text
        self.includes = []  # (line, '<vector' or '"base/error.h')
        self.types, self.functions = [], []
        line = 1
        for found in TOKEN.finditer(text):
            kind, token = found.lastgroup, found.group()
            if kind == "comment":
                self.comments[line + token.count("\n")] = token
            elif kind == "directive":
                if include := INCLUDE.match(token): self.includes.append((line, include.group(1)))
            elif kind != "space":
                self.tokens.append({"number": "0", "text": '"'}.get(kind, token))
                self.lines.append(line)
            line += token.count("\n")
        self.partner = self.pair_brackets()
        self.read_declarations(0, len(self.tokens), Scope(()))

    # ---- moving among the tokens

    def pair_brackets(self):
        """The place of each opening bracket: the place of the one that closes it."""
        partner, unclosed = {}, []
        for at, token in enumerate(self.tokens):
            if token in ("(", "[", "{"):
                unclosed.append(at)
            elif token in (")", "]", "}"):
                if not unclosed or self.tokens[unclosed[-1]] + token not in ("()", "[]", "{}"):
                    raise CannotRead(self.lines[at], f"this {token} closes nothing")
                partner[unclosed.pop()] = at
        if unclosed: raise CannotRead(self.lines[unclosed[-1]], f"this {self.tokens[unclosed[-1]]} is never closed")
        return partner

    def token(self, at):
        return self.tokens[at] if 0 <= at < len(self.tokens) else ""

    def is_word(self, at):
        return bool(WORD.match(self.token(at)))

    def after_group(self, at):
        """The place after the bracket at `at` and all that it holds."""
        return self.partner[at] + 1

    def after_angles(self, at):
        """The place after the template arguments that begin at `at`; at + 1 where that < is an operator."""
        depth, here = 0, at
        while (token := self.token(here)) not in ("", ";", ")", "]", "}"):
            if token in ("(", "[", "{"):
                here = self.after_group(here)
                continue
            depth += (token == "<") - (token == ">")
            here += 1
            if depth == 0: return here
        return at + 1

    def skip(self, at):
        """The place after the token at `at`, or after the bracket or the template arguments that it opens."""
        token = self.token(at)
        if token in ("(", "[", "{"): return self.after_group(at)
        return self.after_angles(at) if token == "<" and (self.is_word(at - 1) or self.token(at - 1) == "]") else at + 1

    def find(self, at, wanted):
        """The first place from `at` on, outside brackets, of a token that is `wanted`."""
        while self.token(at) not in (*wanted, ""): at = self.skip(at)
        return at

    def after_requires(self, at):
        """The place after the constraint that follows the `requires` at `at`."""
        while True:
            at += 1
            if self.token(at) == "requires":  # an expression: requires (parameters) { ... }
                at = self.after_group(self.find(at + 1, "{"))
            elif self.token(at) == "(":
                at = self.after_group(at)
            else:
                while self.is_word(at):  # a name: a::b<c>::d
                    at = self.skip(at + 1) if self.token(at + 1) == "<" else at + 1
                    if self.token(at) == "::": at += 1
                    elif self.token(at) not in ("&&", "||"): return at
            if self.token(at) not in ("&&", "||"): return at

    def after_initializers(self, at):
        """The place after a constructor's list of initializers, which begins with the colon at `at`."""
        while True:
            at = self.after_group(self.find(at + 1, "({"))
            if self.token(at) == "...": at += 1
            if self.token(at) != ",": return at

    # ---- declarations

    def read_declarations(self, at, end, scope):
        while at < end: at = self.read_declaration(at, end, scope)

    def read_declaration(self, at, end, scope):
        """Reads one declaration and returns the place after it."""
        first = self.token(at)
        if first in ACCESS: return at + 2
        if first == "namespace": return self.read_namespace(at, scope)
        if first == "inline" and self.token(at + 1) == "namespace": return self.read_namespace(at + 1, scope)
        if first == "extern" and self.tokens[at + 1:at + 3] == ['"', "{"]:
            self.read_declarations(at + 3, self.partner[at + 2], scope)
            return self.after_group(at + 2)
        if MACRO.match(first) and self.token(at + 1) == "(":  # a macro that declares something
            after = self.after_group(at + 1)
            return self.end_declaration(at, after, first, at + 1, scope) if self.token(after) == "{" else after
        start, name, parameters = at, "", None
        while at < end and (token := self.token(at)) != ";":
            if token == "template" and self.token(at + 1) == "<":
                at = self.after_angles(at + 1)
            elif token == "requires":
                at = self.after_requires(at)
            elif token in ("using", "typedef"):
                return self.read_alias(at, scope)
            elif token in NOT_A_NAME and self.token(at + 1) == "(":
                at = self.after_group(at + 1)
            elif token in TYPES and parameters is None:
                at = self.read_type(at, start, scope)
            elif token == "operator" and parameters is None:
                parameters = self.tokens.index("(", at + 3 if self.tokens[at + 1:at + 3] == ["(", ")"] else at)
                name = "".join(self.tokens[at:parameters])
                at = self.after_group(parameters)
            elif token == "(" and parameters is None and (name := self.name_before(at)):
                parameters = at
                at = self.after_group(at)
            elif token == ":" and parameters is not None:
                at = self.after_initializers(at)
            elif token == "=" or (token == "{" and parameters is not None):
                break
            elif token == "{":
                self.read_expressions(at, self.partner[at], scope)
                at = self.after_group(at)
            else:
                at = self.skip(at)
        return self.end_declaration(start, at, name, parameters, scope)

    def end_declaration(self, start, at, name, parameters, scope):
        """What began at `start` goes on at `at` with ; or = or a function's body. Returns the place after it."""
        has_body = self.token(at) == "{"
        special = self.token(at) == "=" and self.token(at + 1) in ("default", "delete")
        end = self.partner[at] if has_body else self.find(at, ";")
        inner = scope
        if parameters is not None:
            length = self.lines[end] - self.lines[start] + 1 if has_body else 0
            count = self.count_parameters(parameters)
            self.functions.append(Function(scope.named(name), self.lines[start], count, length))
            if scope.owner and not special and "friend" not in self.tokens[start:parameters]: scope.owner.methods += 1
            inner = Scope((*scope.path, name))
            at = self.after_group(parameters)
        self.read_expressions(at, end, inner)
        while has_body and self.token(end + 1) == "catch":  # of a function whose body is one try block
            end = self.partner[self.after_group(end + 2)]
        return end + 1

    def name_before(self, at):
        """The name of the function whose parameters stand in the bracket at `at`; empty for a pointer, int (*p)."""
        inside = at + 1
        while self.is_word(inside) and self.token(inside + 1) == "::": inside += 2
        if self.token(inside) in ("*", "&", "&&"): return ""
        last = at - 1
        if self.token(last) == ">":  # a specialization: name<arguments>(...)
            while last > 0 and not (self.token(last) == "<" and self.after_angles(last) == at): last -= 1
            last -= 1
        if not self.is_word(last): return ""
        first = last
        while self.token(first - 1) in ("::", "~") or (self.token(first) == "::" and self.is_word(first - 1)):
            first -= 1
        return "".join(self.tokens[first:last + 1])

    def count_parameters(self, at):
        """Of the list in the brackets at `at`."""
        end, here, commas = self.partner[at], at + 1, 0
        if self.tokens[here:end] in ([], ["void"], ["..."]): return 0
        while here < end:
            commas += self.token(here) == ","
            here = self.skip(here)
        return commas + 1

    def read_namespace(self, at, scope):
        opening = self.find(at, "{;")
        if self.token(opening) == ";": return opening + 1  # an alias
        names = [token for token in self.tokens[at + 1:opening] if token not in ("::", "inline")]
        inner = Scope((*scope.path, *names), None, scope.hidden or not names)
        self.read_declarations(opening + 1, self.partner[opening], inner)
        return self.after_group(opening)

    def read_alias(self, at, scope):
        name = self.token(at + 1) if self.token(at + 2) == "=" else ""
        if self.token(at) == "typedef": name = self.token(self.find(at, ("__attribute__", ";")) - 1)
        at_namespace = not scope.owner and not scope.hidden
        if WORD.match(name): self.types.append(Type(scope.named(name), self.lines[at], "using", at_namespace))
        return self.find(at, ";") + 1

    def read_type(self, at, start, scope):
        """Reads a class or enum from its keyword on, if it is defined here. Returns the place after what it read."""
        here, name = at + 1, ""
        if self.token(at) == "enum" and self.token(here) in ("class", "struct"): here += 1
        while (token := self.token(here)) not in ("", "{", ";", ":"):
            if token in ("[", "alignas", "__attribute__"):
                here = self.skip(here + (token != "["))
            elif token == "<":
                name += "".join(self.tokens[here:self.after_angles(here)])
                here = self.after_angles(here)
            elif token == "final" and name:
                here += 1
            elif token == "::" or (self.is_word(here) and (not name or name.endswith("::"))):
                name += token
                here += 1
            else:
                return here
        if token == ":": here = self.find(here, "{;")
        if self.token(here) != "{": return here
        at_namespace = bool(name) and not scope.owner and not scope.hidden
        found = Type(scope.named(name or "(unnamed)"), self.lines[start], self.token(at), at_namespace)
        self.types.append(found)
        if found.kind != "enum":
            inner = Scope((*scope.path, name), found, scope.hidden)
            self.read_declarations(here + 1, self.partner[here], inner)
        return self.after_group(here)

    # ---- bodies and values

    def read_expressions(self, at, end, scope):
        """Finds the lambdas and the local classes between two places."""
        inner = Scope(scope.path, None, True)
        while at < end:
            if self.token(at) in ("class", "struct", "union") and self.token(at - 1) not in ("enum", "<", ","):
                at = self.read_type(at, at, inner)
                continue
            if self.token(at) == "[": self.read_lambda(at, inner)
            at += 1

    def read_lambda(self, at, scope):
        """Notes the lambda that the bracket at `at` begins. Subscripts, bindings and attributes begin with one too."""
        before, after = self.token(at - 1), self.after_group(at)
        if before in (")", "]", "[", '"') or self.token(at + 1) == "[": return
        if self.is_word(at - 1) and before != "return": return
        if self.token(after) == "<": after = self.after_angles(after)
        follows = self.token(after)
        if follows not in ("(", "{", "mutable", "noexcept", "->") and not MACRO.match(follows): return
        body = self.find(after, "{;,)]}")
        if self.token(body) != "{": return
        count = self.count_parameters(after) if follows == "(" else 0
        length = self.lines[self.partner[body]] - self.lines[at] + 1
        self.functions.append(Function(scope.named("(lambda)"), self.lines[at], count, length))
