"""Text to tokens, one at a time: what a character means depends on where it stands.

There are three modes: outside brackets, inside `{…}` (no keywords there), and at the beginning
of `[…]`, up to the first number. The lexer reads only as far as it is asked to, because the
positions of some nodes depend on how far the parser has looked ahead.
Source: Prometheus `promql/parser/lex.go`, including the wording of its errors.
"""

from __future__ import annotations

import re

from tidegauge.promql import tokens
from tidegauge.promql.lexer_numbers import NumberScanner
from tidegauge.promql.lexer_strings import find_string_end
from tidegauge.promql.parse_error import ParseError
from tidegauge.promql.quoting import quote, quote_rune, to_bytes, to_text
from tidegauge.promql.runes import END, decode_rune
from tidegauge.promql.tokens import Token

_SPACES = re.compile(rb"[ \t\r\n]*")
_COMMENT = re.compile(rb"#[^\r\n]*")
_WORD = re.compile(rb"[a-zA-Z0-9_:]*")
_LABEL = re.compile(rb"[a-zA-Z0-9_]*")
_LETTERS = re.compile(rb"[a-zA-Z_]*")
_OPENED_NEXT = re.compile(rb"[ \t\r\n]*\(")

_DIGITS = frozenset(b"0123456789")
_ALPHA = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_QUOTES = frozenset(b"\"'`")
_DURATION_CALL_STARTS = frozenset(b"srmSRM")
_SINGLE = frozenset(b",*/%+-^@")
_SINGLE_IN_DURATION = frozenset(b",*/%+-^")


class Lexer:
    """Reads the tokens of one text.

    Args:
        text: lone surrogates stand for bytes that are no UTF-8.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.data = to_bytes(text)
        self._position = 0
        self._start = 0
        self._open_parens = 0
        self._in_braces = False
        self._in_brackets = False
        self._in_duration = False
        self._had_colon = False
        self._had_duration = False

    def next_token(self) -> Token:
        """Return the next token; at the end an EOF, again and again.

        Raises:
            ParseError: from here on it is no PromQL.
        """
        self._skip_blanks()
        if self._in_braces:
            return self._read_in_braces()
        if self._in_duration:
            return self._read_in_duration()
        return self._read_outside()

    def find_closing_before(self, token: Token, fallback: int) -> int:
        """Return the end of the `)` before this one, if only blanks lie between, else fallback.

        The parser has looked one token ahead where an aggregation ends, and this finds back.
        """
        position = token.start
        if not 0 < fallback <= len(self.data) or not 0 < position < len(self.data):
            return fallback
        if self.data[position] != ord(")"):
            return fallback
        while position > 1:
            position -= 1
            if self.data[position] == ord(")"):
                return position + 1
            if self.data[position] not in b" \t\r\n":
                break
        return fallback

    def _skip_blanks(self) -> None:
        position = _end(_SPACES, self.data, self._position)
        # A comment is none at the beginning of brackets.
        while not self._in_duration and self.data.startswith(b"#", position):
            position = _end(_SPACES, self.data, _end(_COMMENT, self.data, position))
        self._position = self._start = position

    def _peek(self, ahead: int = 0) -> int:
        position = self._position + ahead
        return self.data[position] if position < len(self.data) else END

    def _emit(self, kind: str, end: int) -> Token:
        token = Token(kind, self._start, end, to_text(self.data[self._start : end]))
        self._position = self._start = end
        return token

    def _fail(self, message: str) -> ParseError:
        return ParseError(message, start=self._start, end=len(self.data), text=self.text)

    def _rune(self) -> str:
        return quote_rune(decode_rune(self.data, self._position)[0])

    def _read_outside(self) -> Token:
        first = self._peek()
        if first == END:
            return self._read_end()
        if first in _ALPHA or first == ord(":"):
            return self._read_word() if not self._in_brackets else self._read_word_in_brackets()
        if self._starts_number():
            return self._read_number()
        if first in _QUOTES:
            return self._read_string()
        if first in _SINGLE:
            return self._emit(chr(first), self._position + 1)
        match chr(first):
            case "(" | ")":
                return self._read_paren()
            case "=" | "!" | "<" | ">":
                return self._read_comparison()
            case "{":
                self._in_braces = True
                return self._emit("{", self._position + 1)
            case "[":
                return self._open_bracket()
            case "]":
                return self._close_bracket()
        raise self._fail(f"unexpected character: {self._rune()}")

    def _read_end(self) -> Token:
        if self._open_parens:
            raise self._fail("unclosed left parenthesis")
        if self._in_brackets:
            raise self._fail("unclosed left bracket")
        return self._emit(tokens.EOF, self._position)

    def _read_paren(self) -> Token:
        opens = self._peek() == ord("(")
        token = self._emit("(" if opens else ")", self._position + 1)
        self._open_parens += 1 if opens else -1
        if self._open_parens < 0:
            raise self._fail("unexpected right parenthesis ')'")
        return token

    def _open_bracket(self) -> Token:
        if self._in_brackets:
            raise self._fail("unexpected left bracket '['")
        self._in_brackets = self._in_duration = True
        self._had_colon = False
        return self._emit("[", self._position + 1)

    def _close_bracket(self) -> Token:
        if not self._in_brackets:
            raise self._fail("unexpected right bracket ']'")
        self._in_brackets = self._in_duration = False
        return self._emit("]", self._position + 1)

    def _read_comparison(self) -> Token:
        first, second = chr(self._peek()), self._peek(1)
        both = first + (chr(second) if second != END else "")
        if both in ("==", "!=", "<=", ">=", "</", ">/"):
            return self._emit(both, self._position + 2)
        if first == "!" or both == "=~":
            following = decode_rune(self.data, self._position + 1)[0]
            # Go shows the end of the text, -1, as the replacement character.
            shown = quote_rune(following if following != END else 0xFFFD)
            raise self._fail(f"unexpected character after '{first}': {shown}")
        return self._emit(first, self._position + 1)

    def _read_word(self) -> Token:
        end = _end(_WORD, self.data, self._position)
        word = self.data[self._position : end].decode("ascii")
        kind = tokens.KEYWORDS.get(word.lower())
        if kind in tokens.FILLS and not _OPENED_NEXT.match(self.data, end):
            kind = tokens.IDENTIFIER
        if kind is None:
            kind = tokens.METRIC_IDENTIFIER if ":" in word else tokens.IDENTIFIER
        return self._emit(kind, end)

    def _read_word_in_brackets(self) -> Token:
        first = self._peek()
        if first == ord(":"):
            if self._had_colon:
                raise self._fail("unexpected colon ':'")
            self._had_colon = True
            return self._emit(":", self._position + 1)
        token = self._find_duration_call()
        if token is None:
            raise self._fail(f"unexpected character: {self._rune()}, expected ':'")
        return token

    def _find_duration_call(self) -> Token | None:
        if self._peek() not in _DURATION_CALL_STARTS:
            return None
        end = _end(_LETTERS, self.data, self._position)
        word = self.data[self._position : end].decode("ascii").lower()
        return self._emit(word, end) if word in tokens.DURATION_CALLS else None

    def _read_in_duration(self) -> Token:
        first = self._peek()
        if first == END:
            raise self._fail("unexpected end of input in duration expression")
        if first in _SINGLE_IN_DURATION:
            return self._emit(chr(first), self._position + 1)
        if self._starts_number():
            # From the first number on, brackets are read like everything outside.
            self._in_duration, self._had_duration = False, True
            return self._read_number()
        token = self._find_duration_call()
        if token is not None:
            return token
        match chr(first):
            case "(" | ")":
                return self._read_paren()
            case "]":
                return self._close_bracket()
            case ":":
                return self._read_colon()
        raise self._fail(f"unexpected character in duration expression: {self._rune()}")

    def _read_colon(self) -> Token:
        token = self._emit(":", self._position + 1)
        if not self._had_duration:
            raise self._fail("unexpected colon before duration in duration expression")
        if self._had_colon:
            raise self._fail("unexpected repeated colon in duration expression")
        self._had_colon = True
        return token

    def _read_in_braces(self) -> Token:
        first = self._peek()
        if first == END:
            raise self._fail("unexpected end of input inside braces")
        if first in _ALPHA:
            return self._emit(tokens.IDENTIFIER, _end(_LABEL, self.data, self._position))
        if first in _QUOTES:
            return self._read_string()
        match chr(first):
            case ",":
                return self._emit(",", self._position + 1)
            case "=":
                kind = "=~" if self._peek(1) == ord("~") else "="
                return self._emit(kind, self._position + len(kind))
            case "!":
                return self._read_negation()
            case "{":
                raise self._fail("unexpected left brace '{'")
            case "}":
                self._in_braces = False
                return self._emit("}", self._position + 1)
        raise self._fail(f"unexpected character inside braces: {self._rune()}")

    def _read_negation(self) -> Token:
        following = decode_rune(self.data, self._position + 1)[0]
        if following not in (ord("~"), ord("=")):
            shown = quote_rune(following if following != END else 0xFFFD)
            raise self._fail(f"unexpected character after '!' inside braces: {shown}")
        return self._emit(f"!{chr(following)}", self._position + 2)

    def _starts_number(self) -> bool:
        first = self._peek()
        return first in _DIGITS or (first == ord(".") and self._peek(1) in _DIGITS)

    def _read_number(self) -> Token:
        scanner = NumberScanner(self.data, self._position)
        if scanner.accept_number():
            return self._emit(tokens.NUMBER, scanner.position)
        if scanner.accept_duration():
            return self._emit(tokens.DURATION, scanner.position)
        seen = to_text(self.data[self._start : scanner.position])
        raise self._fail(f"bad number or duration syntax: {quote(seen)}")

    def _read_string(self) -> Token:
        end = find_string_end(self.data, self._position, self._fail)
        return self._emit(tokens.STRING, end)


def _end(pattern: re.Pattern[bytes], data: bytes, position: int) -> int:
    found = pattern.match(data, position)
    return position if found is None else found.end()
