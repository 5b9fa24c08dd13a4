"""From tokens to the syntax tree of a template, and of those that it defines.

Source: Go `text/template/parse/parse.go`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tidegauge.alerts.templates.errors import TemplateError
from tidegauge.alerts.templates.lexer import Lexer, Token
from tidegauge.alerts.templates.nodes import (
    Action,
    Block,
    Branch,
    Call,
    Command,
    Dot,
    Fields,
    Function,
    Leave,
    Literal,
    Operand,
    Pipeline,
    Text,
    Variable,
)
from tidegauge.promql.durations import parse_float
from tidegauge.promql.quoting import unquote

MAX_DEPTH = 50
_CONSTANTS: Mapping[str, bool | None] = {"true": True, "false": False, "nil": None}
_MAX_INT = 2**63
_MAX_DIGITS = 64
_OCTAL = re.compile(r"[+-]?0[0-7_]+")


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: its body, and the templates that it defines."""

    name: str
    text: str
    body: Block
    defined: Mapping[str, Block]


def parse_template(name: str, text: str, functions: Collection[str]) -> Template:
    """Return the tree of a template.

    Args:
        name: for messages.
        text: the template.
        functions: the names that there are.
    Raises:
        TemplateError: names the line.
    """
    lexer = Lexer(name, text)
    parser = _Parser(lexer, lexer.tokens(), functions)
    body, end = parser.block("")
    if end != "":
        raise parser.fail(f"unexpected {{{{{end}}}}}")
    return Template(name, text, body, parser.defined)


@dataclass(slots=True)
class _Parser:
    lexer: Lexer
    tokens: list[Token]
    functions: Collection[str]
    defined: dict[str, Block] = field(default_factory=dict)
    variables: list[str] = field(default_factory=lambda: ["$"])
    place: int = 0
    depth: int = 0
    loops: int = 0

    def fail(self, message: str, at: Token | None = None) -> TemplateError:
        token = at or self.tokens[min(self.place, len(self.tokens) - 1)]
        return self.lexer.fail(token.position, message)

    def block(self, context: str) -> tuple[Block, str]:
        """Return the nodes up to the end of a block, and what ended it: "", "end", "else"."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"nested more than {MAX_DEPTH} deep")
        known = len(self.variables)
        nodes: list[Text | Action | Branch | Leave | Call] = []
        while True:
            token = self._next()
            if token.kind == "end":
                if context:
                    raise self.fail("unexpected EOF")
                end = ""
                break
            if token.kind == "content":
                nodes.append(Text(token.text))
                continue
            keyword = self._peek()
            if keyword.kind == "keyword" and keyword.text in ("end", "else"):
                self._next()
                end = keyword.text
                if not context:
                    raise self.fail(f"unexpected {{{{{end}}}}}", keyword)
                break
            node = self._action()
            if node is not None:
                nodes.append(node)
        del self.variables[known:]
        self.depth -= 1
        return tuple(nodes), end

    def _action(self) -> Action | Branch | Leave | Call | None:
        token = self._peek()
        if token.kind != "keyword":
            pipeline = self._pipeline("command", "close")
            return Action(pipeline)
        self._next()
        if token.text in ("if", "with", "range"):
            return self._branch(token)
        if token.text in ("break", "continue"):
            self._expect_close(token.text)
            if not self.loops:
                raise self.fail(f"{{{{{token.text}}}}} outside {{{{range}}}}", token)
            return Leave(token.text)
        if token.text == "define":
            self._define(self._name("define"))
            return None
        self._skip_blanks()
        position = self._peek().position
        name = self._name(token.text)
        argument = None
        if self._peek().kind == "close":
            self._next()
        else:
            argument = self._pipeline(f"{token.text} clause", "close")
        if token.text == "block":
            self._define(name, closed=True)
        return Call(position, name, argument)

    def _branch(self, token: Token) -> Branch:
        known = len(self.variables)
        pipeline = self._pipeline(token.text, "close", in_range=token.text == "range")
        self.loops += token.text == "range"
        body, end = self.block(token.text)
        self.loops -= token.text == "range"
        otherwise: Block = ()
        if end == "else":
            self._skip_blanks()
            following = self._peek()
            if following.kind == "keyword" and following.text in ("if", "with"):
                if token.text != following.text:
                    raise self.fail(f"unexpected <{following.text}> in {token.text}", following)
                self._next()
                otherwise = (self._nested_branch(following),)
            else:
                self._expect_close("else")
                otherwise, end = self.block(token.text)
                if end == "else":
                    raise self.fail("expected end; found {{else}}")
                self._expect_close("end")
        else:
            self._expect_close("end")
        del self.variables[known:]
        return Branch(token.text, pipeline, body, otherwise)

    def _nested_branch(self, token: Token) -> Branch:
        # `else if` is an `if` within the `else`, and shares its `end`.
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"nested more than {MAX_DEPTH} deep")
        branch = self._branch(token)
        self.depth -= 1
        return branch

    def _define(self, name: str, *, closed: bool = False) -> None:
        if not closed:
            self._expect_close("define clause")
        outer, self.variables = self.variables, ["$"]
        loops, self.loops = self.loops, 0
        body, end = self.block("define")
        if end == "else":
            raise self.fail("unexpected {{else}} in define clause")
        self._expect_close("end")
        self.variables, self.loops = outer, loops
        self.defined[name] = body

    def _name(self, context: str) -> str:
        self._skip_blanks()
        token = self._next()
        if token.kind not in ("text", "raw"):
            raise self.fail(f"unexpected {_show(token)} in {context} clause", token)
        self._skip_blanks()
        return self._unquote(token)

    def _pipeline(self, context: str, end: str, *, in_range: bool = False) -> Pipeline:
        self._skip_blanks()
        start = self._peek()
        names, assigns = self._declaration(in_range=in_range)
        commands: list[Command] = []
        while True:
            self._skip_blanks()
            token = self._peek()
            if end in (token.text, token.kind):
                self._next()
                break
            if token.kind == "sign" and token.text not in ".(":
                raise self.fail(f"unexpected {_show(token)} in {context}", token)
            commands.append(self._command())
        if not commands:
            raise self.fail(f"missing value for {context}", token)
        for command in commands[1:]:
            if isinstance(command.operands[0], Literal | Dot) and len(command.operands) == 1:
                where = f"non executable command in pipeline stage {commands.index(command) + 1}"
                raise self.fail(where, start)
        if not assigns:
            self.variables += names
        return Pipeline(start.position, tuple(commands), tuple(names), assigns)

    def _declaration(self, *, in_range: bool) -> tuple[list[str], bool]:
        """Return the variables before := or =, if a declaration is what comes now."""
        began, names = self.place, []
        while self._peek().kind == "variable":
            token = self._next()
            names.append(token.text)
            self._skip_blanks()
            sign = self._peek()
            if sign.text in (":=", "="):
                self._next()
                assigns = sign.text == "="
                for name in names if assigns else ():
                    self._check_variable(token, name)
                if len(names) > (2 if in_range else 1):
                    raise self.fail("too many declarations in command", token)
                return names, assigns
            if sign.text == "," and in_range:
                self._next()
                self._skip_blanks()
                continue
            break
        self.place = began
        return [], False

    def _command(self) -> Command:
        start = self._peek()
        operands: list[Operand] = []
        while True:
            self._skip_blanks()
            token = self._peek()
            if token.kind == "close" or token.text == ")":
                break
            if token.text == "|" and token.kind == "sign":
                self._next()
                if not operands:
                    raise self.fail("missing value for command", token)
                break
            operands.append(self._operand())
            following = self._peek()
            if following.kind not in ("blank", "close") and following.text not in ("|", ")"):
                raise self.fail(f"unexpected {_show(following)} in operand", following)
        if not operands:
            raise self.fail("empty command", start)
        return Command(start.position, tuple(operands))

    def _operand(self) -> Operand:
        token = self._next()
        operand = self._term(token)
        fields: list[str] = []
        at = self._peek().position
        while self._peek().kind == "field":
            fields.append(self._next().text[1:])
        if not fields:
            return operand
        if isinstance(operand, Variable):
            return Variable(at, operand.name, (*operand.fields, *fields))
        if isinstance(operand, Fields):
            return Fields(at, operand.base, (*operand.fields, *fields))
        if isinstance(operand, Pipeline):
            return Fields(at, operand, tuple(fields))
        raise self.fail(f"unexpected . after term {_quoted(str(operand))}", token)

    def _term(self, token: Token) -> Operand:
        if token.kind in ("text", "raw"):
            return Literal(token.position, self._unquote(token), token.text)
        if token.kind in ("number", "char"):
            return Literal(token.position, self._number(token), token.text)
        if token.kind == "field":
            return Fields(token.position, None, (token.text[1:],))
        if token.kind == "variable":
            self._check_variable(token, token.text)
            return Variable(token.position, token.text)
        if token.text == "." and token.kind == "sign":
            return Dot(token.position)
        if token.text == "(" and token.kind == "sign":
            return self._parenthesis()
        if token.kind == "word":
            if token.text in _CONSTANTS:
                return Literal(token.position, _CONSTANTS[token.text], token.text)
            if token.text not in self.functions:
                raise self.fail(f"function {_quoted(token.text)} not defined", token)
            return Function(token.position, token.text)
        raise self.fail(f"unexpected {_show(token)} in operand", token)

    def _parenthesis(self) -> Pipeline:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"nested more than {MAX_DEPTH} deep")
        pipeline = self._pipeline("parenthesized pipeline", ")")
        self.depth -= 1
        return pipeline

    def _number(self, token: Token) -> int | float:
        text = token.text
        if token.kind == "char":
            character = self._unquote(token)
            if len(character) != 1:
                raise self.fail(f"malformed character constant: {text}", token)
            return ord(character)
        if len(text) > _MAX_DIGITS:
            raise self.fail(f"bad number syntax: {_quoted(text[:_MAX_DIGITS])}", token)
        try:
            number = int(text, 8 if _OCTAL.fullmatch(text) else 0)
        except ValueError:
            try:
                return parse_float(text)
            except ValueError as fault:
                raise self.fail(f"bad number syntax: {_quoted(text)}", token) from fault
        if not -_MAX_INT <= number < _MAX_INT:
            raise self.fail(f"integer overflow: {_quoted(text)}", token)
        return number

    def _check_variable(self, token: Token, name: str) -> None:
        if name not in self.variables:
            raise self.fail(f"undefined variable {_quoted(name)}", token)

    def _unquote(self, token: Token) -> str:
        try:
            text = unquote(token.text)
            text.encode()
        except ValueError as fault:
            raise self.fail("invalid syntax", token) from fault
        return text

    def _expect_close(self, context: str) -> None:
        self._skip_blanks()
        token = self._next()
        if token.kind != "close":
            raise self.fail(f"unexpected {_show(token)} in {context}", token)

    def _skip_blanks(self) -> None:
        while self.tokens[self.place].kind == "blank":
            self.place += 1

    def _peek(self) -> Token:
        if self.tokens[self.place].kind == "blank" and self.tokens[self.place - 1].kind == "open":
            self.place += 1
        return self.tokens[self.place]

    def _next(self) -> Token:
        token = self._peek()
        self.place = min(self.place + 1, len(self.tokens) - 1)
        return token


def _show(token: Token) -> str:
    if token.kind == "end":
        return "EOF"
    if token.kind == "keyword":
        return f"<{token.text}>"
    return _quoted(token.text)


def _quoted(text: str) -> str:
    return f'"{text}"'
