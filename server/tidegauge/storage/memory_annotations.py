"""Annotations in this process's memory, beside `memory` for the samples."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from tidegauge.model.annotations import Annotation, AnnotationQuery
from tidegauge.storage.accounts_rows import AuditEntry
from tidegauge.storage.dashboard_rows import Seen


class MemoryAnnotations:
    """Annotations that end with the process. See `protocol.AnnotationStore`.

    There are no dashboards beside them that could be hidden, and no log of changes.

    Args:
        clock_ms: Unix ms.
    """

    def __init__(
        self, *, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._clock_ms = clock_ms
        self._lock = threading.Lock()
        self._last_id = 0
        self._stored: dict[int, Annotation] = {}

    def add(self, annotation: Annotation) -> Annotation:
        """Store one and return it with its id."""
        with self._lock:
            self._last_id += 1
            stored = replace(annotation, id=self._last_id, created_ms=self._clock_ms())
            self._stored[stored.id] = stored
            return stored

    def read_page(self, asked: AnnotationQuery, seen: Seen) -> list[Annotation]:
        """Return what is asked for, newest first."""
        with self._lock:
            found = [one for one in self._stored.values() if _fits(one, asked)]
        return sorted(found, key=lambda one: one.place, reverse=True)[: asked.limit]

    def find(self, ids: Sequence[int], seen: Seen) -> list[Annotation]:
        """Return those that there are."""
        with self._lock:
            return [self._stored[one] for one in sorted(set(ids)) if one in self._stored]

    def delete(self, ids: Sequence[int], audit: Sequence[AuditEntry]) -> None:
        """Delete these; those that are gone already are no fault."""
        with self._lock:
            for one in ids:
                self._stored.pop(one, None)


def _fits(one: Annotation, asked: AnnotationQuery) -> bool:
    end_ms = one.time_ms if one.time_end_ms is None else one.time_end_ms
    has_tag = [tag in one.tags for tag in asked.tags]
    return (
        (asked.end_ms is None or one.time_ms <= asked.end_ms)
        and (asked.start_ms is None or end_ms >= asked.start_ms)
        and (asked.before is None or one.place < asked.before)
        and (not has_tag or (any(has_tag) if asked.any_tag else all(has_tag)))
        and _fits_dashboard(one.dashboard_id, asked)
        and asked.panel_id in (None, one.panel_id)
    )


def _fits_dashboard(dashboard_id: int | None, asked: AnnotationQuery) -> bool:
    if dashboard_id is None:
        return asked.or_for_all or asked.dashboard_id is None
    if asked.dashboard_id is None:
        return not asked.or_for_all
    return dashboard_id == asked.dashboard_id
