"""`/api/v1/alerts/statistics`: figures that can be reckoned by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from flask.testing import FlaskClient
from tidegauge.app import create_app
from tidegauge.auth.principal import STRANGER
from tidegauge.config import Config, DatabaseConfig, TraceConfig
from tidegauge.model.alerts import AlertRule, AlertState
from tidegauge.services import Services
from tidegauge.storage.alert_events import AlertEvent, record_events
from tidegauge.storage.pool import Pool

from tests.support.alerts import ENTRY, make_rule

API = "/api/v1/alerts/statistics"
T_MS = 1_700_000_000_000
RANGE = {"start": T_MS - 1000, "end": T_MS + 86_400_000}
TOLD = """
INSERT INTO notifications (event_id, rule_id, channel, payload, state, created_at, finished_at)
VALUES (%(event)s, %(rule)s, '{"type": "email"}', '{"status": "firing"}', %(state)s,
    to_timestamp(%(at)s / 1000.0),
    CASE WHEN %(state)s = 'pending' THEN NULL ELSE to_timestamp(%(done)s / 1000.0) END)
"""
TAKEN = """
INSERT INTO alert_acknowledgements (event_id, keep_repeating, comment, made_by, made_at)
VALUES (%(event)s, false, '', 'ada', to_timestamp(%(at)s / 1000.0))
"""


@pytest.fixture
def config(migrated_database_url: str) -> Config:
    return Config(
        database=DatabaseConfig(url=migrated_database_url), trace=TraceConfig(own_metrics_s=0)
    )


class Past:
    """Writes down what alerts went through."""

    def __init__(self, services: Services, pool: Pool) -> None:
        self.services, self.pool = services, pool

    def add_rule(self, name: str) -> AlertRule:
        tables = self.services.storage.alerts
        assert tables is not None
        return tables.rules.add(make_rule(name=name), ENTRY).rule

    def fire(
        self,
        rule: AlertRule,
        begin_s: int,
        end_s: int | None = None,
        *,
        details: Mapping[str, object] | None = None,
    ) -> int:
        """Let the rule's alert fire for a while; return the event of its beginning."""
        began = self.record(
            rule, AlertState.INACTIVE, AlertState.FIRING, begin_s, details=details or {}
        )
        if end_s is not None:
            self.record(rule, AlertState.FIRING, AlertState.RESOLVED, end_s, fired_event_id=began)
        return began

    def record(
        self, rule: AlertRule, previous: AlertState, state: AlertState, at_s: int, **more: Any
    ) -> int:
        event = AlertEvent(
            rule_id=rule.id,
            rule_name=rule.name,
            severity="warning",
            labels=(("host", "a"),),
            previous=previous,
            state=state,
            value=6.0,
            at_ms=T_MS + at_s * 1000,
            **more,
        )
        with self.pool.transaction() as lent:
            (number,) = record_events(lent, [event])
            return number

    def tell(self, rule: AlertRule, event: int, state: str, at_s: int, done_s: int = 0) -> None:
        values = {"event": event, "rule": rule.id, "state": state}
        times = {"at": T_MS + at_s * 1000, "done": T_MS + done_s * 1000}
        with self.pool.transaction() as lent:
            lent.execute(TOLD, {**values, **times})

    def take_on(self, event: int, at_s: int) -> None:
        with self.pool.transaction() as lent:
            lent.execute(TAKEN, {"event": event, "at": T_MS + at_s * 1000})


@pytest.fixture
def past(services: Services, pool: Pool) -> Past:
    return Past(services, pool)


def test_nothing_at_all_has_figures_too(client: FlaskClient) -> None:
    said = client.get(API).get_json()["data"]

    assert (said["fired"], said["notified"], said["rules"]) == (0, 0, [])
    assert said["to_notify"] == {
        "count": 0,
        "p50_s": None,
        "p95_s": None,
        "p99_s": None,
        "max_s": None,
    }


def test_times_are_from_the_beginning_to_the_first_of_each(past: Past, client: FlaskClient) -> None:
    rule = past.add_rule("hot")
    first = past.fire(rule, 0, 100)
    past.tell(rule, first, "failed", 0, 1)
    past.tell(rule, first, "sent", 0, 4)
    past.tell(rule, first, "sent", 0, 2)
    past.take_on(first, 30)
    second = past.fire(rule, 5000)
    past.tell(rule, second, "sent", 5000, 5004)
    past.tell(rule, second, "pending", 5000)

    said = client.get(API, query_string=RANGE).get_json()["data"]

    counts = ("fired", "standing", "muted", "acknowledged", "notified", "sent", "failed", "pending")
    assert [said[name] for name in counts] == [2, 1, 0, 1, 5, 3, 1, 1]
    notify = said["to_notify"]
    assert (notify["count"], notify["p50_s"], notify["max_s"]) == (2, 3.0, 4.0)
    assert said["to_acknowledge"]["p99_s"] == 30.0
    assert (said["to_resolve"]["count"], said["to_resolve"]["p50_s"]) == (1, 100.0)


def test_rules_are_told_by_how_noisy_they_are(past: Past, client: FlaskClient) -> None:
    calm, noisy = past.add_rule("calm"), past.add_rule("noisy")
    past.fire(calm, 0, 10, details={"silence_id": 4})
    past.fire(calm, 2000)
    first = past.fire(noisy, 0, 10)
    past.fire(noisy, 500, 510)
    past.fire(noisy, 1000, 1100)
    past.tell(noisy, first, "failed", 0, 1)

    said = client.get(API, query_string=RANGE).get_json()["data"]["rules"]

    rows = [
        (one["name"], one["fired"], one["flapped"], one["muted"], one["failed"]) for one in said
    ]
    assert rows == [("noisy", 3, 2, 0, 1), ("calm", 2, 0, 1, 0)]
    assert said[0]["last_at"] == T_MS + 1_000_000
    limited = client.get(API, query_string={**RANGE, "limit": 1}).get_json()["data"]["rules"]
    assert [one["name"] for one in limited] == ["noisy"]


def test_what_lies_outside_does_not_count(past: Past, client: FlaskClient) -> None:
    rule = past.add_rule("hot")
    past.tell(rule, past.fire(rule, -100, -50), "sent", -100, -99)

    said = client.get(API, query_string=RANGE).get_json()["data"]

    assert (said["fired"], said["notified"]) == (0, 0)


@pytest.mark.parametrize(
    "params", [{"start": "now"}, {"start": "now-2y"}, {"start": "soon"}, {"limit": "9999"}]
)
def test_a_range_that_makes_no_sense_is_refused(
    client: FlaskClient, params: dict[str, str]
) -> None:
    given = {"end": "now-1h", **params}

    assert client.get(API, query_string=given).status_code == 400


def test_who_may_not_see_alerts_sees_no_figures(services: Services) -> None:
    assert create_app(services, local=STRANGER).test_client().get(API).status_code == 401


def test_the_views_tell_the_same_in_sql(past: Past, pool: Pool) -> None:
    rule = past.add_rule("hot")
    first = past.fire(rule, 0, 100)
    past.tell(rule, first, "sent", 0, 4)
    past.take_on(first, 30)

    with pool.transaction() as lent:
        lent.execute(
            "SELECT rule_name, duration_s, muted, notified, failed, acknowledged_by,"
            " extract(epoch FROM first_notified_at - started_at)::float8 FROM alert_firings"
        )
        firings = lent.fetchall()
        lent.execute("SELECT previous, state, muted, reason FROM alert_history ORDER BY event_id")
        history = lent.fetchall()
        lent.execute("SELECT channel_type, status, state, took_s FROM alert_deliveries")
        deliveries = lent.fetchall()

    assert firings == [("hot", 100.0, False, 1, 0, "ada", 4.0)]
    assert history == [("inactive", "firing", False, None), ("firing", "resolved", False, None)]
    assert deliveries == [("email", "firing", "sent", 4.0)]
