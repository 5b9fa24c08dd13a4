"""Alerts of which nobody is told for a while."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tidegauge.model.labels import Labels, find_label
from tidegauge.model.matchers import Matcher


class Muting(Protocol):
    """Keeps alerts quiet: a silence, or a maintenance window."""

    @property
    def details(self) -> Mapping[str, object]:
        """What the event of a muted alert says of it: its id, under its kind's name."""
        ...

    def covers(self, labels: Labels, now_ms: int) -> bool:
        """Return whether nobody is told of an alert with these labels now."""
        ...


class SilenceState(StrEnum):
    """How a silence stands to the present."""

    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"


def fit(matchers: tuple[Matcher, ...], labels: Labels) -> bool:
    """Return whether labels fit all matchers."""
    return all(one.matches(find_label(labels, one.name)) for one in matchers)


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
        return self.starts_ms <= now_ms < self.ends_ms and fit(self.matchers, labels)

    @property
    def details(self) -> Mapping[str, object]:
        """What the event of a muted alert says of it."""
        return {"silence_id": self.id}

    def state(self, now_ms: int) -> SilenceState:
        """Return how it stands to a moment."""
        if self.ends_ms <= now_ms:
            return SilenceState.EXPIRED
        return SilenceState.ACTIVE if self.starts_ms <= now_ms else SilenceState.PENDING
