"""The questions to the data that run or wait in this process, to be listed and cancelled."""

from __future__ import annotations

import itertools
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from tidegauge.errors import InvalidInput, NotFound
from tidegauge.query.limits import Deadline

_ID = re.compile(r"([0-9a-z]{1,32})-([0-9]{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class RunningQuery:
    """One of them, as people see it.

    Args:
        id: `<process>-<number>`.
        kind: "instant", "range", "listing" or "raw".
        text: PromQL, or what is listed.
        started_ms: Unix ms.
        took_ms: so far, waiting for its turn included.
        request_id: of the request that asks; "" outside one.
        client: its address; "" outside one.
        cancelled: whether it was asked to end already.
    """

    id: str
    kind: str
    text: str
    started_ms: int
    took_ms: float
    request_id: str
    client: str
    cancelled: bool


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: str
    text: str
    started_ms: int
    started_s: float
    request_id: str
    client: str
    deadline: Deadline


class RunningQueries:
    """Knows what runs in this process; safe from any thread.

    Other API processes have lists of their own (`query.all_running` puts them together). An id
    names the process, so that one that belongs to another is told from one that is over.

    Args:
        monotonic: seconds.
        clock_ms: Unix ms.
        process_id: goes into the ids; letters and digits. A number of the system's would not do:
            processes on other machines, or in other containers, have the same.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        process_id: str | None = None,
    ) -> None:
        self._monotonic, self._clock_ms = monotonic, clock_ms
        self.process_id = process_id or secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._entries: dict[int, _Entry] = {}

    @contextmanager
    def track(self, kind: str, about: Mapping[str, object], deadline: Deadline) -> Iterator[None]:
        """List a question while the block runs.

        Args:
            kind: "instant", "range", "listing" or "raw".
            about: has "query", or "listing" with its "selectors".
            deadline: its own; what cancels it.
        """
        # The HTTP room binds who asks for the log; other threads have nobody to name.
        bound = structlog.contextvars.get_contextvars()
        entry = _Entry(
            kind,
            _describe(about),
            self._clock_ms(),
            self._monotonic(),
            str(bound.get("request_id", "")),
            str(bound.get("remote", "")),
            deadline,
        )
        number = next(self._numbers)
        with self._lock:
            self._entries[number] = entry
        try:
            yield
        finally:
            with self._lock:
                del self._entries[number]

    def list(self) -> list[RunningQuery]:
        """Return what runs or waits here now, the longest-running first."""
        with self._lock:
            entries = list(self._entries.items())
        now_s = self._monotonic()
        return [
            RunningQuery(
                id=f"{self.process_id}-{number}",
                kind=entry.kind,
                text=entry.text,
                started_ms=entry.started_ms,
                took_ms=round((now_s - entry.started_s) * 1000, 1),
                request_id=entry.request_id,
                client=entry.client,
                cancelled=entry.deadline.cancellation.requested,
            )
            for number, entry in entries
        ]

    def cancel(self, query_id: str) -> None:
        """End a query, its statement in the database included; it answers "canceled" soon.

        Args:
            query_id: from `list`.
        Raises:
            InvalidInput: not an id. NotFound: it is over, or runs in another process.
            Unavailable: the database could not be told; the query ends at its next check.
        """
        process_id, number = parse_id(query_id)
        if process_id != self.process_id:
            raise NotFound(
                f"query {query_id} does not run in process {self.process_id}, which answers here; "
                "if there are several API processes, send the request again, or let them know of "
                "each other through Redis (REDIS_URL)"
            )
        with self._lock:
            entry = self._entries.get(number)
        if entry is None:
            raise NotFound(f"query {query_id} is over")
        entry.deadline.cancellation.request()


def parse_id(query_id: str) -> tuple[str, int]:
    """Return the process and the number that make up the id of a query.

    Raises:
        InvalidInput: it is none.
    """
    found = _ID.fullmatch(query_id)
    if found is None:
        raise InvalidInput(f'"{query_id[:64]}" is not the id of a query: <process>-<number>')
    return found[1], int(found[2])


def _describe(about: Mapping[str, object]) -> str:
    if "query" in about:
        return str(about["query"])
    selectors = about.get("selectors")
    shown = ", ".join(map(str, selectors)) if isinstance(selectors, list) else ""
    return f"{about.get('listing', '')} {shown}".strip()
