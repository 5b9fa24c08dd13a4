"""Prometheus's rule files: read as they are, refused with the place of a fault, loaded again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from tidegauge.alerts.loading import Loaded, load_recordings, load_rules
from tidegauge.alerts.rule_files import parse_rule_file
from tidegauge.auth.actor import SYSTEM
from tidegauge.cli import main
from tidegauge.config import DatabaseConfig
from tidegauge.errors import InvalidInput
from tidegauge.model.alerts import AlertRule, Condition, Policy, RuleOrigin, Severity
from tidegauge.model.recording import RecordingRule, RuleGroup
from tidegauge.query.parsing import QueryParser
from tidegauge.storage.alert_rules import AlertRules
from tidegauge.storage.pool import Pool
from tidegauge.storage.recording_rules import RecordingRules

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


RECORDING = """
groups:
- name: rates
  interval: 30s
  limit: 500
  query_offset: 1m
  labels: {team: infra}
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
    labels: {instance: ""}
  - alert: JobDown
    expr: job:up:sum == 0
  - record: job:up:sum
    expr: sum(up)
"""


def parse_groups(text: str) -> list[RuleGroup]:
    return parse_rule_file(text, file="a.yml", parser=PARSER, interval_ms=10_000, channels=(MAIL,))


def parse(text: str) -> list[AlertRule]:
    return [rule for group in parse_groups(text) for rule in group.alerting]


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
    assert absent.position == 1
    assert (absent.query, absent.hold_ms) == ("absent(up)\n", 0)
    assert absent.origin == RuleOrigin("a.yml", "hosts", "HostDown/2")
    assert dict(absent.labels) == {"page": "true", "team": "infra"}
    assert (always.query, always.interval_ms, always.severity) == ("1", 10_000, Severity.WARNING)
    assert dict(always.labels) == {"severity": "page"}


def test_an_empty_file_has_no_rules() -> None:
    assert [parse_groups(text) for text in ("", "groups:", "groups: []", "# nothing")] == [[]] * 4


def test_groups_keep_the_order_of_both_kinds_of_rules() -> None:
    (group,) = parse_groups(RECORDING)

    first, alert, second = group.rules
    assert (group.interval_ms, group.limit, group.query_offset_ms) == (30_000, 500, 60_000)
    assert first == RecordingRule(
        record="job:up:sum",
        query="sum by (job) (up)",
        labels={"team": "infra", "instance": ""},
        interval_ms=30_000,
        origin=RuleOrigin("a.yml", "rates", "record job:up:sum/1"),
        limit=500,
        query_offset_ms=60_000,
    )
    assert second == replace(
        first,
        query="sum(up)",
        labels={"team": "infra"},
        origin=RuleOrigin("a.yml", "rates", "record job:up:sum/2"),
        position=2,
    )
    assert isinstance(alert, AlertRule)
    assert (alert.limit, alert.query_offset_ms, alert.position) == (500, 60_000, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("groups: [", "a.yml: it is no YAML"),
        ("- x", "a.yml: a mapping is wanted"),
        ("group: []", 'there is no field "group"'),
        ("groups: {a: b}", "groups: a list is wanted"),
        ("groups: [{name: g}, {name: g}]", 'two groups "g"'),
        ("groups: [{rules: []}]", "name: a text is wanted"),
        ("groups: [{name: g, limit: -5}]", 'group "g": limit: a number from 0'),
        ("groups: [{name: g, query_offset: later}]", 'group "g": query_offset: .*later'),
        (of_rule("record: 'a:b', expr: up, for: 5m"), 'record "a:b": a recording rule has no for'),
        (of_rule("record: 'a:b', expr: up, annotations: {a: b}"), "has no annotations"),
        (of_rule("record: 'up{}', expr: up"), 'record "up{}": record: up{} has braces'),
        (of_rule("record: a, expr: up, labels: {a-b: c}"), 'record "a": labels: "a-b" is no name'),
        (of_rule("record: a, expr: up, labels: {__name__: c}"), '"__name__" is no name'),
        (of_rule("record: a, expr: 'up[5m]'"), 'record "a": query: it gives a range vector'),
        (of_rule("record: a, alert: a, expr: up"), "rule 1: it must have either alert or record"),
        (of_rule("expr: up"), "rule 1: it must have either alert or record"),
        (
            of_rule("record: a, expr: up") + "  - {record: a, expr: up}",
            'record "a": the group has this rule twice',
        ),
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


def test_recording_rules_are_loaded_and_changed_beside_the_alerting_ones(
    migrated_database_url: str, pool: Pool
) -> None:
    store = RecordingRules(pool=pool)
    first = parse_groups(RECORDING)[0].recording

    def load_again(rules: list[RecordingRule]) -> Loaded:
        return load_recordings(store, "a.yml", rules, SYSTEM)

    assert load_again(first) == Loaded(made=2, changed=0, deleted=0, same=0)
    assert load_again(first) == Loaded(made=0, changed=0, deleted=0, same=2)
    before = [one.rule for one in store.read_all()]
    assert [replace(one, id=0, revision=0) for one in before] == first

    changed = load_again([replace(first[0], query="count(up)")])

    assert changed == Loaded(made=0, changed=1, deleted=1, same=0)
    (after,) = store.read_all()
    assert (after.rule.id, after.rule.query) == (before[0].id, "count(up)")
    assert after.rule.revision > before[0].revision


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

    assert (checked.exit_code, checked.output) == (
        0,
        f"{good}: 3 alerting rules, 0 recording rules\n",
    )
    assert refused.exit_code == 2
    assert "b.yml: groups: a list is wanted" in refused.output
    assert loaded.output == f"{good}: 3 made, 0 changed, 0 deleted, 0 as before\n"
    assert [one.rule.channels for one in store.read_all()] == [(MAIL,)] * 3


def grow(first: str, link: str) -> str:
    """Return lines of which each holds the one before ten times: the last stands for 10^20."""
    lines = [link.format(at, ", ".join([f"*x{at - 1}"] * 10)) for at in range(1, 21)]
    return "\n".join([first, *lines])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (grow("x: &x0 {a: b}", "x{0}: &x{0} {{<<: [{1}]}}"), "copy more than 100000 fields"),
        (
            grow("groups:\n- name: a\n  limit:\n  - &x0 [a]", "  - &x{0} [{1}]"),
            "a number from 0 is wanted, not a list or a mapping",
        ),
    ],
)
def test_a_short_file_that_stands_for_billions_is_refused_at_once(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse_rule_file(text, file="bomb.yml", parser=PARSER, interval_ms=10_000)


def test_a_map_takes_over_what_another_says() -> None:
    text = """
groups:
- name: a
  rules:
  - alert: One
    expr: up == 0
    labels: &common {team: infra, page: yes}
  - alert: Two
    expr: up == 0
    labels: {<<: [*common, *common], page: no}
"""
    (group,) = parse_rule_file(text, file="f.yml", parser=PARSER, interval_ms=10_000)
    assert [dict(rule.labels) for rule in group.rules] == [
        {"team": "infra", "page": "yes"},
        {"team": "infra", "page": "no"},
    ]
