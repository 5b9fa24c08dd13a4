"""A delivery that is killed in the middle: everything arrives, hardly anything twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
import structlog
from tidegauge.config import Config, NotifyConfig
from tidegauge.observability.meters import Meters
from tidegauge.services import Tools
from tidegauge.services.notifications import make_delivery
from tidegauge.storage.outbox import NewNotification, Outbox, enqueue
from tidegauge.storage.pool import Pool

from tests.support.receivers import Posted, Receiver, run_receiver
from tests.unit.alerts.notifications import make_payload

SERIES, TARGETS = 10, 3
DEADLINE_S = 60
Deliver = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as receiver:
        yield receiver


@pytest.fixture
def deliver(migrated_database_url: str, repository: Path) -> Iterator[Deliver]:
    """A function that starts a process which delivers; it is gone after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        settings = {
            "DATABASE_URL": migrated_database_url,
            "TIDEGAUGE_WEBHOOK_ALLOW_PRIVATE": "127.0.0.1/32",
        }
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.support.deliver"],
                cwd=repository,
                env={"PATH": os.environ["PATH"], **settings},
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(DEADLINE_S)


def let_claims_run_out(pool: Pool) -> None:
    with pool.transaction() as lent:
        lent.execute("UPDATE notifications SET claimed_until = now() WHERE state = 'pending'")


@pytest.mark.parametrize(("killed_at", "members"), [(1, "a"), (7, "abc"), (20, "ab")])
def test_a_kill_loses_nothing_and_repeats_what_was_on_its_way_under_its_key(
    receiver: Receiver, pool: Pool, deliver: Deliver, killed_at: int, members: str
) -> None:
    new = [
        NewNotification(
            9,
            7,
            {"type": "webhook", "target": f"{receiver.url}/{target}"},
            make_payload(labels={"n": str(number), "m": member}),
            group_key=str(number),
        )
        for number in range(SERIES)
        for target in range(TARGETS)
        for member in members
    ]
    with pool.transaction() as lent:
        enqueue(lent, new)
    victim = deliver()

    def kill_when_it_is_time(_posted: Posted) -> None:
        if len(receiver.posted) == killed_at:
            victim.kill()

    receiver.on_post = kill_when_it_is_time
    assert victim.wait(DEADLINE_S) == -signal.SIGKILL
    receiver.on_post = lambda _posted: None
    let_claims_run_out(pool)

    heir = make_delivery(
        Config(notify=NotifyConfig(webhook_allow_private="127.0.0.1/32")),
        Tools(log=structlog.get_logger()),
        Meters(),
        outbox=Outbox(pool=pool),
    )
    while heir.deliver_due():
        pass
    heir.close()

    rows = Outbox(pool=pool).read_log(7, before=None, limit=999)
    times = Counter(posted.headers["idempotency-key"] for posted in receiver.posted)
    assert {row.state for row in rows} == {"sent"}
    assert times.keys() == {row.idempotency_key for row in rows}
    assert max(times.values()) <= 2
    assert len(times) == SERIES * TARGETS
    assert sum(times.values()) - len(times) <= TARGETS
    told: dict[str, set[bytes]] = {}
    for posted in receiver.posted:
        told.setdefault(posted.headers["idempotency-key"], set()).add(posted.body)
    assert {len(bodies) for bodies in told.values()} == {1}
    assert {len(orjson.loads(posted.body)["alerts"]) for posted in receiver.posted} == {
        len(members)
    }
