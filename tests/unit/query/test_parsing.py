"""Parsing with positions, a depth limit, and a memo."""

from __future__ import annotations

import pytest
from tidegauge.errors import DeadlineExceeded, InvalidInput, LimitExceeded
from tidegauge.query.parsing import (
    MAX_TEXT_BYTES,
    QueryParser,
    QuerySyntaxError,
)


@pytest.fixture
def parser() -> QueryParser:
    return QueryParser(max_depth=10)


def test_a_repeated_text_is_parsed_once(parser: QueryParser) -> None:
    assert parser.parse("sum(up)") is parser.parse("sum(up)")


def test_lines_and_columns_count_bytes(parser: QueryParser) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        parser.parse('{a="ö"} +\n {b="ü"} + )')

    assert (caught.value.line, caught.value.column) == (2, 14)
    assert caught.value.message == f"2:14: parse error: {caught.value.reason}"


def test_a_long_chain_is_not_deep(parser: QueryParser) -> None:
    assert parser.parse("+".join(["1"] * 3000)) is not None


def test_nesting_beyond_the_limit_names_it(parser: QueryParser) -> None:
    with pytest.raises(LimitExceeded, match="TIDEGAUGE_QUERY_MAX_DEPTH") as caught:
        parser.parse("(" * 11 + "1" + ")" * 11)

    assert (caught.value.reached, caught.value.allowed) == (11, 10)


@pytest.mark.parametrize("text", ["(" * 100_000, "-" * 100_000 + "1", "sum(" * 50_000])
def test_hostile_nesting_is_refused_and_not_a_crash(parser: QueryParser, text: str) -> None:
    with pytest.raises((InvalidInput, LimitExceeded)):
        parser.parse(text)


def test_a_text_beyond_the_limit_is_refused(parser: QueryParser) -> None:
    for text in ("1" * (MAX_TEXT_BYTES + 1), "ö" * (MAX_TEXT_BYTES // 2 + 1)):
        with pytest.raises(InvalidInput, match="longer than"):
            parser.parse(text)


@pytest.mark.parametrize("text", ["{}", '{a=""}', '{a=~".*"}', '{a!="x"}'])
def test_a_selector_that_fits_everything_is_refused(parser: QueryParser, text: str) -> None:
    with pytest.raises(InvalidInput, match="at least one non-empty matcher"):
        parser.parse_selectors([text])


def test_selectors_give_their_matchers(parser: QueryParser) -> None:
    first, second = parser.parse_selectors(["up", '{"a.b"="c"}'])

    assert [(matcher.name, matcher.value) for matcher in first] == [("__name__", "up")]
    assert [(matcher.name, matcher.value) for matcher in second] == [("a.b", "c")]


def test_the_deadline_is_looked_at_before_every_selector(parser: QueryParser) -> None:
    left = iter(range(3))

    def check() -> None:
        if next(left, None) is None:
            raise DeadlineExceeded("over")

    with pytest.raises(DeadlineExceeded):
        parser.parse_selectors(["up"] * 4, check=check)
    assert len(parser.parse_selectors(["up"] * 4)) == 4
