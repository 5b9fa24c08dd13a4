"""Removes what alerts went through long ago, a little at a time."""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge.storage.pool import Pool

# A slice is small; one that takes longer than this is in somebody's way, and tried again later.
_AT_MOST_S = 5.0

# What stands, or is still to be told, keeps its past. Their attempts go with notifications, and
# acknowledgements with events.
_DELETE_NOTIFICATIONS = """
DELETE FROM notifications WHERE id IN (
    SELECT id FROM notifications AS old
    WHERE old.created_at < now() - make_interval(days => %(keep_days)s)
        AND old.state <> 'pending' AND NOT old.standing
        AND NOT EXISTS (SELECT FROM alert_instances WHERE event_id = old.event_id)
        AND NOT EXISTS (SELECT FROM external_alerts WHERE event_id = old.event_id)
    ORDER BY old.created_at LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
"""
_DELETE_EVENTS = """
DELETE FROM alert_events WHERE id IN (
    SELECT id FROM alert_events AS old
    WHERE old.at < now() - make_interval(days => %(keep_days)s)
        AND NOT EXISTS (SELECT FROM alert_instances WHERE event_id = old.id)
        AND NOT EXISTS (SELECT FROM external_alerts WHERE event_id = old.id)
        AND NOT EXISTS (SELECT FROM notifications WHERE notifications.event_id = old.id)
    ORDER BY old.at LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
"""


@dataclass(frozen=True, slots=True)
class Removed:
    """How many rows went."""

    events: int
    notifications: int


class AlertRetention:
    """Removes old events, notifications and acknowledgements; safe to use from many threads.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def remove_old(self, *, keep_days: int, limit: int) -> Removed:
        """Remove the oldest of what is too old.

        Args:
            keep_days: younger ones stay; by the database's clock.
            limit: at most so many events, and as many notifications.
        Raises:
            Unavailable.
        """
        values = {"keep_days": keep_days, "limit": limit}
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_DELETE_NOTIFICATIONS, values)
            notifications = lent.rowcount
            lent.execute(_DELETE_EVENTS, values)
            return Removed(lent.rowcount, notifications)
