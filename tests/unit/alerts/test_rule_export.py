"""Rules as a rule file: what was loaded comes out as it was; what was made by the API fits in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from tidegauge.alerts.rule_export import export_rules
from tidegauge.alerts.rule_files import parse_rule_file
from tidegauge.errors import NotFound
from tidegauge.model.alerts import AlertRule, Condition, Severity
from tidegauge.model.recording import RecordingRule
from tidegauge.query.parsing import QueryParser

from tests.support.alerts import make_rule

PARSER = QueryParser(max_depth=100)
FILE = """
groups:
  - name: recorded
    interval: 1m30s
    limit: 500
    query_offset: 10s
    labels: {team: infra}
    rules:
      - record: job:up:ratio
        expr: avg by (job) (up)
        labels: {window: "5", instance: ""}
      - alert: JobDown
        expr: |
          job:up:ratio # of all
            < 0.5
        for: 5m
        keep_firing_for: 1m
        annotations:
          summary: "{{ $labels.job }}: \\"down\\"\\n{{ $value }}"
      - alert: JobDown
        expr: absent(up)
        labels: {severity: page, yes: "true", number: "010", text: "null", dash: "- x: y #"}
      - record: second
        expr: sum(job:up:ratio)
  - name: "a: strange name"
    rules:
      - {alert: "Ünïcode ☃", expr: "up == 0"}
"""


def parse(text: str, file: str = "f.yml") -> list[AlertRule | RecordingRule]:
    groups = parse_rule_file(text, file=file, parser=PARSER, interval_ms=10_000)
    return [rule for group in groups for rule in group.rules]


def export(rules: list[Any], file: str | None = None) -> str:
    return export_rules(
        [one for one in rules if isinstance(one, AlertRule)],
        [one for one in rules if isinstance(one, RecordingRule)],
        parser=PARSER,
        file=file,
    )


def key(rule: AlertRule | RecordingRule) -> tuple[str, str]:
    assert rule.origin is not None
    return rule.origin.group, rule.origin.place


def test_what_was_loaded_comes_out_as_it_was() -> None:
    loaded = parse(FILE)

    again = parse(export(loaded, "f.yml"))

    assert sorted(again, key=key) == sorted(loaded, key=key)
    assert len(again) == 5


def test_groups_of_one_name_in_two_files_are_told_apart() -> None:
    both = [*parse(FILE, "a.yml"), *parse(FILE, "b.yml")]

    names = [group["name"] for group in yaml.safe_load(export(both))["groups"]]

    assert names == [
        "a.yml: a: strange name",
        "a.yml: recorded",
        "b.yml: a: strange name",
        "b.yml: recorded",
    ]
    assert len(parse(export(both))) == 10


def test_a_file_that_nothing_was_loaded_from_is_not_there() -> None:
    with pytest.raises(NotFound, match=r"other\.yml"):
        export(parse(FILE), "other.yml")


@pytest.mark.parametrize(
    ("fields", "expr"),
    [
        ({}, "(heat) > 5"),
        ({"condition": Condition.LTE, "threshold": -0.25}, "(heat) <= -0.25"),
        ({"condition": Condition.NE}, "(heat) != 5"),
        ({"condition": Condition.EQ}, "(heat) == 5"),
        ({"condition": Condition.ANY, "query": "heat > 3"}, "heat > 3"),
        ({"query": "heat # warm"}, "(heat # warm\n) > 5"),
        ({"query": "scalar(heat)"}, "vector(scalar(heat)) > 5"),
        ({"query": "1 + 1", "condition": Condition.ANY}, "vector(1 + 1)"),
        ({"query": "a or b"}, "(a or b) > 5"),
    ],
)
def test_the_condition_becomes_part_of_the_expression(fields: dict[str, Any], expr: str) -> None:
    (rule,) = parse(export([make_rule(**fields)]))

    assert rule.query == expr


def test_the_rest_of_a_rule_of_the_api_is_kept() -> None:
    made = make_rule(
        severity=Severity.CRITICAL,
        hold_ms=90_000,
        keep_firing_ms=60_000,
        interval_ms=30_000,
        labels=(("team", "db"),),
        annotations={"summary": "{{ $value }}"},
    )

    (rule,) = parse(export([made]))

    assert isinstance(rule, AlertRule)
    assert dict(rule.labels) == {"team": "db", "severity": "critical"}
    assert (rule.name, rule.severity) == (made.name, made.severity)
    assert (rule.hold_ms, rule.keep_firing_ms) == (made.hold_ms, made.keep_firing_ms)
    assert (rule.interval_ms, rule.annotations) == (made.interval_ms, made.annotations)


def test_the_same_rule_twice_stands_in_two_groups() -> None:
    assert len(parse(export([make_rule(id=1), make_rule(id=2)]))) == 2


def test_channels_and_rules_that_are_off_are_named_but_not_shown() -> None:
    secret = {"type": "webhook", "target": "https://example.org/secret-7"}
    text = export([make_rule(channels=(secret,)), make_rule(name="off\n- x", enabled=False)])

    assert "secret-7" not in text
    assert '# "hot" tells "webhook"; a rule file has no channels\n' in text
    assert '# "off\\n- x" is switched off, and not here\n' in text
    assert len(parse(text)) == 1


def test_no_rules_are_a_file_without_groups() -> None:
    assert parse(export([])) == []


def test_a_file_of_the_own_name_only_has_its_rules() -> None:
    rules = [*parse(FILE, "a.yml"), replace(make_rule(), name="other")]

    assert len(parse(export(rules, "a.yml"), "a.yml")) == 5
