"""What an operator watches of the database: its widest metrics, its size, its disk."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from tidegauge.config import Config, DatabaseConfig
from tidegauge.observability.meters import Meters
from tidegauge.services.parts import Tools
from tidegauge.services.upkeep import Sizes
from tidegauge.storage.pool import Pool
from tidegauge.storage.upkeep import Upkeep, find_disk

from tests.contracts.storage_kit import postgres_kit, series
from tests.support.servers import wait_until

pytestmark = pytest.mark.services

WIDTHS = {"narrow": 1, "widest": 5, "wide": 3}


@pytest.fixture
def upkeep(migrated_database_url: str) -> Iterator[Upkeep]:
    kit = postgres_kit(migrated_database_url)
    kit.catalogue.register_series(
        [series(name, number=str(n)) for name, count in WIDTHS.items() for n in range(count)]
    )
    kit.close()
    pool = Pool.from_config(DatabaseConfig(), url=migrated_database_url)
    yield Upkeep(pool=pool)
    pool.close()


def test_the_widest_metrics_come_first_and_no_more_than_asked(upkeep: Upkeep) -> None:
    assert list(upkeep.read_largest_metrics(2).items()) == [("widest", 5), ("wide", 3)]
    assert upkeep.read_largest_metrics(9) == WIDTHS


def test_the_size_is_that_of_the_whole_database(upkeep: Upkeep) -> None:
    # An empty one has its system tables.
    assert upkeep.read_size_bytes() > 1_000_000


def make_cluster(data_dir: Path, sockets: str) -> None:
    (data_dir / "postgres").mkdir()
    lines = ["1234", str(data_dir / "postgres"), "1700000000", "5432", sockets, "", "ready"]
    (data_dir / "postgres/postmaster.pid").write_text("\n".join(lines), encoding="utf-8")


def test_the_disk_of_our_own_postgresql_is_known(tmp_path: Path) -> None:
    make_cluster(tmp_path, "/run/ours")

    size, free = find_disk(str(tmp_path), "postgresql://tidegauge@/tidegauge?host=%2Frun%2Fours")

    assert 0 < free <= size


@pytest.mark.parametrize(
    "url", ["postgresql://db.example.org/tidegauge", "postgresql:///t?host=%2Frun%2Fother"]
)
def test_the_disk_of_any_other_is_not_known(tmp_path: Path, url: str) -> None:
    make_cluster(tmp_path, "/run/ours")

    assert find_disk(str(tmp_path), url) == (0, 0)
    assert find_disk(str(tmp_path / "nothing"), url) == (0, 0)


def test_only_an_evaluator_that_leads_shows_what_there_is(upkeep: Upkeep) -> None:
    meters, stop, leads = Meters(), threading.Event(), threading.Event()
    tools = Tools(log=structlog.get_logger())
    sizes = Sizes(upkeep=upkeep, config=Config(), tools=tools, meters=meters, leads=leads.is_set)

    def shown() -> tuple[dict[str, float], bool]:
        figures = meters.figures()
        return figures.by_label("metric_series", "metric"), bool(
            figures.total("database_size_bytes")
        )

    thread = threading.Thread(target=sizes.run, args=(stop,))
    thread.start()
    try:
        assert shown() == ({}, False)
        leads.set()
        wait_until(lambda: shown() == (WIDTHS, True), timeout_s=30, what="the leader shows them")
        leads.clear()
        wait_until(lambda: shown() == ({}, False), timeout_s=30, what="a standby shows none")
    finally:
        stop.set()
        thread.join()
