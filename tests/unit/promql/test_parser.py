"""What Prometheus's own table of cases leaves out: wording, options, limits, robustness."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.promql import nodes
from tidegauge.promql.parser import (
    NestingTooDeep,
    ParseError,
    ParserOptions,
    parse,
    parse_metric,
    parse_selector,
)
from tidegauge.promql.typecheck import type_of

DURATIONS = ", expected number, duration, step(), or range()"
GROUPING = "in grouping opts, expected"


def read_error(text: str, options: ParserOptions | None = None) -> tuple[str, int, int]:
    with pytest.raises(ParseError) as caught:
        parse(text, options or ParserOptions())
    return caught.value.message, caught.value.start, caught.value.end


def test_error_prints_line_and_column_in_bytes() -> None:
    with pytest.raises(ParseError) as caught:
        parse('up{a="ü"} +\n"é" == ==')

    assert str(caught.value) == "2:9: parse error: unexpected <op:==>"
    assert caught.value.message == "unexpected <op:==>"
    assert caught.value.code == "parse"


def test_error_in_empty_text_has_no_position() -> None:
    with pytest.raises(ParseError) as caught:
        parse("")

    assert str(caught.value) == "unknown position: parse error: no expression found in input"


@pytest.mark.parametrize(
    ("text", "message", "start", "end"),
    [
        ("sum(foo 1)", 'unexpected number "1" in aggregation', 8, 9),
        ("sum(rate(foo[5m] bar))", 'unexpected identifier "bar" in aggregation', 17, 20),
        ("sum by (a) foo", 'unexpected identifier "foo" in aggregation', 11, 14),
        ("sum by (a b) (c)", f'unexpected identifier "b" {GROUPING} "," or ")"', 10, 11),
        ('sum by ("") (foo)', 'invalid label name for grouping: ""', 8, 10),
        ('sum by ("\\xff") (foo)', 'invalid label name for grouping: "\\xff"', 8, 14),
        ("foo[5m:1m 2m]", 'unexpected duration "2m" in subquery selector, expected "]"', 10, 12),
        ("foo[5m 2m]", 'unexpected duration "2m" in subquery or range, expected ":" or "]"', 7, 9),
        ("foo offset bar", f'unexpected identifier "bar" in offset{DURATIONS}', 11, 14),
        ("foo offset (5m bar)", f'unexpected identifier "bar" in offset{DURATIONS}', 15, 18),
        ("foo @ bar", 'unexpected identifier "bar" in @, expected timestamp', 6, 9),
        ("foo @ start bar", 'unexpected identifier "bar" in @, expected timestamp', 12, 15),
        ("foo[step():5m]", "unexpected colon before duration in duration expression", 11, 14),
        ('foo "a long string"', 'unexpected string "\\"a long st"...', 4, 19),
        ("f(a,,b)", "trailing commas not allowed in function call args", 3, 4),
        ("foo{a=~\"(\"}", None, 4, 10),
        ("START()", 'unknown function with name "START"', 0, 5),
        ("start[5m", "unclosed left bracket", 8, 8),
        ("a[5m[", "unexpected left bracket '['", 4, 5),
        ("a]", "unexpected right bracket ']'", 1, 2),
        ("a{b=\"c\"{", "unexpected left brace '{'", 7, 8),
        ("a{b!~}", 'unexpected "}" in label matching, expected string', 5, 6),
        ("a{b!c}", "unexpected character after '!' inside braces: 'c'", 3, 6),
        ("a!", "unexpected character after '!': '\ufffd'", 1, 2),
        ("é", "unexpected character: 'é'", 0, 2),
        ("\udcff", "unexpected character: '\ufffd'", 0, 1),
        ("foo offset NaN", "duration out of range", 11, 14),
        ("foo offset -Inf", "duration out of range", 11, 12),
        ("foo @ 1e16", "timestamp out of bounds for @ modifier: 10000000000000000.000000", 0, 3),
        ("foo[300y]", "duration out of range", 4, 8),
        ("time()[5m:1s] anchored", "anchored modifier is experimental and not enabled", 0, 13),
        ("1_0 + 1__0", 'bad number or duration syntax: "1__"', 6, 10),
        ("keep_metric_names up", 'unexpected identifier "up"', 18, 20),
    ],
)  # fmt: skip
def test_error_says_what_and_where(text: str, message: str | None, start: int, end: int) -> None:
    found = read_error(text)

    assert found[1:] == (start, end)
    # The reason of a regular expression is RE2's own.
    assert found[0] == message or (message is None and "regular expression" in found[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("start()", 'function "start" is not enabled'),
        ("info(up)", 'function "info" is not enabled'),
        (
            "limitk(1, up)",
            "limitk() is experimental and must be enabled with"
            " --enable-feature=promql-experimental-functions",
        ),
        ("up anchored", "anchored modifier is experimental and not enabled"),
        ("up[5m] smoothed", "smoothed modifier is experimental and not enabled"),
        ("a + fill(1) b", "binop fill modifiers are experimental and not enabled"),
    ],
)
def test_what_is_experimental_is_off_until_switched_on(
    text: str, message: str, options: ParserOptions
) -> None:
    assert read_error(text)[0] == message
    assert isinstance(parse(text, options), nodes.Expr)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("up anchored smoothed", "anchored and smoothed modifiers cannot be used together"),
        ("up[5m:] smoothed", "smoothed modifier is not supported for subqueries"),
        ("1 smoothed", "smoothed modifier not implemented"),
        ("a and fill(1) b", "filling in missing series not allowed for set operators"),
        ("a + fill(1) 1", "filling in missing series only allowed between instant vectors"),
        ("info(up, 1)", 'expected type instant vector in call to function "info", got scalar'),
        ("label_join(up)", 'expected at least 3 argument(s) in call to "label_join", got 1'),
    ],
)
def test_modifiers_that_do_not_fit(text: str, message: str, options: ParserOptions) -> None:
    assert read_error(text, options)[0] == message


def test_fill_values_are_kept_by_side(options: ParserOptions) -> None:
    tree = parse("a + on(x) group_left(y) fill_right(-5m) fill_left(2) b", options)

    assert isinstance(tree, nodes.Binary)
    assert tree.matching == nodes.VectorMatching(
        nodes.Card.MANY_TO_ONE, ("x",), True, ("y",), fill_left=2.0, fill_right=-300.0
    )


def test_operators_keep_their_place() -> None:
    tree = parse("up  >= bool\n 3")

    assert isinstance(tree, nodes.Binary)
    assert (tree.span, tree.op_span) == (nodes.Span(0, 14), nodes.Span(4, 6))


def test_words_of_the_language_are_names_too() -> None:
    tree = parse("fill + sum by (by, FILL, group_left) (offset) or step")

    assert isinstance(tree, nodes.Binary)
    assert isinstance(tree.left, nodes.Binary)
    assert isinstance(tree.left.left, nodes.VectorSelector)
    assert tree.left.left.name == "fill"
    assert isinstance(tree.left.right, nodes.Aggregate)
    assert tree.left.right.grouping == ("by", "FILL", "group_left")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1 + 2 * 3", nodes.ValueType.SCALAR),
        ("1 + up", nodes.ValueType.VECTOR),
        ("(-time())", nodes.ValueType.SCALAR),
        ("up[5m]", nodes.ValueType.MATRIX),
        ("up[5m:]", nodes.ValueType.MATRIX),
        ("sum(up)", nodes.ValueType.VECTOR),
        ("'x'", nodes.ValueType.STRING),
    ],
)
def test_type_of(text: str, kind: nodes.ValueType) -> None:
    assert type_of(parse(text)) is kind


@pytest.mark.parametrize("operand", ["1", "up"])
def test_chain_of_thousands_of_operators_parses(operand: str) -> None:
    tree = parse(" + ".join([operand] * 5000))

    wanted = nodes.ValueType.SCALAR if operand == "1" else nodes.ValueType.VECTOR
    assert type_of(tree) is wanted


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "up" + ")" * 10_000,
        "-" * 10_000 + "up",
        "2^" * 10_000 + "2",
        "abs(" * 10_000,
        "up" + "[5m:]" * 10_000,
        "up[" + "(" * 10_000,
        "up[" + "-" * 10_000 + "5m]",
        "up offset (" + "5m+" * 10_000 + "5m)",
        "sum(" * 10_000 + "up" + ")" * 10_000,
    ],
    ids=lambda text: text[:12],
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(NestingTooDeep) as caught:
        parse(text)

    assert (caught.value.depth, caught.value.limit) == (101, 100)
    assert "101 levels deep, the limit is 100" in caught.value.message


def test_depth_limit_is_an_option() -> None:
    options = ParserOptions(max_depth=2)

    assert isinstance(parse("a + b + (c)", options), nodes.Binary)
    assert read_error("a + b + ((c))", options)[0] == (
        "expression nests 3 levels deep, the limit is 2"
    )


def test_nesting_deeper_than_the_stack_is_a_parse_error() -> None:
    message, _, _ = read_error("(" * 5000 + "up" + ")" * 5000, ParserOptions(max_depth=100_000))

    assert message == "expression nests too deeply for the stack"


def test_selector_gives_matchers() -> None:
    assert parse_selector('up{job=~"a|b", "é.x"!="1"}') == (
        Matcher(MatchType.REGEX, "job", "a|b"),
        Matcher(MatchType.NOT_EQUAL, "é.x", "1"),
        Matcher(MatchType.EQUAL, "__name__", "up"),
    )
    assert parse_selector('{"my.metric"}') == (Matcher(MatchType.EQUAL, "__name__", "my.metric"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("up[5m]", 'unexpected "["'),
        ("up offset 5m", "unexpected <offset>"),
        ("up + up", "unexpected <op:+>"),
        ("(up)", 'unexpected "("'),
        ("rate(up[5m])", 'unexpected "("'),
        ("", "unexpected end of input"),
        ('{a=~".*"}', "match[] must contain at least one non-empty matcher"),
        ("{}", "match[] must contain at least one non-empty matcher"),
    ],
)
def test_selector_refuses_anything_else(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_selector(text)

    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("up", {"__name__": "up"}),
        ("up{b=\"2\", a='1',}", {"__name__": "up", "a": "1", "b": "2"}),
        ('{"my.metric", "ü x"="\\u263a"}', {"__name__": "my.metric", "ü x": "☺"}),
        ("{}", {}),
    ],
)
def test_metric_gives_labels(text: str, labels: dict[str, str]) -> None:
    assert parse_metric(text) == tuple(sorted(labels.items()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('up{a!="1"}', 'unexpected <op:!=> in label set, expected "="'),
        ("up{a=1}", "unexpected character inside braces: '1'"),
        ("up{a=b}", 'unexpected identifier "b" in label set, expected string'),
        ('up{a="1" b}', 'unexpected identifier "b" in label set, expected "," or "}"'),
        ("up{,}", 'unexpected "," in label set, expected identifier or "}"'),
        ("up 5", 'unexpected number "5"'),
    ],
)
def test_metric_refuses_anything_else(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_metric(text)

    assert caught.value.message == message


SCRAPS = r"""
    ( ) { } [ ] , : = =~ != !~ == < </ + - * ^ @ . 5 5m 0x1 1e 1_ Inf up sum by on bool fill(
    offset anchored start() step() max_of( rate( topk( info( " ' ` \\ "a" # é
"""
SCRAP = st.sampled_from([*SCRAPS.split(), "\n", "\udcff", "\ud800", "\ufffd", " "])
SCRAP_LISTS = st.lists(SCRAP, max_size=20)


def find_error(parse_text: Callable[[], object]) -> ParseError | None:
    try:
        parse_text()
    except ParseError as exc:
        return exc
    return None


@settings(deadline=None, max_examples=1000, derandomize=True)
@given(text=SCRAP_LISTS.map(" ".join) | SCRAP_LISTS.map("".join) | st.text())
@example(text="a[5m] offset -min_of(5m,")
def test_any_text_parses_or_is_refused(text: str) -> None:
    options = ParserOptions(True, True, True)
    errors = [
        find_error(lambda: parse(text, options)),
        find_error(lambda: parse_selector(text)),
        find_error(lambda: parse_metric(text)),
    ]

    size = len(text.encode("utf-8", "surrogatepass"))
    for error in filter(None, errors):
        assert 0 <= error.start <= error.end <= size
        assert str(error).endswith(f"parse error: {error.message}")
