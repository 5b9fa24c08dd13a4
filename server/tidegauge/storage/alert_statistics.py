"""How alerts and those who are told of them do, over a range of time: counted in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegauge.storage.moments import to_moment
from tidegauge.storage.pool import Pool

_AT_MOST_S = 20.0

# An alert that fires again so soon after its end flaps.
FLAP_S = 600

# The last of each percentile array is the maximum.
_TOTALS = """
WITH firings AS MATERIALIZED (
    SELECT started_at, ended_at, muted, first_notified_at, acknowledged_at
    FROM alert_firings WHERE started_at BETWEEN %(start)s AND %(end)s
), spans AS (
    SELECT muted, ended_at IS NULL AS standing, acknowledged_at IS NOT NULL AS acknowledged,
        extract(epoch FROM first_notified_at - started_at)::float8 AS notify_s,
        extract(epoch FROM acknowledged_at - started_at)::float8 AS acknowledge_s,
        extract(epoch FROM ended_at - started_at)::float8 AS resolve_s
    FROM firings
)
SELECT count(*), count(*) FILTER (WHERE standing), count(*) FILTER (WHERE muted),
    count(*) FILTER (WHERE acknowledged),
    count(notify_s), percentile_cont(ARRAY[0.5, 0.95, 0.99, 1]) WITHIN GROUP (ORDER BY notify_s),
    count(acknowledge_s),
    percentile_cont(ARRAY[0.5, 0.95, 0.99, 1]) WITHIN GROUP (ORDER BY acknowledge_s),
    count(resolve_s), percentile_cont(ARRAY[0.5, 0.95, 0.99, 1]) WITHIN GROUP (ORDER BY resolve_s)
FROM spans
"""
_NOTIFICATIONS = """
SELECT count(*), count(*) FILTER (WHERE state = 'sent'), count(*) FILTER (WHERE state = 'failed'),
    count(*) FILTER (WHERE state = 'pending')
FROM notifications WHERE created_at BETWEEN %(start)s AND %(end)s
"""
_RULES = """
WITH fired AS (
    SELECT rule_id, rule_name, id, at, details,
        coalesce((
            SELECT ended.at FROM alert_events AS ended
            WHERE ended.rule_id = began.rule_id
                AND jsonb_hash(ended.labels) = jsonb_hash(began.labels)
                AND ended.labels = began.labels
                AND ended.id < began.id AND ended.previous = 'firing'
            ORDER BY ended.id DESC LIMIT 1
        ) > began.at - make_interval(secs => %(flap_s)s), false) AS flaps
    FROM alert_events AS began
    WHERE began.state = 'firing' AND began.at BETWEEN %(start)s AND %(end)s
), firings AS (
    SELECT rule_id, rule_name, count(*) AS fired, count(*) FILTER (WHERE flaps) AS flapped,
        count(*) FILTER (
            WHERE details ?| ARRAY['silence_id', 'maintenance_window_id']
        ) AS muted, max(at) AS last_at
    FROM fired GROUP BY rule_id, rule_name
), told AS (
    SELECT rule_id, count(*) AS notified, count(*) FILTER (WHERE state = 'failed') AS failed
    FROM notifications WHERE created_at BETWEEN %(start)s AND %(end)s GROUP BY rule_id
)
SELECT firings.rule_id, rule_name, fired, flapped, muted, coalesce(notified, 0),
    coalesce(failed, 0), (extract(epoch FROM last_at) * 1000)::bigint
FROM firings LEFT JOIN told ON told.rule_id = firings.rule_id
ORDER BY fired DESC, rule_name, firings.rule_id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Spans:
    """How long something took, seconds; None: it never came to it.

    Args:
        count: how often it came to it.
    """

    count: int
    p50_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None
    max_s: float | None = None


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """One rule over a range of time.

    Args:
        rule_id: the rule; None: it is gone, or the alerts were posted by others.
        name: as it had it then.
        fired: how often its alerts began to fire.
        flapped: how often within ten minutes after the same alert was over.
        muted: how often something kept that quiet.
        notified: notifications of its alerts; failed: those that were given up.
        last_ms: when one last began to fire, Unix ms.
    """

    rule_id: int | None
    name: str
    fired: int
    flapped: int
    muted: int
    notified: int
    failed: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class AlertFigures:
    """All alerts over a range of time, by when they began to fire.

    Args:
        fired: how often; standing: of those that still fire.
        muted: of those that something kept quiet when they began.
        acknowledged: of those that somebody took on.
        to_notify, to_acknowledge, to_resolve: from the beginning to the first delivery, to whoever
            took it on, and to the end.
        notified, sent, failed, pending: notifications of that time, in all and by state.
        rules: the noisiest first.
    """

    fired: int
    standing: int
    muted: int
    acknowledged: int
    to_notify: Spans
    to_acknowledge: Spans
    to_resolve: Spans
    notified: int
    sent: int
    failed: int
    pending: int
    rules: Sequence[RuleFigures]


class AlertStatistics:
    """Counts what alerts went through; safe to use from many threads.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def read(self, *, start_ms: int, end_ms: int, limit: int) -> AlertFigures:
        """Return the figures of a range of time.

        Args:
            start_ms, end_ms: both included, Unix ms.
            limit: at most so many rules.
        Raises:
            Unavailable: also where the range holds more than can be counted in time.
        """
        values: Mapping[str, object] = {
            "start": to_moment(start_ms),
            "end": to_moment(end_ms),
            "flap_s": FLAP_S,
            "limit": limit,
        }
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_TOTALS, values)
            totals = lent.fetchall()[0]
            lent.execute(_NOTIFICATIONS, values)
            told = lent.fetchall()[0]
            lent.execute(_RULES, values)
            rules = [RuleFigures(*row) for row in lent.fetchall()]
        return AlertFigures(
            fired=totals[0],
            standing=totals[1],
            muted=totals[2],
            acknowledged=totals[3],
            to_notify=_read_spans(totals[4:6]),
            to_acknowledge=_read_spans(totals[6:8]),
            to_resolve=_read_spans(totals[8:10]),
            notified=told[0],
            sent=told[1],
            failed=told[2],
            pending=told[3],
            rules=rules,
        )


def _read_spans(row: Sequence[Any]) -> Spans:
    count, percentiles = row
    return Spans(count, *percentiles) if count else Spans(0)
