"""Starts the parts of `tidegauge up` in order, watches them, and stops them in order."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from tidegauge.cli.child import Child
from tidegauge.cli.restarts import RestartPolicy
from tidegauge.errors import TidegaugeError
from tidegauge.storage.embedded import EmbeddedPostgres

_WATCH_S = 0.25
_READY_POLL_S = 0.05
_READY_TIMEOUT_S = 60
_STOP_SLACK_S = 10


class StartFailed(TidegaugeError):
    """A part did not come up; the message says which, and what it said."""

    code = "start_failed"


class Supervisor:
    """Owns the running parts.

    Args:
        postgres: the embedded server, already started; None if the database is elsewhere.
        api: the API's process, not started yet.
        address: where the API will answer.
        shutdown_s: the time that running requests get at a stop.
        say: tells the person at the terminal.
        clock_s: a monotonic clock in seconds.
    """

    def __init__(
        self,
        *,
        postgres: EmbeddedPostgres | None,
        api: Child,
        address: str,
        shutdown_s: int,
        say: Callable[[str], None],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._postgres, self._api, self._address = postgres, api, address
        self._shutdown_s, self._say, self._clock_s = shutdown_s, say, clock_s
        self._extras: list[Child] = []
        self._kept: list[tuple[str, Child, RestartPolicy]] = []
        self._postgres_restarts = RestartPolicy(most_deaths=5)
        self._api_restarts = RestartPolicy()

    def start_api(self, stop: threading.Event) -> None:
        """Start the API and wait until it is ready.

        Raises:
            StartFailed: it ended, or is not ready in time.
        """
        self._api.start()
        deadline_s = self._clock_s() + _READY_TIMEOUT_S
        while not stop.is_set() and not self._answers():
            ended = self._api.poll() is not None
            if ended or self._clock_s() > deadline_s:
                what = "ended at its start" if ended else f"is not ready on {self._address}"
                said = self._api.read_last_output()
                raise StartFailed(f"the API {what}; its log {self._api.log} ends:\n{said}")
            stop.wait(_READY_POLL_S)

    def add(self, child: Child) -> None:
        """Start one more process that is only stopped with the others."""
        self._extras.append(child)
        child.start()

    def add_kept(self, name: str, child: Child) -> None:
        """Start one more process that is kept alive like the API.

        Args:
            name: what people are told of it: "a worker".
            child: the process, not started yet.
        """
        self._kept.append((name, child, RestartPolicy()))
        child.start()

    def watch(self, stop: threading.Event) -> bool:
        """Keep the parts alive until `stop`; return whether it ended in order."""
        while not stop.wait(_WATCH_S):
            if self._postgres is not None and (code := self._postgres.poll()) is not None:
                if not self._revive_postgres(self._postgres, code, stop):
                    return False
            elif (code := self._api.poll()) is not None:
                self._restart("the API", self._api, code, self._api_restarts, stop)
            for name, kept, restarts in self._kept:
                if (code := kept.poll()) is not None:
                    self._restart(name, kept, code, restarts, stop)
            for child in [extra for extra in self._extras if extra.poll() is not None]:
                self._say(f"what filled in samples has ended; its log is {child.log}")
                self._extras.remove(child)
            for child in (self._api, *self._extras, *(kept for _, kept, _ in self._kept)):
                child.rotate_log()
        return True

    def _restart(
        self, name: str, child: Child, code: int, restarts: RestartPolicy, stop: threading.Event
    ) -> None:
        delay_s = restarts.note_death(self._clock_s()) or 0
        self._say(f"{name} ended ({_exit(code)}); starting it again in {delay_s:g} s")
        if not stop.wait(delay_s):
            child.start()

    def stop(self) -> None:
        """Stop what fills, then the API, which writes what it accepted, the rest, the database."""
        for child in self._extras:
            child.stop(_STOP_SLACK_S)
        self._api.stop(self._shutdown_s + _STOP_SLACK_S)
        for _, kept, _ in self._kept:
            kept.stop(self._shutdown_s + _STOP_SLACK_S)
        if self._postgres is not None:
            self._postgres.stop()

    def _revive_postgres(
        self, postgres: EmbeddedPostgres, code: int, stop: threading.Event
    ) -> bool:
        delay_s = self._postgres_restarts.note_death(self._clock_s())
        if delay_s is None:
            self._say(f"PostgreSQL ended again ({_exit(code)}): giving up; see {postgres.log}")
            return False
        self._say(f"PostgreSQL ended ({_exit(code)}); starting it again in {delay_s:g} s")
        if stop.wait(delay_s):
            return True
        try:
            postgres.start()
        except TidegaugeError as exc:
            self._say(f"PostgreSQL cannot be started again: {exc.message}")
            return False
        self._say("PostgreSQL is back")
        return True

    def _answers(self) -> bool:
        """Return whether the API says that it is ready."""
        place = urlsplit(self._address)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=2)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
