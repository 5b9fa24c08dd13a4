"""Kills an evaluator at a chosen point of its work, and measures how long another takes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

import psycopg2

from tests.support.evaluators import Installation
from tests.support.servers import wait_until
from tests.support.stack import Part
from tests.support.witness import Heard, Witness

DUE_S = 60.0
LOOK_EVERY_S = 0.005

_LEASE = "SELECT holder, token FROM alert_lease"
# Whoever writes how alerts stand waits for this, with the lease and the events already written.
_BLOCK = "LOCK TABLE alert_instances IN SHARE MODE"
# Sessions, unlike locks, are listed as they were when the transaction first asked.
_BLOCKED = "SELECT FROM pg_locks WHERE relation = 'alert_instances'::regclass AND NOT granted"


class LeaseWatch:
    """Notes whenever the lease changes hands, over a connection of its own, until it is closed.

    Args:
        site: the evaluators that take it.

    Attributes:
        taken: when, by the monotonic clock; by which pid; with which token.
    """

    def __init__(self, site: Installation) -> None:
        self._site = site
        self.taken: list[tuple[float, int, int]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._stop.set()
        self._thread.join(DUE_S)

    def leader(self) -> Part:
        """Return who leads, as soon as somebody does that runs."""
        found: list[Part] = []

        def look() -> bool:
            pid = self.taken[-1][1] if self.taken else 0
            found[:] = [one for one in self._site.parts if one.runs and one.pid == pid]
            return bool(found)

        wait_until(look, timeout_s=DUE_S, what="an evaluator leads", every_s=0.002)
        return found[0]

    def wait_for_next(self, token: int) -> float:
        """Wait until the lease has a later token; return when it was taken."""
        wait_until(
            lambda: self.taken[-1][2] > token,
            timeout_s=DUE_S,
            what="another takes the lease",
            every_s=0.002,
        )
        return next(at_s for at_s, _, later in self.taken if later > token)

    def _watch(self) -> None:
        with closing(psycopg2.connect(self._site.url, connect_timeout=5)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                while not self._stop.wait(LOOK_EVERY_S):
                    cursor.execute(_LEASE)
                    ((holder, token),) = cursor.fetchall()
                    if not self.taken or self.taken[-1][2] != token:
                        pid = int(holder.rpartition("/")[2] or 0)
                        self.taken.append((time.monotonic(), pid, token))


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        point: at which point of the work.
        at_s: when, by the monotonic clock.
        time_ms: when, Unix ms.
        victim: the evaluator.
        token: of the lease at that moment.
        led: whether the victim held it.
    """

    point: str
    at_s: float
    time_ms: int
    victim: Part
    token: int
    led: bool


class Killer:
    """Kills evaluators of an installation; for one thread.

    Args:
        site: the evaluators.
        witness: hears what they send.
        lease: knows who leads.

    Attributes:
        kills: what was done, in order.
    """

    def __init__(self, site: Installation, witness: Witness, lease: LeaseWatch) -> None:
        self.site, self._witness, self.lease = site, witness, lease
        self.kills: list[Kill] = []

    def on_post(self, wanted: Callable[[Heard], bool] = lambda _heard: True) -> Kill:
        """Kill whoever sends the next POST, when it has arrived and has no answer yet."""
        return self._kill_sender("POST arrived", wanted, shoot_at_once=True)

    def after_post(self, pause: Callable[[], None]) -> Kill:
        """Kill whoever sends the next POST, a pause after that has arrived."""
        return self._kill_sender("POST answered", lambda _heard: True, pause=pause)

    def in_transaction(self) -> Kill:
        """Kill the leader inside the transaction in which it writes what has changed."""
        self.lease.leader()
        with self.hold_up_writes():
            return self.kill("in the transaction", self.lease.leader())

    def on_lease(self, before: Kill) -> Kill:
        """Kill whoever takes the lease after this kill of a leader, as soon as it has."""
        self.lease.wait_for_next(before.token)
        return self.kill("lease just taken", self.lease.leader())

    def kill(self, point: str, victim: Part) -> Kill:
        """Kill this one now."""
        os.kill(victim.pid, signal.SIGKILL)
        return self._note(point, victim)

    @contextmanager
    def hold_up_writes(self) -> Iterator[None]:
        """Lend the time while the leader stands in the middle of its transaction."""
        with closing(psycopg2.connect(self.site.url, connect_timeout=5)) as connection:
            with connection.cursor() as cursor:
                cursor.execute(_BLOCK)

                def is_blocked() -> bool:
                    cursor.execute(_BLOCKED)
                    return bool(cursor.fetchall())

                wait_until(is_blocked, timeout_s=DUE_S, what="the leader writes", every_s=0.005)
                yield
            connection.rollback()

    def restart(self, kill: Kill) -> None:
        """Start the victim again."""
        kill.victim.kill()
        kill.victim.start()

    def takeover_s(self, kill: Kill) -> float:
        """Return how long after this kill of a leader another took the lease, when it has."""
        return self.lease.wait_for_next(kill.token) - kill.at_s

    def _kill_sender(
        self,
        point: str,
        wanted: Callable[[Heard], bool],
        *,
        shoot_at_once: bool = False,
        pause: Callable[[], None] = lambda: None,
    ) -> Kill:
        chosen: list[Part] = []
        arrived, lock = threading.Event(), threading.Lock()

        def choose(heard: Heard) -> None:
            with lock:
                if chosen or heard.sender is None or not wanted(heard):
                    return
                chosen.append(heard.sender)
            if shoot_at_once:
                os.kill(heard.sender.pid, signal.SIGKILL)
            arrived.set()

        self._witness.on_heard = choose
        assert arrived.wait(DUE_S), "nobody was told anything"
        self._witness.on_heard = lambda _heard: None
        pause()
        with suppress(ProcessLookupError):
            os.kill(chosen[0].pid, signal.SIGKILL)
        return self._note(point, chosen[0])

    def _note(self, point: str, victim: Part) -> Kill:
        _, pid, token = self.lease.taken[-1]
        led = pid == victim.pid
        at_s, time_ms = time.monotonic(), time.time_ns() // 1_000_000
        self.kills.append(Kill(point, at_s, time_ms, victim, token, led))
        return self.kills[-1]
