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


def format_go_g(value: float) -> str:
    """Return the fewest digits that read back, with an exponent below 1e-4 and from 1e6 on.

    It is `fmt.Sprintf("%g", value)`, and so `%v`.
    """
    if not value or not math.isfinite(value):
        return format_go_f(value)
    # Leading and trailing zeros are not digits; what is left is one digit, a point, the others.
    sign, digits, exponent = _split_digits(value)
    if -4 <= exponent < 6:
        return format_go_f(value)
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{exponent:+03d}"


def _split_digits(value: float) -> tuple[str, str, int]:
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # How far right of the first digit the point stands.
    place = len(whole) - 1 if whole != "0" else len(digits) - len(fraction) - 1
    return "-" if value < 0 else "", digits.rstrip("0"), place + int(exponent or 0)


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"
