"""A delivery over a real outbox, with targets that do as they are told."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import structlog
from psycopg2.extensions import cursor
from tidegauge.alerts.delivery import Delivery
from tidegauge.alerts.notifiers.protocol import NotDelivered
from tidegauge.config import BreakerConfig
from tidegauge.errors import Unavailable
from tidegauge.resilience.breaker import CircuitBreaker
from tidegauge.storage.outbox import (
    ClaimedNotification,
    LoggedNotification,
    NewNotification,
    Outbox,
    enqueue,
)
from tidegauge.storage.pool import Pool

RULE_ID = 7
BREAKER = BreakerConfig(timeout_s=3600, error_percent=100, window_s=3600, volume=5, reset_s=60)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class ObedientNotifier:
    """Takes what it is sent, and then does what was said of the target."""

    def __init__(self) -> None:
        self.sent: list[ClaimedNotification] = []
        self.orders: dict[str, Callable[[], object]] = {}
        self._lock = threading.Lock()

    def describe_target(self, notification: ClaimedNotification) -> str:
        return str(notification.channel["target"])

    def send(self, notification: ClaimedNotification) -> str:
        with self._lock:
            self.sent.append(notification)
        order = self.orders.get(notification.channel["target"])
        if order is not None:
            order()
        return "taken"

    def targets(self) -> list[str]:
        return [one.channel["target"] for one in self.sent]


class FailingOutbox(Outbox):
    """An outbox that cannot write down what was sent as long as there are faults left."""

    def __init__(self, *, pool: Pool) -> None:
        super().__init__(pool=pool)
        self.faults: list[Unavailable] = []

    def mark_sent(self, claimed: ClaimedNotification, *, answer: str) -> bool:
        if self.faults:
            raise self.faults.pop()
        return super().mark_sent(claimed, answer=answer)


class Kit:
    """The parts of a delivery, and what a test does to them."""

    def __init__(self, pool: Pool, *, threads: int = 4) -> None:
        self.outbox, self.pool = FailingOutbox(pool=pool), pool
        self.notifier, self.clock = ObedientNotifier(), Clock()
        self._numbers = itertools.count()
        self.outcomes: list[tuple[str, str]] = []
        self.delivery = Delivery(
            outbox=self.outbox,
            notifiers={"test": self.notifier},
            make_breaker=self._make_breaker,
            log=structlog.get_logger(),
            threads=threads,
            attempt_s=10,
            on_outcome=lambda kind, outcome: self.outcomes.append((kind, outcome)),
            monotonic=self.clock,
            pause=lambda _seconds: None,
        )

    def put(self, *targets: str, kind: str = "test") -> None:
        """Put one notification in for each target, each of a group of its own."""
        numbers = [str(next(self._numbers)) for _ in targets]
        with self._transaction() as lent:
            enqueue(
                lent,
                [
                    NewNotification(
                        9,
                        RULE_ID,
                        {"type": kind, "target": target},
                        {"status": "firing", "labels": {"n": number}},
                        group_key=number,
                    )
                    for number, target in zip(numbers, targets, strict=True)
                ],
            )

    def refuse(self, target: str, message: str = "500", **more: Any) -> None:
        """From now on this target refuses."""

        def order() -> None:
            raise NotDelivered(message, **more)

        self.notifier.orders[target] = order

    def log(self) -> list[LoggedNotification]:
        """Return the delivery log, oldest first."""
        return self.outbox.read_log(RULE_ID, before=None, limit=1000)[::-1]

    def delays_s(self) -> Iterable[float]:
        """Yield in how many seconds each pending one is due."""
        with self._transaction() as lent:
            lent.execute(
                "SELECT extract(epoch FROM next_attempt_at - now())::float8 FROM notifications"
                " WHERE state = 'pending' ORDER BY id"
            )
            return [row[0] for row in lent.fetchall()]

    def make_due(self, *, age_s: float = 0) -> None:
        """Let the time pass until everything pending is due, and every claim has run out."""
        with self._transaction() as lent:
            lent.execute(
                "UPDATE notifications SET next_attempt_at = now() - interval '1 s',"
                " claimed_until = now() - interval '1 s'"
                " WHERE state = 'pending'"
            )
            lent.execute(
                "UPDATE notification_attempts SET at = at - make_interval(secs => %s)", (age_s,)
            )

    def _transaction(self) -> AbstractContextManager[cursor]:
        return self.pool.transaction()

    def _make_breaker(
        self, name: str, is_failure: Callable[[BaseException], bool]
    ) -> CircuitBreaker:
        return CircuitBreaker(name, BREAKER, is_failure=is_failure, monotonic=self.clock)
