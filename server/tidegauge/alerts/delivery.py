"""Delivers what is in the outbox: several targets at once, each in order, none in another's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from random import Random

import orjson
from structlog.typing import FilteringBoundLogger

from tidegauge.alerts.notifiers.protocol import NotDelivered, Notifier
from tidegauge.errors import Unavailable
from tidegauge.resilience.breaker import BreakerOpen, CircuitBreaker
from tidegauge.storage.outbox import ClaimedNotification, Outbox

RETRY_AFTER_S = (30.0, 60.0, 120.0)
"""How long after each failed attempt the next one follows."""

JITTER = 0.1
MAX_RETRY_AFTER_S = 600.0
# A target that its breaker keeps closed off is not waited for any longer than this.
GIVE_UP_AFTER_S = 3600.0
# After a kill, what was claimed is taken up again this much later.
CLAIM_S = 45.0
CLAIMED_AT_ONCE = 40
LOOK_EVERY_S = 0.5
WRITE_AGAIN_AFTER_S = (1.0, 2.0, 4.0)
MAX_BREAKERS = 10_000

Outcome = Callable[[str, str], None]


@dataclass(slots=True)
class _Lane:
    """What one thread delivers, one after the other: the messages of one channel."""

    waiting: list[ClaimedNotification]
    until_s: float


@dataclass(slots=True)
class _Targets:
    """The breakers of targets that failed lately; one that works again is forgotten."""

    make: Callable[[str, Callable[[BaseException], bool]], CircuitBreaker]
    _known: dict[tuple[str, str], CircuitBreaker] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def breaker_of(self, key: tuple[str, str], name: str) -> CircuitBreaker:
        with self._lock:
            breaker = self._known.get(key)
            if breaker is None:
                if len(self._known) >= MAX_BREAKERS:
                    del self._known[next(iter(self._known))]
                breaker = self._known[key] = self.make(name, _is_failure)
            return breaker

    def forget(self, key: tuple[str, str]) -> None:
        """A success ends the count: a breaker opens on failures in a row, not on a share."""
        with self._lock:
            self._known.pop(key, None)


class Delivery:
    """Hands over what is due, at least once, and records what came of it.

    Of one channel one message is on its way at a time, so that a target that hangs holds one
    thread and no more.

    Args:
        outbox: the notifications.
        notifiers: by channel type.
        make_breaker: makes the breaker of one target, from its name and what is a failure.
        log: is told of what was not delivered.
        threads: channels served at once.
        attempt_s: longest time of one attempt; none begins that might outlast its claim.
        on_outcome: is told channel type and "sent", "retry", "failed" or "refused".
        on_look: is called whenever the outbox was looked into.
        random: for the jitter.
        monotonic: seconds.
        pause: waits seconds between attempts to write the outcome down.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        notifiers: Mapping[str, Notifier],
        make_breaker: Callable[[str, Callable[[BaseException], bool]], CircuitBreaker],
        log: FilteringBoundLogger,
        threads: int,
        attempt_s: float,
        on_outcome: Outcome = lambda _type, _outcome: None,
        on_look: Callable[[], None] = lambda: None,
        random: Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._outbox, self._notifiers, self.log = outbox, notifiers, log
        self._targets = _Targets(make_breaker)
        self._threads, self._attempt_s = threads, attempt_s
        self._on_outcome, self._on_look = on_outcome, on_look
        self._random = random or Random()
        self._monotonic, self._pause = monotonic, pause
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._stopping = threading.Event()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="tidegauge-notify")

    @property
    def stopping(self) -> bool:
        """Whether only what was begun is finished."""
        return self._stopping.is_set()

    def deliver_due(self) -> int:
        """Try everything that is due now, and return how many messages once it is written down.

        Raises:
            Unavailable: the outbox cannot be read.
        """
        count, lanes = self._start_due()
        wait(lanes)
        return count

    def run(self, stop: threading.Event) -> None:
        """Deliver until the event is set; what was begun then is finished, the rest given back."""
        try:
            while not stop.wait(LOOK_EVERY_S):
                try:
                    self._start_due()
                    self._on_look()
                except Unavailable as fault:
                    self.log.warning("the outbox cannot be read", error=fault.message)
        finally:
            self.close()

    def close(self) -> None:
        """Finish the attempts at hand, give back what was only claimed."""
        self._stopping.set()
        self._executor.shutdown(wait=True)

    def _start_due(self) -> tuple[int, list[Future[None]]]:
        with self._lock:
            busy = sorted(self._busy)
        if len(busy) >= self._threads:
            return 0, []
        until_s = self._monotonic() + CLAIM_S
        claimed = self._outbox.claim_due(limit=CLAIMED_AT_ONCE, claim_s=CLAIM_S, busy=busy)
        lanes: dict[str, _Lane] = {}
        for one in claimed:
            lanes.setdefault(_channel_key(one), _Lane([], until_s)).waiting.append(one)
        with self._lock:
            self._busy |= lanes.keys()
        return len(claimed), [
            self._executor.submit(self._serve, key, lane) for key, lane in lanes.items()
        ]

    def _serve(self, key: str, lane: _Lane) -> None:
        try:
            for one in lane.waiting:
                self._deliver(one, lane.until_s)
        except Exception:
            # Nothing is lost: the claims run out, and whoever comes next takes them up.
            self.log.exception("a delivery failed")
        finally:
            with self._lock:
                self._busy.discard(key)

    def _deliver(self, one: ClaimedNotification, until_s: float) -> None:
        kind = str(one.channel.get("type", ""))
        if self._stopping.is_set() or self._monotonic() + self._attempt_s > until_s:
            self._write(
                lambda: self._outbox.mark_for_retry(
                    one, after_s=0, answer="given back", counted=False
                )
            )
            return
        notifier = self._notifiers.get(kind)
        if notifier is None:
            known = ", ".join(sorted(self._notifiers))
            self._fail(one, "unknown", f'there is no channel type "{kind}"; there are {known}')
            return
        target = (kind, str(one.channel.get("target", "")))
        try:
            breaker = self._targets.breaker_of(target, notifier.describe_target(one))
            answer = breaker.call(lambda: notifier.send(one))
        except BreakerOpen as refusal:
            self._refuse(one, kind, refusal)
        except NotDelivered as fault:
            self._try_again(one, kind, fault)
        except Exception as fault:
            # A notifier may be a plugin: its faults are those of an attempt, and no more.
            self.log.exception("a notifier failed", notification=one.id, channel=kind)
            self._try_again(one, kind, NotDelivered(f"{type(fault).__name__}: {fault}"))
        else:
            self._targets.forget(target)
            self._on_outcome(kind, "sent")
            self._write(lambda: self._outbox.mark_sent(one, answer=answer))

    def _try_again(self, one: ClaimedNotification, kind: str, fault: NotDelivered) -> None:
        if fault.permanent or one.attempt > len(RETRY_AFTER_S):
            self._fail(one, kind, fault.message)
            return
        asked_s = min(fault.retry_after_s or 0.0, MAX_RETRY_AFTER_S)
        after_s = self._jittered(max(RETRY_AFTER_S[one.attempt - 1], asked_s))
        self._on_outcome(kind, "retry")
        self.log.warning(
            "notification not delivered, tried again",
            notification=one.id,
            alerts=len(one.alerts),
            rule=one.rule_id,
            channel=kind,
            attempt=one.attempt,
            after_s=round(after_s),
            error=fault.message,
        )
        self._write(lambda: self._outbox.mark_for_retry(one, after_s=after_s, answer=fault.message))

    def _refuse(self, one: ClaimedNotification, kind: str, refusal: BreakerOpen) -> None:
        if one.age_s > GIVE_UP_AFTER_S:
            self._fail(one, kind, refusal.message)
            return
        self._on_outcome(kind, "refused")
        after_s = self._jittered(refusal.retry_after_s)
        self._write(
            lambda: self._outbox.mark_for_retry(
                one, after_s=after_s, answer=refusal.message, counted=False
            )
        )

    def _fail(self, one: ClaimedNotification, kind: str, answer: str) -> None:
        self._on_outcome(kind, "failed")
        self.log.error(
            "notification failed",
            notification=one.id,
            alerts=len(one.alerts),
            rule=one.rule_id,
            channel=kind,
            attempts=one.attempt,
            error=answer,
        )
        self._write(lambda: self._outbox.mark_failed(one, answer=answer))

    def _write(self, change: Callable[[], bool]) -> None:
        # What was sent and is not written down would be sent again: it is worth a few seconds.
        for after_s in WRITE_AGAIN_AFTER_S:
            try:
                change()
                return
            except Unavailable as fault:
                self.log.warning("the outbox cannot be written", error=fault.message)
                self._pause(after_s)
        change()

    def _jittered(self, delay_s: float) -> float:
        return delay_s * (1 + JITTER * self._random.random())


def _channel_key(claimed: ClaimedNotification) -> str:
    return orjson.dumps(claimed.channel, option=orjson.OPT_SORT_KEYS).decode()


def _is_failure(fault: BaseException) -> bool:
    return not (isinstance(fault, NotDelivered) and fault.permanent)
