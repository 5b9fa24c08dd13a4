"""The instruments, in one process and across several."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tidegauge.errors import ConfigError
from tidegauge.observability.meters import Meters

WORKER = """
import os
import sys
from pathlib import Path
from tidegauge.observability.meters import Meters, forget_process
folder = Path(sys.argv[1])
meters = Meters(directory=folder, queue_is_shared=len(sys.argv) > 3)
meters.ingest.request_answered(202, 0.02)
meters.queue_depth.set(3)
if sys.argv[2] == "die":
    forget_process(folder, os.getpid())
if sys.argv[2] == "show":
    sys.stdout.write(meters.render().decode())
"""


def test_the_exposition_has_the_names_that_the_dashboards_use() -> None:
    meters = Meters()
    meters.ingest.request_answered(202, 0.02)
    meters.ingest.points_accepted("json", 5)
    meters.query_requests.labels("instant", "success").inc()

    text = meters.render().decode()

    assert 'ingest_requests_total{status="202"} 1.0' in text
    assert 'ingest_points_total{protocol="json"} 5.0' in text
    assert 'query_requests_total{kind="instant",outcome="success"} 1.0' in text
    for name in (
        "ingest_batch_points",
        "ingest_latency_seconds_bucket",
        "query_latency_seconds",
        "queue_depth",
        "db_connections_active",
        "process_resident_memory_bytes",
    ):
        assert name in text


def test_two_instances_do_not_share_numbers() -> None:
    first, second = Meters(), Meters()

    first.ingest.message_dead_lettered()

    assert "ingest_messages_dead_lettered_total 0.0" in second.render().decode()


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Run one of several processes, and return what it shows."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-c", WORKER, str(tmp_path), *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout

    return run


def test_several_processes_add_up(run: Callable[..., str]) -> None:
    run("work")
    shown = run("show")

    assert 'ingest_requests_total{status="202"} 2.0' in shown
    assert "ingest_latency_seconds_count 2.0" in shown
    assert "queue_depth 6.0" in shown


def test_the_depth_of_a_queue_that_all_share_is_not_added_up(run: Callable[..., str]) -> None:
    run("work", "shared")

    assert "queue_depth 3.0" in run("show", "shared")


def test_gauges_of_a_process_that_died_are_gone_and_its_counters_stay(
    run: Callable[..., str],
) -> None:
    run("die")
    shown = run("show")

    assert "queue_depth 3.0" in shown
    assert 'ingest_requests_total{status="202"} 2.0' in shown


def test_figures_add_up_over_labels() -> None:
    meters = Meters()
    meters.ingest.points_accepted("json", 5)
    meters.ingest.points_accepted("remote_write", 7)

    figures = meters.figures()

    assert figures.total("ingest_points_total") == 12
    assert figures.total("nonsense") == 0
    assert figures.by_label("ingest_points_total", "protocol") == {"json": 5, "remote_write": 7}


def test_a_directory_that_came_too_late_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="PROMETHEUS_MULTIPROC_DIR"):
        Meters(directory=tmp_path)
