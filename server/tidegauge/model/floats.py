"""How Go prints a float, which is how Prometheus prints one: in labels, texts and JSON.

Source: Go `strconv.FormatFloat`; Prometheus `util/jsonutil/marshal.go`.
"""

from __future__ import annotations

import math


def format_go_f(value: float) -> str:
    """Return the fewest digits that read back as this float, without an exponent.

    It is `strconv.FormatFloat(value, 'f', -1, 64)`.
    """
    text = repr(value)
    if "e" not in text:
        return text.removesuffix(".0") if math.isfinite(value) else _special(value)
    mantissa, _, exponent = text.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    point = len(whole) + int(exponent)
    digits = whole + fraction
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    # Python writes an exponent from 1e16 on, with at most 17 digits: a fraction is never left.
    return f"{sign}{digits.ljust(point, '0')}"


def format_go_json(value: float) -> str:
    """Return the float as Prometheus writes it in JSON: with an exponent below 1e-6, from 1e21.

    Zero has none; it is format 'f' in between, and 'e' outside.
    """
    size = abs(value)
    if size < 1e-6 or size >= 1e21:
        # Python's shortest form has here the same sign and two digits of exponent as Go's.
        return repr(value) if value and math.isfinite(value) else format_go_f(value)
    return format_go_f(value)


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"
