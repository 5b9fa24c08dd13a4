"""Durations and numbers of PromQL: read as Go reads them, printed as Prometheus prints them.

Source: prometheus/common `model/time.go`; Go `strconv.ParseInt` with base 0 and `ParseFloat`.
"""

from __future__ import annotations

import math
import re

from tidegauge.model.floats import format_go_f
from tidegauge.promql.quoting import quote

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
MAX_DURATION_NS = 2**63 - 1

_UNITS_NS = {
    "y": 365 * 86_400 * NS_PER_S,
    "w": 7 * 86_400 * NS_PER_S,
    "d": 86_400 * NS_PER_S,
    "h": 3600 * NS_PER_S,
    "m": 60 * NS_PER_S,
    "s": NS_PER_S,
    "ms": NS_PER_MS,
}
_UNIT_ORDER = {unit: place for place, unit in enumerate(_UNITS_NS)}
_PART = re.compile(r"([0-9]+)([^0-9]+)")
_MAX_DIGITS = 40
_MAX_INTEGER = 2**63 - 1

_INTEGER = re.compile(
    r"(?P<hex>0[xX](?:_?[0-9a-fA-F])+)|(?P<octal>0(?:_?[0-7])+)|(?P<decimal>0|[1-9](?:_?[0-9])*)"
)
_BASES = {"hex": 16, "octal": 8, "decimal": 10}
_DECIMAL = re.compile(
    r"[+-]?(?:[0-9](?:_?[0-9])*\.?(?:[0-9](?:_?[0-9])*)?|\.[0-9](?:_?[0-9])*)"
    r"(?:[eE][+-]?[0-9](?:_?[0-9])*)?"
)
_HEX_FLOAT = re.compile(
    r"[+-]?0[xX](?:(?:_?[0-9a-fA-F])+\.?(?:[0-9a-fA-F](?:_?[0-9a-fA-F])*)?"
    r"|\.[0-9a-fA-F](?:_?[0-9a-fA-F])*)[pP][+-]?[0-9](?:_?[0-9])*"
)
_SPECIAL = re.compile(r"[+-]?inf(?:inity)?|nan", re.IGNORECASE)


def parse_duration(text: str) -> int:
    """Return the nanoseconds of a duration like `1h30m`; a day has 24 hours, a year 365 days.

    Raises:
        ValueError: in Prometheus's words: unknown unit, wrong order, out of range.
    Source: prometheus/common `model.ParseDuration`.
    """
    if text == "0":
        return 0
    if not text:
        raise ValueError("empty duration string")
    total, last, position = 0, -1, 0
    while position < len(text):
        found = _PART.match(text, position)
        if found is None or len(found[1]) > _MAX_DIGITS:
            raise ValueError(f"not a valid duration string: {quote(text)}")
        unit = found[2]
        if unit not in _UNITS_NS:
            raise ValueError(f"unknown unit {quote(unit)} in duration {quote(text)}")
        if _UNIT_ORDER[unit] <= last:
            raise ValueError(f"not a valid duration string: {quote(text)}")
        last, position = _UNIT_ORDER[unit], found.end()
        total += int(found[1]) * _UNITS_NS[unit]
        if total > MAX_DURATION_NS:
            raise ValueError("duration out of range")
    return total


def format_duration(duration_ns: int) -> str:
    """Return a duration as Prometheus prints it: `1h30m`, `90d`; less than a millisecond is `0s`.

    Source: prometheus/common `model.Duration.String`.
    """
    left = abs(duration_ns) // NS_PER_MS
    if left == 0:
        return "0s"
    parts = ["-"] if duration_ns < 0 else []
    for unit, unit_ns in _UNITS_NS.items():
        count, rest = divmod(left, unit_ns // NS_PER_MS)
        # Years and weeks only where they fit exactly: 90d is easier to read than 12w6d.
        if count == 0 or (unit in "yw" and rest):
            continue
        parts.append(f"{count}{unit}")
        left = rest
    return "".join(parts)


def seconds_to_ns(seconds: float) -> int:
    """Return seconds as nanoseconds, rounded half away from zero as Go's `math.Round` does."""
    fraction, whole = math.modf(seconds * NS_PER_S)
    return int(whole) + (int(math.copysign(1, fraction)) if abs(fraction) >= 0.5 else 0)


def ns_to_seconds(duration_ns: int) -> float:
    """Return nanoseconds as seconds, rounded as Go's `Duration.Seconds` rounds."""
    whole, rest = divmod(duration_ns, NS_PER_S)
    return float(whole) + rest / NS_PER_S


def parse_number(text: str) -> float:
    """Return the number that a literal spells: decimal, `0x…`, octal with a leading 0, or a float.

    Raises:
        ValueError: in Go's words.
    """
    found = _INTEGER.fullmatch(text)
    # A decimal of more digits than int64 has is a float; Python refuses to read very long ones.
    if found is not None and (found["decimal"] is None or len(text) <= _MAX_DIGITS):
        value = int(text.replace("_", ""), _BASES[found.lastgroup or ""])
        if value <= _MAX_INTEGER:
            return float(value)
    return parse_float(text)


def parse_float(text: str) -> float:
    """Return what `strconv.ParseFloat` makes of a text.

    Hexadecimal floats need an exponent; underscores may stand between digits.

    Raises:
        ValueError: in Go's words: invalid syntax, or value out of range.
    """
    if _SPECIAL.fullmatch(text):
        return float(text)
    if _HEX_FLOAT.fullmatch(text):
        value = _from_hex(text.replace("_", ""))
    elif _DECIMAL.fullmatch(text):
        value = float(text.replace("_", ""))
    else:
        raise ValueError(f"strconv.ParseFloat: parsing {quote(text)}: invalid syntax")
    if math.isinf(value):
        raise ValueError(f"strconv.ParseFloat: parsing {quote(text)}: value out of range")
    return value


def _from_hex(text: str) -> float:
    try:
        return float.fromhex(text)
    except OverflowError:
        return math.inf


def format_seconds(seconds: float) -> str:
    """Return the seconds of a duration literal as a duration: 300.0 is `5m`."""
    return format_duration(seconds_to_ns(seconds))


def format_range(duration_ns: int) -> str:
    """Return a range, step or offset as it reads back: a duration, or a number of seconds.

    Prometheus cuts below the millisecond, which changes the query; such a one is a number here.
    """
    if duration_ns % NS_PER_MS == 0:
        return format_duration(duration_ns)
    return format_go_f(duration_ns / NS_PER_S)
