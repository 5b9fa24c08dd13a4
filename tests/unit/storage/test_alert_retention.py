"""What is too old goes, a little at a time; what stands keeps its past."""

from __future__ import annotations

import threading

import pytest
import structlog
from tidegauge.alerts.retention import PastKeeper
from tidegauge.errors import Unavailable
from tidegauge.storage.alert_retention import AlertRetention, Removed
from tidegauge.storage.pool import Pool

EVENT = """
INSERT INTO alert_events (id, rule_name, severity, labels, previous, state, at)
VALUES (%s, 'hot', 'warning', '{}', 'inactive', 'firing', now() - make_interval(days => %s))
"""
TOLD = """
INSERT INTO notifications (event_id, channel, payload, state, standing, created_at, finished_at)
VALUES (%(event)s, '{}', '{}', %(state)s, %(standing)s, now() - make_interval(days => %(days)s),
    CASE WHEN %(state)s = 'pending' THEN NULL ELSE now() END)
RETURNING id
"""
TRIED = """
INSERT INTO notification_attempts (notification_id, attempt, outcome, answer)
VALUES (%s, 1, 'sent', '')
"""
TAKEN = """
INSERT INTO alert_acknowledgements (event_id, keep_repeating, comment, made_by)
VALUES (%s, false, '', 'ada')
"""
RULE = """
INSERT INTO alert_rules (id, name, query, condition, threshold, hold_ms, keep_firing_ms,
    interval_ms, repeat_ms, severity, enabled, no_data, on_error, labels, annotations, channels)
VALUES (1, 'hot', 'heat', 'gt', 5, 0, 0, 1000, 0, 'info', true, 'keep', 'keep', '{}', '{}', '[]')
"""
STANDS = """
INSERT INTO alert_instances (rule_id, fingerprint, labels, state, held_ms, active_at, event_id)
VALUES (1, decode('00112233445566778899aabbccddeeff', 'hex'), '{}', 'firing', 0, now(), %s)
"""


@pytest.fixture
def retention(pool: Pool) -> AlertRetention:
    return AlertRetention(pool=pool)


def write(pool: Pool, statement: str, *values: object) -> None:
    with pool.transaction() as lent:
        lent.execute(statement, values)


def tell(pool: Pool, event: int, *, state: str = "sent", standing: bool = False) -> int:
    with pool.transaction() as lent:
        values = {"event": event, "state": state, "standing": standing, "days": 400}
        lent.execute(TOLD, values)
        return lent.fetchall()[0][0]


def left(pool: Pool, table: str) -> int:
    with pool.transaction() as lent:
        lent.execute(f"SELECT count(*) FROM {table}")
        return lent.fetchall()[0][0]


def events_left(pool: Pool) -> list[int]:
    with pool.transaction() as lent:
        lent.execute("SELECT id FROM alert_events ORDER BY id")
        return [row[0] for row in lent.fetchall()]


def test_what_is_too_old_goes_with_all_that_hangs_on_it(
    pool: Pool, retention: AlertRetention
) -> None:
    for number, days in ((1, 400), (2, 366), (3, 364)):
        write(pool, EVENT, number, days)
    write(pool, TAKEN, 1)
    write(pool, TRIED, tell(pool, 1))

    assert retention.remove_old(keep_days=365, limit=9) == Removed(events=2, notifications=1)

    assert events_left(pool) == [3]
    assert left(pool, "alert_acknowledgements") == 0
    assert left(pool, "notification_attempts") == 0


def test_what_stands_or_is_to_be_told_keeps_its_past(pool: Pool, retention: AlertRetention) -> None:
    for number in (1, 2, 3, 4):
        write(pool, EVENT, number, 400)
    write(pool, RULE)
    write(pool, STANDS, 1)
    tell(pool, 1)
    tell(pool, 2, state="pending")
    tell(pool, 3, standing=True)

    assert retention.remove_old(keep_days=365, limit=9) == Removed(events=1, notifications=0)
    assert events_left(pool) == [1, 2, 3]


def test_a_slice_takes_the_oldest_and_no_more_than_its_size(
    pool: Pool, retention: AlertRetention
) -> None:
    for number, days in ((1, 400), (2, 500), (3, 600)):
        write(pool, EVENT, number, days)

    assert retention.remove_old(keep_days=365, limit=2).events == 2
    assert events_left(pool) == [1]


def keeper(retention: AlertRetention, *, leads: bool) -> PastKeeper:
    return PastKeeper(
        retention=retention,
        keep_days=365,
        is_leading=lambda: leads,
        log=structlog.get_logger(),
    )


def test_only_the_leading_evaluator_removes(pool: Pool, retention: AlertRetention) -> None:
    write(pool, EVENT, 1, 400)

    assert keeper(retention, leads=False).step() is False
    assert events_left(pool) == [1]
    assert keeper(retention, leads=True).step() is False
    assert events_left(pool) == []


def test_a_database_that_is_away_ends_nothing() -> None:
    closed = Pool("host=127.0.0.1 port=1", size=1, connect_timeout_s=1, statement_timeout_s=1)
    away = AlertRetention(pool=closed)
    stop = threading.Event()
    stop.set()

    keeper(away, leads=True).run(stop)

    with pytest.raises(Unavailable):
        away.remove_old(keep_days=365, limit=1)
