"""Alerts and notifications of a database of before go on after an upgrade."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copy

import pytest
from tidegauge.config import DatabaseConfig
from tidegauge.storage import migrate
from tidegauge.storage.migrate import apply_migrations
from tidegauge.storage.outbox import NewNotification, Outbox, enqueue, read_told
from tidegauge.storage.pool import Pool

HOOK = {"type": "webhook", "target": "https://example.org/hook"}
_BEFORE = """
INSERT INTO alert_rules (id, name, query, condition, threshold, hold_ms, keep_firing_ms,
    interval_ms, repeat_ms, severity, enabled, no_data, on_error, labels, annotations, channels)
VALUES (7, 'hot', 'heat', 'gt', 80, 0, 0, 10000, 0, 'info', true, 'keep', 'keep', '{}', '{}', '[]');
INSERT INTO alert_events (id, rule_id, rule_name, severity, labels, previous, state, at) VALUES
    (1, 7, 'hot', 'info', '{"host": "a"}', 'inactive', 'firing', now()),
    (2, 7, 'hot', 'info', '{"host": "b"}', 'inactive', 'firing', now()),
    (3, 7, 'hot', 'info', '{"host": "b"}', 'firing', 'resolved', now());
INSERT INTO notifications (event_id, rule_id, channel, payload, attempts, state, finished_at)
SELECT event_id, 7, '{"type": "webhook", "target": "https://example.org/hook"}',
    jsonb_build_object('status', status, 'labels', jsonb_build_object('host', host)), attempts,
    state, CASE WHEN state = 'sent' THEN now() END
FROM (VALUES (1, 'firing', 'a', 1, 'sent'), (2, 'firing', 'b', 1, 'pending'),
    (3, 'resolved', 'b', 0, 'pending')) AS old (event_id, status, host, attempts, state);
"""


@pytest.fixture
def upgraded(
    database_url: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pool]:
    """A database that stood at migration 0007 and was brought up to the last one."""
    for path in sorted((repository / "migrations").glob("*.sql")):
        if path.name < "0008":
            copy(path, tmp_path)
    pool = Pool.from_config(DatabaseConfig(), url=database_url)
    with monkeypatch.context() as before:
        before.setattr(migrate, "_SOURCE", str(tmp_path))
        apply_migrations(database_url)
    with pool.transaction() as lent:
        lent.execute(_BEFORE)
    apply_migrations(database_url)
    yield pool
    pool.close()


def test_what_was_to_be_told_before_an_upgrade_is_told_in_order(upgraded: Pool) -> None:
    outbox = Outbox(pool=upgraded)
    told = []
    while claimed := outbox.claim_due(limit=9, claim_s=60):
        for one in claimed:
            assert outbox.mark_sent(one, answer="200")
            told += [(alert["status"], one.attempt) for alert in one.alerts]

    assert told == [("firing", 2), ("resolved", 1)]
    with upgraded.transaction() as lent:
        lent.execute("SELECT id, fired_event_id FROM alert_events ORDER BY id")
        assert lent.fetchall() == [(1, None), (2, None), (3, 2)]


def test_whoever_heard_of_an_alert_before_an_upgrade_hears_of_its_end(upgraded: Pool) -> None:
    with upgraded.transaction() as lent:
        ((routed,),) = read_told(lent, [1]).values()
        payload = {"status": "resolved", "labels": {"host": "a"}}
        new = NewNotification.to(routed, event_id=1, rule_id=7, payload=payload)
        enqueue(lent, [new])

        lent.execute("UPDATE notifications SET state = 'sent', finished_at = now() WHERE id < 4")

    assert routed.channel == HOOK
    (claimed,) = Outbox(pool=upgraded).claim_due(limit=9, claim_s=60)
    assert (claimed.alerts, claimed.others) == ((payload,), ())
