"""Two servers behind nginx, on one PostgreSQL and one Redis: they never disagree for long."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.processes.conftest import SECRETS
from tests.support.browsers import PASSWORD, Browser, Robot
from tests.support.servers import wait_until
from tests.support.stack import SERVERS, TOKEN, Stack

pytestmark = pytest.mark.timeout(300)

NEW_PASSWORD = "staple correct horse"
DASHBOARDS = "/api/v1/dashboards"
CLIENTS, WRITES = 8, 10
NUMBERS = itertools.count(1)
ENDED_S = 5.0
"""Within this all processes know that a session or a token has ended (SPEC §8)."""


@pytest.fixture
def redis_killed(servers: Stack) -> Iterator[None]:
    assert servers.redis is not None
    servers.redis.kill()
    yield
    servers.redis.start()


def make_dashboard(browser: Browser) -> str:
    made = browser.send("POST", DASHBOARDS, at=0, json={"title": "Hammered"})
    assert made.status_code == 201, made.text
    return f"{DASHBOARDS}/{made.json()['data']['id']}"


class Hammer:
    """Adds words to the description of one dashboard, with other hammers.

    Args:
        browser: sends.
        path: the dashboard's.
        number: of this hammer.
        landed: called after each write that was taken.
    """

    def __init__(self, browser: Browser, path: str, number: int, landed: Any) -> None:
        self._browser, self._path, self._number, self._landed = browser, path, number, landed
        self.statuses: list[int] = []
        self.words: list[str] = []

    def run(self) -> None:
        """Write until enough was taken; what is taken is at once what everybody reads."""
        for turn in itertools.count():
            if len(self.words) == WRITES:
                return
            at = (self._number + turn) % 3
            read = self._browser.send("GET", self._path, at=at)
            assert read.status_code == 200, read.text
            word = f"{self._number}.{turn}"
            if self._write(read.json()["data"], word, turn, at=(at + 1) % 3):
                self.words.append(word)
                self._landed()

    def _write(self, data: dict[str, Any], word: str, turn: int, *, at: int) -> bool:
        body = {"description": f"{data['description']} {word}"}
        by_header = turn % 2 == 0
        headers = {"If-Match": f'"{data["version"]}"'} if by_header else {}
        if not by_header:
            body["version"] = data["version"]
        answer = self._browser.send("PUT", self._path, at=at, json=body, headers=headers)
        self.statuses.append(answer.status_code)
        if answer.status_code != 200:
            assert answer.status_code == (412 if by_header else 409), answer.text
            return False
        written = answer.json()["data"]
        assert written["version"] == data["version"] + 1
        for other in ((at + 1) % 3, (at + 2) % 3):
            after = self._browser.send("GET", self._path, at=other).json()["data"]
            assert after["version"] >= written["version"]
            assert word in after["description"].split()
            assert after["version"] > written["version"] or after == written
        return True


@pytest.mark.parametrize("kills_redis", [False, True])
def test_no_update_is_lost_while_eight_clients_hammer_one_dashboard(
    servers: Stack, *, kills_redis: bool
) -> None:
    browsers = [Browser(servers, "editor") for _ in range(CLIENTS)]
    path = make_dashboard(browsers[0])
    count, lock = itertools.count(1), threading.Lock()

    def landed() -> None:
        with lock:
            if next(count) == CLIENTS * WRITES // 2 and kills_redis:
                assert servers.redis is not None
                servers.redis.kill()

    hammers = [Hammer(browser, path, one, landed) for one, browser in enumerate(browsers)]
    try:
        with ThreadPoolExecutor(CLIENTS) as threads:
            for done in [threads.submit(hammer.run) for hammer in hammers]:
                done.result(120)
    finally:
        assert servers.redis is not None
        if not servers.redis.pid:
            servers.redis.start()

    words = [word for hammer in hammers for word in hammer.words]
    statuses = [status for hammer in hammers for status in hammer.statuses]
    for at in range(3):
        data = browsers[0].send("GET", path, at=at).json()["data"]
        assert sorted(data["description"].split()) == sorted(words)
        assert data["version"] == 1 + len(words)
    assert {409, 412} <= set(statuses), "nobody came before anybody: nothing was tried"


def test_panels_that_eight_clients_add_at_once_all_stay(servers: Stack) -> None:
    browsers = [Browser(servers, "editor") for _ in range(CLIENTS)]
    path = make_dashboard(browsers[0])
    panel = {"type": "line", "title": "Up", "query": "up"}

    def add(number: int) -> list[str]:
        answers = [
            browsers[number].send("POST", f"{path}/panels", at=(number + turn) % 3, json=panel)
            for turn in range(3)
        ]
        assert [answer.status_code for answer in answers] == [201] * 3, answers[-1].text
        return [answer.json()["data"]["id"] for answer in answers]

    with ThreadPoolExecutor(CLIENTS) as threads:
        added = [one for ids in threads.map(add, range(CLIENTS)) for one in ids]

    data = browsers[0].send("GET", path, at=1).json()["data"]
    versions = browsers[0].send("GET", f"{path}/versions", at=0).json()["data"]
    assert sorted(panel["id"] for panel in data["panels"]) == sorted(added)
    assert len(set(added)) == 3 * CLIENTS
    assert [one["version"] for one in versions] == [*range(1 + 3 * CLIENTS, 0, -1)]


def ends_everywhere(*browsers: Browser) -> None:
    wait_until(
        lambda: not any(browser.is_known(at) for browser in browsers for at in (0, 1)),
        timeout_s=ENDED_S,
        what="the session has ended in both servers",
    )


def test_a_session_holds_and_ends_in_both_servers(servers: Stack) -> None:
    browser, other = Browser(servers, "editor"), Browser(servers, "editor")
    assert [browser.is_known(at) for at in range(3)] == [True] * 3

    assert browser.send("POST", "/api/v1/auth/logout", at=1).status_code == 204

    ends_everywhere(browser)
    assert other.is_known(0)


@pytest.mark.usefixtures("redis_killed")
def test_a_session_ends_in_both_servers_without_redis(servers: Stack) -> None:
    browser = Browser(servers, "editor")
    assert [browser.is_known(at) for at in range(3)] == [True] * 3

    assert browser.send("POST", "/api/v1/auth/logout", at=0).status_code == 204

    ends_everywhere(browser)


@pytest.mark.parametrize(
    "change", [{"role": "viewer"}, {"disabled": True}, {"password": NEW_PASSWORD}, None]
)
def test_what_an_admin_changes_ends_sessions_and_tokens_in_both_servers(
    servers: Stack, change: dict[str, Any] | None
) -> None:
    admin = Browser(servers, "admin")
    name = f"shifting-{next(NUMBERS)}"
    body = {"username": name, "password": PASSWORD, "role": "editor"}
    user = admin.send("POST", "/api/v1/users", at=0, json=body).json()["data"]["id"]
    token = admin.make_token(user, "query")
    browser = Browser(servers, name)
    robots = [Robot(servers.parts[part].base, token) for part in SERVERS]
    assert all(robot.is_known() for robot in robots)
    assert all(browser.is_known(at) for at in (0, 1))

    if change is None:
        answer = admin.send("DELETE", f"/api/v1/users/{user}", at=0)
    else:
        answer = admin.send("PATCH", f"/api/v1/users/{user}", at=0, json=change)

    assert answer.status_code in (200, 204), answer.text
    ends_everywhere(browser)
    wait_until(
        lambda: not any(robot.is_known() for robot in robots),
        timeout_s=ENDED_S,
        what="the token has ended",
    )


def test_no_secret_is_anywhere_but_where_it_was_asked_for(servers: Stack) -> None:
    admin = Browser(servers, "admin")
    wrong = "tdg_" + "x" * 43 + "00000000"
    for credential in (wrong, f"{TOKEN}x", PASSWORD):
        Robot(servers.base, credential).is_known()
    requests.post(
        f"{servers.base}/api/v1/auth/login",
        json={"username": "admin", "password": NEW_PASSWORD, "x": 1},
        timeout=30,
    )
    answers = [
        admin.send("GET", path, at=at).content
        for at in (0, 1)
        for path in (
            "/metrics",
            "/health",
            "/api/v1/admin/audit?limit=1000",
            "/api/v1/admin/stats",
            "/api/v1/tokens",
            "/api/v1/users",
            "/api/v1/openapi.json",
        )
    ]
    command = [sys.executable, "-m", "tidegauge", "config"]
    shown = subprocess.run(
        command, env=servers.environment(), capture_output=True, check=True, timeout=60
    )
    logs = {path.name: path.read_bytes() for path in servers.folder.rglob("*.log")}
    kept = kept_of(servers)

    assert b'"trace_id"' in logs[f"{SERVERS[0]}.log"], "spans are written, too"
    assert b"session:" in kept
    assert len(Browser.issued) > CLIENTS
    secrets = {PASSWORD, NEW_PASSWORD, TOKEN, wrong, *SECRETS.values(), *Browser.issued}
    for text in (*logs.values(), *answers, shown.stdout, shown.stderr, kept):
        found = [secret for secret in secrets if secret.encode() in text]
        assert not found, (found, text[:200])


def kept_of(servers: Stack) -> bytes:
    """Return the keys and texts that Redis holds."""
    assert servers.redis is not None
    with servers.redis.client() as redis:
        keys = list(redis.scan_iter())
        kept = [redis.get(key) or b"" for key in keys if redis.type(key) == b"string"]
    return b"\n".join([*keys, *kept])
