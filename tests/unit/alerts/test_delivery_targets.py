"""Real targets side by side: those that misbehave hold up none that does not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import pytest
import structlog
from structlog.testing import capture_logs
from tidegauge.alerts.delivery import Delivery
from tidegauge.config import Config, DatabaseConfig, NotifyConfig
from tidegauge.observability.meters import Meters
from tidegauge.services import Tools
from tidegauge.services.notifications import make_delivery
from tidegauge.storage.outbox import NewNotification, Outbox, enqueue
from tidegauge.storage.pool import Pool

from tests.support.receivers import run_receiver, run_talker
from tests.unit.alerts.notifications import make_payload

PATIENCE_S = 30
ANSWERS = {
    "/500": (500, {}, b"no"),
    "/429": (429, {"Retry-After": "90"}, b"no"),
    "/private": (307, {"Location": "http://169.254.169.254/"}, b""),
    "/long": (200, {}, b"x" * 10_000_000),
    "/good": (204, {}, b""),
}


@pytest.fixture
def outbox(migrated_database_url: str) -> Iterator[Outbox]:
    pool = Pool.from_config(DatabaseConfig(), url=migrated_database_url)
    yield Outbox(pool=pool)
    pool.close()


@pytest.fixture
def delivery(outbox: Outbox) -> Iterator[Delivery]:
    config = NotifyConfig(webhook_allow_private="127.0.0.1/32", timeout_s=PATIENCE_S)
    with capture_logs():
        made = make_delivery(
            Config(notify=config), Tools(log=structlog.get_logger()), Meters(), outbox=outbox
        )
        yield made
        made.close()


def put(url: str, *targets: str, number: int = 0) -> None:
    payload = make_payload(labels={"n": str(number)})
    pool = Pool.from_config(DatabaseConfig(), url=url)
    with pool.transaction() as lent:
        channels = [{"type": "webhook", "target": target} for target in targets]
        enqueue(lent, [NewNotification(9, 7, channel, payload) for channel in channels])
    pool.close()


def test_bad_targets_hold_up_no_good_one(
    migrated_database_url: str, outbox: Outbox, delivery: Delivery
) -> None:
    hanging, arrived = threading.Event(), SimpleQueue[str]()

    def hang(_connection: socket.socket, stop: threading.Event) -> None:
        hanging.set()
        stop.wait(PATIENCE_S)

    with (
        run_receiver() as receiver,
        ThreadPoolExecutor(1) as other,
        run_talker(hang) as hanging_url,
    ):
        receiver.answers = dict(ANSWERS)
        receiver.on_post = lambda posted: arrived.put(posted.path)
        good = f"{receiver.url}/good"
        put(migrated_database_url, hanging_url, *(receiver.url + path for path in ANSWERS))
        first = other.submit(delivery.deliver_due)
        assert hanging.wait(PATIENCE_S)
        assert sorted(arrived.get(timeout=PATIENCE_S) for _ in ANSWERS) == sorted(ANSWERS)

        for number in range(1, 4):
            put(migrated_database_url, good, number=number)
            while not delivery.deliver_due():
                pass
            assert arrived.get(timeout=PATIENCE_S) == "/good"
        assert not first.done()

    first.result(PATIENCE_S)
    rows = outbox.read_log(7, before=None, limit=99)
    states = {row.channel["target"].removeprefix(receiver.url): row.state for row in rows}
    assert states == {
        hanging_url: "pending",
        "/500": "pending",
        "/429": "pending",
        "/private": "failed",
        "/long": "sent",
        "/good": "sent",
    }
    assert sum(row.state == "sent" for row in rows) == 5
