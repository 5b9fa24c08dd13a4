"""The shipped rules in a running product: loaded, fed by what it exports, and firing."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable

import orjson
import requests
from tidegauge.alerts.shipped import read_shipped_rules
from tidegauge.query.parsing import QueryParser

from tests.support.product import Up, clean_environment
from tests.support.receivers import run_receiver
from tests.support.servers import free_port, wait_until

PATIENCE_S = 120.0
RULES = read_shipped_rules(parser=QueryParser(max_depth=100))
OWN_METRIC = re.compile(r'([a-z_]+)\{job="tidegauge"')
SIZES = ("database_size_bytes", "database_disk_bytes", "database_disk_free_bytes")
PASSWORD = "a long password 7"


def read_exported(*addresses: str) -> set[str]:
    """Return the names of the metrics that processes show."""
    texts = [requests.get(f"{one}/metrics", timeout=10).text for one in addresses]
    return {name for text in texts for name in re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)}


def test_a_failed_notification_fires_the_shipped_rule_about_it(make_up: Callable[..., Up]) -> None:
    port = free_port()
    with run_receiver() as hooks:
        hooks.answers["/refuses"] = (400, {}, b"not here")
        settings = {
            "TIDEGAUGE_OWN_METRICS_SECONDS": "1",
            "TIDEGAUGE_ADMIN_PASSWORD": PASSWORD,
            "TIDEGAUGE_EVALUATOR_PORT": str(port),
            "TIDEGAUGE_WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8",
        }
        up = make_up(settings=settings)
        up.start()

        def loaded() -> list[str]:
            answer = requests.get(f"{up.base}/prometheus/api/v1/rules", timeout=10).json()
            groups = answer["data"]["groups"]
            return sorted(rule["name"] for group in groups for rule in group["rules"])

        wait_until(
            lambda: len(loaded()) >= len(RULES), timeout_s=PATIENCE_S, what="the rules are loaded"
        )
        names = loaded()
        command = ["rules", "load", "--shipped", "--webhook", f"{hooks.url}/hears"]
        said = subprocess.run(
            [sys.executable, "-m", "tidegauge", *command],
            env=clean_environment(**settings, DATABASE_URL=up.database_url()),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert said.returncode == 0, said.stderr
        session = requests.Session()
        log_in = {"username": "admin", "password": PASSWORD}
        assert session.post(f"{up.base}/api/v1/auth/login", json=log_in, timeout=10).ok
        rule = {
            "name": "heat",
            "query": "heat",
            "condition": "gt",
            "threshold": 5,
            "duration": 0,
            "interval": 1,
            "notification": {"type": "webhook", "target": f"{hooks.url}/refuses"},
        }
        assert session.post(f"{up.base}/api/v1/alerts", json=rule, timeout=10).status_code == 201
        up.send_json("heat", 9)

        def heard() -> list[str]:
            bodies = [orjson.loads(one.body) for one in hooks.posted if one.path == "/hears"]
            return [one["labels"]["alertname"] for body in bodies for one in body["alerts"]]

        wait_until(
            lambda: "TidegaugeNotificationsFail" in heard(), timeout_s=PATIENCE_S, what="it fires"
        )
        exported = read_exported(up.base, f"http://127.0.0.1:{port}")
        found = up.ask(f'{{__name__=~"{"|".join(SIZES)}",fresh!="{time.monotonic_ns()}"}}')
        sizes = {one["metric"]["__name__"]: float(one["value"][1]) for one in found}
        stored = up.ask(f'count by (process) (queue_limit{{fresh!="{time.monotonic_ns()}"}})')

    # The database is our own, so that its disk is known.
    assert [one for one in SIZES if not sizes.get(one, 0) > 0] == []
    assert names == sorted(one.name for one in RULES)
    asked = {name for one in RULES for name in OWN_METRIC.findall(one.query)}
    assert {re.sub("_(bucket|sum)$", "", name) for name in asked} <= exported
    assert {one["metric"]["process"] for one in stored} == {"api-0", "evaluator-0"}
    assert set(heard()) == {"TidegaugeNotificationsFail"}
