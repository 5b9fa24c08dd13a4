"""The heartbeat of a running product: it stays away while alerts cannot be evaluated."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing

import psycopg2
import requests

from tests.support.product import Up
from tests.support.receivers import run_receiver
from tests.support.servers import free_port, wait_until

PATIENCE_S = 60.0


def test_no_heartbeat_comes_while_the_evaluator_cannot_work(make_up: Callable[..., Up]) -> None:
    port = free_port()
    with run_receiver() as watcher:
        up = make_up(
            settings={
                "TIDEGAUGE_HEARTBEAT_URL": f"{watcher.url}/ping",
                "TIDEGAUGE_HEARTBEAT_SECONDS": "1",
                "TIDEGAUGE_EVALUATOR_PORT": str(port),
                "TIDEGAUGE_WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8",
            }
        )
        up.start()
        log = up.data / "log/evaluator.log"

        def withheld() -> float:
            text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
            found = re.search(r'^heartbeats_total{outcome="withheld"} (\S+)$', text, re.MULTILINE)
            return float(found[1]) if found else 0.0

        wait_until(lambda: len(watcher.posted) >= 2, timeout_s=PATIENCE_S, what="heartbeats")

        with closing(psycopg2.connect(up.database_url())) as connection:
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE alert_lease")
            wait_until(
                lambda: "the heartbeat is withheld" in log.read_text(),
                timeout_s=PATIENCE_S,
                what="the evaluator, which cannot renew its lease, withholds the heartbeat",
            )
            before = len(watcher.posted)
            wait_until(lambda: withheld() >= 3, timeout_s=PATIENCE_S, what="three are withheld")
            after = len(watcher.posted)
        wait_until(lambda: len(watcher.posted) > after, timeout_s=PATIENCE_S, what="again")

    assert before == after
    assert "the heartbeat is sent again" in log.read_text()
