"""From what psycopg2 raises to the error families that the rooms above know."""

from __future__ import annotations

import psycopg2
from psycopg2 import errors as pg

from tidegauge.errors import DeadlineExceeded, InvalidInput, TidegaugeError, Unavailable


class DatabaseFault(Unavailable):
    """PostgreSQL refused a statement for a reason that nobody foresaw; the data is not to blame."""


# The data itself is at fault: too long for an index, not storable as text, out of range.
_BAD_DATA = (psycopg2.DataError, psycopg2.IntegrityError, pg.ProgramLimitExceeded)

# The server is away, full, starting, stopping, read-only after a failover, or lacks our tables.
_AWAY = (
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
    pg.ReadOnlySqlTransaction,
    pg.UndefinedTable,
    pg.UndefinedColumn,
    pg.InsufficientPrivilege,
)


def translate(fault: psycopg2.Error, *, deadline: bool) -> TidegaugeError:
    """Return the error to raise in place of one from the database.

    Args:
        fault: what psycopg2 raised.
        deadline: whether the caller had set a deadline; a statement that is cancelled without
            one ran into our own safety limit, and may do better later.
    """
    reason = str(fault).strip().split("\n", 1)[0] or type(fault).__name__
    if isinstance(fault, pg.QueryCanceled):
        if deadline:
            return DeadlineExceeded(f"the database did not answer in time: {reason}")
        return Unavailable(f"the database took too long: {reason}")
    if isinstance(fault, _BAD_DATA):
        return InvalidInput(f"the database refuses the data: {reason}")
    if isinstance(fault, _AWAY):
        return Unavailable(f"the database cannot serve this now: {reason}")
    return DatabaseFault(f"the database failed: {reason}")
