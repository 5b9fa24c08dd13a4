"""kill -9 in the middle of ingestion: what was acknowledged is stored, and stored once."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import requests

from tests.support.product import Up, parent_of
from tests.support.servers import wait_until
from tests.support.wire import HEADERS, compress, write_request

pytestmark = pytest.mark.timeout(900)

SEED = 20_261_124
ROUNDS_A_VICTIM = 4
BATCH = 50
METRIC = "acknowledged_total"
Times = list[int]


class Sender(threading.Thread):
    """Sends batches of one series, each sample once, and keeps what was acknowledged.

    Args:
        product: where to.
        name: the series' label.
        first_ms: the first sample's time; each further one is a millisecond later.
        as_json: over the JSON API instead of remote write.
    """

    def __init__(self, product: Up, name: str, first_ms: int, *, as_json: bool) -> None:
        super().__init__(name=name, daemon=True)
        self._product, self._as_json = product, as_json
        self._next_ms = first_ms
        self._go, self._idle, self._end = threading.Event(), threading.Event(), threading.Event()
        self.acknowledged: Times = []
        self.sent: Times = []
        self.refused: list[str] = []

    def run(self) -> None:
        with requests.Session() as session:
            while not self._end.is_set():
                if not self._go.is_set():
                    self._idle.set()
                    self._go.wait(0.05)
                    continue
                self._send_one(session)

    def resume(self) -> None:
        """Send until `pause`."""
        self._idle.clear()
        self._go.set()

    def pause(self) -> None:
        """Return once no request is under way."""
        self._go.clear()
        self._idle.clear()
        assert self._idle.wait(60), "a request hangs"

    def end(self) -> None:
        self._end.set()
        self.join(60)

    def _send_one(self, session: requests.Session) -> None:
        times = list(range(self._next_ms, self._next_ms + BATCH))
        self._next_ms += BATCH
        self.sent += times
        try:
            answer = self._post(session, times)
        except requests.RequestException:
            self._end.wait(0.02)  # It is down; ask again soon.
            return
        if answer.status_code in (202, 204):
            self.acknowledged += times
        elif answer.status_code != 503:
            self.refused.append(f"{answer.status_code}: {answer.text[:500]}")

    def _post(self, session: requests.Session, times: Times) -> requests.Response:
        base = self._product.base
        if self._as_json:
            tags = {"sender": self.name}
            points = [
                {"name": METRIC, "tags": tags, "timestamp": at, "value": value_of(at)}
                for at in times
            ]
            return session.post(f"{base}/api/v1/metrics", json=points, timeout=60)
        labels = {"__name__": METRIC, "sender": self.name}
        body = compress(write_request([(labels, [(at, value_of(at)) for at in times])]))
        url = f"{base}/prometheus/api/v1/write"
        return session.post(url, data=body, headers=HEADERS, timeout=60)


def value_of(time_ms: int) -> float:
    """Return the one value that a sample of this time has."""
    return float(time_ms % 1_000_003)


@pytest.fixture
def senders(up: Up) -> Iterator[list[Sender]]:
    first_ms = time.time_ns() // 1_000_000 - 3_000_000
    made = [
        Sender(up, f"sender-{number}", first_ms + number * 1000, as_json=number == 0)
        for number in range(3)
    ]
    for sender in made:
        sender.start()
    yield made
    for sender in made:
        sender.end()


def ingest_until(senders: list[Sender], more: int) -> None:
    """Send until each sender had so many more samples acknowledged."""
    wanted = [len(sender.acknowledged) + more for sender in senders]
    for sender in senders:
        sender.resume()
    wait_until(
        lambda: all(
            len(sender.acknowledged) >= count for sender, count in zip(senders, wanted, strict=True)
        ),
        timeout_s=120,
        every_s=0.001,
        what="samples are acknowledged",
    )


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
