"""Times and durations as people write them in requests. Pure: "now" is an argument.

Two dialects: the Prometheus API has Unix seconds (with a fraction) or RFC 3339; the native API
has Unix milliseconds, RFC 3339, or `now-6h`. Inside, time is int64 Unix milliseconds.
Source: Prometheus `web/api/v1/api.go` (parseTime, parseDuration) and `model.ParseDuration`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tidegauge.errors import InvalidInput

MAX_TIME_MS = 1 << 61
"""Times beyond this (73 million years) are refused: arithmetic on them could leave int64."""

MAX_DURATION_MS = 1 << 53

NOW_GRAIN_MS = 10_000
"""Relative times move on once in so long, so that the same question has the same answer."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The digits after the point want a point: without it, what is long would be cut at every place.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_DURATION = re.compile(
    r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII
)
_UNITS_MS = (365 * 86_400_000, 7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1000, 1)
_RELATIVE = re.compile(r"now(?:\s*([+-])\s*(\S+))?")

# What client libraries send for "all of time"; no four-digit-year parser reads them.
# Source: Prometheus `web/api/v1/api.go` (minTimeFormatted, maxTimeFormatted).
_BOUNDARIES_MS = {
    "-292273086-05-16T16:47:06Z": -MAX_TIME_MS,
    "+292277025-08-18T07:12:54.999999999Z": MAX_TIME_MS,
}


def parse_rfc3339_ms(text: str) -> int | None:
    """Return the Unix ms of an RFC 3339 time, rounded down, or None where it is none."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
    except ValueError:
        return None
    return (moment - _EPOCH) // timedelta(milliseconds=1) + int((fraction or "0")[:3].ljust(3, "0"))


def parse_prometheus_time_ms(text: str) -> int:
    """Return the Unix ms of what the Prometheus API takes: float seconds, or RFC 3339.

    Raises:
        InvalidInput: neither, or out of range.
    """
    if _NUMBER.fullmatch(text):
        return _bounded_ms(float(text) * 1000, text)
    moment_ms = _BOUNDARIES_MS.get(text, parse_rfc3339_ms(text))
    if moment_ms is None:
        raise InvalidInput(f'cannot parse "{text}" to a valid timestamp')
    return moment_ms


def parse_native_time_ms(value: object, *, now_ms: int) -> int:
    """Return the Unix ms of what the native API takes: Unix ms, RFC 3339, `now`, `now-6h`.

    Raises:
        InvalidInput: none of these, or out of range.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _bounded_ms(value, str(value))
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text):
            return _bounded_ms(float(text), text)
        relative = _RELATIVE.fullmatch(text)
        if relative is not None:
            sign, span = relative.groups()
            shift_ms = 0 if span is None else parse_duration_ms(span)
            return now_ms - shift_ms if sign == "-" else now_ms + shift_ms
        moment_ms = parse_rfc3339_ms(text)
        if moment_ms is not None:
            return moment_ms
    raise InvalidInput(
        f"cannot read {value!r} as a time: Unix milliseconds, RFC 3339, or now-6h is wanted"
    )


def is_relative(value: object) -> bool:
    """Return whether the native API reads a time as relative: `now`, `now-6h`."""
    return isinstance(value, str) and _RELATIVE.fullmatch(value.strip()) is not None


def round_now_ms(now_ms: int, *, step_ms: int) -> int:
    """Return the "now" of relative times: the same for all who ask within 10 s, or within a step.

    Args:
        step_ms: the step; 0 for none. A shorter one than 10 s is what is rounded to.
    """
    grain_ms = min(NOW_GRAIN_MS, step_ms or NOW_GRAIN_MS)
    return now_ms // grain_ms * grain_ms


def parse_duration_ms(text: str) -> int:
    """Return the milliseconds of a duration: float seconds, or `1h30m`, `1m0s`, `500ms`.

    A fraction of a millisecond is cut off; the sign of a number is kept.
    Raises:
        InvalidInput: neither, or out of range.
    """
    if _NUMBER.fullmatch(text):
        length_ms = float(text) * 1000
        # 0.001 s * 1000 may come out a hair below 1; a fraction this small is a rounding error.
        length_ms = round(length_ms, 6)
    else:
        found = _DURATION.fullmatch(text) if text else None
        if found is None:
            raise InvalidInput(f'cannot parse "{text}" to a valid duration')
        length_ms = sum(
            # Longer digit runs are out of range anyhow, and int() of thousands of digits is slow.
            int(count[:20]) * unit_ms
            for count, unit_ms in zip(found.groups(), _UNITS_MS, strict=True)
            if count
        )
    if not abs(length_ms) <= MAX_DURATION_MS:
        raise InvalidInput(f'cannot parse "{text[:64]}" to a valid duration: it is out of range')
    return int(length_ms)


def _bounded_ms(value_ms: float, text: str) -> int:
    # The comparison is also what refuses NaN.
    if not abs(value_ms) <= MAX_TIME_MS:
        raise InvalidInput(f'cannot parse "{text[:64]}" to a valid timestamp: it is out of range')
    return round(value_ms)


_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200)
_WANTED_POINTS = 300


def choose_step_ms(range_ms: int) -> int:
    """Return a round step that gives a range some 150 to 300 points, and never below 1 s."""
    wanted_ms = range_ms / _WANTED_POINTS
    for step_s in _STEPS_S:
        if step_s * 1000 >= wanted_ms:
            return step_s * 1000
    days = -(-int(wanted_ms) // 86_400_000)
    return max(1, days) * 86_400_000
