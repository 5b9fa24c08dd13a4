"""What ingestion tells about itself; whoever keeps instruments passes an object with these."""

from __future__ import annotations

from typing import Protocol


class IngestMeter(Protocol):
    """Receives counts as they happen, from any thread."""

    def points_accepted(self, protocol: str, count: int) -> None:
        """Samples became durable; `protocol` is "json" or "remote_write"."""
        ...

    def points_rejected(self, code: str, count: int) -> None:
        """Samples were refused, for the reason with this code."""
        ...

    def not_stored(self, kind: str, count: int) -> None:
        """Things came that are not stored yet: "exemplars" or "histograms"."""
        ...

    def guard_bypassed(self, series: int) -> None:
        """The database was away: so many series passed without look-up or cardinality guard."""
        ...

    def batch_written(self, messages: int, points: int, seconds: float) -> None:
        """The writer committed one batch."""
        ...

    def write_retried(self) -> None:
        """The writer tries a batch again, because storage is away."""
        ...

    def messages_given_up(self, count: int) -> None:
        """Storage stayed away through every retry for so many messages."""
        ...

    def message_dead_lettered(self) -> None:
        """One message was put aside for good."""
        ...


class SilentMeter:
    """An IngestMeter that keeps nothing."""

    def points_accepted(self, protocol: str, count: int) -> None:
        """Keep nothing."""

    def points_rejected(self, code: str, count: int) -> None:
        """Keep nothing."""

    def not_stored(self, kind: str, count: int) -> None:
        """Keep nothing."""

    def guard_bypassed(self, series: int) -> None:
        """Keep nothing."""

    def batch_written(self, messages: int, points: int, seconds: float) -> None:
        """Keep nothing."""

    def write_retried(self) -> None:
        """Keep nothing."""

    def messages_given_up(self, count: int) -> None:
        """Keep nothing."""

    def message_dead_lettered(self) -> None:
        """Keep nothing."""
