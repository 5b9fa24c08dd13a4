"""A few threads that work side by side, and one that collects what they have done."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Workers(Generic[T]):
    """Runs tasks side by side; `start`, `collect` and `forget` are for one thread.

    Args:
        threads: how many tasks run at once; further ones wait.
        name: what the threads are called.
    """

    def __init__(self, *, threads: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._done: queue.SimpleQueue[Future[T]] = queue.SimpleQueue()
        self._started: set[Future[T]] = set()

    @property
    def under_way(self) -> int:
        """How many tasks were started and not collected."""
        return len(self._started)

    def start(self, task: Callable[[], T]) -> None:
        """Run a task as soon as a thread is free."""
        future = self._pool.submit(task)
        self._started.add(future)
        future.add_done_callback(self._done.put)

    def collect(self, within_s: float) -> T | None:
        """Return the result of a task that has ended, or None if none does within this time.

        Raises:
            What the task raised.
        """
        try:
            ended = self._done.get(timeout=max(0.0, within_s))
        except queue.Empty:
            return None
        self._started.discard(ended)
        return ended.result()

    def forget(self) -> None:
        """Have nothing to do any more with what was started: what runs ends by itself."""
        started, self._started = self._started, set()
        # What waits for a thread would else gather at each fault of the database, and keep those
        # that come later waiting.
        for future in started:
            future.cancel()
        self._done = queue.SimpleQueue()

    def close(self) -> None:
        """Start nothing more; what runs ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)
