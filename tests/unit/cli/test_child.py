"""A process under the supervisor: output in a file, an orderly end, a log that does not grow."""

from __future__ import annotations

from pathlib import Path

import pytest
from tidegauge.cli.child import Child

from tests.support.product import clean_environment
from tests.support.servers import wait_until


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "child.log"


def test_output_goes_to_the_log(log: Path) -> None:
    child = Child(["version"], environment=clean_environment(), log=log)

    child.start()
    wait_until(lambda: child.poll() is not None, timeout_s=30, what="it ends")

    assert child.poll() == 0
    assert child.read_last_output().startswith("tidegauge ")


def test_only_the_end_of_a_long_log_is_shown(log: Path) -> None:
    log.write_text("old\n" * 1000 + "the last words\n")
    child = Child([], environment={}, log=log)

    assert child.read_last_output(20) == "old\nthe last words"


def test_environment_is_the_one_that_was_given(log: Path) -> None:
    environment = clean_environment(TIDEGAUGE_PORT="4444")
    child = Child(["config"], environment=environment, log=log)

    child.start()
    wait_until(lambda: child.poll() is not None, timeout_s=30, what="it ends")

    assert "TIDEGAUGE_PORT=4444\n" in log.read_text()


def test_stop_of_a_child_that_never_started_does_nothing(log: Path) -> None:
    child = Child(["version"], environment={}, log=log)

    child.stop(1)

    assert child.pid is None


def test_large_log_is_put_aside_and_appended_to_from_the_start(log: Path) -> None:
    child = Child([], environment={}, log=log)
    with log.open("ab") as writer:
        writer.write(b"x" * (16 * 1024 * 1024 + 1))
        writer.flush()

        child.rotate_log()
        writer.write(b"after\n")

    assert log.read_bytes() == b"after\n"
    assert log.with_name("child.log.1").stat().st_size == 16 * 1024 * 1024 + 1


def test_small_log_stays(log: Path) -> None:
    log.write_bytes(b"short\n")

    Child([], environment={}, log=log).rotate_log()

    assert log.read_bytes() == b"short\n"
    assert not log.with_name("child.log.1").exists()
