from __future__ import annotations

import math

import pytest
from tidegauge.errors import QueryFailed
from tidegauge.promql import nodes
from tidegauge.promql.engine import Engine

SERVERS = {
    'requests{job="api",code="200"}': [100, 200],
    'requests{job="api",code="500"}': [10, 20],
    'requests{job="web",code="200"}': [1000, 2000],
    'limits{job="api",team="a"}': [50, 50],
    'limits{job="db",team="b"}': [5, 5],
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("-7 % 4", -3),
        ("2 ^ 3 ^ 2", 512),
        ("1 / 0", math.inf),
        ("-1 / 0", -math.inf),
        ("1 atan2 1", math.pi / 4),
        ("2 > bool 1", 1),
        ("2 == bool 1", 0),
        ("-(1 + 1)", -2),
    ],
)
def test_scalar_arithmetic(asker, text, value):
    assert asker({}).instant(text) == value


def test_zero_divided_by_zero_is_nan(asker):
    assert math.isnan(asker({}).instant("0 / 0"))


def test_chain_of_thousands_of_terms_is_evaluated(asker):
    assert asker({}).instant(" + ".join(["1"] * 5_000)) == 5_000


def test_too_deep_an_expression_is_refused_by_name(asker):
    span = nodes.Span(0, 0)
    expr = nodes.NumberLiteral(1.0, span)
    for _ in range(5_000):
        expr = nodes.Unary("-", expr, span)
    with pytest.raises(QueryFailed, match="nested too deeply"):
        Engine().evaluate(expr, reader=asker({}).reader, start_ms=0, end_ms=0, step_ms=0)


def test_vector_and_scalar(asker):
    ask = asker({"x": [1, 2, 3]})

    assert ask.range("x * 10", 0, 120, 60) == {"{}": [10, 20, 30]}
    assert ask.range("10 - x", 0, 120, 60) == {"{}": [9, 8, 7]}
    assert ask.range("x + time()", 0, 120, 60) == {"{}": [1, 62, 123]}


def test_comparison_keeps_the_vectors_own_samples(asker):
    ask = asker({"x": [1, 2, 3]})

    assert ask.range("x > 1", 0, 120, 60) == {"x{}": [None, 2, 3]}
    assert ask.range("2 <= x", 0, 120, 60) == {"x{}": [None, 2, 3]}
    assert ask.range("x == bool 2", 0, 120, 60) == {"{}": [0, 1, 0]}
    assert ask.range("x > 5", 0, 120, 60) == {}


def test_one_to_one_matching_with_on_and_ignoring(asker):
    ask = asker(SERVERS)

    assert ask.instant('requests{code="200"} / on(job) limits') == {"{job=api}": 2}
    assert ask.instant('requests{code="500"} / ignoring(code, team) limits') == {"{job=api}": 0.2}


def test_vector_comparison_gives_the_left_value(asker):
    ask = asker({'a{l="1"}': [3], 'b{l="1"}': [2]})

    assert ask.instant("a > b") == {"a{l=1}": 3}
    assert ask.instant("a < bool b") == {"{l=1}": 0}
    assert ask.instant("a < b") == {}


def test_group_left_keeps_the_labels_of_the_many_and_copies_the_named(asker):
    ask = asker(SERVERS)

    assert ask.instant("requests * on(job) group_left(team) limits") == {
        "{code=200,job=api,team=a}": 5000,
        "{code=500,job=api,team=a}": 500,
    }
    assert ask.instant("limits * on(job) group_right requests") == {
        "{code=200,job=api}": 5000,
        "{code=500,job=api}": 500,
    }


def test_group_left_deletes_an_included_label_that_the_one_side_lacks(asker):
    ask = asker({'many{j="1",t="x"}': [1], 'one{j="1"}': [2]})

    assert ask.instant("many + on(j) group_left(t) one") == {"{j=1}": 3}


def test_duplicates_on_the_one_side_are_named_in_order(asker):
    ask = asker({'m{l="1"}': [1], 'd{x="b"}': [1], 'd{x="a"}': [1]})

    with pytest.raises(QueryFailed) as failure:
        ask.instant("m + on() d")
    assert failure.value.message == (
        "found duplicate series for the match group {} on the right hand-side of the operation: "
        '[{__name__="d", x="a"}, {__name__="d", x="b"}];many-to-many matching not allowed: '
        "matching labels must be unique on one side"
    )


def test_the_fault_of_the_earliest_step_is_told(asker):
    series = {'m{l="1"}': [1, 1], 'm{l="2"}': [1, 1], 'd{x="a"}': [1, 1], 'd{x="b"}': [None, 1]}
    ask = asker(series, lookback_ms=30_000)

    with pytest.raises(QueryFailed, match="many-to-one matching must be explicit"):
        ask.range("m + on() d", 0, 60, 60)
    with pytest.raises(QueryFailed, match="found duplicate series for the match group"):
        ask.range("m + on() d", 60, 60, 60)


def test_duplicates_do_no_harm_where_the_other_side_is_empty(asker):
    ask = asker({'d{x="b"}': [1], 'd{x="a"}': [1]})

    assert ask.instant("nothing + on() d") == {}


def test_duplicates_that_are_never_there_at_once_do_no_harm(asker):
    series = {"m": [1, 1], 'd{x="a"}': [5, None], 'd{x="b"}': [None, 7]}
    ask = asker(series, lookback_ms=30_000)

    assert ask.range("m + on() d", 0, 60, 60) == {"{}": [6, 8]}


def test_many_matches_need_grouping(asker):
    ask = asker(SERVERS)

    with pytest.raises(QueryFailed, match="many-to-one matching must be explicit"):
        ask.instant("requests / on(job) limits")
    with pytest.raises(QueryFailed, match="many-to-one matching must be explicit"):
        ask.instant("requests < on(job) limits")


def test_grouping_labels_must_tell_the_results_apart(asker):
    ask = asker({'m{a="1",b="x"}': [1], 'm{a="2",b="x"}': [1], 'o{b="x"}': [1]})

    with pytest.raises(QueryFailed, match="grouping labels must ensure unique matches"):
        ask.instant("m * on(b) group_left(a) o")


def test_fill_stands_in_for_a_missing_partner(asker):
    ask = asker({'l{i="a"}': [1], 'l{i="b"}': [2], 'r{i="a"}': [10], 'r{i="c"}': [30]})

    assert ask.instant("l + fill(0) r") == {"{i=a}": 11, "{i=b}": 2, "{i=c}": 30}
    assert ask.instant("l + fill_right(5) r") == {"{i=a}": 11, "{i=b}": 7}
    assert ask.instant("l + fill_left(5) r") == {"{i=a}": 11, "{i=c}": 35}


def test_set_operators(asker):
    ask = asker({'a{i="1"}': [1, 1], 'a{i="2"}': [2, 2], 'b{i="2"}': [20, 20], 'b{i="3"}': [3, 3]})

    assert ask.instant("a and b") == {"a{i=2}": 2}
    assert ask.instant("a unless b") == {"a{i=1}": 1}
    assert ask.instant("a or b") == {"a{i=1}": 1, "a{i=2}": 2, "b{i=3}": 3}
    assert ask.instant("a and on() b") == {"a{i=1}": 1, "a{i=2}": 2}


def test_set_operators_decide_at_each_step(asker):
    ask = asker({"a": [1, 2, 3], "b": [5, 6, 7]})

    assert ask.range("a and (b > 5)", 0, 120, 60) == {"a{}": [None, 2, 3]}
    assert ask.range("(a > 2) or b", 0, 120, 60) == {"a{}": [None, None, 3], "b{}": [5, 6, None]}


def test_equal_label_sets_of_one_vector_are_an_error(asker):
    ask = asker({'a{i="1"}': [1], 'b{i="1"}': [2]})

    with pytest.raises(QueryFailed, match="vector cannot contain metrics with the same labelset"):
        ask.instant('{__name__=~"a|b"} + 1')


def test_series_that_become_equal_at_different_steps_become_one(asker):
    ask = asker({"a": [1, 2, 3], "b": [5, 6, 7]})

    assert ask.range("(a > 2) * 1 or (b < 7) * 1", 0, 120, 60) == {"{}": [5, 6, 3]}


def test_of_series_that_become_one_the_earliest_says_whether_the_name_goes(asker):
    ask = asker({"a": [1, 2]}, delayed_name_removal=True, lookback_ms=30_000)

    assert ask.range("(a > 1) or abs(a < 2)", 0, 60, 60) == {"{}": [1, 2]}
    assert ask.range("(a < 2) or abs(a > 1)", 0, 60, 60) == {"a{}": [1, 2]}


def test_trimming_floats_gives_an_info_and_no_result(asker):
    ask = asker({"a": [1]})

    assert ask.instant("a </ 2") == {}
    assert ask.notes("a </ a", 0) == [
        'PromQL info: incompatible sample types encountered for binary operator "</": '
        "float </ float (1:1)"
    ]


@pytest.mark.parametrize("delayed", [False, True])
def test_names_in_both_modes(asker, delayed):
    ask = asker({'a{i="1"}': [1], 'b{i="1"}': [2]}, delayed_name_removal=delayed)

    assert ask.instant("a + 1") == {"{i=1}": 2}
    assert ask.instant("-a") == {"{i=1}": -1}
    assert ask.instant("+a") == {"a{i=1}": 1}
    assert ask.instant("a > 0") == {"a{i=1}": 1}
    assert ask.instant("a + b") == {"{i=1}": 3}
    assert ask.instant("a < bool b") == {"{i=1}": 1}


def test_delayed_removal_keeps_names_for_grouping_and_relabelling(asker):
    series = {'a{i="1"}': [1], 'b{i="1"}': [2]}
    now, late = asker(series), asker(series, delayed_name_removal=True)

    counted = 'count by (__name__) (-{__name__=~"a|b"})'
    with pytest.raises(QueryFailed, match="same labelset"):
        now.instant(counted)
    with pytest.raises(QueryFailed, match="same labelset"):
        late.instant(counted)
    renamed = 'label_replace(-{__name__=~"a|b"}, "__name__", "neg_$1", "__name__", "(.+)")'
    assert late.instant(renamed) == {"neg_a{i=1}": -1, "neg_b{i=1}": -2}
