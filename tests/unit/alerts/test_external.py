"""Alerts that others post, on a real database: one event each, and what time does to them."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tidegauge.alerts.external import ExternalAlertService
from tidegauge.alerts.muting import Mutings
from tidegauge.auth.actor import SYSTEM
from tidegauge.model.alerts import AlertState
from tidegauge.model.external_alerts import PostedAlert
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.model.routing import Route, Routing
from tidegauge.model.silences import Silence
from tidegauge.observability.logs import make_logger
from tidegauge.storage.alert_events import AlertEvent, AlertEvents
from tidegauge.storage.alert_lease import AlertLease, Hold, LeaseLost
from tidegauge.storage.external_alerts import ExternalAlerts
from tidegauge.storage.maintenance_windows import MaintenanceWindows
from tidegauge.storage.pool import Pool
from tidegauge.storage.silences import Silences

pytestmark = pytest.mark.services

LOG = make_logger(io.BytesIO(), level="error", service="test", clock_ms=lambda: 0)
FAR_MS = 4_000_000_000_000
HOT = PostedAlert((("alertname", "hot"),), starts_ms=1000, ends_ms=FAR_MS)
ROUTING = Routing(
    receivers={"ops": ({"type": "email", "target": "ops@example.org"},)},
    root=Route("ops", wait_ms=5000, interval_ms=7000),
)
_TOLD = """
SELECT payload ->> 'status', receiver, rule_id, event_id, interval_ms FROM notifications ORDER BY id
"""
_OVER = "UPDATE external_alerts SET ends_at = now(), look_at = now()"
_LOOK = "UPDATE external_alerts SET look_at = now()"
_LONG_OVER = "UPDATE external_alerts SET updated_at = 'epoch', ends_at = 'epoch', look_at = 'epoch'"
_TOLD_LONG_AGO = """
UPDATE external_alerts SET look_at = now(), told = jsonb_set(told, '{0,at_ms}', '0')
"""
_TIMES = "SELECT extract(epoch FROM look_at - updated_at)::integer FROM external_alerts"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def service(pool: Pool) -> ExternalAlertService:
    return make_service(pool)


def make_service(pool: Pool, grace_ms: int = 0) -> ExternalAlertService:
    return ExternalAlertService(
        alerts=ExternalAlerts(pool=pool),
        silences=Mutings(
            silences=Silences(pool=pool), windows=MaintenanceWindows(pool=pool), log=LOG
        ),
        read_routing=lambda: ROUTING,
        timeout_ms=300_000,
        most=100,
        grace_ms=grace_ms,
        log=LOG,
    )


@pytest.fixture
def hold(pool: Pool) -> Hold:
    taken = AlertLease(pool=pool, holder="test", lease_s=0).take()
    assert taken is not None
    return taken


def execute(pool: Pool, statement: str) -> None:
    with pool.transaction() as lent:
        lent.execute(statement)


def ask(pool: Pool, statement: str) -> list[tuple[object, ...]]:
    with pool.transaction() as lent:
        lent.execute(statement)
        return list(lent.fetchall())


def events(pool: Pool) -> list[AlertEvent]:
    return AlertEvents(pool=pool).read_range(start_ms=0, end_ms=FAR_MS, limit=99)[::-1]


def test_senders_of_one_alert_at_the_same_time_are_one_event(
    pool: Pool, service: ExternalAlertService
) -> None:
    with ThreadPoolExecutor(4) as senders:
        posts = [senders.submit(service.post, [HOT], now_ms=now_ms()) for _ in range(12)]
        for one in posts:
            one.result()

    assert len(events(pool)) == len(service.list_firing()) == 1


def test_what_is_posted_no_more_ends_in_the_leaders_round(
    pool: Pool, service: ExternalAlertService, hold: Hold
) -> None:
    service.post([HOT], now_ms=now_ms())
    execute(pool, _OVER)

    assert service.settle_due(hold) is False

    began, ended = events(pool)
    assert (ended.previous, ended.state) == (AlertState.FIRING, AlertState.RESOLVED)
    assert ended.details["reason"] == "it was not posted again"
    assert ended.fired_event_id == began.id
    assert service.list_firing() == []


def test_whoever_has_lost_the_lease_changes_nothing(
    pool: Pool, service: ExternalAlertService, hold: Hold
) -> None:
    service.post([HOT], now_ms=now_ms())
    execute(pool, _OVER)
    assert AlertLease(pool=pool, holder="other", lease_s=9).take() is not None

    with pytest.raises(LeaseLost):
        service.settle_due(hold)

    assert len(events(pool)) == 1


def test_a_route_tells_the_beginning_and_the_end_once(
    pool: Pool, service: ExternalAlertService, hold: Hold
) -> None:
    for _ in range(2):
        service.post([HOT], now_ms=now_ms())
    execute(pool, _OVER)
    for _ in range(2):
        service.settle_due(hold)

    began, ended = events(pool)
    assert ask(pool, _TOLD) == [
        ("firing", "ops", None, began.id, 7000),
        ("resolved", "ops", None, ended.id, 7000),
    ]


def test_what_is_told_again_belongs_to_the_event_of_the_beginning(
    pool: Pool, service: ExternalAlertService, hold: Hold
) -> None:
    service.post([HOT], now_ms=now_ms())
    execute(pool, _TOLD_LONG_AGO)

    service.settle_due(hold)

    (began,) = events(pool)
    assert ask(pool, _TOLD)[1:] == [("repeat", "ops", None, began.id, 7000)]


def test_what_is_long_over_is_forgotten_but_for_its_history(
    pool: Pool, service: ExternalAlertService, hold: Hold
) -> None:
    service.post([HOT], now_ms=now_ms())
    for statement in (_OVER, _LONG_OVER):
        execute(pool, statement)
        service.settle_due(hold)

    assert ask(pool, "SELECT count(*) FROM external_alerts") == [(0,)]
    assert len(events(pool)) == 2


def test_a_silence_is_named_in_the_history_and_looked_at_until_it_ends(
    pool: Pool, service: ExternalAlertService
) -> None:
    matcher = Matcher(MatchType.EQUAL, "alertname", "hot")
    silence = Silence((matcher,), 0, FAR_MS, created_by="ada")
    made = Silences(pool=pool).add(silence, SYSTEM.entry("silence.create"))

    service.post([HOT], now_ms=now_ms())

    assert events(pool)[0].details["silence_id"] == made.id
    assert ask(pool, _TIMES) == [(10,)]


def test_a_round_with_nothing_due_writes_nothing(
    pool: Pool, service: ExternalAlertService, hold: Hold
) -> None:
    service.post([HOT], now_ms=now_ms())
    before = ask(pool, "SELECT xmin::text FROM external_alerts")

    assert service.settle_due(hold) is False

    assert ask(pool, "SELECT xmin::text FROM external_alerts") == before


def test_more_than_a_round_takes_is_done_in_the_next(
    pool: Pool, service: ExternalAlertService, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegauge.alerts.external.ROUND_ALERTS", 2)
    service.post(
        [PostedAlert((("alertname", f"n{number}"),), ends_ms=FAR_MS) for number in range(3)],
        now_ms=now_ms(),
    )
    execute(pool, _LOOK)

    assert [service.settle_due(hold) for _ in range(2)] == [True, False]


def test_whoever_is_kept_waiting_by_a_sender_tries_again_and_breaks_nothing_off(
    service: ExternalAlertService, pool: Pool, hold: Hold
) -> None:
    service.post([HOT], now_ms=now_ms())
    execute(pool, _OVER)

    with pool.transaction() as lent:
        lent.execute("SELECT pg_advisory_xact_lock(hashtext('tidegauge.external_alerts'), 1)")
        assert service.settle_due(hold) is False
    service.settle_due(hold)

    assert ask(pool, "SELECT state FROM external_alerts") == [("resolved",)]


def test_an_alert_that_began_before_all_calendars_is_in_nobodys_way(
    service: ExternalAlertService, pool: Pool, hold: Hold
) -> None:
    old = PostedAlert((("alertname", "old"),), starts_ms=-62_135_596_800_000, ends_ms=FAR_MS)

    service.post([old, HOT], now_ms=now_ms())
    execute(pool, _LOOK)
    service.settle_due(hold)

    assert len(service.list_firing()) == 2


def test_after_an_outage_senders_may_post_again_before_anybody_hears_of_an_end(
    pool: Pool, hold: Hold
) -> None:
    cold = PostedAlert((("alertname", "cold"),), starts_ms=1000, ends_ms=FAR_MS)
    service = make_service(pool, grace_ms=60_000)
    service.post([HOT, cold], now_ms=now_ms())
    execute(pool, _OVER)
    back = replace(hold, now_ms=now_ms())

    service.settle_due(back)
    service.post([HOT], now_ms=now_ms())
    assert [one[0] for one in ask(pool, _TOLD)] == ["firing", "firing"]
    assert service.settle_due(back) is False

    service = make_service(pool, grace_ms=1)
    execute(pool, _LOOK)
    while len(ask(pool, _TOLD)) < 3:
        service.settle_due(replace(hold, now_ms=now_ms()))
    told = ask(pool, "SELECT payload -> 'labels' ->> 'alertname' FROM notifications ORDER BY id")
    assert told[2:] == [("cold",)]
