"""What rules give is held while the queue is away, within bounds, and sent under the lease."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import structlog
from tidegauge.alerts import results
from tidegauge.alerts.results import Results, Samples, make_samples
from tidegauge.errors import InvalidInput, TidegaugeError, Unavailable
from tidegauge.model.labels import Labels
from tidegauge.model.stale import is_stale
from tidegauge.observability.meters import Meters
from tidegauge.storage.alert_lease import LeaseLost


class Site:
    """A queue, a lease and a clock that a test moves."""

    def __init__(self) -> None:
        self.fault: TidegaugeError | None = None
        self.now_s, self.token = 100.0, 7
        self.taken: list[int] = []
        self.tries = 0
        self.meters = Meters()
        self.results = Results(
            store=self.store,
            holding=self.holding,
            meters=self.meters.alerts,
            monotonic=lambda: self.now_s,
            log=structlog.get_logger(),
        )

    def store(
        self,
        labels: Sequence[Labels],
        times_ms: np.ndarray,
        values: np.ndarray,
        *,
        timeout_s: float,
    ) -> Sequence[str]:
        self.tries += 1
        if self.fault is not None:
            raise self.fault
        self.taken += times_ms.tolist()
        return ()

    @contextlib.contextmanager
    def holding(self, token: int) -> Iterator[None]:
        if token != self.token:
            raise LeaseLost("it is another's")
        yield

    def lost(self) -> float:
        return self.meters.figures().total("alert_results_lost_total")


@pytest.fixture
def site() -> Site:
    return Site()


def samples(time_ms: int, count: int = 1) -> Samples:
    return make_samples({(("host", str(n)),): 1.0 for n in range(count)}, (), time_ms)


def test_what_is_no_more_ends_with_a_stale_marker() -> None:
    made = make_samples({(("a", "1"),): 3.0}, [(("a", "1"),), (("a", "2"),)], 5)

    assert list(made.labels) == [(("a", "1"),), (("a", "2"),)]
    assert (made.values[0], is_stale(made.values).tolist()) == (3.0, [False, True])


def test_a_queue_that_is_away_is_not_asked_again_at_once(site: Site) -> None:
    site.fault = Unavailable("away")
    for time_ms in range(10):
        site.results.add(samples(time_ms))
        site.results.send(7)
    assert site.tries == 1

    site.fault = None
    site.now_s += results.PAUSE_S
    site.results.send(7)

    assert site.taken == list(range(10))


def test_what_waits_is_bounded_and_the_oldest_is_given_up(site: Site) -> None:
    site.fault = Unavailable("away")
    half = results.MAX_HELD_SAMPLES // 2
    for time_ms in range(4):
        site.results.add(samples(time_ms, half))
        site.results.send(7)

    site.fault = None
    site.now_s += results.PAUSE_S
    site.results.send(7)

    assert sorted(set(site.taken)) == [2, 3]
    assert site.lost() == 2 * half


def test_much_is_sent_in_batches(site: Site) -> None:
    for time_ms in range(3):
        site.results.add(samples(time_ms, results.MAX_SENT_SAMPLES // 2))

    site.results.send(7)

    assert (site.tries, len(site.taken)) == (2, 3 * results.MAX_SENT_SAMPLES // 2)


def test_what_can_never_be_stored_is_not_sent_again(site: Site) -> None:
    site.fault = InvalidInput("no")
    site.results.add(samples(1, 3))
    site.results.send(7)
    site.fault = None
    site.results.send(7)

    assert (site.tries, site.taken, site.lost()) == (1, [], 3)


def test_without_the_lease_nothing_is_sent(site: Site) -> None:
    site.results.add(samples(1))

    with pytest.raises(LeaseLost):
        site.results.send(6)

    assert site.tries == 0


def test_what_is_forgotten_counts_as_lost(site: Site) -> None:
    site.fault = Unavailable("the queue is away")
    site.results.add(samples(1, count=3))
    site.results.send(7)

    site.results.forget()

    assert site.lost() == 3
