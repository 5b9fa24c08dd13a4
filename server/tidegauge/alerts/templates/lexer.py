"""From the text of a template to its tokens.

Source: Go `text/template/parse/lex.go`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tidegauge.alerts.templates.errors import TemplateError

KEYWORDS = frozenset(
    ("if", "else", "end", "range", "with", "define", "template", "block", "break", "continue")
)
_BLANKS = " \t\r\n"
_TOKEN = re.compile(
    r"(?P<blank>[ \t\r\n]+)"
    r"|(?P<text>\"(?:[^\"\\\n]|\\.)*\")"
    r"|(?P<raw>`[^`]*`)"
    r"|(?P<char>'(?:[^'\\\n]|\\.)+')"
    r"|(?P<declare>:=)"
    r"|(?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|\.?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]+)?)\w*)"
    r"|(?P<field>\.[^\W\d]\w*)"
    r"|(?P<variable>\$\w*)"
    r"|(?P<word>[^\W\d]\w*)"
    # Any other printable ASCII is a token too, which the parser then has no use for.
    r"|(?P<sign>[!#-&(-9;-_a-~])"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a template.

    Args:
        kind: "content" between actions; "open" and "close" of an action; within: "text", "raw",
            "char", "declare", "number", "field", "variable", "word", "keyword", "blank", "sign";
            at last "end".
        text: as it is written.
        position: of its first character.
    """

    kind: str
    text: str
    position: int


class Lexer:
    """Cuts a template into tokens.

    Args:
        name: of the template, for messages.
        text: the template.
    """

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text

    def tokens(self) -> list[Token]:
        """Return all tokens, an "end" last.

        Raises:
            TemplateError: something is not closed, or no token.
        """
        found: list[Token] = []
        position, trim = 0, False
        while True:
            opening = self._text.find("{{", position)
            content = self._text[position:] if opening < 0 else self._text[position:opening]
            start = position
            if trim:
                content = content.lstrip(_BLANKS)
            if opening < 0:
                if content:
                    found.append(Token("content", content, start))
                found.append(Token("end", "", len(self._text)))
                return found
            trims_left = self._text[opening + 2 : opening + 4] in {f"-{one}" for one in _BLANKS}
            if trims_left:
                content = content.rstrip(_BLANKS)
            if content:
                found.append(Token("content", content, start))
            inner = opening + (4 if trims_left else 2)
            if self._text.startswith("/*", inner):
                position, trim = self._skip_comment(inner)
                continue
            found.append(Token("open", "{{", opening))
            position, trim = self._inside(inner, found)

    def fail(self, position: int, message: str) -> TemplateError:
        """Return the error of this message at the line of a position."""
        line = self._text.count("\n", 0, position) + 1
        return TemplateError(
            f"error parsing template {self._name}: template: {self._name}:{line}: {message}"
        )

    def _skip_comment(self, inner: int) -> tuple[int, bool]:
        closing = self._text.find("*/", inner + 2)
        if closing < 0:
            raise self.fail(inner, "unclosed comment")
        end = self._end_of_action(closing + 2)
        if end is None:
            raise self.fail(closing, "comment ends before closing delimiter")
        return end

    def _end_of_action(self, position: int) -> tuple[int, bool] | None:
        if self._text.startswith("}}", position):
            return position + 2, False
        trimmed = self._text[position : position + 1] in _BLANKS and self._text[position:]
        if trimmed and self._text.startswith("-}}", position + 1):
            return position + 4, True
        return None

    def _inside(self, position: int, found: list[Token]) -> tuple[int, bool]:
        depth = 0
        while True:
            end = self._end_of_action(position)
            if end is not None:
                if depth > 0:
                    raise self.fail(position, "unclosed left paren")
                found.append(Token("close", "}}", position))
                return end
            if position >= len(self._text):
                raise self.fail(position, "unclosed action")
            match = _TOKEN.match(self._text, position)
            if match is None:
                raise self._no_token(position)
            kind, text = str(match.lastgroup), match.group()
            if text == "(":
                depth += 1
            elif text == ")":
                depth -= 1
            if kind == "word" and text in KEYWORDS:
                kind = "keyword"
            found.append(Token(kind, text, position))
            position = match.end()

    def _no_token(self, position: int) -> TemplateError:
        character = self._text[position]
        unfinished = {
            '"': "unterminated quoted string",
            "`": "unterminated raw quoted string",
            "'": "unterminated character constant",
        }
        if character in unfinished:
            return self.fail(position, unfinished[character])
        if character == ":":
            return self.fail(position, "expected :=")
        shown = f" '{character}'" if character.isprintable() and character != "\xa0" else ""
        code = f"unrecognized character in action: U+{ord(character):04X}{shown}"
        return self.fail(position, code)
