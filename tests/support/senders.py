"""Senders that keep what was acknowledged, and the comparison with what is stored."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import requests

from tests.support.servers import wait_until
from tests.support.wire import HEADERS, compress, write_request

BATCH = 50
METRIC = "acknowledged_total"
NOT_NOW = 503
"""Any other refusal is kept in `Sender.refused`."""
Times = list[int]


class Product(Protocol):
    """What the comparison needs of a running product."""

    def ask(self, query: str) -> list[dict[str, Any]]: ...

    def read_stored(self, metric: str) -> np.ndarray: ...


@dataclass(frozen=True)
class Tally:
    """Samples: acknowledged, stored (rows), acknowledged and not found, stored once more."""

    acknowledged: int
    stored: int
    lost: int
    double: int


class Sender(threading.Thread):
    """Sends batches of one series, each sample once, and keeps what was acknowledged.

    Args:
        base: the address of the API.
        name: the series' label.
        first_ms: the first sample's time; each further one is a millisecond later.
        as_json: over the JSON API instead of remote write.
        headers: sent with every request.
        metric: the metric's name.
        repeat: send the same batch again, under the same request id, until it is acknowledged.
    """

    def __init__(
        self,
        base: str,
        name: str,
        first_ms: int,
        *,
        as_json: bool,
        headers: Mapping[str, str] | None = None,
        metric: str = METRIC,
        repeat: bool = False,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._base, self._as_json, self.metric = base, as_json, metric
        self._headers = dict(headers or {})
        self._repeat = repeat
        self._next_ms = first_ms
        self._go, self._idle, self._end = threading.Event(), threading.Event(), threading.Event()
        self.acknowledged: Times = []
        self.latencies_s: list[float] = []
        self.sent: Times = []
        self.refused: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.unanswered = 0
        self.without_retry_after = 0

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
        while not self._try(session, times) and self._repeat and not self._end.is_set():
            self._end.wait(0.02)

    def _try(self, session: requests.Session, times: Times) -> bool:
        """Return whether the batch was acknowledged."""
        begin = time.monotonic()
        try:
            answer = self._post(session, times)
        except requests.RequestException:
            self.unanswered += 1
            self._end.wait(0.02)  # It is down; ask again soon.
            return False
        self.statuses[answer.status_code] += 1
        if answer.status_code in (202, 204):
            self.acknowledged += times
            self.latencies_s.append(time.monotonic() - begin)
            return True
        if answer.status_code != NOT_NOW:
            self.refused.append(f"{answer.status_code}: {answer.text[:500]}")
        elif "Retry-After" not in answer.headers:
            self.without_retry_after += 1
        return False

    def _post(self, session: requests.Session, times: Times) -> requests.Response:
        headers = {**self._headers, "X-Request-ID": f"{self.name}-{times[0]}"}
        if self._as_json:
            tags = {"sender": self.name}
            points = [
                {"name": self.metric, "tags": tags, "timestamp": at, "value": value_of(at)}
                for at in times
            ]
            url = f"{self._base}/api/v1/metrics"
            return session.post(url, json=points, headers=headers, timeout=60)
        labels = {"__name__": self.metric, "sender": self.name}
        body = compress(write_request([(labels, [(at, value_of(at)) for at in times])]))
        url = f"{self._base}/prometheus/api/v1/write"
        return session.post(url, data=body, headers={**headers, **HEADERS}, timeout=60)


def value_of(time_ms: int) -> float:
    """Return the one value that a sample of this time has."""
    return float(time_ms % 1_000_003)


def ingest_until(senders: Sequence[Sender], more: int) -> None:
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


def tally(product: Product, senders: Sequence[Sender], metric: str, fresh: str) -> Tally:
    """Compare what was acknowledged with what queries answer and with the rows.

    Args:
        product: where to look.
        senders: all who sent this metric.
        metric: its name.
        fresh: a text used in no earlier query, so that no cache answers.
    """
    query = f'{metric}{{fresh!="{fresh}"}}[2h]'
    found = {
        series["metric"]["sender"]: {round(float(at) * 1000) for at, _ in series["values"]}
        for series in product.ask(query)
    }
    stored = product.read_stored(metric)
    assert np.array_equal(stored["value"], stored["time_ms"] % 1_000_003)
    lost = sum(len(set(one.acknowledged) - found.get(one.name, set())) for one in senders)
    return Tally(
        acknowledged=sum(len(one.acknowledged) for one in senders),
        stored=len(stored),
        lost=lost,
        double=len(stored) - sum(map(len, found.values())),
    )


def settle(
    product: Product,
    senders: Sequence[Sender],
    metric: str,
    *,
    timeout_s: float = 60,
    may_double: bool = False,
) -> Tally:
    """Wait until the queue has run dry, and return the last comparison.

    A sample that is lost or double stays so: then the wait ends with those counts. Requests that
    were sent again on purpose may leave double rows (may_double).
    """
    end = time.monotonic() + timeout_s
    while True:
        found = tally(product, senders, metric, str(time.monotonic_ns()))
        if (found.lost == 0 and (may_double or found.double == 0)) or time.monotonic() > end:
            return found
        time.sleep(0.2)


def check_exactly_once(product: Product, senders: Sequence[Sender]) -> None:
    """Let the senders pause; fail unless all that was acknowledged is stored, and stored once."""
    found = settle_paused(product, senders)
    assert found.acknowledged > 0
    assert (found.lost, found.double) == (0, 0), found


def settle_paused(
    product: Product, senders: Sequence[Sender], *, may_double: bool = False
) -> Tally:
    """Let the senders pause, and return the comparison once the queue has run dry."""
    for sender in senders:
        sender.pause()
    assert [sender.refused for sender in senders] == [[] for _ in senders]
    return settle(product, senders, senders[0].metric, may_double=may_double)


def take_percentiles_s(senders: Sequence[Sender], *percents: float) -> list[float]:
    """Let the senders pause; return percentiles of the acknowledgements since the last call.

    Returns:
        Seconds, one for each of percents.
    """
    for sender in senders:
        sender.pause()
    times_s = np.concatenate([sender.latencies_s for sender in senders])
    for sender in senders:
        sender.latencies_s.clear()
    return [float(found) for found in np.percentile(times_s, percents)]
