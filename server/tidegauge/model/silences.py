"""Alerts of which nobody is told for a while."""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge.model.labels import Labels, find_label
from tidegauge.model.matchers import Matcher


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody is told of alerts whose labels fit, from one moment to another.

    Args:
        matchers: all of them must fit.
        starts_ms, ends_ms: from when on, and until when, Unix ms.
        comment: why.
        created_by: the name of whoever made it.
        id: 0 before it is stored.
        created_ms: when it was stored; 0 before that.
    """

    matchers: tuple[Matcher, ...]
    starts_ms: int
    ends_ms: int
    comment: str = ""
    created_by: str = ""
    id: int = 0
    created_ms: int = 0

    def covers(self, labels: Labels, now_ms: int) -> bool:
        """Return whether nobody is told of an alert with these labels now."""
        return self.starts_ms <= now_ms < self.ends_ms and all(
            one.matches(find_label(labels, one.name)) for one in self.matchers
        )
