"""`print`, `println` and `printf`, as Go's package fmt has them.

Source: Go `fmt/doc.go` and `fmt/print.go`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from tidegauge.alerts.templates.errors import BadCall
from tidegauge.alerts.templates.values import Value, name_type, to_text
from tidegauge.model.floats import format_go_g
from tidegauge.promql.quoting import quote, quote_rune

MAX_WIDTH = 1000
_VERB = re.compile(r"%([+\-# 0]*)(\d+|\*)?(?:(\.)(\d+|\*)?)?(.?)", re.DOTALL)
_BASES = {"b": "b", "o": "o", "x": "x", "X": "X", "d": "d"}


def go_print(values: Sequence[Value]) -> str:
    """Return the values one after the other, a blank between two that are no texts."""
    parts: list[str] = []
    for place, value in enumerate(values):
        if place and not isinstance(value, str) and not isinstance(values[place - 1], str):
            parts.append(" ")
        parts.append(to_text(value))
    return "".join(parts)


def go_println(values: Sequence[Value]) -> str:
    """Return the values with blanks between them, and a line break."""
    return " ".join(map(to_text, values)) + "\n"


def go_printf(form: str, values: Sequence[Value]) -> str:
    """Return the values in a form; what does not fit is marked as Go marks it.

    Raises:
        BadCall: a width over MAX_WIDTH.
    """
    waiting = list(values)

    def put(match: re.Match[str]) -> str:
        flags, width, point, precision, verb = match.groups()
        wide = _count(width, waiting)
        precise = _count(precision, waiting) if precision else (0 if point else None)
        if verb == "":
            return "%!(NOVERB)"
        if verb == "%":
            return "%"
        if not waiting:
            return f"%!{verb}(MISSING)"
        return _pad(_format(verb, flags, precise, waiting.pop(0)), flags, wide, verb)

    text = _VERB.sub(put, form)
    if waiting:
        extra = ", ".join(f"{name_type(one)}={to_text(one)}" for one in waiting)
        text += f"%!(EXTRA {extra})"
    return text


def format_4g(value: float) -> str:
    """Return a float with four digits, as Go's `%.4g` prints it."""
    return _format_float("g", "", 4, value)


def _count(text: str | None, waiting: list[Value]) -> int | None:
    if text is None:
        return None
    if text == "*":
        given = waiting.pop(0) if waiting else None
        if not isinstance(given, int):
            raise BadCall("a width that is no whole number")
    else:
        given = int(text[:9])
    if not -MAX_WIDTH <= given <= MAX_WIDTH:
        raise BadCall(f"width or precision {given}, at most {MAX_WIDTH} is allowed")
    return given


def _pad(text: str, flags: str, width: int | None, verb: str) -> str:
    if width is None or len(text) >= abs(width):
        return text
    if "-" in flags or width < 0:
        return text.ljust(abs(width))
    if "0" in flags and verb not in "qTc" and not text.endswith(("Inf", "NaN")):
        sign = text[:1] if text[:1] in ("+", "-", " ") and text[1:2].isalnum() else ""
        return sign + text[len(sign) :].rjust(width - len(sign), "0")
    return text.rjust(width)


def _format(verb: str, flags: str, precision: int | None, value: Value) -> str:
    if verb == "T":
        return name_type(value)
    if verb == "v" and not isinstance(value, float):
        return to_text(value)
    if isinstance(value, bool):
        if verb == "t":
            return to_text(value)
    elif isinstance(value, int):
        return _format_int(verb, flags, value)
    elif isinstance(value, float):
        if verb in "vgGeEfF":
            return _format_float(verb, flags, precision, value)
    elif isinstance(value, str):
        if verb == "s":
            return value if precision is None else value[:precision]
        if verb == "q":
            return quote(value)
        if verb in "xX":
            digits = value.encode().hex()
            return digits if verb == "x" else digits.upper()
    elif verb == "s":
        return to_text(value) if value is not None else "%!s(<nil>)"
    return _misfit(verb, value)


def _format_int(verb: str, flags: str, value: int) -> str:
    if verb in _BASES:
        prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(verb, "") if "#" in flags else ""
        sign = "-" if value < 0 else "+" if "+" in flags else " " if " " in flags else ""
        return f"{sign}{prefix}{abs(value):{_BASES[verb]}}"
    if verb in "cqU" and 0 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF:
        return {"c": chr(value), "q": quote_rune(value), "U": f"U+{value:04X}"}[verb]
    return _misfit(verb, value)


def _format_float(verb: str, flags: str, precision: int | None, value: float) -> str:
    if not math.isfinite(value):
        text = "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
        return f"+{text}" if "+" in flags and text == "NaN" else text
    if verb in "vgG" and precision is None:
        text = format_go_g(value)
        text = text.upper() if verb == "G" else text
    else:
        # Go needs a digit where Python takes 0 for 1; both then print one.
        text = f"{value:.{6 if precision is None else precision}{'g' if verb == 'v' else verb}}"
    if not text.startswith("-"):
        text = ("+" if "+" in flags else " " if " " in flags else "") + text
    return text


def _misfit(verb: str, value: Value) -> str:
    if value is None:
        return f"%!{verb}(<nil>)"
    return f"%!{verb}({name_type(value)}={to_text(value)})"
