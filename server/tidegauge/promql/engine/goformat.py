"""Numbers and strings spelled as Go spells them: they appear in labels and messages."""

from __future__ import annotations

import math
import re

import numpy as np

from tidegauge.model.labels import Labels

_PLAIN_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_DECIMAL = re.compile(
    r"[+-]?(inf|infinity|nan|\d+\.?\d*(e[+-]?\d+)?|\.\d+(e[+-]?\d+)?)\Z", re.IGNORECASE | re.ASCII
)
_HEXADECIMAL = re.compile(
    r"[+-]?0x([0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)p[+-]?\d+\Z", re.IGNORECASE | re.ASCII
)
_ESCAPES = {
    "\\": "\\\\", '"': '\\"', "\a": "\\a", "\b": "\\b", "\f": "\\f",
    "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
}  # fmt: skip


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def format_general(value: float, precision: int | None = None) -> str:
    """Return the spelling of `%g`; with a precision, of `%.<precision>g`."""
    if not math.isfinite(value):
        return _special(value)
    if precision is not None:
        return f"{value:.{precision}g}"
    # The fewest digits that give the value back; Go changes the notation at 1e6, Python at 1e16.
    mantissa, _, exponent = np.format_float_scientific(value, unique=True, trim="-").partition("e")
    if -4 <= int(exponent) < 6:
        return format_fixed(value)
    return f"{mantissa}e{int(exponent):+03d}"


def format_fixed(value: float) -> str:
    """Return the spelling of `strconv.FormatFloat(value, 'f', -1, 64)`: never an exponent."""
    if not math.isfinite(value):
        return _special(value)
    return np.format_float_positional(value, unique=True, trim="-")


def format_openmetrics(value: float) -> str:
    """Return the spelling of a quantile in a label: `%g`, always with a point or exponent."""
    text = format_general(value)
    if not math.isfinite(value) or "." in text or "e" in text:
        return text
    return f"{text}.0"


def parse_float(text: str) -> float | None:
    """Return what `strconv.ParseFloat` makes of a text, None where it sees no number.

    Python's own `float` is more liberal (blanks, underscores) and knows no hexadecimal floats.
    """
    if _HEXADECIMAL.match(text):
        try:
            return float.fromhex(text)
        except OverflowError:
            return None
    if not _DECIMAL.match(text):
        return None
    value = float(text)
    # A number out of range is an error in Go; only a spelled infinity is one.
    return None if math.isinf(value) and "n" not in text.lower() else value


def quote(text: str) -> str:
    """Return a string in Go's double quotes; bytes that are no UTF-8 (surrogates) as `\\xNN`."""
    return f'"{"".join(_escape(character) for character in text)}"'


def _escape(character: str) -> str:
    code = ord(character)
    if character in _ESCAPES:
        return _ESCAPES[character]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if character.isprintable():
        return character
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def format_labels(labels: Labels) -> str:
    """Return a label set as messages show it: `{a="b", c="d"}`."""
    pairs = (
        f"{name if _PLAIN_NAME.match(name) else quote(name)}={quote(value)}"
        for name, value in labels
    )
    return f"{{{', '.join(pairs)}}}"
