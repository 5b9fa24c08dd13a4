"""nginx.conf under a real nginx: who gets what, and what a sender sees when a server dies."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support import echo_server
from tests.support.needs import need_programs
from tests.support.nginx import run_nginx
from tests.support.servers import Server, answers, free_port, wait_until

pytestmark = pytest.mark.services

FORWARDING = {"x-forwarded-for", "x-real-ip", "forwarded"}


class Neighbour:
    """One echo server: started, killed, looked into."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.port, self._notes = name, free_port(), folder / f"{name}.jsonl"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        script = [str(echo_server.__file__), str(self.port), self.name, str(self._notes)]
        self._process = subprocess.Popen([sys.executable, *script])
        wait_until(
            lambda: answers(f"http://{self.address}/up"), timeout_s=30, what=f"{self.name} is up"
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def asked(self, path: str) -> list[dict[str, Any]]:
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        return [seen for line in lines if (seen := json.loads(line))["path"] == path]


@pytest.fixture
def neighbours(tmp_path: Path) -> Iterator[dict[str, Neighbour]]:
    made = {name: Neighbour(tmp_path, name) for name in ("api-1", "api-2", "grafana")}
    for neighbour in made.values():
        neighbour.start()
    yield made
    for neighbour in made.values():
        neighbour.kill()


@pytest.fixture
def nginx(tmp_path: Path, neighbours: dict[str, Neighbour]) -> Iterator[Server]:
    need_programs("nginx")
    api = [neighbours["api-1"].address, neighbours["api-2"].address]
    with run_nginx(tmp_path / "nginx", api=api, grafana=neighbours["grafana"].address) as server:
        yield server


def seen_headers(answer: requests.Response, names: set[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in answer.json()["headers"]:
        if name in names:
            found.setdefault(name, []).append(value)
    return found


def test_both_servers_get_requests(nginx: Server) -> None:
    seen = Counter(requests.get(nginx.url + "/x", timeout=10).json()["server"] for _ in range(20))

    assert seen == {"api-1": 10, "api-2": 10}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_killed_server_is_not_noticed(
    nginx: Server, neighbours: dict[str, Neighbour], method: str
) -> None:
    warm = [requests.request(method, nginx.url + "/x", data=b"a", timeout=10) for _ in range(10)]
    neighbours["api-1"].kill()

    after = [requests.request(method, nginx.url + "/x", data=b"a", timeout=10) for _ in range(40)]

    assert {answer.status_code for answer in [*warm, *after]} == {200}
    assert {answer.json()["server"] for answer in after} == {"api-2"}


def test_a_server_that_comes_back_gets_requests_again(
    nginx: Server, neighbours: dict[str, Neighbour]
) -> None:
    neighbours["api-1"].kill()
    for _ in range(10):
        requests.get(nginx.url + "/x", timeout=10)
    neighbours["api-1"].start()

    wait_until(
        lambda: requests.get(nginx.url + "/x", timeout=10).json()["server"] == "api-1",
        timeout_s=30,
        what="api-1 is asked again",
    )
    answers = [requests.get(nginx.url + "/x", timeout=10) for _ in range(20)]
    assert {answer.json()["server"] for answer in answers} == {"api-1", "api-2"}


def test_a_post_that_may_have_been_taken_is_not_sent_again(
    nginx: Server, neighbours: dict[str, Neighbour]
) -> None:
    answer = requests.post(nginx.url + "/die", data=b"[]", timeout=30)

    assert answer.status_code == 503
    assert sum(len(neighbours[name].asked("/die")) for name in ("api-1", "api-2")) == 1


def test_a_get_whose_server_died_over_it_goes_to_the_other(
    nginx: Server, neighbours: dict[str, Neighbour]
) -> None:
    requests.get(nginx.url + "/die", timeout=30)

    assert [len(neighbours[name].asked("/die")) for name in ("api-1", "api-2")] == [1, 1]


@pytest.mark.parametrize("path", ["/api/v1/metrics", "/grafana/json/query"])
def test_without_any_server_senders_are_told_to_come_again(
    nginx: Server, neighbours: dict[str, Neighbour], path: str
) -> None:
    neighbours["api-1"].kill()
    neighbours["api-2"].kill()

    answer = requests.post(nginx.url + path, data=b"[]", timeout=30)

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers["X-Request-ID"] == answer.json()["request_id"]
    assert answer.json()["code"] == "unavailable"


def test_without_any_server_prometheus_clients_are_told_in_their_words(
    nginx: Server, neighbours: dict[str, Neighbour]
) -> None:
    neighbours["api-1"].kill()
    neighbours["api-2"].kill()

    answer = requests.post(nginx.url + "/prometheus/api/v1/query", data={"query": "1"}, timeout=30)

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert list(answer.json()) == ["status", "errorType", "error"]
    assert (answer.json()["status"], answer.json()["errorType"]) == ("error", "unavailable")


@pytest.mark.parametrize(
    ("path", "server"),
    [
        ("/", "api"),
        ("/api/v1/query", "api"),
        ("/prometheus/api/v1/query", "api"),
        ("/grafana/json", "api"),
        ("/grafana/json/", "api"),
        ("/grafana/json/metrics?x=1", "api"),
        ("/grafana/", "grafana"),
        ("/grafana/jsonp", "grafana"),
        ("/grafana/api/health", "grafana"),
        ("/grafanax", "api"),
    ],
)
def test_paths_lead_to_whom_they_belong(nginx: Server, path: str, server: str) -> None:
    seen = requests.get(nginx.url + path, timeout=10).json()

    assert (seen["server"].partition("-")[0], seen["path"]) == (server, path)


def test_grafana_without_a_slash_is_led_on(nginx: Server) -> None:
    answer = requests.get(nginx.url + "/grafana", timeout=10, allow_redirects=False)

    assert (answer.status_code, answer.headers["Location"]) == (302, "/grafana/")


def test_the_api_is_served_without_grafana(nginx: Server, neighbours: dict[str, Neighbour]) -> None:
    neighbours["grafana"].kill()

    assert requests.get(nginx.url + "/grafana/", timeout=10).status_code == 502
    assert requests.get(nginx.url + "/health", timeout=10).status_code == 200


def test_the_largest_body_passes_and_a_larger_one_is_refused(nginx: Server) -> None:
    largest = requests.post(nginx.url + "/x", data=bytes(10 * 1024 * 1024), timeout=30)
    larger = requests.post(nginx.url + "/x", data=bytes(13 * 1024 * 1024), timeout=30)

    assert (largest.status_code, largest.json()["body_bytes"]) == (200, 10 * 1024 * 1024)
    assert larger.status_code == 413


@pytest.mark.parametrize("path", ["/api/v1/query", "/grafana/json/query"])
def test_a_sender_cannot_claim_another_address(nginx: Server, path: str) -> None:
    claims = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Real-IP": "203.0.113.9",
        "Forwarded": "for=203.0.113.9",
    }

    answer = requests.get(nginx.url + path, headers=claims, timeout=10)

    assert seen_headers(answer, FORWARDING) == {
        "x-forwarded-for": ["127.0.0.1"],
        "x-real-ip": ["127.0.0.1"],
    }


def test_the_host_and_the_credentials_of_a_request_go_on(nginx: Server) -> None:
    headers = {"Authorization": "Bearer secret", "Host": "localhost:3000"}

    answer = requests.get(nginx.url + "/x", headers=headers, timeout=10)

    assert seen_headers(answer, {"authorization", "host"}) == {
        "authorization": ["Bearer secret"],
        "host": ["localhost:3000"],
    }


@pytest.mark.parametrize(
    ("given", "passed"),
    [("abc-1:/+=@_.", True), ("", False), ('a"b', False), ("a b", False), ("x" * 129, False)],
)
def test_a_sane_request_id_goes_on_and_else_one_is_made(
    nginx: Server, given: str, passed: bool
) -> None:
    answer = requests.get(nginx.url + "/x", headers={"X-Request-ID": given}, timeout=10)

    (sent,) = seen_headers(answer, {"x-request-id"})["x-request-id"]
    assert (sent == given) is passed
    assert sent


def test_log_lines_are_json_and_name_the_request_but_no_secret(
    nginx: Server, tmp_path: Path
) -> None:
    requests.get(nginx.url + "/x?query=secret", headers={"X-Request-ID": "id-1"}, timeout=10)

    log = tmp_path / "nginx/nginx.log"
    wait_until(lambda: '"id-1"' in log.read_text(), timeout_s=10, what="the request is logged")
    (line,) = [line for line in log.read_text().splitlines() if '"id-1"' in line]
    assert json.loads(line)["path"] == "/x"
    assert "secret" not in line
