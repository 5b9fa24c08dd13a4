"""Rules of a file give series that anybody can ask for, with a queue and without one."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.support.product import clean_environment
from tests.support.rabbitmq import RabbitMQ
from tests.support.servers import wait_until
from tests.support.stack import Part

RULES = """
groups:
- name: heat
  interval: 1s
  labels: {team: infra}
  rules:
  - {record: "heat:sum", expr: sum(heat)}
  - {record: "heat:half", expr: "heat:sum / 2"}
  - {alert: TooHot, expr: "heat:half > 5"}
"""


@pytest.mark.parametrize("queue", [False, True], ids=["alone", "rabbitmq"])
def test_recorded_series_and_alerts_can_be_asked_for(
    migrated_database_url: str, tmp_path: Path, queue: bool, request: pytest.FixtureRequest
) -> None:
    env = clean_environment(DATABASE_URL=migrated_database_url, TIDEGAUGE_LOOPBACK="open")
    names = ["serve", "evaluator"]
    if queue:
        rabbitmq: RabbitMQ = request.getfixturevalue("rabbitmq")
        env["RABBITMQ_URL"] = rabbitmq.add_vhost("recording")
        env["TIDEGAUGE_RABBITMQ_SETTLE_SECONDS"] = "0"
        names.append("worker")
    file = tmp_path / "heat.yml"
    file.write_text(RULES, encoding="utf-8")
    command = [sys.executable, "-m", "tidegauge", "rules", "load", str(file)]
    subprocess.run(command, env=env, check=True, timeout=60, capture_output=True)
    parts = [Part.of_tidegauge(name, name, env, tmp_path) for name in names]
    base = parts[0].base

    def send(value: float) -> None:
        point = {"name": "heat", "value": value, "tags": {"host": "a"}}
        answer = requests.post(f"{base}/api/v1/metrics", json=[point], timeout=10)
        assert answer.ok, answer.text

    def ask(query: str) -> list[tuple[dict[str, str], str]]:
        # No answer that was kept is wanted.
        data = {"query": query, "time": str(time.time()), "nocache": "1"}
        answer = requests.post(f"{base}/prometheus/api/v1/query", data=data, timeout=10)
        assert answer.ok, answer.text
        found = answer.json()["data"]["result"]
        return [(one["metric"], one["value"][1]) for one in found]

    try:
        for part in parts:
            part.start()
        send(12)

        labels = {"alertname": "TooHot", "alertstate": "firing", "severity": "warning"}
        common = {"team": "infra"}
        wait_until(lambda: bool(ask("ALERTS")), timeout_s=60, what="the alert is a series")
        assert ask("heat:sum") == [({"__name__": "heat:sum", **common}, "12")]
        assert ask("heat:half") == [({"__name__": "heat:half", **common}, "6")]
        assert ask("ALERTS") == [({"__name__": "ALERTS", **labels, **common}, "1")]

        send(2)
        wait_until(lambda: not ask("ALERTS"), timeout_s=60, what="the series of the alert ends")
        shown = requests.get(f"{base}/prometheus/api/v1/rules?type=record", timeout=10).json()
    finally:
        for part in reversed(parts):
            if part.runs:
                part.stop()

    (group,) = shown["data"]["groups"]
    assert [(one["name"], one["type"], one["health"]) for one in group["rules"]] == [
        ("heat:sum", "recording", "ok"),
        ("heat:half", "recording", "ok"),
    ]
