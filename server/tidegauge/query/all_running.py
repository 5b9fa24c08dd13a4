"""The questions of all API processes, listed and cancelled from any of them.

Each process posts its own where all can read, and looks there for what the others want ended.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import msgspec

from tidegauge.cache.protocol import Cache, CacheAway
from tidegauge.errors import NotFound, Unavailable
from tidegauge.query.running import RunningQueries, RunningQuery, parse_id

EXCHANGE_EVERY_S = 0.2
"""How old what a process knows of the others may be, and how late a cancellation comes."""

RUNNING_BOARD, CANCELLED_BOARD = "queries:running", "queries:cancelled"

# A process that died, or hangs, is forgotten after so long.
_RUNNING_TTL_S = 3.0
# Every process that is well looks far sooner than that.
_CANCELLED_TTL_S = 30.0


@dataclass(frozen=True, slots=True)
class AllRunning:
    """What runs or waits.

    Args:
        queries: the longest-running first.
        process_id: that of one process where the others are not known; "" where all are.
    """

    queries: list[RunningQuery]
    process_id: str


class AllQueries:
    """Knows what runs in all API processes; safe from any thread.

    Args:
        own: what runs in this process.
        board: a cache that all processes share; None where there is none, and the processes know
            nothing of each other.
    Attributes:
        own: the same.
    """

    def __init__(self, own: RunningQueries, *, board: Cache | None) -> None:
        self.own, self._board = own, board
        self._posted = False

    def exchange(self) -> None:
        """Tell the others what runs here, and end what they want ended.

        One thread calls it every EXCHANGE_EVERY_S. While nothing runs it asks nobody.
        """
        if self._board is None:
            return
        running = self.own.list()
        if running or self._posted:
            self._board.post(
                RUNNING_BOARD,
                self.own.process_id,
                msgspec.json.encode(running),
                ttl_s=_RUNNING_TTL_S,
            )
        self._posted = bool(running)
        if not running:
            return
        unwanted = self._board.read_board(CANCELLED_BOARD)
        for one in running:
            if one.id in unwanted and not one.cancelled:
                # It may be over by now; and where the database cannot be told, it ends itself.
                with contextlib.suppress(NotFound, Unavailable):
                    self.own.cancel(one.id)

    def list(self) -> AllRunning:
        """Return what runs or waits in all processes, or in this one where Redis is away."""
        if self._board is None:
            return AllRunning(self.own.list(), self.own.process_id)
        try:
            self._board.ping()
        except CacheAway:
            return AllRunning(self.own.list(), self.own.process_id)
        found = self.own.list() + _read_others(self._board, self.own.process_id)
        return AllRunning(sorted(found, key=lambda one: -one.took_ms), "")

    def cancel(self, query_id: str) -> None:
        """End a query, its statement in the database included; in another process a moment later.

        Args:
            query_id: from `list`.
        Raises:
            InvalidInput: not an id. NotFound: it is over, or nobody knows its process.
            Unavailable: the database, or the other process, could not be told.
        """
        process_id, _ = parse_id(query_id)
        if self._board is None or process_id == self.own.process_id:
            self.own.cancel(query_id)
            return
        try:
            self._board.ping()
        except CacheAway as exc:
            raise _unheard(query_id) from exc
        if query_id not in {one.id for one in _read_others(self._board, self.own.process_id)}:
            raise NotFound(f"query {query_id} is over, or its process is")
        if not self._board.post(CANCELLED_BOARD, query_id, b"", ttl_s=_CANCELLED_TTL_S):
            raise _unheard(query_id)


def _read_others(board: Cache, own_id: str) -> list[RunningQuery]:
    found: list[RunningQuery] = []
    for process_id, posted in board.read_board(RUNNING_BOARD).items():
        # Another version's process may post what this one cannot read.
        with contextlib.suppress(msgspec.MsgspecError):
            if process_id != own_id:
                found += msgspec.json.decode(posted, type=list[RunningQuery])
    return found


def _unheard(query_id: str) -> Unavailable:
    return Unavailable(
        f"query {query_id} runs in another process, which hears of it through Redis, and Redis "
        "does not answer"
    )
