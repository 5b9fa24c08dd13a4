"""Syntax trees as `parse_query` shows them (Prometheus `web/api/v1/translate_ast.go`)."""

from __future__ import annotations

import json

import pytest
from tidegauge.compat.prometheus_tree import render_tree
from tidegauge.promql.parser import parse

SELECTOR = {
    "anchored": False,
    "matchers": [{"name": "__name__", "type": "=", "value": "a"}],
    "name": "a",
    "offset": 0,
    "offsetExpr": None,
    "smoothed": False,
    "startOrEnd": None,
    "timestamp": None,
    "type": "vectorSelector",
}
MATRIX = {**SELECTOR, "range": 300_000, "rangeExpr": None, "type": "matrixSelector"}
ONE = {"type": "numberLiteral", "val": "1"}


def tree(text: str):
    return json.loads(render_tree(parse(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", ONE),
        ("-Inf", {"type": "numberLiteral", "val": "-Inf"}),
        ("'x\"'", {"type": "stringLiteral", "val": 'x"'}),
        ("a", SELECTOR),
        ("a offset -1m30s", {**SELECTOR, "offset": -90_000}),
        ("a @ 1.5", {**SELECTOR, "timestamp": 1500}),
        ("a @ end()", {**SELECTOR, "startOrEnd": "end"}),
        ("(a)", {"type": "parenExpr", "expr": SELECTOR}),
        ("-a", {"type": "unaryExpr", "op": "-", "expr": SELECTOR}),
        (
            "rate(a[5m])",
            {
                "type": "call",
                "func": {
                    "name": "rate",
                    "argTypes": ["matrix"],
                    "variadic": 0,
                    "returnType": "vector",
                },
                "args": [MATRIX],
            },
        ),
        (
            "topk by (b) (1, a)",
            {
                "type": "aggregation",
                "op": "topk",
                "expr": SELECTOR,
                "param": ONE,
                "grouping": ["b"],
                "without": False,
            },
        ),
        (
            "a[5m:30s] offset 1s",
            {
                "type": "subquery",
                "expr": SELECTOR,
                "range": 300_000,
                "rangeExpr": None,
                "step": 30_000,
                "stepExpr": None,
                "offset": 1000,
                "offsetExpr": None,
                "timestamp": None,
                "startOrEnd": None,
            },
        ),
        (
            "1 < bool a",
            {
                "type": "binaryExpr",
                "op": "<",
                "bool": True,
                "lhs": ONE,
                "rhs": SELECTOR,
                "matching": None,
            },
        ),
        (
            "a * on (b) group_left (c) a",
            {
                "type": "binaryExpr",
                "op": "*",
                "bool": False,
                "lhs": SELECTOR,
                "rhs": SELECTOR,
                "matching": {
                    "card": "many-to-one",
                    "labels": ["b"],
                    "on": True,
                    "include": ["c"],
                    "fillValues": {"lhs": None, "rhs": None},
                },
            },
        ),
    ],
)
def test_nodes_are_shown_with_all_their_fields(text: str, expected) -> None:
    assert tree(text) == expected


def test_matchers_are_listed_with_their_operators():
    matchers = tree('{a="1",b!="2",c=~"3",d!~"4"}')["matchers"]

    assert [(m["name"], m["type"], m["value"]) for m in matchers] == [
        ("a", "=", "1"),
        ("b", "!=", "2"),
        ("c", "=~", "3"),
        ("d", "!~", "4"),
    ]


def test_chains_nest_to_the_left():
    top = tree("1 - a + 1")

    assert (top["op"], top["rhs"]) == ("+", ONE)
    assert (top["lhs"]["op"], top["lhs"]["lhs"], top["lhs"]["rhs"]) == ("-", ONE, SELECTOR)


def test_keys_are_in_alphabetical_order_as_go_writes_them():
    def check(pairs: list[tuple[str, object]]) -> None:
        names = [name for name, _ in pairs]
        assert names == sorted(names)

    everything = "topk by (b) (1, -(rate(a[5m])) + on (c) max_over_time(a[5m:1m] offset 1m))"
    json.loads(render_tree(parse(everything)), object_pairs_hook=check)


def test_a_very_long_chain_is_rendered_whole():
    body = render_tree(parse("+".join(["a"] * 5000)))

    assert body.count(b'"binaryExpr"') == 4999
    assert body.count(b"{") == body.count(b"}")
