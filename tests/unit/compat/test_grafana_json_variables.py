"""No value of a variable leaves the string that it stands in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tidegauge.compat.grafana_json_variables import Variables, any_of
from tidegauge.errors import InvalidInput
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.promql.nodes import VectorSelector
from tidegauge.promql.parser import ParseError, parse

EVIL = (
    'a"} or up{x="',
    "a'} or up{x='",
    "a`} or up{x=`",
    "a\\",
    'a\\"} or up{x="',
    'a\n"} or up{x="',
    "a\\\\`'\"",
    "#",
    "$other",
    "${other}",
    "(.*)",
    "\ue0000\ue001",
    "\x7f\u2028é",
)
QUOTES = ('"', "'", "`")
ONE = Variables({"host": ("web1",), "hosts": ("a", "b.c")}, {"__interval": "30s"})


def interpolate(template: str, values: tuple[str, ...], meta: str) -> str:
    """Put values into `$v` as Grafana does: escaped for a regular expression."""
    escaped = ["".join(f"\\{c}" if c in meta else c for c in value) for value in values]
    text = escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
    return template.replace("$v", text)


def matchers_of(text: str) -> tuple[Matcher, ...]:
    """Return the matchers of a query that must be one selector."""
    expr = parse(text)
    assert isinstance(expr, VectorSelector), text
    return tuple(one for one in expr.matchers if one.name != "__name__")


META, META_AND_SLASH = "\\^$.*+?()[]{}|", "\\^$.*+?()[]{}|/"


@pytest.mark.parametrize("meta", [META, META_AND_SLASH])
@pytest.mark.parametrize("quote", QUOTES)
@pytest.mark.parametrize("value", EVIL)
def test_a_value_that_grafana_has_put_in_stays_one_value(value: str, quote: str, meta: str) -> None:
    variables = Variables({"v": (value,)}, {})
    for operator in MatchType:
        text = interpolate(f"cpu{{host{operator.value}{quote}$v{quote}}}", (value,), meta)

        (matcher,) = matchers_of(variables.fill_query(text))

        assert (matcher.name, matcher.type) == ("host", operator)
        assert matcher.matches(value) is (operator in (MatchType.EQUAL, MatchType.REGEX))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=3))
def test_any_values_that_are_put_in_here_are_what_is_matched(values: list[str]) -> None:
    variables = Variables({"v": tuple(values)}, {})
    for quote in QUOTES:
        text = f"cpu{{host=~{quote}${{v:regex}}{quote},x=`1`}}"

        host, other = matchers_of(variables.fill_query(text))

        assert all(host.matches(value) for value in values)
        assert host.value == any_of(tuple(values))
        assert (other.name, other.value) == ("x", "1")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.sampled_from(QUOTES))
def test_any_value_that_grafana_has_put_in_leaves_one_selector(value: str, quote: str) -> None:
    variables = Variables({"v": (value,), "w": ("x", 'y"')}, {})
    text = interpolate(f"cpu{{host=~{quote}$v{quote},dc=`eu`}}", (value,), META)

    filled = variables.fill_query(text)

    # A value that looks like the query's own text may make it no query, but never another one.
    if value not in text.replace(interpolate("$v", (value,), META), "", 1):
        host, dc = matchers_of(filled)
        assert host.matches(value)
        assert (dc.name, dc.value) == ("dc", "eu")


def test_a_value_that_is_but_a_quote_makes_the_query_none() -> None:
    filled = Variables({"v": ('"',)}, {}).fill_query('cpu{host="""}')

    with pytest.raises(ParseError):
        parse(filled)


def test_a_value_cannot_make_room_for_another_one() -> None:
    first, second = 'cpu{x="', 'a" or "'
    variables = Variables({"first": (first,), "second": (second,)}, {})
    text = interpolate('cpu{x="$v"}', (second,), META)

    (matcher,) = matchers_of(variables.fill_query(text))

    assert matcher.value == second


@pytest.mark.parametrize("template", ["$v", "x$v", "$v|b"])
@pytest.mark.parametrize("quote", QUOTES)
@pytest.mark.parametrize("value", [one for one in EVIL if one != "(.*)"])
def test_a_value_that_grafana_has_put_in_raw_stays_in_its_string(
    value: str, quote: str, template: str
) -> None:
    said = template.replace("$v", value)
    variables = Variables({"v": (value, "b")}, {})

    (matcher,) = matchers_of(variables.fill_query(f"cpu{{host={quote}{said}{quote}}}"))

    assert (matcher.name, matcher.type, matcher.value) == ("host", MatchType.EQUAL, said)


def test_two_raw_values_cannot_join_hands() -> None:
    first, second = "\\", "} or up{y="
    text = f'cpu{{x="{first}",y="{second}"}}'

    filled = Variables({"first": (first,), "second": (second,)}, {}).fill_query(text)

    assert {one.value for one in matchers_of(filled)} == {first, second}


def test_values_that_hold_quotes_are_bounded() -> None:
    many = Variables({"v": tuple(f'"{number}' for number in range(2001))}, {})
    several = Variables({"v": tuple(f'"{number}' for number in range(21))}, {})

    with pytest.raises(InvalidInput, match="2002 values of variables"):
        many.fill_query("up")
    assert several.fill_query("up") == "up"
    with pytest.raises(InvalidInput, match="at most 20"):
        several.fill_query("|".join(f'"{number}' for number in range(21)))


def test_a_part_of_a_query_may_be_a_variable_that_grafana_has_put_in() -> None:
    part = 'job="a",host="b"'

    filled = Variables({"part": (part,)}, {}).fill_query(f"cpu{{{part}}}")

    assert [one.value for one in matchers_of(filled)] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("rate(x[$__interval])", "rate(x[30s])"),
        ("sum by ($host) (x)", "sum by (web1) (x)"),
        ('x{a="$host-$hosts"}', 'x{a="web1-(a|b\\\\.c)"}'),
        ("x{a=~'$hosts'}", 'x{a=~"(a|b\\\\.c)"}'),
        ('x{a="$unknown"}', 'x{a="$unknown"}'),
        ('label_replace(x, "a", "$1", "b", "(.*)")', 'label_replace(x, "a", "$1", "b", "(.*)")'),
        ('x{a=~"web\\.1"}', 'x{a=~"web\\\\.1"}'),
        ('x{a=~"web\\\\.1"}', 'x{a=~"web\\\\.1"}'),
        ('x # it\'s "$host"\n + y', "x \n + y"),
        ('x{a="\\q"}', 'x{a="\\q"}'),
        ("$unknown", "$unknown"),
    ],
)
def test_queries_are_filled(text: str, filled: str) -> None:
    assert ONE.fill_query(text) == filled


@pytest.mark.parametrize("value", ['a" or "b', "up or down", "a-b", "", "1;2"])
def test_only_names_and_numbers_stand_outside_quotes(value: str) -> None:
    with pytest.raises(InvalidInput, match="outside quotes"):
        Variables({"v": (value,)}, {}).fill_query("sum(x{a=$v})")


def test_values_are_found_by_reference_and_as_grafana_writes_them() -> None:
    assert ONE.find_values("$hosts") == ("a", "b.c")
    assert ONE.find_values("${host:regex}") == ("web1",)
    assert ONE.find_values("(a|b\\.c)") == ("a", "b.c")
    assert ONE.find_values("$nothing") is None
    assert ONE.find_values("a|b") is None
