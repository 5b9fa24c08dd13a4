"""Whether samples were written, since an answer was made, into the time that it covers.

An answer over a fixed range stays right until a sample arrives in that range. Live samples lie
behind the end of all but the newest ranges, so that they leave nearly all answers alone.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from tidegauge.model.frame import SeriesFrame
from tidegauge.model.matchers import Matcher
from tidegauge.storage.protocol import ReadBudget, SampleEngine, StoredBatch

MAX_NOTES = 4096


class Freshness(Protocol):
    """Tells whether answers are still what a new evaluation would give."""

    def mark(self) -> int:
        """Return a mark of this moment, to be taken before an evaluation reads."""
        ...

    def is_touched(self, mark: int, until_ms: int) -> bool:
        """Return whether samples at or before until_ms were written since the mark."""
        ...


class NobodyKnows:
    """A Freshness where others write too: nothing ever seems touched, and the TTL bounds that."""

    def mark(self) -> int:
        """Return any number."""
        return 0

    def is_touched(self, mark: int, until_ms: int) -> bool:
        """Return False."""
        return False


class WriteWatch:
    """A Freshness of what this process writes itself; safe to use from many threads.

    It holds, for every moment of the past, the earliest sample time written since: writes in the
    order of their commits, without those that a later write reaches back behind.

    Args:
        max_notes: so many are held; to older marks everything seems touched.
    """

    def __init__(self, *, max_notes: int = MAX_NOTES) -> None:
        self._lock = threading.Lock()
        self._notes: deque[tuple[int, int]] = deque()
        self._max_notes = max_notes
        self._latest = 0
        self._forgotten = 0

    def mark(self) -> int:
        """Return a mark of this moment. See Freshness."""
        return self._latest

    def note(self, earliest_ms: int) -> None:
        """Note that samples from earliest_ms on were, or may have been, committed."""
        with self._lock:
            while self._notes and self._notes[-1][1] >= earliest_ms:
                self._notes.pop()
            self._latest += 1
            self._notes.append((self._latest, earliest_ms))
            if len(self._notes) > self._max_notes:
                self._forgotten = self._notes.popleft()[0]

    def is_touched(self, mark: int, until_ms: int) -> bool:
        """Return whether samples at or before until_ms were written since. See Freshness."""
        if mark == self._latest:
            return False
        with self._lock:
            if mark < self._forgotten:
                return True
            # Both numbers rise along the notes: the first one behind the mark is the earliest.
            place = bisect_right(self._notes, mark, key=lambda note: note[0])
            return place < len(self._notes) and self._notes[place][1] <= until_ms


class WatchedSamples:
    """A SampleEngine that notes what is appended.

    Args:
        samples: does the work.
        watch: gets the notes.
    """

    def __init__(self, samples: SampleEngine, watch: WriteWatch) -> None:
        self._samples, self._watch = samples, watch

    def append(self, batch: StoredBatch) -> Sequence[bytes]:
        """Store a batch. See SampleEngine."""
        try:
            return self._samples.append(batch)
        finally:
            # Also after an error: it may have come after the commit. And before anybody hears
            # that the samples are durable, so that who wrote them finds them.
            if len(batch.times_ms):
                self._watch.note(int(batch.times_ms.min()))

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, budget: ReadBudget
    ) -> SeriesFrame:
        """Return samples. See SampleEngine."""
        return self._samples.select(matchers, start_ms, end_ms, budget)
