"""The shipped rules: each has its runbook, asks for what there is, and is loaded as wanted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tidegauge.alerts.loading import Loaded
from tidegauge.alerts.shipped import FILE, load_shipped_rules, read_shipped_rules
from tidegauge.auth.actor import SYSTEM
from tidegauge.cli import main
from tidegauge.config import AlertsConfig, Config, DatabaseConfig, TraceConfig
from tidegauge.errors import ConfigError
from tidegauge.model.alerts import AlertRule
from tidegauge.observability.meters import Meters
from tidegauge.query.parsing import QueryParser
from tidegauge.services.shipped_rules import choose_shipped_rules
from tidegauge.storage.alert_rules import AlertRules
from tidegauge.storage.pool import Pool

from tests.support.alerts import ENTRY, MAIL, make_rule

PARSER = QueryParser(max_depth=100)
RULES = read_shipped_rules(parser=PARSER)
_OWN_METRIC = re.compile(r'([a-z_]+)\{job="tidegauge"')
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def store(migrated_database_url: str) -> Iterator[AlertRules]:
    pool = Pool.from_config(DatabaseConfig(), url=migrated_database_url)
    yield AlertRules(pool=pool)
    pool.close()


def load(store: AlertRules, wanted: list[AlertRule], **how: tuple[dict[str, str], ...]) -> Loaded:
    return load_shipped_rules(store, wanted, SYSTEM, clock_ms=lambda: 1000, **how)


def channels_of(store: AlertRules) -> dict[str, tuple[object, ...]]:
    return {one.rule.name: one.rule.channels for one in store.read_all()}


def test_every_rule_has_its_page_and_every_page_its_rule(repository: Path) -> None:
    folder = repository / "docs/runbooks"
    index = (folder / "index.md").read_text(encoding="utf-8")

    pages = {path.stem for path in folder.glob("*.md")} - {"index"}

    assert pages == {rule.name for rule in RULES}
    assert set(re.findall(r"^\| \[(\w+)\]\(\1\.md\)", index, re.MULTILINE)) == pages
    for rule in RULES:
        assert rule.annotations["runbook_url"] == f"docs/runbooks/{rule.name}.md"
        assert {"summary", "description"} <= set(rule.annotations)


def test_every_page_says_what_to_look_at_what_to_do_and_when_it_is_harmless(
    repository: Path,
) -> None:
    for rule in RULES:
        text = (repository / f"docs/runbooks/{rule.name}.md").read_text(encoding="utf-8")
        assert re.findall(r"^#+ (.*)$", text, re.MULTILINE) == [
            rule.name,
            "Look at",
            "Do",
            "When it is harmless",
        ]


def find_queries(repository: Path) -> list[str]:
    pages = [path.read_text(encoding="utf-8") for path in repository.glob("docs/runbooks/T*.md")]
    blocks = [found for page in pages for found in _BLOCK.findall(page)]
    return [line for language, block in blocks if not language for line in block.splitlines()]


def test_the_queries_of_the_pages_can_be_asked(repository: Path) -> None:
    queries = find_queries(repository)

    for query in queries:
        PARSER.parse(query)
    assert len(queries) > 30


def test_rules_and_pages_ask_for_metrics_that_there_are(repository: Path) -> None:
    exported = set(re.findall(r"^# TYPE (\w+) ", Meters().render().decode(), re.MULTILINE))
    texts = [rule.query for rule in RULES] + find_queries(repository)

    asked = {name for text in texts for name in _OWN_METRIC.findall(text)}

    assert len(asked) > 20
    assert {re.sub("_(bucket|sum)$", "", name) for name in asked} <= exported


def test_only_the_watchdog_asks_for_nothing_of_ours() -> None:
    assert [one.name for one in RULES if not _OWN_METRIC.search(one.query)] == ["Watchdog"]


def test_loading_again_changes_nothing_and_what_is_left_out_goes(store: AlertRules) -> None:
    store.add(make_rule(), ENTRY)

    assert load(store, RULES) == Loaded(len(RULES), 0, 0, 0)
    assert load(store, RULES) == Loaded(0, 0, 0, len(RULES))
    assert load(store, RULES[1:]) == Loaded(0, 0, 1, len(RULES) - 1)
    assert load(store, []) == Loaded(0, 0, len(RULES) - 1, 0)

    assert list(channels_of(store)) == ["hot"]


def test_whom_they_tell_stays_and_the_watchdog_tells_nobody(store: AlertRules) -> None:
    load(store, RULES[:5])
    load(store, RULES[:5], channels=(MAIL,))

    # An upgrade brings another rule.
    load(store, RULES[:6])

    assert channels_of(store) == {
        rule.name: () if rule.name == "Watchdog" else (MAIL,) for rule in RULES[:6]
    }


def test_the_command_says_whom_they_tell(
    store: AlertRules, migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", migrated_database_url)
    load(store, RULES)

    done = CliRunner().invoke(
        main, ["rules", "load", "--shipped", "--email", MAIL["target"]], catch_exceptions=False
    )

    changed = len(RULES) - 1
    assert done.output == f"{FILE}: 0 made, {changed} changed, 0 deleted, 1 as before\n"
    assert channels_of(store)["TidegaugeQueueDeep"] == (MAIL,)


@pytest.mark.parametrize("arguments", [[], ["--shipped", __file__]])
def test_the_command_wants_either_files_or_the_shipped_ones(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere/x")

    done = CliRunner().invoke(main, ["rules", "load", *arguments])

    assert done.exit_code == 2
    assert "--shipped" in done.output


def choose(**alerts: str) -> list[str]:
    return [rule.name for rule in choose_shipped_rules(Config(alerts=AlertsConfig(**alerts)))]


def test_settings_leave_some_or_all_of_them_out() -> None:
    every = [rule.name for rule in RULES]

    assert choose() == every
    assert choose(shipped_rules="off") == []
    assert choose(shipped_rules_off=f"{every[3]}, {every[0]},") == [*every[1:3], *every[4:]]
    with pytest.raises(ConfigError, match=r'TIDEGAUGE_SHIPPED_RULES_OFF: .* "TidegaugeQueueDep"'):
        choose(shipped_rules_off="TidegaugeQueueDep")


def test_the_pages_are_where_the_settings_say() -> None:
    config = Config(alerts=AlertsConfig(runbooks_url="https://wiki.example.org/t/"))

    first = choose_shipped_rules(config)[0]

    assert first.annotations["runbook_url"] == "https://wiki.example.org/t/Watchdog.md"
    assert first.annotations["summary"] == RULES[0].annotations["summary"]


def test_without_own_metrics_there_are_no_rules_about_them() -> None:
    assert choose_shipped_rules(Config(trace=TraceConfig(own_metrics_s=0))) == []
