"""A real Prometheus posts its alerts, and a real amtool lists them and makes silences."""

from __future__ import annotations

import contextlib
import functools
import getpass
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psycopg2
import pytest
import requests

from tests.support.debian import ProgramMissing, find_program
from tests.support.product import Up
from tests.support.receivers import Receiver, run_receiver
from tests.support.servers import run_prometheus, wait_until

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

PASSWORD = "a long password 7"
TOLD_S = 60.0

CONFIG = """
global: {{evaluation_interval: 1s}}
rule_files: [{rules}]
alerting:
  alertmanagers:
    - api_version: v2
      path_prefix: /alertmanager
      static_configs: [{{targets: ["{target}"]}}]
"""
# Prometheus looks for whom to post to only every 5 s, and would post again after a minute.
RULES = """
groups:
  - name: posted
    rules:
      - alert: DiskFull
        expr: vector(1)
        for: 8s
        labels: {severity: critical}
        annotations: {summary: "full: {{ $value }}"}
      - {alert: Quiet, expr: vector(1), for: 8s, labels: {severity: info}}
"""


@dataclass(frozen=True)
class Posting:
    """A product to which a Prometheus posts, and who hears of it."""

    up: Up
    admin: requests.Session
    token: str
    hooks: Receiver
    prometheus: str


@pytest.fixture(scope="module")
def posting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Posting]:
    folder: Path = tmp_path_factory.mktemp("posting")
    with contextlib.ExitStack() as stack:
        hooks = stack.enter_context(run_receiver())
        up = Up(
            folder / "tidegauge",
            settings={
                "TIDEGAUGE_WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8",
                "TIDEGAUGE_ADMIN_PASSWORD": PASSWORD,
            },
        )
        stack.callback(up.end)
        up.start()
        admin, token = sign_in(up)
        put_routes(up, admin, hooks)
        (folder / "rules.yml").write_text(RULES)
        config = CONFIG.format(rules=folder / "rules.yml", target=up.base.removeprefix("http://"))
        try:
            server = stack.enter_context(run_prometheus(folder / "prometheus", lambda _own: config))
        except ProgramMissing as exc:
            pytest.skip(str(exc))
        yield Posting(up, admin, token, hooks, server.url)


def sign_in(up: Up) -> tuple[requests.Session, str]:
    """Return a session of the admin, and a token that may make silences."""
    session = requests.Session()
    body = {"username": "admin", "password": PASSWORD}
    assert session.post(f"{up.base}/api/v1/auth/login", json=body, timeout=10).ok
    made = session.post(
        f"{up.base}/api/v1/tokens", json={"name": "amtool", "scopes": ["alerts"]}, timeout=10
    )
    assert made.status_code == 201, made.text
    return session, str(made.json()["data"]["token"])


def put_routes(up: Up, admin: requests.Session, hooks: Receiver) -> None:
    hook = {"type": "webhook", "target": f"{hooks.url}/ops"}
    document = {
        "revision": 0,
        "receivers": [{"name": "ops", "channels": [hook]}, {"name": "rest", "channels": []}],
        "route": {
            "receiver": "rest",
            "routes": [{"receiver": "ops", "matchers": ['severity="critical"']}],
        },
    }
    done = admin.put(f"{up.base}/api/v1/alerts/routing", json=document, timeout=10)
    assert done.status_code == 200, done.text


@pytest.fixture
def amtool(posting: Posting, tmp_path: Path) -> Callable[..., str]:
    """Run amtool with a token, and return what it prints."""
    try:
        program = find_program("amtool")
    except ProgramMissing as exc:
        pytest.skip(str(exc))
    http = tmp_path / "http.yml"
    http.write_text(f"authorization: {{credentials: {posting.token}}}\n")

    def run(*words: str, with_token: bool = True) -> str:
        command = [str(program), f"--alertmanager.url={posting.up.base}/alertmanager"]
        if with_token:
            command.append(f"--http.config.file={http}")
        done = subprocess.run(
            [*command, "--no-version-check", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    return run


def listed(posting: Posting, query: str = "") -> list[dict[str, Any]]:
    path = f"{posting.up.base}/alertmanager/api/v2/alerts{query}"
    found: list[dict[str, Any]] = requests.get(path, timeout=10).json()
    return found


def wait_for_alerts(posting: Posting) -> None:
    wait_until(lambda: len(listed(posting)) == 2, timeout_s=TOLD_S, what="both alerts are posted")


def test_what_prometheus_posts_is_listed_as_prometheus_knows_it(posting: Posting) -> None:
    wait_for_alerts(posting)

    (shown,) = listed(posting, '?filter=severity="critical"')
    rules = requests.get(f"{posting.prometheus}/api/v1/rules", timeout=10).json()
    (own,) = [
        alert
        for rule in rules["data"]["groups"][0]["rules"]
        for alert in rule["alerts"]
        if rule["name"] == "DiskFull"
    ]

    assert shown["labels"] == own["labels"]
    assert shown["annotations"] == own["annotations"] == {"summary": "full: 1"}
    assert own["activeAt"][:19] < shown["startsAt"][:19]
    assert shown["receivers"] == [{"name": "ops"}]
    assert listed(posting, "?receiver=rest")[0]["labels"]["alertname"] == "Quiet"
    assert shown["generatorURL"].endswith("/graph?g0.expr=vector%281%29&g0.tab=1")


def test_its_alerts_are_in_the_history_once_and_go_to_whom_the_route_names(
    posting: Posting,
) -> None:
    wait_for_alerts(posting)
    wait_until(lambda: bool(posting.hooks.posted), timeout_s=TOLD_S, what="the webhook hears")

    heard = [orjson.loads(one.body) for one in posting.hooks.posted]
    with (
        contextlib.closing(psycopg2.connect(posting.up.database_url())) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "SELECT rule_name, state, severity, details ->> 'posted' FROM alert_events"
            " WHERE rule_id IS NULL ORDER BY rule_name"
        )
        rows = cursor.fetchall()

    assert rows == [
        ("DiskFull", "firing", "critical", "true"),
        ("Quiet", "firing", "info", "true"),
    ]
    assert [one["receiver"] for one in heard] == ["ops"]
    (alert,) = heard[0]["alerts"]
    assert (alert["status"], alert["labels"]["alertname"]) == ("firing", "DiskFull")
    assert alert["fingerprint"] == listed(posting, "?filter=alertname=DiskFull")[0]["fingerprint"]


def test_amtool_lists_alerts_without_a_token_on_this_machine(
    posting: Posting, amtool: Callable[..., str]
) -> None:
    wait_for_alerts(posting)

    simple = amtool("alert", "query", "severity=critical", with_token=False)
    found = json.loads(amtool("-o", "json", "alert", "query", with_token=False))

    assert "DiskFull" in simple
    assert "Quiet" not in simple
    assert sorted(one["labels"]["alertname"] for one in found) == ["DiskFull", "Quiet"]


def test_amtool_makes_extends_lists_and_ends_a_silence(
    posting: Posting, amtool: Callable[..., str]
) -> None:
    wait_for_alerts(posting)

    number = amtool("silence", "add", "--comment=new disks", "--duration=2h", "alertname=~Qu.*")
    number = number.strip()
    (shown,) = json.loads(amtool("-o", "json", "silence", "query", with_token=False))
    quiet = amtool("alert", "query", "--silenced", with_token=False)
    amtool("silence", "update", "--comment=newer disks", number)
    (updated,) = json.loads(amtool("-o", "json", "silence", "query", with_token=False))
    amtool("silence", "expire", number)
    expired = json.loads(amtool("-o", "json", "silence", "query", "--expired", with_token=False))

    assert (shown["id"], shown["createdBy"]) == (number, getpass.getuser())
    assert shown["matchers"] == [
        {"isEqual": True, "isRegex": True, "name": "alertname", "value": "Qu.*"}
    ]
    assert ("Quiet" in quiet, "DiskFull" in quiet) == (True, False)
    assert (updated["id"], updated["comment"]) == (number, "newer disks")
    assert [one["id"] for one in expired] == [number]


def test_amtool_reads_the_routes_and_says_who_would_hear(amtool: Callable[..., str]) -> None:
    assert "receiver: ops" in amtool("config", "show", with_token=False)
    assert amtool("config", "routes", "test", "severity=critical", with_token=False) == "ops\n"
    assert amtool("config", "routes", "test", "severity=info", with_token=False) == "rest\n"


def test_amtool_posts_an_alert_of_its_own(posting: Posting, amtool: Callable[..., str]) -> None:
    amtool("alert", "add", "Manual", "host=a", "--annotation=summary=by hand", with_token=False)

    (shown,) = listed(posting, "?filter=alertname=Manual")

    assert shown["labels"] == {"alertname": "Manual", "host": "a"}
    ended = functools.partial(listed, posting, "?filter=alertname=Manual")
    amtool(
        "alert",
        "add",
        "Manual",
        "host=a",
        "--end=2020-01-02T00:00:00Z",
        "--start=2020-01-01T00:00:00Z",
        with_token=False,
    )
    assert ended() == []
