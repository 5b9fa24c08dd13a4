"""A process has a name that its successor gets again."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest
from tidegauge.observability.process_slot import ProcessSlot

KILLED = """
import os, signal, sys
from tidegauge.observability.process_slot import ProcessSlot
slot = ProcessSlot("api", scope=sys.argv[1])
print(slot.claim(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def scope() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def slots(scope: str) -> Iterator[list[ProcessSlot]]:
    made = [ProcessSlot("api", scope=scope) for _ in range(3)]
    yield made
    for one in made:
        one.close()


def test_each_has_its_own_and_one_given_back_is_taken_again(slots: list[ProcessSlot]) -> None:
    first, second, third = slots
    assert [first.claim(), second.claim()] == ["api-0", "api-1"]

    first.close()

    assert third.claim() == "api-0"


def test_services_and_installations_are_counted_apart(slots: list[ProcessSlot], scope: str) -> None:
    slots[0].claim()
    worker, elsewhere = ProcessSlot("worker", scope=scope), ProcessSlot("api", scope=scope + "x")

    try:
        assert (worker.claim(), elsewhere.claim()) == ("worker-0", "api-0")
    finally:
        worker.close()
        elsewhere.close()


def test_the_name_of_a_killed_process_is_free(slots: list[ProcessSlot], scope: str) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, scope], capture_output=True, text=True, timeout=60
    )

    assert killed.stdout.strip() == "api-0"
    assert slots[0].claim() == "api-0"
