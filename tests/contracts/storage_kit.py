"""What storage tests say over and over: append these samples, select those series."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from tidegauge.config import DatabaseConfig
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.labels import Labels, make_labels
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.storage.memory import MemoryStorage
from tidegauge.storage.opening import open_storage
from tidegauge.storage.protocol import Catalogue, ReadBudget, SampleEngine, StoredBatch

NOW_MS = 1_700_000_000_000
Sample = tuple[Labels, int, float]


@dataclass
class Clock:
    """A wall clock that tests set."""

    now_ms: int = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


@dataclass
class Kit:
    """A catalogue and an engine, with the shortest way to use them."""

    catalogue: Catalogue
    engine: SampleEngine
    clock: Clock
    close: Callable[[], None] = lambda: None
    _numbers: Iterable[int] = field(default_factory=itertools.count)

    def new_id(self) -> bytes:
        return next(iter(self._numbers)).to_bytes(16, "big")

    def batch(self, *messages: Sequence[Sample], ids: Sequence[bytes] = ()) -> StoredBatch:
        """Return a batch of these messages, with all series registered."""
        samples = [sample for message in messages for sample in message]
        keys = self.catalogue.register_series(list(dict.fromkeys(one[0] for one in samples)))
        sizes = [len(message) for message in messages]
        return StoredBatch(
            message_ids=ids or [self.new_id() for _ in messages],
            message_index=np.repeat(np.arange(len(messages), dtype=np.int32), sizes),
            series_ids=np.array([keys[one[0]].series_id for one in samples], np.int32),
            metric_ids=np.array([keys[one[0]].metric_id for one in samples], np.int32),
            times_ms=np.array([one[1] for one in samples], np.int64),
            values=np.array([one[2] for one in samples], np.float64),
        )

    def append(self, *messages: Sequence[Sample], ids: Sequence[bytes] = ()) -> list[bytes]:
        """Store these messages; return the ids of those that were new."""
        return list(self.engine.append(self.batch(*messages, ids=ids)))

    def frame(self, *matchers: Matcher, start_ms: int = 0, end_ms: int = 2**50) -> SeriesFrame:
        return self.engine.select(matchers, start_ms, end_ms, plenty())

    def read(
        self, *matchers: Matcher, start_ms: int = 0, end_ms: int = 2**50
    ) -> dict[Labels, list[tuple[int, float]]]:
        """Return the samples of each series that has any."""
        frame = self.frame(*matchers, start_ms=start_ms, end_ms=end_ms)
        assert frame.labels == sorted(frame.labels)
        samples = list(zip(frame.times_ms.tolist(), frame.values.tolist(), strict=True))
        bounds = itertools.pairwise(frame.offsets.tolist())
        found = {
            labels: samples[start:end]
            for labels, (start, end) in zip(frame.labels, bounds, strict=True)
        }
        return {labels: part for labels, part in found.items() if part}


def plenty(max_samples: int = 10_000_000) -> ReadBudget:
    return ReadBudget(max_samples=max_samples, deadline_s=time.monotonic() + 30)


def series(name: str, **tags: str) -> Labels:
    return make_labels({"__name__": name, **tags})


def eq(name: str, value: str) -> Matcher:
    return Matcher(MatchType.EQUAL, name, value)


def ne(name: str, value: str) -> Matcher:
    return Matcher(MatchType.NOT_EQUAL, name, value)


def re(name: str, value: str) -> Matcher:
    return Matcher(MatchType.REGEX, name, value)


def nre(name: str, value: str) -> Matcher:
    return Matcher(MatchType.NOT_REGEX, name, value)


def named(name: str) -> Matcher:
    return eq("__name__", name)


def memory_kit() -> Kit:
    clock = Clock()
    store = MemoryStorage(clock_ms=clock)
    return Kit(store, store, clock)


def postgres_kit(url: str, **settings: int) -> Kit:
    clock = Clock()
    opened = open_storage(DatabaseConfig(**settings), url=url, clock_ms=clock)
    return Kit(opened.catalogue, opened.engine, clock, opened.close)
