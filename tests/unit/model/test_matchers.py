"""Matchers: what they remember, and patterns that are no text."""

from __future__ import annotations

import pytest
from tidegauge.errors import InvalidInput
from tidegauge.model.matchers import MEMO_VALUES, Matcher, MatchType


def test_a_matcher_remembers_few_values_and_decides_all() -> None:
    matcher = Matcher(MatchType.REGEX, "host", "h[0-9]*5")

    passed = [value for value in range(3 * MEMO_VALUES) if matcher.matches(f"h{value}")]

    assert passed == list(range(5, 3 * MEMO_VALUES, 10))
    assert len(matcher._memo) == MEMO_VALUES


def test_a_pattern_that_is_no_utf8_is_refused_and_shown() -> None:
    with pytest.raises(InvalidInput, match=r"'\(\\udcff\[a\]': invalid UTF-8"):
        Matcher(MatchType.NOT_REGEX, "host", "(\udcff[a]")


@pytest.mark.parametrize("pattern", ["(" * 100_000, "x{1000}" * 1000, "\\C" + "x" * 100_000])
def test_an_error_does_not_repeat_a_huge_pattern(pattern: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Matcher(MatchType.REGEX, "a", pattern)

    assert len(caught.value.message) < 1200
