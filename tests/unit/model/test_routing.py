"""Routing: the tree is gone down as Alertmanager does, and it can say why."""

from __future__ import annotations

import pytest
from tidegauge.model.labels import Labels, make_labels
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.model.routing import Route, RoutedChannel, Routing

CRITICAL = Matcher(MatchType.EQUAL, "severity", "critical")
DATABASE = Matcher(MatchType.REGEX, "team", "db|storage")
NO_HOST = Matcher(MatchType.EQUAL, "host", "")

ROUTING = Routing(
    receivers={
        name: ({"type": "email", "target": f"{name}@example.org"},)
        for name in ("all", "dba", "oncall", "audit", "quiet")
    }
    | {"nobody": ()},
    root=Route(
        "all",
        routes=(
            Route("audit", (Matcher(MatchType.NOT_EQUAL, "audited", ""),), goes_on=True),
            Route("nobody", (Matcher(MatchType.EQUAL, "severity", "info"),)),
            Route(
                "dba",
                (DATABASE,),
                group_by=None,
                routes=(
                    Route("oncall", (CRITICAL,), group_by=frozenset()),
                    Route("quiet", (CRITICAL, NO_HOST)),
                ),
            ),
        ),
    ),
)


def receivers(chosen: tuple[RoutedChannel, ...]) -> list[str]:
    return [one.receiver for one in chosen]


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        ({}, ["all"]),
        ({"team": "web"}, ["all"]),
        ({"team": "db"}, ["dba"]),
        ({"team": "dbs"}, ["all"]),
        # The first that fits ends the search, although the second would fit too.
        ({"team": "storage", "severity": "critical"}, ["oncall"]),
        ({"team": "db", "severity": "critical", "host": "a"}, ["oncall"]),
        ({"severity": "info", "team": "db"}, []),
        # One with `continue` is told beside those after it; only where none fits, alone.
        ({"audited": "1", "team": "db"}, ["audit", "dba"]),
        ({"audited": "1"}, ["audit"]),
    ],
)
def test_an_alert_goes_to_the_deepest_first_routes_that_fit(
    labels: dict[str, str], wanted: list[str]
) -> None:
    assert receivers(ROUTING.choose(make_labels(labels))) == wanted


@pytest.mark.parametrize(
    ("labels", "key", "common"),
    [
        ({"alertname": "x", "a": "1"}, '{}:{alertname="x"}', (("alertname", "x"),)),
        ({"a": '"\\\n'}, "{}:{}", ()),
        (
            {"alertname": '"\n', "team": "db"},
            '{}/{team=~"db|storage"}:{alertname="\\"\\n", team="db"}',
            (("alertname", '"\n'), ("team", "db")),
        ),
        (
            {"alertname": "x", "team": "db", "severity": "critical"},
            '{}/{team=~"db|storage"}/{severity="critical"}:{}',
            (),
        ),
    ],
)
def test_a_group_is_a_route_and_the_labels_it_groups_by(
    labels: dict[str, str], key: str, common: Labels
) -> None:
    (chosen,) = ROUTING.choose(make_labels(labels))

    assert (chosen.group_key, chosen.group_labels) == (key, common)


def test_the_same_channel_of_the_same_group_is_told_once() -> None:
    mail = {"type": "email", "target": "a@example.org"}
    twice = Routing(
        receivers={"a": (mail,), "b": (mail,)},
        root=Route("a", routes=(Route("a", goes_on=True), Route("b"))),
    )

    assert receivers(twice.choose(())) == ["a"]


def test_without_routes_nobody_is_told() -> None:
    assert Routing().choose((("alertname", "x"),)) == ()
    assert Routing().explain((("alertname", "x"),)) == []


def test_an_explanation_names_what_did_not_fit() -> None:
    steps = ROUTING.explain(make_labels({"team": "db", "severity": "warning"}))

    assert [(one.receiver, one.matched, one.chosen) for one in steps] == [
        ("all", True, False),
        ("audit", False, False),
        ("nobody", False, False),
        ("dba", True, True),
        ("oncall", False, False),
        ("quiet", False, False),
    ]
    assert steps[4].path == '{}/{team=~"db|storage"}/{severity="critical"}'
    assert steps[4].reason == 'severity is "warning", which does not fit severity="critical"'
    assert steps[0].reason == "1 of its routes fit and are told in its place"


def test_an_explanation_chooses_whom_the_choice_tells() -> None:
    for labels in ({}, {"audited": "1"}, {"audited": "1", "team": "db", "severity": "critical"}):
        one = make_labels(labels)
        chosen = [step.receiver for step in ROUTING.explain(one) if step.chosen]
        assert chosen == receivers(ROUTING.choose(one))


def test_the_shortest_repeat_is_that_of_any_route() -> None:
    routes = (Route("a", repeat_ms=7_000), Route("a", repeat_ms=0), Route("a", repeat_ms=9_000))

    assert Routing({"a": ()}, Route("a", routes=routes)).shortest_repeat_ms == 7_000
    assert ROUTING.shortest_repeat_ms is None
