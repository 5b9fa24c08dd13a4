"""Prometheus's rule files: read as they are, refused with the place of a fault, loaded again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from tidegauge.alerts.loading import Loaded, load_rules
from tidegauge.alerts.rule_files import parse_rule_file
from tidegauge.auth.actor import SYSTEM
from tidegauge.cli import main
from tidegauge.config import DatabaseConfig
from tidegauge.errors import InvalidInput
from tidegauge.model.alerts import AlertRule, Condition, Policy, RuleOrigin, Severity
from tidegauge.query.parsing import QueryParser
from tidegauge.storage.alert_rules import AlertRules
from tidegauge.storage.pool import Pool

from tests.support.alerts import MAIL

PARSER = QueryParser(max_depth=100)
FILE = """
groups:
- name: hosts
  interval: 30s
  labels: {team: infra, page: true}
  rules:
  - alert: HostDown
    expr: up == 0
    for: 5m
    keep_firing_for: 1m
    labels: {severity: critical, page: "no"}
    annotations:
      summary: '{{ $labels.instance }} is down for {{ humanize $value }}'
  - alert: HostDown
    expr: |
      absent(up)
- name: more
  rules:
  - alert: Always
    expr: 1
    labels: {severity: page}
- name: empty
"""


def parse(text: str) -> list[AlertRule]:
    return parse_rule_file(text, file="a.yml", parser=PARSER, interval_ms=10_000, channels=(MAIL,))


def of_rule(fields: str) -> str:
    return f"groups:\n- name: g\n  rules:\n  - {{{fields}}}\n"


def test_alerting_rules_are_read_as_they_are() -> None:
    down, absent, always = parse(FILE)

    assert down == AlertRule(
        name="HostDown",
        query="up == 0",
        condition=Condition.ANY,
        threshold=0.0,
        hold_ms=300_000,
        keep_firing_ms=60_000,
        interval_ms=30_000,
        severity=Severity.CRITICAL,
        no_data=Policy.RESOLVE,
        labels=(("page", "no"), ("severity", "critical"), ("team", "infra")),
        annotations={"summary": "{{ $labels.instance }} is down for {{ humanize $value }}"},
        channels=(MAIL,),
        origin=RuleOrigin("a.yml", "hosts", "HostDown/1"),
    )
    assert (absent.query, absent.hold_ms) == ("absent(up)\n", 0)
    assert absent.origin == RuleOrigin("a.yml", "hosts", "HostDown/2")
    assert dict(absent.labels) == {"page": "true", "team": "infra"}
    assert (always.query, always.interval_ms, always.severity) == ("1", 10_000, Severity.WARNING)
    assert dict(always.labels) == {"severity": "page"}


def test_an_empty_file_has_no_rules() -> None:
    assert [parse(text) for text in ("", "groups:", "groups: []", "# nothing")] == [[]] * 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("groups: [", "a.yml: it is no YAML"),
        ("- x", "a.yml: a mapping is wanted"),
        ("group: []", 'there is no field "group"'),
        ("groups: {a: b}", "groups: a list is wanted"),
        ("groups: [{name: g}, {name: g}]", 'two groups "g"'),
        ("groups: [{rules: []}]", "name: a text is wanted"),
        ("groups: [{name: g, limit: 5}]", 'group "g": limit is not supported yet'),
        ("groups: [{name: g, query_offset: 1m}]", "query_offset is not supported yet"),
        (of_rule("record: 'a:b', expr: up"), 'record "a:b": recording rules are not supported'),
        (of_rule("alert: A, expr: up, fro: 5m"), 'there is no field "fro"'),
        (of_rule("alert: A"), 'alert "A": expr: a text is wanted'),
        (of_rule("alert: A, expr: 'sum(up'"), 'group "g", alert "A": .*parse error'),
        (of_rule("alert: A, expr: up, for: soon"), 'alert "A": for: .*soon'),
        (of_rule("alert: A, expr: up, labels: {a: [1]}"), "labels.a: a text is wanted"),
        (of_rule("alert: A, expr: up, labels: {a: '{{ $x }}'}"), "labels.a: .*undefined variable"),
        ("a: !!python/object/apply:os.system ['true']", "no YAML"),
        ("{" * 5000, "no YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse(text)


@pytest.fixture
def store(migrated_database_url: str) -> Iterator[AlertRules]:
    pool = Pool.from_config(DatabaseConfig(), url=migrated_database_url)
    yield AlertRules(pool=pool)
    pool.close()


def load(store: AlertRules, rules: list[AlertRule], file: str = "a.yml") -> Loaded:
    return load_rules(store, file, rules, SYSTEM, clock_ms=lambda: 1000)


def test_loading_again_changes_what_has_changed_and_nothing_else(store: AlertRules) -> None:
    first = parse(FILE)
    assert load(store, first) == Loaded(made=3, changed=0, deleted=0, same=0)
    before = {one.rule.origin: one.rule for one in store.read_all()}

    again = load(store, first)
    changed = load(store, [replace(first[0], hold_ms=1), first[1]])

    assert again == Loaded(made=0, changed=0, deleted=0, same=3)
    assert changed == Loaded(made=0, changed=1, deleted=1, same=1)
    after = {one.rule.origin: one.rule for one in store.read_all()}
    assert after[first[1].origin] == before[first[1].origin]
    assert after[first[0].origin].id == before[first[0].origin].id
    assert after[first[0].origin].hold_ms == 1


def test_files_do_not_touch_each_other_s_rules(store: AlertRules) -> None:
    load(store, parse(FILE))

    assert load(store, [], "b.yml") == Loaded(made=0, changed=0, deleted=0, same=0)
    assert len(store.read_all()) == 3


def test_the_command_checks_and_loads_files(
    migrated_database_url: str, tmp_path: Path, store: AlertRules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", migrated_database_url)
    good, bad = tmp_path / "a.yml", tmp_path / "b.yml"
    good.write_text(FILE, encoding="utf-8")
    bad.write_text("groups: 1", encoding="utf-8")
    run = CliRunner().invoke

    checked = run(main, ["rules", "check", str(good)])
    refused = run(main, ["rules", "load", str(good), str(bad)])
    loaded = run(main, ["rules", "load", str(good), "--email", "ops@example.org"])

    assert (checked.exit_code, checked.output) == (0, f"{good}: 3 alerting rules\n")
    assert refused.exit_code == 2
    assert "b.yml: groups: a list is wanted" in refused.output
    assert loaded.output == f"{good}: 3 made, 0 changed, 0 deleted, 0 as before\n"
    assert [one.rule.channels for one in store.read_all()] == [(MAIL,)] * 3
