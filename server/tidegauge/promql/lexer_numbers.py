"""How far a number or a duration reaches. What it is worth is decided later.

Source: Prometheus `promql/parser/lex.go`, `scanNumber` and `acceptRemainingDuration`.
"""

from __future__ import annotations

from tidegauge.promql.runes import END

_DECIMAL = frozenset(b"0123456789")
_HEXADECIMAL = frozenset(b"0123456789abcdefABCDEF")
_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")


class NumberScanner:
    """Moves over a number, and stays where it failed: the error message shows how far it came.

    Args:
        data: the whole text.
        position: the byte offset of the first digit or point.
    """

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self.position = position

    def accept_number(self) -> bool:
        """Move over a number; return whether it is one and no letter or digit follows."""
        digits = _DECIMAL
        if self._accept(b"0") and self._accept(b"xX"):
            self._accept(b"_")
            digits = _HEXADECIMAL
        self._accept(b".")
        self._accept(digits)
        return self._accept_rest(digits) and self._peek() not in _WORD

    def accept_duration(self) -> bool:
        """Move on over the units of a duration whose first number is behind already."""
        if not self._accept(b"smhdwy"):
            return False
        # For "ms"; units like "hs" are found when the duration is worked out.
        self._accept(b"s")
        while self._accept_run(_DECIMAL):
            # A year can only come first.
            if not self._accept(b"smhdw"):
                return False
            self._accept(b"s")
        if self._peek() in _WORD:
            self.position += 1
            return False
        return True

    def _accept_rest(self, digits: frozenset[int]) -> bool:
        had_point = had_exponent = False
        while True:
            # Point and exponent may stand once each; some characters must not follow them.
            if self._accept(b"."):
                if had_point or self._accept(b"_.") or digits is _HEXADECIMAL:
                    return False
                had_point = True
            elif self._accept(b"eE"):
                if had_exponent:
                    return False
                self._accept(b"+-")
                if self._accept(b"._eE") or self._peek() == END:
                    return False
                had_exponent = True
            elif self._accept(b"_"):
                if self._accept(b"._eE") or self._peek() == END:
                    return False
            elif not self._accept_run(digits):
                return True

    def _peek(self) -> int:
        return self._data[self.position] if self.position < len(self._data) else END

    def _accept(self, valid: bytes | frozenset[int]) -> bool:
        found = self.position < len(self._data) and self._data[self.position] in valid
        self.position += found
        return found

    def _accept_run(self, valid: frozenset[int]) -> bool:
        start = self.position
        while self._accept(valid):
            pass
        return self.position > start
