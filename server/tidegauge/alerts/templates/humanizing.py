"""Numbers for people: Prometheus's `humanize` and its relatives.

Source: prometheus.io/docs/prometheus/latest/configuration/template_reference, "Numbers".
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from tidegauge.alerts.templates.errors import BadCall
from tidegauge.alerts.templates.printing import format_4g
from tidegauge.alerts.templates.values import Value
from tidegauge.model.floats import format_go_g
from tidegauge.promql.durations import parse_float
from tidegauge.promql.quoting import quote

_LARGE = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")
_LARGE_1024 = ("", "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_SMALL = ("", "m", "u", "n", "p", "f", "a", "z", "y")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_S = 2**63 / 1e9


def to_float(value: Value) -> float:
    """Return a number, also from a text that holds one.

    Raises:
        BadCall: it is none.
    """
    if isinstance(value, str):
        try:
            return parse_float(value)
        except ValueError as fault:
            said = f"strconv.ParseFloat: parsing {quote(value)}: invalid syntax"
            raise BadCall(said) from fault
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise BadCall(f"can't convert {type(value).__name__} to float")


def humanize(given: Value) -> str:
    """Return a number with a metric prefix."""
    value = to_float(given)
    if value == 0 or not math.isfinite(value):
        return format_4g(value)
    return _scale_up(value, 1000, _LARGE) if abs(value) >= 1 else _scale_down(value)


def humanize_1024(given: Value) -> str:
    """Return a number with a binary prefix."""
    value = to_float(given)
    if abs(value) <= 1 or not math.isfinite(value):
        return format_4g(value)
    return _scale_up(value, 1024, _LARGE_1024)


def humanize_duration(given: Value) -> str:
    """Return seconds as days, hours, minutes and seconds, or as a fraction of a second."""
    value = to_float(given)
    if not math.isfinite(value):
        return format_4g(value)
    if abs(value) < 1:
        return (_scale_down(value) if value else "0") + "s"
    sign, whole = ("-" if value < 0 else ""), int(abs(value))
    days, hours = whole // 86_400, whole // 3600 % 24
    minutes, seconds = whole // 60 % 60, whole % 60
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{sign}{format_4g(abs(value))}s"


def humanize_percentage(given: Value) -> str:
    """Return a share of one as a percentage."""
    return f"{format_4g(to_float(given) * 100)}%"


def humanize_timestamp(given: Value) -> str:
    """Return Unix seconds as a date and time in UTC, to the millisecond."""
    value = to_float(given)
    if not math.isfinite(value):
        return format_4g(value)
    if abs(value) >= _MAX_S:
        raise BadCall(
            f"{format_go_g(value)} cannot be represented as a nanoseconds timestamp since it "
            "overflows int64"
        )
    moment = _EPOCH + timedelta(milliseconds=math.floor(value * 1000))
    fraction = f".{moment.microsecond // 1000:03d}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


def _scale_up(value: float, base: int, prefixes: tuple[str, ...]) -> str:
    place = 0
    while abs(value) >= base and place < len(prefixes) - 1:
        value /= base
        place += 1
    return format_4g(value) + prefixes[place]


def _scale_down(value: float) -> str:
    place = 0
    while abs(value) < 1 and place < len(_SMALL) - 1:
        value *= 1000
        place += 1
    return format_4g(value) + _SMALL[place]
