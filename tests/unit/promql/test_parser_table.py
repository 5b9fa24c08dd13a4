"""Prometheus's own table of parser cases: trees with positions, first errors with their range.

The table is data of the Prometheus project (Apache-2.0). It is read from the folder beside the
project; without it these tests are skipped, and the others stand alone.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from tidegauge.promql import nodes
from tidegauge.promql.parser import ParseError, ParserOptions, parse

TABLE = Path(__file__).resolve().parents[4] / "shared" / "promql" / "parser_cases.json"
CASES: list[dict[str, Any]] = (
    json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.is_file() else []
)
# As the table's own test has it; the fill modifiers stay off there.
OPTIONS = ParserOptions(experimental_functions=True, extended_range_selectors=True)

OPERATORS = {
    "ADD": "+", "SUB": "-", "MUL": "*", "DIV": "/", "MOD": "%", "POW": "^", "ATAN2": "atan2",
    "EQLC": "==", "NEQ": "!=", "LSS": "<", "LTE": "<=", "GTR": ">", "GTE": ">=",
    "TRIM_UPPER": "</", "TRIM_LOWER": ">/", "LAND": "and", "LOR": "or", "LUNLESS": "unless",
}  # fmt: skip
CARDS = {
    "CardOneToOne": nodes.Card.ONE_TO_ONE,
    "CardManyToOne": nodes.Card.MANY_TO_ONE,
    "CardOneToMany": nodes.Card.ONE_TO_MANY,
    "CardManyToMany": nodes.Card.MANY_TO_MANY,
}
MATCH_TYPES = {
    "labels.MatchEqual": "=",
    "labels.MatchNotEqual": "!=",
    "labels.MatchRegexp": "=~",
    "labels.MatchNotRegexp": "!~",
}

TREES = [case for case in CASES if "ast" in case]
ERRORS = [case for case in CASES if "error" in case]

pytestmark = pytest.mark.skipif(not CASES, reason="the shared table is not here")


def name_case(case: dict[str, Any]) -> str:
    return ascii(case["input"][:60])


def clean_text(text: str) -> str:
    """Join the pairs of surrogates in which the table spells characters beyond 16 bits."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def same_float(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def check_span(node: Any, want: dict[str, Any]) -> None:
    if "PosRange" in want:
        assert [node.span.start, node.span.end] == want["PosRange"]
    if "StartPos" in want:
        assert node.span.start == want["StartPos"]
    if "EndPos" in want:
        assert node.span.end == want["EndPos"]


def check_optional(node: Any, want: dict[str, Any] | None) -> None:
    if want is None:
        assert node is None
    else:
        check_tree(node, want)


def check_shift(shift: nodes.TimeShift, want: dict[str, Any]) -> None:
    assert shift.offset_ns == want.get("OriginalOffset", 0)
    check_optional(shift.offset_expr, want.get("OriginalOffsetExpr"))
    assert shift.at_ms == want.get("Timestamp")
    anchor = None if shift.at_anchor is None else shift.at_anchor.name
    assert anchor == (want.get("StartOrEnd") or None)


def check_matching(matching: nodes.VectorMatching | None, want: dict[str, Any] | None) -> None:
    if want is None:
        assert matching is None
        return
    assert matching is not None
    assert matching.card is CARDS[want.get("Card", "CardOneToOne")]
    assert matching.labels == tuple(want.get("MatchingLabels") or ())
    assert matching.include == tuple(want.get("Include") or ())
    assert matching.on == want.get("On", False)
    assert matching.fill_left is matching.fill_right is None


def check_number(node: Any, want: dict[str, Any]) -> None:
    assert same_float(node.value, want.get("Val", 0))
    assert node.duration == want.get("Duration", False)


def check_selector(node: Any, want: dict[str, Any]) -> None:
    assert node.name == want.get("Name", "")
    written = [[m.type.value, m.name, m.value] for m in node.matchers]
    wanted = [[MATCH_TYPES[kind], name, value] for kind, name, value in want["LabelMatchers"]]
    assert written == wanted
    assert node.bypass_empty_check == want.get("BypassEmptyMatcherCheck", False)
    extension = [word for word in ("Anchored", "Smoothed") if want.get(word)]
    assert node.extension == (extension[0].lower() if extension else "")
    check_shift(node.shift, want)


def check_matrix(node: Any, want: dict[str, Any]) -> None:
    check_tree(node.selector, want["VectorSelector"])
    assert node.range_ns == want.get("Range", 0)
    check_optional(node.range_expr, want.get("RangeExpr"))


def check_subquery(node: Any, want: dict[str, Any]) -> None:
    check_tree(node.expr, want["Expr"])
    assert (node.range_ns, node.step_ns) == (want.get("Range", 0), want.get("Step", 0))
    check_optional(node.range_expr, want.get("RangeExpr"))
    check_optional(node.step_expr, want.get("StepExpr"))
    check_shift(node.shift, want)


def check_duration(node: Any, want: dict[str, Any]) -> None:
    assert node.op == OPERATORS.get(want["Op"], want["Op"].lower())
    check_optional(node.left, want.get("LHS"))
    check_optional(node.right, want.get("RHS"))
    assert node.wrapped == want.get("Wrapped", False)


def check_binary(node: Any, want: dict[str, Any]) -> None:
    assert node.op == OPERATORS[want["Op"]]
    check_tree(node.left, want["LHS"])
    check_tree(node.right, want["RHS"])
    check_matching(node.matching, want.get("VectorMatching"))
    assert node.return_bool == want.get("ReturnBool", False)
    assert (node.span.start, node.span.end) == (node.left.span.start, node.right.span.end)


def check_unary(node: Any, want: dict[str, Any]) -> None:
    assert node.op == OPERATORS[want["Op"]]
    check_tree(node.expr, want["Expr"])


def check_call(node: Any, want: dict[str, Any]) -> None:
    assert node.func == want["Func"]
    assert len(node.args) == len(want.get("Args") or ())
    for arg, wanted in zip(node.args, want.get("Args") or (), strict=True):
        check_tree(arg, wanted)


def check_aggregate(node: Any, want: dict[str, Any]) -> None:
    assert node.op == want["Op"].lower()
    check_tree(node.expr, want["Expr"])
    check_optional(node.param, want.get("Param"))
    assert node.grouping == tuple(want.get("Grouping") or ())
    assert node.without == want.get("Without", False)


def check_paren(node: Any, want: dict[str, Any]) -> None:
    check_tree(node.expr, want["Expr"])


def check_string(node: Any, want: dict[str, Any]) -> None:
    assert node.value == clean_text(want.get("Val", ""))


CHECKS = {
    "NumberLiteral": (nodes.NumberLiteral, check_number),
    "StringLiteral": (nodes.StringLiteral, check_string),
    "VectorSelector": (nodes.VectorSelector, check_selector),
    "MatrixSelector": (nodes.MatrixSelector, check_matrix),
    "SubqueryExpr": (nodes.Subquery, check_subquery),
    "DurationExpr": (nodes.DurationExpr, check_duration),
    "BinaryExpr": (nodes.Binary, check_binary),
    "UnaryExpr": (nodes.Unary, check_unary),
    "Call": (nodes.Call, check_call),
    "AggregateExpr": (nodes.Aggregate, check_aggregate),
    "ParenExpr": (nodes.Paren, check_paren),
}


def check_tree(node: Any, want: dict[str, Any]) -> None:
    kind, check = CHECKS[want["_t"]]
    assert type(node) is kind
    check_span(node, want)
    check(node, want)


@pytest.mark.parametrize("case", TREES, ids=name_case)
def test_tree_and_positions(case: dict[str, Any]) -> None:
    check_tree(parse(case["input"], OPTIONS), case["ast"])


@pytest.mark.parametrize("case", ERRORS, ids=name_case)
def test_first_error_and_range(case: dict[str, Any]) -> None:
    with pytest.raises(ParseError) as caught:
        parse(case["input"], OPTIONS)

    found = (caught.value.message, caught.value.start, caught.value.end)
    assert found == (case["error"], case["start"], case["end"])


def test_table_is_whole() -> None:
    assert (len(TREES), len(ERRORS)) == (208, 147)
