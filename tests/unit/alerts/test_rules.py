"""What an alert rule may be."""

from __future__ import annotations

import math

import pytest
from tidegauge.alerts.rules import InvalidRule, check_rule, choose_no_data, parse_rule_duration_ms
from tidegauge.query.parsing import QueryParser, QuerySyntaxError

from tests.support.alerts import MAIL, make_rule

HOOK = {"type": "webhook", "target": "https://example.org"}
PARSER = QueryParser(max_depth=100)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "name: it has 0 characters"),
        ({"name": "x" * 201}, "name: it has 201 characters"),
        ({"name": "a\0"}, "name: it holds a NUL"),
        ({"name": "\ud800"}, "name: it holds half a surrogate"),
        ({"query": "up[5m]"}, "query: it gives a range vector"),
        ({"query": '"x"'}, "query: it gives a string"),
        ({"query": 'up{a="\0"}'}, "query: it holds a NUL"),
        ({"threshold": math.inf}, "threshold: inf is no finite"),
        ({"hold_ms": -1}, "duration: -0.001 s is not from 0 s to 366 days"),
        ({"hold_ms": 2**50}, "duration: "),
        ({"interval_ms": 999}, "interval: 0.999 s is not from 1 s"),
        ({"labels": (("__name__", "x"),)}, 'labels: "__name__" is no name'),
        ({"annotations": {"a-b": "x"}}, 'annotations: "a-b" is no name'),
        ({"annotations": {"a": "x" * 8193}}, "annotations.a: 8193 characters"),
        ({"annotations": {f"a{n}": "x" for n in range(33)}}, "annotations: there are 33"),
        ({"annotations": {"a": "{{ $lables.x }}"}}, "annotations.a: .*undefined variable"),
        ({"labels": (("a", "{{ if }}"),)}, "labels.a: .*missing value for if"),
        ({"channels": ({"type": "email"},)}, r"notification\[0\]: target: a text"),
        ({"channels": (MAIL, {"type": 1, "target": "x"})}, r"notification\[1\]: type: a text"),
        ({"channels": (MAIL,) * 11}, "notification: there are 11"),
        ({"channels": ({**HOOK, "headers": {"x": "y" * 9000}},)}, r"notification\[0\]: "),
        ({"channels": ({**HOOK, "secret": "\0"},)}, r"notification\[0\]: "),
        ({"channels": ({**HOOK, "secret": "\ud800"},)}, r"notification\[0\]: "),
    ],
)
def test_a_wrong_rule_is_refused_by_field(fields: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidRule, match=said):
        check_rule(make_rule(**fields), PARSER)


def test_a_query_that_does_not_parse_is_refused_with_its_place() -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        check_rule(make_rule(query="sum(up"), PARSER)

    assert caught.value.line == 1


@pytest.mark.parametrize("query", ["up", "1", "sum by (job) (rate(x[5m]))"])
def test_vectors_and_scalars_are_queries_of_rules(query: str) -> None:
    check_rule(make_rule(query=query, channels=()), PARSER)


@pytest.mark.parametrize(
    ("query", "policy"),
    [
        ("up", "keep"),
        ("up == 0", "resolve"),
        ("(rate(x[5m]) > 5)", "resolve"),
        ("up == bool 0", "keep"),
        ("a and b", "resolve"),
        ("a or b", "keep"),
        ("a or (b > 1)", "resolve"),
        ("absent(up)", "resolve"),
        ("sum(up > 1)", "keep"),
        ("+".join(["up"] * 5000), "keep"),
    ],
)
def test_what_no_data_means_follows_from_the_query(query: str, policy: str) -> None:
    assert choose_no_data(PARSER.parse(query)) == policy


def test_durations_are_texts_or_seconds() -> None:
    texts = ("5m", "1h30m", 300, 0.5, "0", 1e-05)

    assert [parse_rule_duration_ms("x", one) for one in texts] == [
        300_000,
        5_400_000,
        300_000,
        500,
        0,
        0,
    ]
    for wrong in ("soon", math.nan, 1e300, ""):
        with pytest.raises(InvalidRule, match="duration: "):
            parse_rule_duration_ms("duration", wrong)
