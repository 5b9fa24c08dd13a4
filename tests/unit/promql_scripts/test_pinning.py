from __future__ import annotations

import pytest
from tidegauge.promql.parser import parse
from tidegauge.promql.printer import print_expr
from tidegauge.promql.scripts.pinning import (
    has_context_call,
    iterate,
    pin,
    repetition_times_ms,
)
from tidegauge.promql.scripts.runner import SCRIPT_SYNTAX


@pytest.mark.parametrize(
    ("text", "pinned"),
    [
        ("x", "x @ 60.000"),
        ("rate(x[5m]) + y offset 1m", "rate(x[5m] @ 60.000) + y @ 60.000 offset 1m"),
        ("sum by (a) (x) > 1", "sum by (a) (x @ 60.000) > 1"),
        ("topk(scalar(k), -x)", "topk(scalar(k @ 60.000), -x @ 60.000)"),
        ("max_over_time(rate(x[1m])[5m:1m])", "max_over_time(rate(x[1m])[5m:1m] @ 60.000)"),
        ("(x @ 5 + y)", "(x @ 5.000 + y @ 60.000)"),
        ("x @ start()", "x @ 60.000"),
        ("1 + 2", "1 + 2"),
    ],
)
def test_selectors_and_subqueries_get_the_time(text, pinned):
    tree = pin(parse(text, SCRIPT_SYNTAX), 60_000)

    assert print_expr(tree) == pinned


@pytest.mark.parametrize("text", ["timestamp(x)", "x + time()", "predict_linear(x[5m], 1)"])
def test_what_depends_on_the_time_itself_is_left_alone(text):
    assert pin(parse(text, SCRIPT_SYNTAX), 60_000) is None


def test_the_nodes_inside_a_subquery_are_iterated_on_demand():
    tree = parse("sum_over_time((a + b)[5m:1m])", SCRIPT_SYNTAX)

    def names(**how):
        return {node.name for node in iterate(tree, **how) if hasattr(node, "name")}

    assert names() == set()
    assert names(into_subqueries=True) == {"a", "b"}


def test_repetitions_lie_around_the_time():
    assert repetition_times_ms(50_000) == (-500_000, 0, 10_000, 50_000, 500_000)
    assert repetition_times_ms(0) == (-1000, 0, 1000)
    assert has_context_call("x[range()]")
    assert not has_context_call("range_x + start")
