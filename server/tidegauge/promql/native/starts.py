"""Start timestamps: when the counter behind a sample began to count.

Source: Prometheus `isStartTimestampReset`, `checkStartTimeOverlap`, `extrapolatedRate`.
"""

from __future__ import annotations

import itertools

from tidegauge.promql.native.notes import Note, overlapping_starts
from tidegauge.promql.native.windows import NativeWindow


def began_anew(before_start_ms: int, before_ms: int, start_ms: int, time_ms: int) -> bool:
    """Return whether the start of a sample says that it counts anew after the one before.

    Args:
        before_start_ms, before_ms: the sample before: its start, 0 if unknown, and its time.
        start_ms, time_ms: the sample.
    """
    if start_ms == 0 or start_ms >= time_ms or start_ms < before_ms:
        return False
    if start_ms > before_ms:
        return True
    # It starts where the one before was taken: a delta, if that one's start is known.
    return before_start_ms != 0 and before_start_ms < before_ms


def restarts(window: NativeWindow) -> list[bool]:
    """Return, for each sample but the first, whether it counts anew."""
    times_ms, starts_ms = window.times_ms, window.starts_ms
    if not starts_ms:
        return [False] * (len(times_ms) - 1)
    return [
        began_anew(starts_ms[at - 1], times_ms[at - 1], starts_ms[at], times_ms[at])
        for at in range(1, len(times_ms))
    ]


def note_overlap(window: NativeWindow) -> list[Note]:
    """Return a warning if a sample's start lies before the sample before, which has another."""
    pairs = zip(
        itertools.pairwise(window.starts_ms), itertools.pairwise(window.times_ms), strict=True
    )
    for (before_start_ms, start_ms), (before_ms, _) in pairs if window.starts_ms else ():
        if start_ms != 0 and start_ms < before_ms and start_ms != before_start_ms:
            return [Note(overlapping_starts(window.metric), is_warning=True, is_counted=True)]
    return []


def start_within(window: NativeWindow) -> int:
    """Return the start of the first sample where it lies in the window before that, else 0."""
    if not window.starts_ms:
        return 0
    start_ms = window.starts_ms[0]
    return start_ms if start_ms and window.start_ms < start_ms < window.times_ms[0] else 0
