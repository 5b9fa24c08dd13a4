"""Templates say what Prometheus would make of them, in the same words where they are wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest
from tidegauge.alerts.templates.errors import TemplateError
from tidegauge.alerts.templates.expand import AlertData, check_template, expand, expand_or_explain
from tidegauge.errors import Unavailable

from tests.support.template_cases import EXTERNAL_LABELS, LABELS, RULE, SERIES, VALUE, read_cases


def answer(text: str) -> Sequence[tuple[Mapping[str, str], float]]:
    if text == "empty":
        return []
    if "{" in text:
        return SERIES[1:] if text == "up{job='x'}" else SERIES[:1]
    if text == "away":
        raise Unavailable("the database is away")
    return SERIES


def data(value: float = VALUE) -> AlertData:
    return AlertData(
        name=RULE,
        labels=LABELS,
        value=value,
        now_ms=1_767_323_045_000,
        query=answer,
        external_labels=EXTERNAL_LABELS,
        external_url="https://tide.example.org/base",
    )


@pytest.mark.parametrize(("text", "wanted"), read_cases())
def test_a_template_says(text: str, wanted: str) -> None:
    assert expand_or_explain(text, data()) == wanted


@pytest.mark.parametrize(
    ("value", "humanize", "humanize_1024", "duration", "percentage"),
    [
        (0.0, "0", "0", "0s", "0%"),
        (1.0, "1", "1", "1s", "100%"),
        (-1.0, "-1", "-1", "-1s", "-100%"),
        (0.12, "120m", "0.12", "120ms", "12%"),
        (0.0001, "100u", "0.0001", "100us", "0.01%"),
        (1234567.0, "1.235M", "1.177Mi", "14d 6h 56m 7s", "1.235e+08%"),
        (899.99, "900", "900", "14m 59s", "9e+04%"),
        (12.345, "12.35", "12.35", "12.35s", "1234%"),
        (-183845.0, "-183.8k", "-179.5ki", "-2d 3h 4m 5s", "-1.838e+07%"),
        (9.223372036854775807e18, "9.223E", "8Ei", "106751991167300d 15h 30m 8s", "9.223e+20%"),
        (math.inf, "+Inf", "+Inf", "+Inf", "+Inf%"),
        (-math.inf, "-Inf", "-Inf", "-Inf", "-Inf%"),
        (math.nan, "NaN", "NaN", "NaN", "NaN%"),
    ],
)
def test_numbers_are_put_for_people(
    value: float, humanize: str, humanize_1024: str, duration: str, percentage: str
) -> None:
    text = (
        "{{ humanize $value }};{{ humanize1024 $value }};{{ humanizeDuration $value }};"
        "{{ humanizePercentage $value }}"
    )

    assert expand(text, data(value)).split(";") == [humanize, humanize_1024, duration, percentage]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("1435065584.128", "2015-06-23 13:19:44.128 +0000 UTC"),
        ("-1", "1969-12-31 23:59:59 +0000 UTC"),
        ("9223372036", "2262-04-11 23:47:16 +0000 UTC"),
        ('"0.5"', "1970-01-01 00:00:00.5 +0000 UTC"),
        ('"NaN"', "NaN"),
    ],
)
def test_times_are_put_for_people(value: str, wanted: str) -> None:
    assert expand(f"{{{{ humanizeTimestamp {value} }}}}", data()) == wanted


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("{{", 1, "unclosed action"),
        ("a\n{{ $value", 2, "unclosed action"),
        ("{{ nope $value }}", 1, 'function "nope" not defined'),
        ("{{ $nope }}", 1, 'undefined variable "$nope"'),
        ("{{ if true }}{{ $x := 1 }}{{ end }}\n\n{{ $x }}", 3, 'undefined variable "$x"'),
        ("{{ if true }}x", 1, "unexpected EOF"),
        ("{{ end }}", 1, "unexpected {{end}}"),
        ("{{ else }}", 1, "unexpected {{else}}"),
        ("{{ if true }}{{ else }}{{ else }}{{ end }}", 1, "expected end; found {{else}}"),
        ("{{ if }}{{ end }}", 1, "missing value for if"),
        ("{{ }}", 1, "missing value for command"),
        ('{{ "a }}', 1, "unterminated quoted string"),
        ("{{ `a }}", 1, "unterminated raw quoted string"),
        ("{{ ( 1 }}", 1, "unclosed left paren"),
        ("{{ 1 ) }}", 1, 'unexpected ")" in command'),
        ("{{ /* x }}", 1, 'unexpected "/" in command'),
        ("{{/* x }}", 1, "unclosed comment"),
        ("{{\u00a0}}", 1, "unrecognized character in action: U+00A0"),
        ("{{ 1x }}", 1, 'bad number syntax: "1x"'),
        ("{{ 99999999999999999999 }}", 1, 'integer overflow: "99999999999999999999"'),
        ("{{ break }}", 1, "{{break}} outside {{range}}"),
        ("{{ 1 | 2 }}", 1, "non executable command in pipeline stage 2"),
        ('{{ "\\q" }}', 1, "invalid syntax"),
    ],
)
def test_what_cannot_be_parsed_is_told_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        check_template(text, name="Full")

    start = "error parsing template __alert_Full: template: __alert_Full"
    assert caught.value.message == f"{start}:{line}: {said}"


def test_a_place_is_that_of_its_line() -> None:
    with pytest.raises(TemplateError, match=r"__alert_Full:2:22: executing .* at <first>"):
        expand("one\né {{ query `empty` | first }}", data())
