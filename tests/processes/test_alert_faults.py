"""Evaluators killed and paused amid their work, and everything restarted: nobody hears less.

The long form is `python -m benchmarks.alert_faults`. Source: reliability.md, F10 and F11.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.evaluators import Installation
from tests.support.kills import Killer, LeaseWatch
from tests.support.mail import run_mail_server
from tests.support.receivers import run_receiver
from tests.support.redis import OwnRedis
from tests.support.servers import free_port, wait_until
from tests.support.waves import HOSTS, Waves
from tests.support.witness import Witness, compare

RULES = 3
ALERTS = RULES * len(HOSTS)
PERIOD_S = 8.0
SETTLED_S = 60
_FIRINGS = "SELECT FROM alert_events WHERE state = 'firing'"

pytestmark = pytest.mark.timeout(300)


class Scene:
    """An installation, its waves of bad values, and who is told of them.

    Attributes:
        rough: whether values turn bad and good again; else all are good.
    """

    def __init__(self, site: Installation, url: str, witness: Witness) -> None:
        self.site, self.witness, self.rough = site, witness, True
        self.waves = Waves(site, RULES, url, self._is_bad)
        self.lease = LeaseWatch(site)
        self.killer = Killer(site, witness, self.lease)

    def wait_for_firings(self, count: int) -> None:
        """Wait until so many alerts have fired in all."""
        wait_until(
            lambda: len(self.site.ask(_FIRINGS)) >= count,
            timeout_s=SETTLED_S,
            what=f"{count} alerts have fired",
        )

    def settle(self) -> None:
        """Let everything turn good, and everybody be told who is to be."""
        self.rough = False
        # Stopped in order, they give back what they claimed; claims of the killed run out.
        wait_until(self._all_good, timeout_s=SETTLED_S, what="all is good")
        for part in self.site.parts:
            part.stop()
        self.site.change("UPDATE notifications SET claimed_until = now() WHERE state = 'pending'")
        self.site.parts[0].start()
        wait_until(self._all_told, timeout_s=SETTLED_S, what="everybody is told")

    def close(self) -> None:
        """End everything."""
        self.waves.stop()
        self.lease.close()
        self.site.close()

    def _is_bad(self, rule: int, host: int, now_s: float) -> bool:
        phase_s = (rule * 5 + host) * PERIOD_S / 15
        return self.rough and (now_s + phase_s) % PERIOD_S < PERIOD_S / 2

    def _all_good(self) -> bool:
        states = "SELECT FROM alert_instances WHERE state IN ('pending', 'firing') LIMIT 1"
        return not self.site.ask(states)

    def _all_told(self) -> bool:
        return not self.site.ask("SELECT FROM notifications WHERE state = 'pending' LIMIT 1")


@pytest.fixture
def scene(migrated_database_url: str, redis_server: OwnRedis, tmp_path: Path) -> Iterator[Scene]:
    port = free_port()
    settings = {
        "TIDEGAUGE_WEBHOOK_ALLOW_PRIVATE": "127.0.0.1/32",
        "REDIS_URL": redis_server.url,
    }
    with run_mail_server(port) as box, run_receiver() as receiver:
        site = Installation(tmp_path, migrated_database_url, port, box, settings)
        made = Scene(site, receiver.url, Witness(receiver, site))
        yield made
        made.close()


def test_kills_at_every_point_lose_nothing_and_repeat_what_was_on_its_way(scene: Scene) -> None:
    site, killer = scene.site, scene.killer
    for _ in range(2):
        site.start()
    scene.waves.start()

    killer.restart(killer.on_post())
    amid = killer.in_transaction()
    killer.restart(amid)
    killer.restart(killer.on_lease(amid))
    scene.wait_for_firings(ALERTS + len(site.ask(_FIRINGS)))
    scene.settle()

    found = compare(site, scene.witness.heard, scene.waves.paths)
    assert len(found.firings) >= ALERTS
    assert found.lost == found.unknown == []
    assert found.broken == found.twice == found.renamed == found.disordered == []
    # Of one target one POST is under way, so that a kill repeats no more of it.
    assert max(Counter(one.path for one, _ in found.repeated).values(), default=0) <= 3
    assert [one.led for one in killer.kills[1:]] == [True, True]
