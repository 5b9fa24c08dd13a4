"""Who evaluates the alert rules: a lease with a token that rises whenever it changes hands.

Time is the database's own. Every transaction that changes the state of alerts holds the token's
row while it lasts, so that nobody can take the lease over in the middle of one, and whoever has
lost it, even without knowing, writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg2.extensions import cursor

from tidegauge.errors import Conflict
from tidegauge.storage.moments import to_ms
from tidegauge.storage.pool import Pool

# The holder must know within the lease's time whether it still has it.
_AT_MOST_S = 3.0

_TAKE = """
UPDATE alert_lease SET holder = %(holder)s, token = token + 1,
    expires_at = clock_timestamp() + make_interval(secs => %(lease_s)s)
WHERE expires_at < clock_timestamp()
RETURNING token, clock_timestamp()
"""
_RENEW = """
UPDATE alert_lease SET expires_at = clock_timestamp() + make_interval(secs => %(lease_s)s)
WHERE token = %(token)s
RETURNING token, clock_timestamp()
"""
_RELEASE = "UPDATE alert_lease SET expires_at = '-infinity', holder = '' WHERE token = %s"
# An evaluator that stands still in the middle of a write must not keep the next one out.
_HURRY = "SET LOCAL idle_in_transaction_session_timeout = '5s'"
_HOLD = "SELECT 1 FROM alert_lease WHERE token = %s FOR SHARE"


class LeaseLost(Conflict):
    """Another evaluator has taken over; nothing of this transaction stays."""

    code = "lease_lost"


@dataclass(frozen=True, slots=True)
class Hold:
    """The lease in one's own hands.

    Args:
        token: what every change of state is checked against.
        now_ms: the database's clock, Unix ms.
    """

    token: int
    now_ms: int


def hold_lease(lent: cursor, token: int) -> None:
    """Let nobody take the lease over before the transaction at hand has ended.

    Raises:
        LeaseLost: somebody has.
    """
    lent.execute(_HURRY)
    lent.execute(_HOLD, (token,))
    if lent.fetchone() is None:
        raise LeaseLost(f"the lease of the alert evaluator with token {token} has been taken over")


class AlertLease:
    """The lease on evaluating alert rules.

    Args:
        pool: connections.
        holder: who this is, for people.
        lease_s: how long it lasts without being renewed.
    """

    def __init__(self, *, pool: Pool, holder: str, lease_s: float) -> None:
        self._pool, self._holder, self._lease_s = pool, holder, lease_s

    def take(self) -> Hold | None:
        """Take the lease if nobody has it, else return None.

        Raises:
            Unavailable.
        """
        return self._change(_TAKE, {"holder": self._holder, "lease_s": self._lease_s})

    def renew(self, token: int) -> Hold:
        """Go on holding it.

        Raises:
            LeaseLost: somebody else has it by now. Unavailable.
        """
        held = self._change(_RENEW, {"token": token, "lease_s": self._lease_s})
        if held is None:
            raise LeaseLost(f"the lease of the alert evaluator with token {token} is gone")
        return held

    def release(self, token: int) -> None:
        """Let the next one take it at once; nothing happens where it is lost already.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_RELEASE, (token,))

    def _change(self, statement: str, values: dict[str, object]) -> Hold | None:
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(statement, values)
            row: tuple[int, datetime] | None = lent.fetchone()
            return None if row is None else Hold(row[0], to_ms(row[1]))
