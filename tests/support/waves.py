"""Series that turn bad and good again, on and on, and rules about them."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from tidegauge.errors import Unavailable

from tests.contracts.storage_kit import series
from tests.support.alerts import MAIL
from tests.support.evaluators import Installation

GOOD, BAD = 1.0, 9.0
HOSTS = ("a", "b", "c", "d", "e")
EVERY_S = 0.5


@dataclass
class Waves:
    """Rules that each watch series of their own, which a thread writes.

    Args:
        site: where.
        rules: how many; every other one holds for two seconds first.
        url: of the receiver; each rule tells two paths of it, and a mail address.
        is_bad: whether a series is, from the numbers of rule and host, and the monotonic clock.
    """

    site: Installation
    rules: int
    url: str
    is_bad: Callable[[int, int, float], bool]
    paths: dict[str, list[str]] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        for number in range(self.rules):
            self.paths[f"rule {number}"] = [f"/{side}/{number}" for side in "ab"]
            hooks = tuple(
                {"type": "webhook", "target": f"{self.url}{path}"}
                for path in self.paths[f"rule {number}"]
            )
            self.site.add_rule(
                name=f"rule {number}",
                query=f"heat_{number}",
                hold_ms=number % 2 * 2000,
                repeat_ms=0,
                channels=(*hooks, MAIL),
            )
        self._thread = threading.Thread(target=self._write, daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(30)

    def _write(self) -> None:
        while not self._stop.wait(EVERY_S):
            now_s, now_ms = time.monotonic(), time.time_ns() // 1_000_000
            points = [
                (series(f"heat_{rule}", host=name), now_ms, BAD if bad else GOOD)
                for rule in range(self.rules)
                for host, name in enumerate(HOSTS)
                for bad in [self.is_bad(rule, host, now_s)]
            ]
            # The next ones say the same.
            with contextlib.suppress(Unavailable):
                self.site.kit.append(points, ids=[uuid.uuid4().bytes])
