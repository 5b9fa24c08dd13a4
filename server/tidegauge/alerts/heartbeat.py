"""A sign of life for a watcher outside: it stays away when alerts would stay away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from tidegauge.alerts.notifiers.connecting import Deadline
from tidegauge.alerts.notifiers.posting import Poster
from tidegauge.alerts.notifiers.protocol import NotDelivered
from tidegauge.alerts.notifiers.webhook_target import parse_webhook


class Heartbeat:
    """Posts to a URL from time to time, while this evaluator leads and all is well.

    A failure, and what is not well, is logged when it begins and when it is over, and counted each
    time.

    Args:
        url: of a watcher that raises an alarm when nothing comes.
        poster: reaches it.
        every_s: seconds between two.
        timeout_s: longest time of one.
        leads: whether it is this evaluator's to send.
        find_trouble: says what is not well, so that none is sent; "": all is well.
        on_outcome: is told "sent", "failed" or "withheld".
        monotonic: seconds.
        log: is told of changes.
    Raises:
        InvalidInput: it is no URL.
    """

    def __init__(
        self,
        url: str,
        *,
        poster: Poster,
        every_s: float,
        timeout_s: float,
        leads: Callable[[], bool],
        find_trouble: Callable[[], str],
        log: FilteringBoundLogger,
        on_outcome: Callable[[str], None] = lambda _outcome: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._webhook = parse_webhook({"target": url})
        self._poster, self._every_s, self._timeout_s = poster, every_s, timeout_s
        self._leads, self._find_trouble = leads, find_trouble
        self._on_outcome, self._monotonic, self._log = on_outcome, monotonic, log
        self._outcome = "sent"

    def run(self, stop: threading.Event) -> None:
        """Send one every so often until the event is set."""
        while not stop.wait(self._every_s):
            self.beat()

    def beat(self) -> str:
        """Send one if all is well, and return what came of it; "": it is not this one's to send."""
        if not self._leads():
            return ""
        trouble = self._find_trouble()
        outcome = "withheld" if trouble else "sent"
        if not trouble:
            try:
                self._post()
            except NotDelivered as fault:
                outcome, trouble = "failed", fault.message
        self._on_outcome(outcome)
        if outcome != self._outcome:
            self._outcome = outcome
            if trouble:
                said = "is withheld" if outcome == "withheld" else "was not taken"
                self._log.error(f"the heartbeat {said}", reason=trouble)
            else:
                self._log.info("the heartbeat is sent again")
        return outcome

    def _post(self) -> None:
        place, headers = self._webhook.place, self._webhook.headers
        deadline = Deadline(self._timeout_s, monotonic=self._monotonic)
        answer = self._poster.post(place, b"", headers, deadline)
        if not 200 <= answer.status < 300:
            raise NotDelivered(f"{place}: {answer}")
