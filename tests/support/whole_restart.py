"""PostgreSQL, Redis and the evaluators end at once, and start again: what the alerts say of it."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass

from tidegauge.storage.embedded import EmbeddedPostgres

from tests.support.evaluators import Installation
from tests.support.redis import OwnRedis
from tests.support.servers import wait_until

DUE_S = 60.0
FIRES, WAITS, MUTED = "fires", "waits", "muted"

_SILENCE = """
INSERT INTO silences (matchers, starts_at, ends_at, created_by)
VALUES ('[{"name": "alertname", "operator": "=", "value": "muted"}]', now(), now() + '1 h', 'me')
"""
_UNMUTE = "UPDATE silences SET ends_at = now()"
_STANDING = """
SELECT name, state, (extract(epoch FROM active_at) * 1000)::bigint,
    (extract(epoch FROM fired_at) * 1000)::bigint
FROM alert_instances JOIN alert_rules ON id = rule_id
"""
_TOLD = """
SELECT payload -> 'rule' ->> 'name', payload ->> 'status' FROM notifications ORDER BY id
"""


@dataclass(frozen=True)
class Restarted:
    """What came of it.

    Attributes:
        down_s: from the end of all until all had started again.
        held_s: from the moment the waiting alert turned bad until it fired.
        told_before, told_after: who was told of what, in all: rule and status.
        told_unmuted: the same when the silence had ended.
        moved: alerts whose clock does not stand where it stood.
        copied: whether Redis has a copy of where alerts stand, as before.
    """

    down_s: float
    held_s: float
    told_before: list[tuple[str, str]]
    told_after: list[tuple[str, str]]
    told_unmuted: list[tuple[str, str]]
    moved: list[str]
    copied: bool


def restart_everything(
    site: Installation, postgres: EmbeddedPostgres, redis: OwnRedis, *, hold_ms: int
) -> Restarted:
    """End everything while one alert fires, one waits, and one is muted; start all again.

    Args:
        site: without rules, with an evaluator that runs.
        postgres, redis: its database and its cache.
        hold_ms: how long the waiting one waits.
    """
    for name, hold in ((FIRES, 0), (WAITS, hold_ms), (MUTED, 0)):
        site.add_rule(name=name, hold_ms=hold)
    site.change(_SILENCE)
    site.send(9, "a")
    wait_until(lambda: len(site.ask(_STANDING)) == 3, timeout_s=DUE_S, what="three alerts")
    wait_until(lambda: len(site.box.mails) == 1, timeout_s=DUE_S, what="one mail")
    before, told_before = _read_clocks(site), site.ask(_TOLD)
    ended_s = time.monotonic()
    _end(site, postgres, redis)
    postgres.start()
    redis.start()
    for part in site.parts:
        part.start()
    down_s = time.monotonic() - ended_s

    wait_until(lambda: _read(site)[WAITS][1] is not None, timeout_s=DUE_S, what="it fires")
    wait_until(lambda: len(site.box.mails) == 2, timeout_s=DUE_S, what="a mail of that")
    after, told_after = _read(site), site.ask(_TOLD)
    with redis.client() as client:
        copied = len(list(client.scan_iter("*alert:state:*"))) == 3
    site.change(_UNMUTE)
    wait_until(lambda: len(site.box.mails) >= 3, timeout_s=DUE_S, what="a mail of the muted one")
    active_ms, fired_ms = after[WAITS]
    return Restarted(
        down_s=down_s,
        held_s=((fired_ms or 0) - active_ms) / 1000,
        told_before=told_before,
        told_after=told_after,
        told_unmuted=site.ask(_TOLD),
        moved=[name for name, (since_ms, _) in before.items() if after[name][0] != since_ms],
        copied=copied,
    )


def _end(site: Installation, postgres: EmbeddedPostgres, redis: OwnRedis) -> None:
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGQUIT)
    redis.kill()
    for part in site.parts:
        with suppress(ProcessLookupError):
            part.kill()
    wait_until(lambda: postgres.poll() is not None, timeout_s=DUE_S, what="PostgreSQL ends")


def _read(site: Installation) -> dict[str, tuple[int, int | None]]:
    return {name: (active_ms, fired_ms) for name, _, active_ms, fired_ms in site.ask(_STANDING)}


def _read_clocks(site: Installation) -> dict[str, tuple[int, int | None]]:
    states = {name: state for name, state, *_ in site.ask(_STANDING)}
    assert states == {FIRES: "firing", WAITS: "pending", MUTED: "firing"}, states
    return _read(site)
