"""All processes tell of themselves: over `/metrics`, and in the storage."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import requests

from tests.support.product import Up, children_of, clean_environment
from tests.support.rabbitmq import RabbitMQ
from tests.support.servers import wait_until
from tests.support.stack import Part

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


def test_each_process_stores_its_own_series_through_the_queue(
    migrated_database_url: str, rabbitmq: RabbitMQ, tmp_path: Path
) -> None:
    env = clean_environment(
        DATABASE_URL=migrated_database_url,
        RABBITMQ_URL=rabbitmq.add_vhost("own-metrics"),
        TIDEGAUGE_HTTP_WORKERS="2",
        TIDEGAUGE_LOOPBACK="open",
        TIDEGAUGE_OWN_METRICS_SECONDS="1",
    )
    names = ("worker", "evaluator", "serve")
    parts = [Part.of_tidegauge(name, name, env, tmp_path) for name in names]
    ask = f"{parts[-1].base}/prometheus/api/v1/query"

    def found() -> Counter[str]:
        """Return how many series tell of each process's own connections."""
        query = f'db_connections_limit{{job="tidegauge",fresh!="{time.monotonic_ns()}"}}'
        answer = requests.post(ask, data={"query": query}, timeout=10)
        assert answer.status_code == 200, answer.text
        return Counter(one["metric"]["process"] for one in answer.json()["data"]["result"])

    try:
        for part in parts:
            part.start()
        wait_until(
            lambda: len(found()) >= 4, timeout_s=30, what="four processes have told of themselves"
        )
        assert found() == {"api-0": 1, "api-1": 1, "evaluator-0": 1, "worker-0": 1}
    finally:
        for part in reversed(parts):
            if part.runs:
                part.stop()


def test_without_a_queue_the_evaluator_stores_its_series_itself(make_up: Callable[..., Up]) -> None:
    product = make_up(settings={"TIDEGAUGE_OWN_METRICS_SECONDS": "1"})
    product.start()

    def leading() -> list[tuple[str, str]]:
        found = product.ask(f'alert_evaluator_leading{{fresh!="{time.monotonic_ns()}"}} == 1')
        return [(one["metric"]["job"], one["metric"]["process"]) for one in found]

    wait_until(lambda: bool(leading()), timeout_s=30, what="the evaluator has told of itself")

    assert leading() == [("tidegauge", "evaluator-0")]
