"""Evaluators killed and paused amid their work, and everything restarted: nobody hears less.

The long form is `python -m benchmarks.alert_faults`. Source: reliability.md, F10 and F11.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tidegauge.storage.embedded import EmbeddedPostgres
from tidegauge.storage.migrate import apply_migrations

from tests.support.alert_scene import Scene, open_scene
from tests.support.evaluators import Installation
from tests.support.mail import run_mail_server
from tests.support.needs import need_programs
from tests.support.pauses import pause_leader
from tests.support.redis import OwnRedis
from tests.support.servers import free_port
from tests.support.whole_restart import FIRES, MUTED, WAITS, restart_everything

KILLS = 3
HOLD_MS = 8000

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def scene(migrated_database_url: str, redis_server: OwnRedis, tmp_path: Path) -> Iterator[Scene]:
    """Two evaluators, and alerts that come and go."""
    url = redis_server.url
    with open_scene(tmp_path, migrated_database_url, url, rules=3, period_s=8) as made:
        for _ in range(2):
            made.site.start()
        made.waves.start()
        yield made


def test_kills_at_every_point_lose_nothing_and_repeat_what_was_on_its_way(scene: Scene) -> None:
    killer = scene.killer

    killer.restart(killer.on_post())
    amid = killer.in_transaction()
    killer.restart(amid)
    killer.restart(killer.on_lease(amid))
    scene.wait_for_firings(scene.alerts)
    scene.end_claims()
    scene.settle()

    found = scene.compare()
    assert len(found.firings) >= scene.alerts
    assert found.lost == found.unknown == found.broken == found.twice == []
    assert found.renamed == found.altered == found.disordered == []
    # Of one target one POST is under way, so that a kill repeats no more of it.
    assert max(Counter(one.path for one, _ in found.repeated).values(), default=0) <= KILLS
    assert [one.led for one in killer.kills[1:]] == [True, True]


def test_a_leader_paused_amid_its_transaction_writes_and_repeats_nothing(scene: Scene) -> None:
    found = pause_leader(scene, wait=lambda _stood_s: None)

    assert found.written_before > 0
    assert found.written_after == {}
    assert found.repeated_after == []


def test_after_a_restart_of_everything_the_same_clocks_go_on(tmp_path: Path) -> None:
    need_programs("redis-server")
    tmp_path.chmod(0o755)
    postgres, redis, port = EmbeddedPostgres(tmp_path), OwnRedis(tmp_path / "redis"), free_port()
    postgres.start()
    redis.start()
    try:
        apply_migrations(postgres.url)
        settings = {"REDIS_URL": redis.url}
        with run_mail_server(port) as box:
            site = Installation(tmp_path, postgres.url, port, box, settings)
            site.start()
            found = restart_everything(site, postgres, redis, hold_ms=HOLD_MS)
            site.close()
    finally:
        redis.close()
        postgres.stop()

    assert found.told_before == [(FIRES, "firing")]
    assert found.told_after == [*found.told_before, (WAITS, "firing")]
    assert found.told_unmuted == [*found.told_after, (MUTED, "firing")]
    assert found.moved == []
    assert found.held_s >= HOLD_MS / 1000
    assert found.copied
