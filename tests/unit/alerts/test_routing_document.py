"""The routing document: what it means, and what is wrong with one, by its field."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tidegauge.alerts.routing_document import (
    MAX_ROUTES,
    RoutingDocument,
    parse_matcher,
    parse_routing,
    read_stored,
)
from tidegauge.errors import InvalidInput
from tidegauge.model.labels import make_labels
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.model.routing import Routing

MAIL = {"type": "email", "target": "ops@example.org"}
RECEIVERS = [{"name": "all", "channels": [MAIL]}, {"name": "dba", "channels": [MAIL]}]


def read(route: dict[str, Any] | None, receivers: list[dict[str, Any]] | None = None) -> Routing:
    document = {"receivers": RECEIVERS if receivers is None else receivers, "route": route}
    return parse_routing(msgspec.convert(document, RoutingDocument))


def test_a_child_inherits_what_it_does_not_say() -> None:
    routing = read(
        {
            "receiver": "all",
            "group_by": ["alertname", "job"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": 3600,
            "routes": [
                {
                    "matchers": ['team="db"'],
                    "group_wait": 0,
                    "routes": [{"receiver": "dba", "matchers": [{"name": "x", "value": "1"}]}],
                },
                {"matchers": ["team=web"], "group_by": ["..."], "repeat_interval": "0s"},
            ],
        }
    )

    (grandchild,) = routing.choose(make_labels({"team": "db", "x": "1", "job": "j"}))
    (child,) = routing.choose(make_labels({"team": "web", "job": "j"}))

    assert (grandchild.receiver, grandchild.group_labels) == ("dba", (("job", "j"),))
    assert (grandchild.wait_ms, grandchild.interval_ms, grandchild.repeat_ms) == (
        0,
        300_000,
        3_600_000,
    )
    assert (child.receiver, child.wait_ms, child.repeat_ms) == ("all", 30_000, 0)
    assert child.group_labels == (("job", "j"), ("team", "web"))


def test_what_nobody_says_has_its_default() -> None:
    (chosen,) = read({"receiver": "all"}).choose((("alertname", "x"), ("host", "a")))

    assert chosen.group_labels == (("alertname", "x"),)
    assert (chosen.wait_ms, chosen.interval_ms, chosen.repeat_ms) == (0, 0, None)


def test_an_empty_document_tells_nobody() -> None:
    assert read_stored({}) == Routing()
    assert read(None).choose(()) == ()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('severity="critical"', ("severity", "=", "critical")),
        (" team =~ db|web ", ("team", "=~", "db|web")),
        ('a!~"x y"', ("a", "!~", "x y")),
        ("a!=", ("a", "!=", "")),
        (r'"a b"="c\"d\\e\n"', ("a b", "=", 'c"d\\e\n')),
        (r'a=~"\d+"', ("a", "=~", r"\d+")),
    ],
)
def test_a_matcher_is_read_as_alertmanager_does(text: str, wanted: tuple[str, str, str]) -> None:
    name, operator, value = wanted

    assert parse_matcher(text) == Matcher(MatchType(operator), name, value)


@pytest.mark.parametrize("text", ["", "a", "=b", 'a="b', 'a=b"c', "a b=c", "1a=b", 'a="b" c'])
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no matcher"):
        parse_matcher(text)


def nest(depth: int) -> dict[str, Any]:
    return {"receiver": "all", "routes": [nest(depth - 1)] if depth > 1 else []}


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        ({}, "route.receiver: it is missing"),
        ({"receiver": "x"}, 'route.receiver: there is no receiver "x"'),
        ({"receiver": "all", "matchers": ["a=b"]}, "route: the root takes every alert"),
        ({"receiver": "all", "continue": True}, "route: the root takes every alert"),
        (
            {"receiver": "all", "routes": [{"receiver": "y"}]},
            r'route.routes\[0\].receiver: there is no receiver "y"',
        ),
        (
            {"receiver": "all", "routes": [{"matchers": ["a=~("]}]},
            r"route.routes\[0\].matchers\[0\]: invalid regular expression",
        ),
        ({"receiver": "all", "group_wait": "soon"}, "route.group_wait: cannot parse"),
        ({"receiver": "all", "group_interval": -1}, "route.group_interval: -1 s is not from 0 s"),
        ({"receiver": "all", "group_by": ["...", "a"]}, "route.group_by: .* by itself"),
        ({"receiver": "all", "group_by": ["a\0"]}, "route.group_by: .* cannot be stored"),
        ({"receiver": "all", "group_by": ["a" * 1025]}, "route.group_by: 1025 characters"),
        (nest(11), "nested more than 10 deep"),
        ({"receiver": "all", "routes": [{}] * MAX_ROUTES}, "more than 1000 routes"),
    ],
)
def test_a_wrong_route_is_named(route: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        read(route)


@pytest.mark.parametrize(
    ("receivers", "reason"),
    [
        ([{"name": ""}], r"receivers\[0\].name"),
        ([{"name": "a"}, {"name": "a"}], r"receivers\[1\].name"),
        ([{"name": "a", "channels": [MAIL, {"type": "pigeon"}]}], r"receivers\[0\].channels\[1\]"),
        ([{"name": "a", "channels": [MAIL] * 11}], r"receivers\[0\].channels: there are 11"),
        ([{"name": str(n)} for n in range(201)], "receivers: there are 201"),
    ],
)
def test_a_wrong_receiver_is_named(receivers: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        read(None, receivers)
