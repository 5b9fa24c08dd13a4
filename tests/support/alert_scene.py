"""Alerts that come and go while somebody listens: what proofs of evaluators are made with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.evaluators import Installation
from tests.support.kills import Killer, LeaseWatch
from tests.support.mail import run_mail_server
from tests.support.receivers import Receiver, run_receiver
from tests.support.servers import free_port, wait_until
from tests.support.waves import HOSTS, Waves
from tests.support.witness import Findings, Witness, compare

# Claims of the killed run out after 45 s, and what waited for them follows.
SETTLED_S = 150

_FIRINGS = "SELECT count(*) FROM alert_events WHERE state = 'firing'"
_BAD_ONES = "SELECT FROM alert_instances WHERE state IN ('pending', 'firing') LIMIT 1"
_WAITING = "SELECT FROM notifications WHERE state = 'pending' LIMIT 1"
_END_CLAIMS = "UPDATE notifications SET claimed_until = now() WHERE state = 'pending'"


class Scene:
    """An installation, its waves of bad values, and who is told of them.

    Args:
        site: the evaluators.
        receiver: who is told.
        rules: how many, each of five alerts.
        period_s: after so long a value turns bad again; half of it, it is.

    Attributes:
        rough: whether values turn bad and good again; else all are good.
    """

    def __init__(
        self, site: Installation, receiver: Receiver, *, rules: int, period_s: float
    ) -> None:
        self.site, self.rough, self._period_s = site, True, period_s
        self.witness = Witness(receiver, site)
        self.alerts = rules * len(HOSTS)
        self.waves = Waves(site, rules, receiver.url, self._is_bad)
        self.lease = LeaseWatch(site)
        self.killer = Killer(site, self.witness, self.lease)

    def wait_for_firings(self, more: int) -> None:
        """Wait until so many more alerts have fired."""
        count = more + self._count_firings()
        wait_until(
            lambda: self._count_firings() >= count,
            timeout_s=SETTLED_S,
            what=f"{more} more alerts have fired",
        )

    def settle(self) -> None:
        """Let everything turn good, and everybody be told who is to be."""
        self.rough = False
        wait_until(self._all_good, timeout_s=SETTLED_S, what="all is good")
        wait_until(self._all_told, timeout_s=SETTLED_S, what="everybody is told")

    def end_claims(self) -> None:
        """Let claims of the killed run out: stopped in order, the others give theirs back."""
        for part in self.site.parts:
            part.stop()
        self.site.change(_END_CLAIMS)
        self.site.parts[0].start()

    def compare(self) -> Findings:
        """Hold what was heard against what happened."""
        return compare(self.site, self.witness.heard, self.waves.paths)

    def close(self) -> None:
        """End everything."""
        self.waves.stop()
        self.lease.close()
        self.site.close()

    def _is_bad(self, rule: int, host: int, now_s: float) -> bool:
        phase_s = (rule * len(HOSTS) + host) * self._period_s / self.alerts
        return self.rough and (now_s + phase_s) % self._period_s < self._period_s / 2

    def _all_good(self) -> bool:
        return not self.site.ask(_BAD_ONES)

    def _all_told(self) -> bool:
        return not self.site.ask(_WAITING)

    def _count_firings(self) -> int:
        ((count,),) = self.site.ask(_FIRINGS)
        return int(count)


@contextmanager
def open_scene(
    folder: Path, url: str, redis_url: str, *, rules: int, period_s: float
) -> Iterator[Scene]:
    """Lend a scene over this database, without a running evaluator yet."""
    port = free_port()
    settings = {"TIDEGAUGE_WEBHOOK_ALLOW_PRIVATE": "127.0.0.1/32", "REDIS_URL": redis_url}
    with run_mail_server(port) as box, run_receiver() as receiver:
        site = Installation(folder, url, port, box, settings)
        made = Scene(site, receiver, rules=rules, period_s=period_s)
        try:
            yield made
        finally:
            made.close()
