"""What is printed is what Prometheus prints, and reads the same again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from tidegauge.promql.parser import ParseError, ParserOptions, parse
from tidegauge.promql.printer import print_expr

SAME = [
    'topk(5, latency:rate5m{job="s"})',
    'count_values("value", latency:rate5m)',
    "up > bool 0",
    "a offset -7m",
    "a[12m] offset -3m",
    "a[1h:5m] offset 1m",
    "a[1h:] @ start()",
    'a{b="c"}[5m] anchored @ end() offset 1m',
    "a smoothed",
    '{__name__="",a="x"}',
    '{"a.b"="c"}',
    '{""="0"}',
    'sum without ("foo.bar", job) (up)',
    "a / on () group_right () b",
    "a + fill_left (-23) fill_right (1e+06) b",
    "a + on (b) group_left () fill (1e-05) c",
    "foo[-(step())]",
    "foo offset -min_of(10s, max_of(step() ^ 2, 2))",
    "foo[200 - min_of(-step() ^ step(), 1)]",
    "foo[(5m):(1m)]",
    "foo offset (5m) + 3s",
    "-foo ^ 2 atan2 bar",
    "a </ 3 >/ b",
    "NaN + -Inf - +Inf",
    "1048576 * 0.00001",
    r'"tab\t \\ \" \xff é"',
]
DIFFERENT = [
    ('sum by() (up{job="s"})', 'sum(up{job="s"})'),
    ("sum(up) without(job)", "sum without (job) (up)"),
    ("a - ignoring() c", "a - c"),
    ("a - on(b) group_left(x,y) c", "a - on (b) group_left (x, y) c"),
    ("a - ignoring() group_left c", "a - ignoring () group_left () c"),
    ("a + fill_left(5) fill_right(5) b", "a + fill (5) b"),
    ("a @ 10", "a @ 10.000"),
    ("a @ -1.0005", "a @ -1.001"),
    ('{"up", z="1", a!="2"}', '{__name__="up",a!="2",z="1"}'),
    ('up{z="1", a=~"2"}', 'up{a=~"2",z="1"}'),
    ("foo offset +(5)", "foo offset (5)"),
    ("foo offset +min_of(10s, 20s)", "foo offset min_of(10s, 20s)"),
    ("SUM BY (Job) (UP) AND foo", "sum by (Job) (UP) and foo"),
    ("foo[90m]", "foo[1h30m]"),
    ("foo[86400]", "foo[1d]"),
    ("0xff + 010", "255 + 8"),
    ("'it\\'s'", '"it\'s"'),
    ("`raw\\n`", '"raw\\\\n"'),
]
# Prometheus prints these so that they mean something else, or nothing at all.
REPAIRED = [
    ("foo[0.0005]", "foo[0.0005]"),
    ("foo offset --5 + 3", "foo offset ++5 + 3"),
    ('sum by ("without", "nan") (up)', 'sum by ("without", "nan") (up)'),
    ("Inf ^ 2", "Inf ^ 2"),
    ("foo offset +(5) * 2", "foo offset +(5) * 2"),
    (r'"\uFFFD"', r'"\ufffd"'),
]


@pytest.mark.parametrize("text", SAME)
def test_prints_as_it_was_written(text: str, options: ParserOptions) -> None:
    assert print_expr(parse(text, options)) == text


@pytest.mark.parametrize(("text", "printed"), DIFFERENT + REPAIRED)
def test_prints_in_one_way(text: str, printed: str, options: ParserOptions) -> None:
    assert print_expr(parse(text, options)) == printed


@pytest.mark.parametrize(("_", "printed"), DIFFERENT + REPAIRED)
def test_printing_is_a_fixed_point(_: str, printed: str, options: ParserOptions) -> None:
    assert print_expr(parse(printed, options)) == printed


def test_long_chain_prints(options: ParserOptions) -> None:
    text = " + ".join(["up"] * 5000)

    assert print_expr(parse(text, options)) == text


# A small grammar, by the types that it gives.
NAMES = st.sampled_from(["up", "a:b", "sum", "offset", "start", "fill", "step", "anchored"])
LABELS = st.sampled_from(["job", "by", "on", '"a.b"', '"without"', "fill", '"ü"'])
STRINGS = st.sampled_from(['""', '"x"', "'y\\'z'", "`raw\\`", '"\\xff\\u263a"', '"\\uFFFD"', '"ü"'])
NUMBERS = st.sampled_from(["0", "1", "2.5", "1e3", "0x1f", "017", "Inf", "NaN", ".5"])
TIMES = st.sampled_from(["5m", "1h30m", "90", "1.5", "7ms", "0.0001"])
LONG_OPERATORS = st.sampled_from(["+", "-", "*", "^"])
SHORT_OPERATORS = "+ - * / % ^ atan2 == != > < >= <= and or unless </ >/"
OPERATORS = st.sampled_from(SHORT_OPERATORS.split())
SIGNS = st.sampled_from(["-", "+"])


def joined(*parts: object) -> st.SearchStrategy[str]:
    """Return texts made of these parts, one behind the other."""
    parts_of = (st.just(part) if isinstance(part, str) else part for part in parts)
    return st.tuples(*parts_of).map("".join)  # type: ignore[arg-type]


def lists(items: st.SearchStrategy[str], least: int = 0) -> st.SearchStrategy[str]:
    return st.lists(items, min_size=least, max_size=3).map(",".join)


def extend_duration(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return (
        joined(inner, " ", LONG_OPERATORS, " ", inner)
        | joined("(", inner, ")")
        | joined(SIGNS, inner)
        | joined(st.sampled_from(["max_of(", "min_of("]), inner, ",", inner, ")")
    )


DURATIONS = st.recursive(TIMES | st.sampled_from(["step()", "range()"]), extend_duration)
GROUPS = joined("(", lists(LABELS), ")")
AT = joined(" @ ", st.sampled_from(["5", "-1.5", "start()", "end()", "1603774568.123"]))
OFFSET = joined(" offset ", DURATIONS | joined(SIGNS, DURATIONS))
EXTENSION = st.sampled_from([" anchored", " smoothed"])
SHIFTS = st.just("") | AT | OFFSET | joined(AT, OFFSET)
MATCHER = joined(LABELS, "=", STRINGS) | joined(LABELS, "!=", STRINGS)
SELECTORS = joined(NAMES, st.just("") | joined("{", lists(MATCHER), "}"))
RANGES = joined(SELECTORS, "[", DURATIONS, "]", st.just("") | EXTENSION, SHIFTS)
VECTORS = joined(SELECTORS, st.just("") | EXTENSION, SHIFTS) | joined("rate(", RANGES, ")")
FILLS = st.sampled_from(["", " fill(1)", " fill_left(-2)", " fill_right(3) fill_left(1e7)"])
MATCHING = st.just("") | joined(
    st.sampled_from([" on", " ignoring"]),
    GROUPS,
    st.just("") | joined(st.sampled_from([" group_left", " group_right"]), GROUPS),
    FILLS,
)


def extend_vector(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    aggregate = joined(st.sampled_from(["sum", "MAX"]), st.sampled_from([" by ", " without "]))
    return (
        joined(inner, " ", OPERATORS, MATCHING, " ", inner)
        | joined(inner, " * ", NUMBERS)
        | joined(NUMBERS, " > bool ", inner)
        | joined("(", inner, ")")
        | joined(SIGNS, inner)
        | joined(aggregate, GROUPS, "(", inner, ")")
        | joined("topk(", NUMBERS, ",", inner, ")", st.just("") | joined(" by ", GROUPS))
        | joined("label_join(", inner, ",", lists(STRINGS, 3), ")")
        | joined("(", inner, ")[", DURATIONS, ":", st.just("") | DURATIONS, "]", SHIFTS).map(
            "max_over_time({})".format
        )
    )


@settings(
    deadline=None,
    max_examples=400,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
@given(text=st.recursive(VECTORS, extend_vector, max_leaves=8))
def test_what_is_printed_reads_the_same(
    text: str, options: ParserOptions, strip_places: Callable[[object], object]
) -> None:
    try:
        tree = parse(text, options)
    except ParseError:
        # The grammar is looser than PromQL: some sets, shifts and durations do not go together.
        reject()

    printed = print_expr(tree)

    again = parse(printed, options)
    assert strip_places(again) == strip_places(tree)
    assert print_expr(again) == printed
