"""What one answer to a rule's query means for each of its label sets."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tidegauge.alerts.evaluation import MAX_ALERTS, Outcome, end_alert, evaluate, read_outcome
from tidegauge.errors import QueryFailed
from tidegauge.model.alerts import AlertInstance, AlertRule, AlertState, Policy
from tidegauge.model.labels import Labels
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.model.routing import Route, Routing
from tidegauge.model.silences import Silence
from tidegauge.promql.value import Annotations, Matrix, Result, Scalar, Text, Vector
from tidegauge.storage.alert_changes import Change

from tests.support.alerts import MAIL, make_rule

A, B = (("host", "a"),), (("host", "b"),)
HOUR_MS = 3_600_000


def judge(
    rule: AlertRule,
    standing: dict[Labels, AlertInstance],
    outcome: Outcome,
    **times: Any,
) -> list[Change]:
    given = {"elapsed_ms": 10_000, "now_ms": HOUR_MS, **times}
    return evaluate(rule, standing, outcome, expand=lambda rule, _: rule.annotations, **given)


def firing(*sets: Labels, **fields: Any) -> dict[Labels, AlertInstance]:
    given = {"state": AlertState.FIRING, "fired_ms": 1, "notified_ms": HOUR_MS - 1, "event_id": 9}
    return {labels: AlertInstance(labels, **{**given, **fields}) for labels in sets}


def news(changes: list[Change]) -> dict[Labels, str]:
    """Return what people are told, by label set."""
    return {
        one.instance.labels: str(one.payload["status"])
        for one in changes
        if one.payload is not None
    }


def result(value: object) -> Result:
    return Result(value, np.array([0]), Annotations(), 0)  # type: ignore[arg-type]


def test_each_bad_series_is_an_alert_of_its_own() -> None:
    rule = make_rule(id=3, hold_ms=0, labels=(("host", "over"), ("team", "db")))

    changes = judge(rule, {}, Outcome([(A, 6.0), (B, 5.0)]))

    (change,) = changes
    assert change.payload == {
        "status": "firing",
        "rule": {
            "id": 3,
            "name": "hot",
            "severity": "warning",
            "query": "heat",
            "condition": "gt",
            "threshold": 5.0,
            "hold_ms": 0,
        },
        "labels": {"alertname": "hot", "host": "over", "severity": "warning", "team": "db"},
        "series": dict(A),
        "annotations": {},
        "value": 6.0,
        "starts_at": HOUR_MS,
        "fired_at": HOUR_MS,
        "ends_at": None,
    }
    assert change.event is not None
    assert (change.event.previous, change.event.state) == (AlertState.INACTIVE, AlertState.FIRING)


def test_labels_of_the_rule_may_be_templates() -> None:
    rule = make_rule(hold_ms=0, labels=(("where", "at {{ $labels.host }}"), ("bad", "{{ .x }}")))

    (change,) = judge(rule, {}, Outcome([(A, 6.0)]))

    assert change.event is not None
    labels = dict(change.event.labels)
    assert labels["where"] == "at a"
    assert labels["bad"].startswith("<error expanding template: ")


def test_people_hear_of_firing_and_resolved_but_not_of_pending() -> None:
    rule = make_rule(hold_ms=10_000)
    pending = judge(rule, {}, Outcome([(A, 6.0)]))
    fires = judge(rule, {A: pending[0].instance}, Outcome([(A, 7.0)]))
    resolved = judge(rule, {A: fires[0].instance}, Outcome([(A, 4.0)]))

    assert [news(one) for one in (pending, fires, resolved)] == [{}, {A: "firing"}, {A: "resolved"}]
    assert resolved[0].payload is not None
    assert resolved[0].payload["ends_at"] == HOUR_MS


def silence(value: str, *, ends_ms: int = HOUR_MS + 1) -> Silence:
    return Silence((Matcher(MatchType.EQUAL, "host", value),), 0, ends_ms, id=4)


def test_nobody_hears_of_what_fires_in_a_silence_until_that_is_over() -> None:
    rule = make_rule(hold_ms=0)
    seen = Outcome([(A, 6.0), (B, 6.0)])

    first = judge(rule, {}, seen, silences=[silence("a"), silence("b", ends_ms=HOUR_MS)])
    quiet = {one.instance.labels: one.instance for one in first}
    during = judge(rule, quiet, seen, silences=[silence("a")])
    after = judge(rule, quiet, seen)

    assert news(first) == {B: "firing"}
    details = {one.instance.labels: one.event.details for one in first if one.event is not None}
    assert details == {A: {"silence_id": 4}, B: {}}
    assert (news(during), news(after)) == ({}, {A: "firing"})
    again = judge(
        replace(rule, repeat_ms=1), firing(A), Outcome([(A, 6.0)]), silences=[silence("a")]
    )
    assert news(again) == {}


def test_who_heard_that_it_fires_hears_that_it_is_over_and_nobody_else() -> None:
    rule, over = make_rule(), Outcome([(A, 1.0), (B, 1.0)])
    standing = firing(A) | firing(B, notified_ms=None)

    told = news(judge(rule, standing, over, silences=[silence("a"), silence("b")]))
    ended = [end_alert(rule, one, reason="x", now_ms=1) for one in standing.values()]

    assert told == news(ended) == {A: "resolved"}


def test_what_still_fires_is_told_again_after_the_repeat_interval() -> None:
    rule = make_rule(repeat_ms=60_000)
    before = firing(A, notified_ms=HOUR_MS - 60_000)

    (change,) = judge(rule, before, Outcome([(A, 6.0)]))

    assert change.event is None
    assert news([change]) == {A: "repeat"}
    assert change.instance.notified_ms == HOUR_MS
    assert news(judge(rule, {A: change.instance}, Outcome([(A, 6.0)]))) == {}
    assert news(judge(replace(rule, repeat_ms=0), before, Outcome([(A, 6.0)]))) == {}


@pytest.mark.parametrize("what", ["no data", "an error"])
def test_a_lost_source_rings_once_at_most_and_ends_nothing_unless_asked(what: str) -> None:
    outcome = Outcome(error="the query failed") if what == "an error" else Outcome()
    rule = make_rule(hold_ms=0)
    told = {
        policy: news(judge(replace(rule, no_data=policy, on_error=policy), firing(A, B), outcome))
        for policy in Policy
    }

    assert told == {
        Policy.KEEP: {},
        Policy.FIRE: {(): "firing"},
        Policy.RESOLVE: {A: "resolved", B: "resolved"},
    }


def test_the_alert_about_the_source_ends_when_anything_is_known() -> None:
    rule = make_rule(hold_ms=0, no_data=Policy.FIRE)

    assert news(judge(rule, firing(()), Outcome())) == {}
    assert news(judge(rule, firing(()), Outcome([(A, 1.0)]))) == {(): "resolved"}


def test_one_series_that_is_missing_follows_the_rule_for_no_data() -> None:
    rule, seen = make_rule(no_data=Policy.KEEP), Outcome([(B, 1.0)])

    kept = judge(rule, firing(A), seen)
    ended = judge(replace(rule, no_data=Policy.RESOLVE), firing(A), seen)

    assert news(kept) == {}
    assert kept[0].instance.missing_ms == 0
    assert news(ended) == {A: "resolved"}


def test_an_alert_of_no_rule_any_more_ends_with_a_reason() -> None:
    rule = make_rule()
    (alert,) = firing(A).values()

    ended = end_alert(rule, alert, reason="the rule was deleted", now_ms=HOUR_MS)
    pending = end_alert(rule, replace(alert, state=AlertState.PENDING), reason="x", now_ms=1)
    resolved = end_alert(rule, replace(alert, state=AlertState.RESOLVED), reason="x", now_ms=1)

    assert news([ended]) == {A: "resolved"}
    assert ended.event is not None
    assert ended.event.details == {"reason": "the rule was deleted"}
    assert (pending.payload, resolved.payload, resolved.event) == (None, None, None)
    assert pending.event is not None
    assert pending.event.state is AlertState.INACTIVE


def test_a_resolved_alert_is_forgotten_after_a_while() -> None:
    rule = make_rule()
    old = firing(A, state=AlertState.RESOLVED, resolved_ms=HOUR_MS - 900_000)
    new = firing(A, state=AlertState.RESOLVED, resolved_ms=HOUR_MS - 899_999)

    assert [one.forgotten for one in judge(rule, old, Outcome([(A, 1.0)]))] == [True]
    assert judge(rule, new, Outcome([(A, 1.0)])) == []


def test_too_many_alerts_of_one_rule_are_an_error() -> None:
    bad = [((("host", str(number)),), 6.0) for number in range(MAX_ALERTS + 1)]

    assert len(judge(make_rule(), {}, Outcome(bad[:-1]))) == MAX_ALERTS
    with pytest.raises(QueryFailed, match="more than 2000 series"):
        judge(make_rule(), {}, Outcome(bad))


def test_series_are_read_without_their_names_and_where_there_is_a_sample() -> None:
    labels = [(("__name__", "up"), ("host", "a")), (("__name__", "up"), ("host", "b"))]
    vector = Vector(
        labels, np.array([[math.nan], [1.0]]), np.array([[True], [False]]), np.zeros(2, bool)
    )

    outcome = read_outcome(result(vector))

    assert [(one, str(value)) for one, value in outcome.series] == [(A, "nan")]
    assert read_outcome(result(Scalar(np.array([2.0])))).series == [((), 2.0)]


def test_what_cannot_be_told_apart_or_compared_is_an_error() -> None:
    labels = [(("__name__", "one"), ("host", "a")), (("__name__", "two"), ("host", "a"))]
    twice = Vector(labels, np.ones((2, 1)), np.ones((2, 1), bool), np.zeros(2, bool))

    for value in (twice, Text("x"), Matrix(None)):  # type: ignore[arg-type]
        with pytest.raises(QueryFailed):
            read_outcome(result(value))


def route(*repeats_ms: int | None) -> Routing:
    """Return routes that tell a receiver for each of these repeats."""
    names = [str(number) for number in range(len(repeats_ms))]
    routes = [
        Route(name, repeat_ms=repeat_ms, goes_on=True)
        for name, repeat_ms in zip(names, repeats_ms, strict=True)
    ]
    channels = {name: ({"type": "email", "target": f"{name}@example.org"},) for name in names}
    return Routing({**channels, "none": ()}, Route("none", routes=tuple(routes)))


def told(changes: list[Change]) -> list[str]:
    """Return the receivers of what is told."""
    return [
        channel.receiver for one in changes if one.payload is not None for channel in one.channels
    ]


def test_a_rule_with_channels_of_its_own_tells_these_and_nobody_else() -> None:
    (change,) = judge(make_rule(id=3, hold_ms=0), {}, Outcome([(A, 6.0)]), routing=route(None))

    (channel,) = change.channels
    assert (channel.channel, channel.receiver) == (MAIL, "")
    assert channel.group_key == '{}/{rule="3"}:{alertname="hot"}'
    assert (channel.wait_ms, channel.interval_ms, channel.repeat_ms) == (0, 0, None)


def test_a_rule_without_channels_tells_whom_the_routes_choose() -> None:
    rule = make_rule(hold_ms=0, channels=())

    assert told(judge(rule, {}, Outcome([(A, 6.0)]), routing=route(None, None))) == ["0", "1"]


def test_who_comes_into_the_routes_later_hears_of_what_fires() -> None:
    rule = make_rule(hold_ms=0, channels=())

    (change,) = judge(rule, {}, Outcome([(A, 6.0)]))
    standing = {A: change.instance}

    assert (change.payload, change.instance.notified_ms) == (None, None)
    assert told(judge(rule, standing, Outcome([(A, 6.0)]), routing=route(None))) == ["0"]


@pytest.mark.parametrize(
    ("repeats_ms", "fired_ms", "notified_ms", "wanted"),
    [
        # The rule's own would be an hour.
        ((60_000,), 1, HOUR_MS - 60_000, ["0"]),
        ((60_000,), 1, HOUR_MS - 59_999, []),
        ((None,), 1, 0, ["0"]),
        ((None,), 1, 1, []),
        ((2 * HOUR_MS,), 1, 0, []),
        ((0, 60_000), 1, HOUR_MS - 60_000, ["1"]),
        # Those told less often count from when it fired.
        ((60_000, 600_000), HOUR_MS - 600_000, HOUR_MS - 60_000, ["0", "1"]),
        ((60_000, 600_000), HOUR_MS - 599_999, HOUR_MS - 60_000, ["0"]),
        ((60_000, 600_000), HOUR_MS - 660_000, HOUR_MS - 60_000, ["0"]),
    ],
)
def test_the_repeat_of_a_route_counts_over_that_of_the_rule(
    repeats_ms: tuple[int | None, ...], fired_ms: int, notified_ms: int, wanted: list[str]
) -> None:
    rule = make_rule(channels=(), repeat_ms=HOUR_MS)
    standing = firing(A, fired_ms=fired_ms, notified_ms=notified_ms)

    assert told(judge(rule, standing, Outcome([(A, 6.0)]), routing=route(*repeats_ms))) == wanted
