"""What rules give as series: on their way into storage, in one batch a round, under the lease."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from structlog.typing import FilteringBoundLogger

from tidegauge.errors import TidegaugeError, Unavailable
from tidegauge.model.labels import Labels
from tidegauge.model.stale import STALE_NAN
from tidegauge.observability.alert_instruments import AlertInstruments

SEND_TIMEOUT_S = 1.0
# Nobody waits for a queue that is away more often than this: alerts go first.
PAUSE_S = 5.0
MAX_HELD_SAMPLES = 200_000
# What has gathered is stored bit by bit: a batch must be durable within the time.
MAX_SENT_SAMPLES = 20_000


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of one evaluation.

    Args:
        labels: the series, `__name__` included, each once.
        values: float64, shape (len(labels),).
        time_ms: the time of all of them.
    """

    labels: Sequence[Labels]
    values: np.ndarray
    time_ms: int


class Store(Protocol):
    """`IngestService.ingest_results`."""

    def __call__(
        self,
        labels: Sequence[Labels],
        times_ms: np.ndarray,
        values: np.ndarray,
        *,
        timeout_s: float,
    ) -> Sequence[str]:
        """Return once the samples are durable, with what was refused of them.

        Raises:
            Unavailable.
        """
        ...


def make_samples(found: Mapping[Labels, float], before: Iterable[Labels], time_ms: int) -> Samples:
    """Return the samples of an evaluation.

    Args:
        found: the series it gave, and their values.
        before: those that the one before gave; what is no more ends with a stale marker.
        time_ms: the time of all of them.
    """
    ended = [labels for labels in before if labels not in found]
    values = np.concatenate(
        (np.fromiter(found.values(), np.float64, len(found)), np.repeat(STALE_NAN, len(ended)))
    )
    return Samples([*found, *ended], values, time_ms)


class Results:
    """Gathers samples and stores them; for one thread.

    While the queue is away they are held, up to MAX_HELD_SAMPLES, the oldest given up first.

    Args:
        store: takes them in.
        holding: lets nobody take the lease over while its block runs, by the lease's token.
        meters: count what is lost.
        monotonic: seconds.
        log: is told of failures.
    """

    def __init__(
        self,
        *,
        store: Store,
        holding: Callable[[int], AbstractContextManager[None]],
        meters: AlertInstruments,
        monotonic: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        self._store, self._holding = store, holding
        self._meters, self._monotonic, self._log = meters, monotonic, log
        self._held: list[Samples] = []
        self._away = False
        self._again_s = 0.0

    def add(self, samples: Samples) -> None:
        """Have samples stored at the next `send`."""
        if samples.labels:
            self._held.append(samples)

    def forget(self) -> None:
        """Store nothing of what is held: another is at work."""
        self._meters.results_lost.inc(sum(len(one.labels) for one in self._held))
        self._held = []

    def send(self, token: int) -> None:
        """Store what is held, if this is still the one to do it.

        Args:
            token: of the lease under which it was made.
        Raises:
            LeaseLost: nothing was stored. Unavailable: the database does not answer.
        """
        if not self._held or (self._away and self._monotonic() < self._again_s):
            self._give_up_oldest()
            return
        with self._holding(token):
            until_s = self._monotonic() + SEND_TIMEOUT_S
            while self._held and (left_s := until_s - self._monotonic()) > 0:
                if not self._try(self._count_first(), left_s):
                    return

    def _try(self, count: int, timeout_s: float) -> bool:
        """Store so many of what is held; return whether more may be tried now."""
        first = self._held[:count]
        labels = [labels for one in first for labels in one.labels]
        times_ms = np.repeat(
            np.array([one.time_ms for one in first], np.int64), [len(one.labels) for one in first]
        )
        values = np.concatenate([one.values for one in first])
        try:
            refused = self._store(labels, times_ms, values, timeout_s=timeout_s)
        except Unavailable as exc:
            if not self._away:
                self._log.error("results of rules cannot be stored now", reason=exc.message)
            self._away, self._again_s = True, self._monotonic() + PAUSE_S
            self._give_up_oldest()
            return False
        except TidegaugeError as exc:
            # To send these again would be no use.
            refused = [exc.message] * len(labels)
        if self._away:
            self._log.info("results of rules are stored again")
        self._away, self._held = False, self._held[count:]
        if refused:
            self._meters.results_lost.inc(len(refused))
            self._log.warning("results of rules are refused", count=len(refused), first=refused[0])
        return True

    def _count_first(self) -> int:
        """Return how many of what is held make a batch of bounded size; at least one."""
        count = samples = 0
        for one in self._held:
            samples += len(one.labels)
            if count and samples > MAX_SENT_SAMPLES:
                break
            count += 1
        return count

    def _give_up_oldest(self) -> None:
        count = sum(len(one.labels) for one in self._held)
        while self._held and count > MAX_HELD_SAMPLES:
            lost = len(self._held.pop(0).labels)
            count -= lost
            self._meters.results_lost.inc(lost)
