"""`/metrics` tells of all API processes, whichever of them answers."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable

import requests

from tests.support.product import Up, children_of
from tests.support.servers import wait_until

POOL_SIZE = 5
SCRAPES = 8


def read_values(product: Up, sample: str) -> set[float]:
    """Return what several scrapes, answered by whichever process, say of a sample."""
    pattern = re.compile(rf"^{re.escape(sample)} (\S+)$", re.MULTILINE)
    found: set[float] = set()
    for _ in range(SCRAPES):
        # A connection each, so that no process answers all of them by keeping one.
        text = requests.get(
            f"{product.base}/metrics", timeout=10, headers={"Connection": "close"}
        ).text
        found |= {float(value) for value in pattern.findall(text)}
    return found


def test_counters_add_up_and_gauges_of_the_dead_are_gone(make_up: Callable[..., Up]) -> None:
    product = make_up(
        settings={"TIDEGAUGE_HTTP_WORKERS": "2", "TIDEGAUGE_DB_POOL_SIZE": str(POOL_SIZE)}
    )
    product.start()
    for number in range(20):
        assert product.send_json("counted", number).status_code == 202
    points, limit = 'ingest_points_total{protocol="json"}', "db_connections_limit"
    both = {2.0 * POOL_SIZE}
    wait_until(lambda: read_values(product, limit) == both, timeout_s=30, what="two processes")
    assert read_values(product, points) == {20.0}

    workers = set(children_of(product.part("api")))
    os.kill(min(workers), signal.SIGKILL)
    wait_until(
        lambda: len(set(children_of(product.part("api"))) - workers) == 1,
        timeout_s=30,
        what="another worker in its place",
    )
    product.wait_ready()

    wait_until(
        lambda: read_values(product, limit) == both, timeout_s=30, what="two processes again"
    )
    assert read_values(product, points) == {20.0}
