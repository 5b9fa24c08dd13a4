"""Templates say what Prometheus would make of them, in the same words where they are wrong."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from tidegauge.alerts.templates.errors import TemplateError
from tidegauge.alerts.templates.expand import AlertData, check_template, expand, expand_or_explain
from tidegauge.errors import Unavailable

LABELS = {
    "alertname": "Full",
    "device": "/dev/sda1",
    "instance": "db1.example.org:9100",
    "job": "node",
    "severity": "critical",
}
SERIES = [({"__name__": "up", "instance": "b"}, 21.0), ({"instance": "a", "job": "x"}, 11.5)]
# Where the text of a rule begins, behind what Prometheus puts before it.
BEGIN = 112


def answer(text: str) -> Sequence[tuple[Mapping[str, str], float]]:
    if text == "empty":
        return []
    if text == "away":
        raise Unavailable("the database is away")
    return SERIES


def data(value: float = 93.456) -> AlertData:
    return AlertData(
        name="Full",
        labels=LABELS,
        value=value,
        now_ms=1_767_323_045_000,
        query=answer,
        external_labels={"cluster": "north"},
        external_url="https://tide.example.org/base",
    )


def read_cases(mark: str) -> Iterator[tuple[str, str]]:
    """Yield (template, what is wanted of it) from the file of this test."""
    lines = (Path(__file__).parent / "templates.txt").read_text(encoding="utf-8").split("\n")
    for text, wanted in itertools.pairwise(lines):
        if wanted.startswith(f"{mark} "):
            yield text.replace("⏎", "\n"), wanted[len(mark) + 1 :].replace("⏎", "\n")


@pytest.mark.parametrize(("text", "wanted"), list(read_cases("=>")))
def test_a_template_says(text: str, wanted: str) -> None:
    assert expand(text, data()) == wanted


@pytest.mark.parametrize(("text", "wanted"), list(read_cases("=!")))
def test_what_cannot_be_expanded_is_told_with_its_place(text: str, wanted: str) -> None:
    column, _, said = wanted.partition(" ")
    start = "error executing template __alert_Full: template: __alert_Full"
    place = f'1:{BEGIN + int(column)}: executing "__alert_Full" at '

    assert expand_or_explain(text, data()) == f"<error expanding template: {start}:{place}{said}>"


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
        ("{{ 1 | }}", 1, "missing value for command"),
        ('{{ "a }}', 1, "unterminated quoted string"),
        ("{{ `a }}", 1, "unterminated raw quoted string"),
        ("{{ ( 1 }}", 1, "unclosed left paren"),
        ("{{ 1 ) }}", 1, "unexpected right paren"),
        ("{{ /* x }}", 1, "unrecognized character in action: U+002F '/'"),
        ("{{/* x }}", 1, "unclosed comment"),
        ("{{\u00a0}}", 1, "unrecognized character in action: U+00A0"),
        ("{{ 1x }}", 1, 'bad number syntax: "1x"'),
        ("{{ 99999999999999999999 }}", 1, 'integer overflow: "99999999999999999999"'),
        ("{{ break }}", 1, "{{break}} outside {{range}}"),
        ("{{ 1 | 2 }}", 1, "non executable command in pipeline stage 2"),
        ('{{ "\\ud800" | nope }}', 1, 'function "nope" not defined'),
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
