"""Unix milliseconds inside, timezone-aware datetimes at PostgreSQL's edge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import overload

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The years 1 and 9999 are the first and the last that a datetime has.
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999


@overload
def to_ms(moment: datetime) -> int: ...
@overload
def to_ms(moment: datetime | None) -> int | None: ...
def to_ms(moment: datetime | None) -> int | None:
    """Return a moment's Unix ms, rounded down; None stays None."""
    return None if moment is None else (moment - _EPOCH) // timedelta(milliseconds=1)


def to_moment(time_ms: int | None) -> datetime | None:
    """Return the moment of a Unix ms, the nearest that a calendar has; None stays None."""
    if time_ms is None:
        return None
    return _EPOCH + timedelta(milliseconds=min(max(time_ms, _FIRST_MS), _LAST_MS))
