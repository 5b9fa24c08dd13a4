"""A watched folder of rule files: loaded on change, and robust against what is on its way."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from tidegauge.alerts.rule_folder import PREFIX, RuleFolder
from tidegauge.config import AlertsConfig, Config, DatabaseConfig
from tidegauge.errors import Unavailable
from tidegauge.observability.health import Status
from tidegauge.observability.logs import make_logger
from tidegauge.observability.meters import Meters
from tidegauge.query.parsing import QueryParser
from tidegauge.services.parts import Tools, open_storage_parts
from tidegauge.services.rule_folder import WatchedRules
from tidegauge.storage.alert_rules import AlertRules
from tidegauge.storage.pool import Pool
from tidegauge.storage.recording_rules import RecordingRules

from tests.support.alerts import ENTRY, make_rule

HEAD = "groups:\n- name: g\n  rules:\n"
HOT = "  - {alert: Hot, expr: heat > 5}\n"
COLD = "  - {alert: Cold, expr: heat < 1}\n"
RECORD = "  - {record: twice, expr: heat * 2}\n"


class Bench:
    """A folder and what is in the database."""

    def __init__(self, folder: Path, pool: Pool) -> None:
        self.path, self.log = folder, io.BytesIO()
        self.rules, self.recordings = AlertRules(pool=pool), RecordingRules(pool=pool)
        self.folder = RuleFolder(
            folder=folder,
            rules=self.rules,
            recordings=self.recordings,
            parser=QueryParser(max_depth=100),
            interval_ms=10_000,
            clock_ms=lambda: 1000,
            log=make_logger(self.log, level="info", service="e", clock_ms=lambda: 0),
        )

    def write(self, text: str, name: str = "a.yml") -> None:
        (self.path / name).write_text(text)

    def look(self, times: int = 1) -> list[str]:
        """Look so often; return the names of the rules that are there then."""
        for _ in range(times):
            self.folder.scan()
        found = [one.rule.name for one in self.rules.read_all() if one.rule.origin is not None]
        return sorted(found + [one.rule.record for one in self.recordings.read_all()])

    def told(self) -> list[str]:
        return [str(orjson.loads(line)["message"]) for line in self.log.getvalue().splitlines()]


@pytest.fixture
def pool(migrated_database_url: str) -> Iterator[Pool]:
    opened = Pool.from_config(DatabaseConfig(), url=migrated_database_url)
    yield opened
    opened.close()


@pytest.fixture
def bench(tmp_path: Path, pool: Pool) -> Bench:
    folder = tmp_path / "rules"
    folder.mkdir()
    return Bench(folder, pool)


def test_a_new_file_is_loaded_at_the_first_look(bench: Bench) -> None:
    bench.write(HEAD + HOT + RECORD)
    bench.write(HEAD + COLD, "b.yaml")
    bench.write("no: rules", "notes.txt")
    bench.write("half a file", ".a.yml.swp.yml")

    assert bench.look() == ["Cold", "Hot", "twice"]
    assert {one.rule.origin.file for one in bench.rules.read_all() if one.rule.origin} == {
        f"{PREFIX}a.yml",
        f"{PREFIX}b.yaml",
    }
    assert [one.rule.channels for one in bench.rules.read_all()] == [(), ()]


def test_a_change_is_loaded_when_two_looks_find_the_same(bench: Bench) -> None:
    bench.write(HEAD + HOT)
    bench.look()
    bench.write(HEAD + HOT + COLD)

    assert bench.look() == ["Hot"]
    assert bench.look() == ["Cold", "Hot"]


def test_a_file_that_is_being_written_ends_no_rule(bench: Bench) -> None:
    whole = HEAD + HOT + COLD
    bench.write(whole)
    bench.look(2)

    for text in ("", HEAD, HEAD + HOT, HEAD + HOT + COLD[:9]):
        bench.write(text)
        assert bench.look() == ["Cold", "Hot"]
    bench.write(whole)

    assert bench.look(2) == ["Cold", "Hot"]
    assert [one.rule.revision for one in bench.rules.read_all()] == sorted(
        one.rule.revision for one in bench.rules.read_all()
    )
    assert bench.told().count("rule file loaded") == 1


def test_a_faulty_file_leaves_its_rules_as_they_were_and_is_told_once(bench: Bench) -> None:
    bench.write(HEAD + HOT)
    bench.write(HEAD + COLD, "b.yml")
    bench.look()
    bench.write(HEAD + "  - {alert: Hot, expr: heat >}\n")

    assert bench.look(3) == ["Cold", "Hot"]
    assert list(bench.folder.faults) == [f"{PREFIX}a.yml"]
    assert "parse error" in bench.folder.faults[f"{PREFIX}a.yml"]
    assert bench.told().count("rule file cannot be loaded") == 1

    bench.write(HEAD + HOT + RECORD)
    assert bench.look(2) == ["Cold", "Hot", "twice"]
    assert bench.folder.faults == {}


@pytest.mark.parametrize("content", [b"\xff\xfe", b"groups: [" * 9, b"\n", b"x" * 5_000_000])
def test_no_content_breaks_the_look(bench: Bench, content: bytes) -> None:
    (bench.path / "a.yml").write_bytes(content)
    bench.write(HEAD + COLD, "b.yml")

    assert bench.look() == ["Cold"]
    assert list(bench.folder.faults) == [f"{PREFIX}a.yml"]


def test_the_rules_of_a_file_end_when_two_looks_do_not_find_it(bench: Bench) -> None:
    bench.write(HEAD + HOT + RECORD)
    bench.look()
    (bench.path / "a.yml").unlink()

    assert bench.look() == ["Hot", "twice"]
    assert bench.look() == []


def test_a_file_that_is_back_at_the_next_look_was_never_gone(bench: Bench) -> None:
    bench.write(HEAD + HOT)
    bench.look()
    for _ in range(3):
        (bench.path / "a.yml").unlink()
        assert bench.look() == ["Hot"]
        bench.write(HEAD + HOT)
        assert bench.look() == ["Hot"]

    assert bench.told() == ["rule file loaded"]


def test_links_may_be_swapped_as_kubernetes_does(bench: Bench, tmp_path: Path) -> None:
    for version, rules in (("..1", HOT), ("..2", HOT + COLD)):
        (bench.path / version).mkdir()
        (bench.path / version / "a.yml").write_text(HEAD + rules)
    (bench.path / "..data").symlink_to("..1")
    (bench.path / "a.yml").symlink_to("..data/a.yml")
    assert bench.look() == ["Hot"]

    (bench.path / "..data").unlink()
    assert bench.look(3) == ["Hot"]
    (bench.path / "..data").symlink_to("..2")

    assert bench.look(2) == ["Cold", "Hot"]
    assert bench.folder.faults == {}


def test_a_folder_that_is_away_ends_nothing(bench: Bench) -> None:
    bench.write(HEAD + HOT)
    bench.look()
    away = bench.path.rename(bench.path.with_name("away"))

    assert bench.look(3) == ["Hot"]
    assert "cannot be read" in bench.folder.faults[""]

    away.rename(bench.path)
    assert bench.look() == ["Hot"]
    assert bench.folder.faults == {}


def test_a_folder_without_files_ends_all_of_its_rules_and_no_others(bench: Bench) -> None:
    bench.write(HEAD + HOT)
    bench.look()
    bench.rules.add(make_rule(name="made by the API"), ENTRY)
    (bench.path / "a.yml").unlink()

    assert bench.look(2) == []
    assert [one.rule.name for one in bench.rules.read_all()] == ["made by the API"]


def test_another_evaluator_finds_done_what_one_has_loaded(bench: Bench, pool: Pool) -> None:
    bench.write(HEAD + HOT)
    bench.look()
    other = Bench(bench.path, pool)
    before = [one.rule for one in bench.rules.read_all()]

    assert other.look(3) == ["Hot"]
    assert [one.rule for one in other.rules.read_all()] == before
    assert other.told() == []

    (bench.path / "a.yml").unlink()
    third = Bench(bench.path, pool)
    assert third.look() == ["Hot"]
    assert third.look() == []


def test_what_could_not_be_loaded_while_the_database_was_away_is_loaded_later(
    bench: Bench, pool: Pool
) -> None:
    bench.write(HEAD + HOT)
    pool.close()

    with pytest.raises(Unavailable):
        bench.folder.scan()

    assert bench.folder.faults == {}


def test_only_the_evaluator_that_leads_looks_and_health_names_the_faults(
    migrated_database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "a.yml").write_text("groups: x")
    config = Config(
        database=DatabaseConfig(url=migrated_database_url),
        alerts=AlertsConfig(rules_dir=str(tmp_path)),
    )
    tools = Tools(log=make_logger(io.BytesIO(), level="info", service="e", clock_ms=lambda: 0))
    storage = open_storage_parts(config, tools, application_name="test")
    meters = Meters()
    assert storage.alerts is not None
    watched = WatchedRules(
        config=config,
        tables=storage.alerts,
        tools=tools,
        meters=meters.alerts,
        leads=lambda: True,
    )

    before = watched.check().status
    watched.look()
    after = watched.check()
    storage.close()

    assert (before, after.status) == (Status.HEALTHY, Status.DEGRADED)
    assert f"{PREFIX}a.yml" in str(after.fields)
    assert meters.alerts.faulty_files._value.get() == 1
