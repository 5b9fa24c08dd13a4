"""Matchers from outside reach every selector of a query, and nothing else."""

from __future__ import annotations

import pytest
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.promql.narrowing import narrow
from tidegauge.promql.parser import ParserOptions, parse
from tidegauge.promql.printer import print_expr

IN_EU = Matcher(MatchType.EQUAL, "dc", "eu")
NO_TEST = Matcher(MatchType.NOT_REGEX, "job", "test.*")

NARROWED = [
    ("up", 'up{dc="eu"}'),
    ('up{dc="us"}', 'up{dc="eu",dc="us"}'),
    ("rate(a[5m] offset 1m)", 'rate(a{dc="eu"}[5m] offset 1m)'),
    ("-(a + b * c)", '-(a{dc="eu"} + b{dc="eu"} * c{dc="eu"})'),
    ("sum by (x) (a) / on (x) b", 'sum by (x) (a{dc="eu"}) / on (x) b{dc="eu"}'),
    ("quantile(scalar(a), b)", 'quantile(scalar(a{dc="eu"}), b{dc="eu"})'),
    ("max_over_time(rate(a[1m])[1h:5m])", 'max_over_time(rate(a{dc="eu"}[1m])[1h:5m])'),
    ('label_replace(a, "x", "$1", "y", "(.*)")', None),
    ("time() + 1", "time() + 1"),
    ('info(a, {v="1"})', 'info(a{dc="eu"}, {v="1"})'),
]


@pytest.mark.parametrize(("text", "wanted"), NARROWED)
def test_every_selector_is_narrowed(text: str, wanted: str | None, options: ParserOptions) -> None:
    narrowed = print_expr(narrow(parse(text, options), [IN_EU]))

    assert narrowed == (wanted or text.replace("(a,", '(a{dc="eu"},'))
    assert print_expr(parse(narrowed, options)) == narrowed


def test_several_matchers_count_together_and_the_name_stays() -> None:
    narrowed = print_expr(narrow(parse('up{x="1"}'), [IN_EU, NO_TEST]))

    assert narrowed == 'up{dc="eu",job!~"test.*",x="1"}'


def test_a_long_chain_is_no_burden() -> None:
    narrowed = print_expr(narrow(parse(" + ".join(["up"] * 3000)), [IN_EU]))

    assert narrowed.count('up{dc="eu"}') == 3000
