"""kill -9 in the middle of ingestion: what was acknowledged is stored, and stored once."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator

import numpy as np
import pytest

from tests.support.product import Up, parent_of
from tests.support.senders import BATCH, METRIC, Sender, ingest_until
from tests.support.servers import wait_until

pytestmark = pytest.mark.timeout(900)

SEED = 20_261_124
ROUNDS_A_VICTIM = 4


@pytest.fixture
def senders(up: Up) -> Iterator[list[Sender]]:
    first_ms = time.time_ns() // 1_000_000 - 3_000_000
    made = [
        Sender(up.base, f"sender-{number}", first_ms + number * 1000, as_json=number == 0)
        for number in range(3)
    ]
    for sender in made:
        sender.start()
    yield made
    for sender in made:
        sender.end()


def check(up: Up, senders: list[Sender]) -> None:
    """Compare what was acknowledged with what is stored, in the database and as it is asked."""
    assert [sender.refused for sender in senders] == [[] for _ in senders]
    stored = up.read_stored(METRIC)
    assert np.array_equal(stored["value"], stored["time_ms"] % 1_000_003)
    by_series = {
        series["metric"]["sender"]: {round(float(at) * 1000) for at, _ in series["values"]}
        for series in up.ask(f"{METRIC}[2h]")
    }
    for sender in senders:
        asked = by_series[sender.name]
        lost = set(sender.acknowledged) - asked
        assert not lost, f"{len(lost)} acknowledged samples of {sender.name} are lost"
        assert asked <= set(sender.sent)
    assert len(stored) == sum(len(times) for times in by_series.values()), "stored more than once"


def kill(up: Up, victim: str) -> None:
    """Kill a part, and bring the product back if it does not come back by itself."""
    pids = up.family() if victim == "everything" else None
    if pids is None:
        pids = [up.pid if victim == "supervisor" else up.part(victim)]
    for pid in pids:
        # Some end by themselves when those before them are gone.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if up.pid in pids:
        assert up.process is not None
        up.process.wait(10)
        up.start()
    else:
        wait_until(lambda: not parent_of(pids[0]), timeout_s=10, what=f"{victim} dies")
    up.wait_ready()


@pytest.mark.parametrize("victim", ["worker", "api", "postgres", "supervisor", "everything"])
def test_kill_9_at_random_points_loses_nothing_acknowledged(
    up: Up, senders: list[Sender], victim: str
) -> None:
    rng = random.Random(f"{SEED} {victim}")
    for _ in range(ROUNDS_A_VICTIM):
        ingest_until(senders, rng.randrange(1, 40) * BATCH)
        kill(up, victim)
        ingest_until(senders, BATCH)
        for sender in senders:
            sender.pause()
        check(up, senders)


def test_orderly_stop_in_the_middle_of_ingestion_loses_nothing(
    up: Up, senders: list[Sender]
) -> None:
    for _ in range(3):
        ingest_until(senders, 10 * BATCH)

        assert up.stop() == 0, up.output

        up.start()
        for sender in senders:
            sender.pause()
        check(up, senders)
