"""Takes the lease, evaluates while it has it, and stands by while another does."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from tidegauge.alerts.evaluator import Evaluator
from tidegauge.errors import Unavailable
from tidegauge.observability.alert_instruments import AlertInstruments
from tidegauge.observability.health import CheckResult, Status
from tidegauge.storage.alert_lease import AlertLease, Hold, LeaseLost

# How long the lease of an evaluator that died keeps the next one out. A round of evaluations, with
# what it stores, must end within that.
LEASE_S = 8.0
LOOK_EVERY_S = 1.0
# Later than this after its last round, an evaluator does not do its work.
LATE_S = 30.0


class Turns:
    """One evaluator's turns at the rules; for one thread, but for `check`.

    Args:
        lease: who may.
        evaluator: does it.
        settle_posted: does what time asks of the alerts that others post; returns whether there may
            be more to do at once.
        meters: the instruments.
        on_turn: is told the token of each turn that is taken.
        monotonic: seconds.
        log: is told of turns.
    """

    def __init__(
        self,
        *,
        lease: AlertLease,
        evaluator: Evaluator,
        settle_posted: Callable[[Hold], bool],
        meters: AlertInstruments,
        monotonic: Callable[[], float],
        log: FilteringBoundLogger,
        on_turn: Callable[[int], None] = lambda _token: None,
    ) -> None:
        self._on_turn = on_turn
        self._lease, self._evaluator, self._meters = lease, evaluator, meters
        self._settle_posted = settle_posted
        self._monotonic, self._log = monotonic, log
        self._token: int | None = None
        self._away = False
        self._looked_s = monotonic()

    @property
    def leads(self) -> bool:
        """Whether it is this one's turn, as far as it knows."""
        return self._token is not None

    def run(self, stop: threading.Event) -> None:
        """Take turns until the event is set; then let the next one take over at once."""
        try:
            while not stop.is_set():
                if not self.step() and stop.wait(LOOK_EVERY_S):
                    return
        finally:
            # Whatever was on its way: the next one reads all of it anew.
            token = self._token
            self._leave()
            if token is not None:
                with contextlib.suppress(Unavailable):
                    self._lease.release(token)

    def step(self) -> bool:
        """Do one round if it is this one's turn; return whether there may be more to do at once."""
        try:
            worked = self._work()
        except LeaseLost as exc:
            self._log.warning("another evaluator has taken over", reason=exc.message)
            self._leave()
            return False
        except Unavailable as exc:
            if not self._away:
                self._log.error("alert rules cannot be evaluated now", reason=exc.message)
            self._away = True
            self._evaluator.forget()
            return False
        if self._away:
            self._log.info("alert rules are evaluated again")
        self._away, self._looked_s = False, self._monotonic()
        return worked

    def check(self) -> CheckResult:
        """Return the health: whether it works, or stands by, as it should."""
        role = "standby" if self._token is None else "leader"
        late_s = self._monotonic() - self._looked_s
        if late_s > LATE_S:
            return CheckResult(Status.UNHEALTHY, {"role": role, "late_s": round(late_s)})
        return CheckResult(Status.DEGRADED if self._away else Status.HEALTHY, {"role": role})

    def _work(self) -> bool:
        if self._token is None:
            hold = self._lease.take()
            if hold is None:
                return False
            self._token = hold.token
            self._evaluator.forget()
            self._meters.leading.set(1)
            self._on_turn(hold.token)
            self._log.info("this evaluator is at work", token=hold.token)
        else:
            hold = self._lease.renew(self._token)
        evaluated = self._evaluator.evaluate_due(hold) > 0 or self._evaluator.is_busy
        return self._settle_posted(hold) or evaluated

    def _leave(self) -> None:
        self._token = None
        self._evaluator.forget()
        self._meters.leading.set(0)
        self._meters.firing.set(0)
