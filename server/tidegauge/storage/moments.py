"""Unix milliseconds inside, timezone-aware datetimes at PostgreSQL's edge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import overload

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@overload
def to_ms(moment: datetime) -> int: ...
@overload
def to_ms(moment: datetime | None) -> int | None: ...
def to_ms(moment: datetime | None) -> int | None:
    """Return a moment's Unix ms, rounded down; None stays None."""
    return None if moment is None else (moment - _EPOCH) // timedelta(milliseconds=1)


def to_moment(time_ms: int | None) -> datetime | None:
    """Return the moment of a Unix ms; None stays None."""
    return None if time_ms is None else _EPOCH + timedelta(milliseconds=time_ms)
