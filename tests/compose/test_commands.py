"""The commands of the compose file as processes, with the same environment, behind the same nginx.

Addresses are replaced, and RabbitMQ and Redis are left out: with them the set runs in
tests/processes.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.needs import need_programs
from tests.support.nginx import run_nginx
from tests.support.product import clean_environment
from tests.support.servers import Server, answers, free_port, wait_until

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]

Services = dict[str, dict[str, Any]]


def environment_of(service: dict[str, Any], **changed: str) -> dict[str, str]:
    """Return what the container's process would see, with other addresses."""
    left_out = {"RABBITMQ_URL", "REDIS_URL"}
    given = {name: text for name, text in service["environment"].items() if name not in left_out}
    return clean_environment(**{**given, **changed})


@pytest.fixture
def migrated(own_services: Services, database_url: str) -> str:
    """The address of a database that the `migrate` service has prepared."""
    service = own_services["migrate"]
    subprocess.run(
        [sys.executable, "-m", "tidegauge", *service["command"]],
        env=environment_of(service, DATABASE_URL=database_url),
        check=True,
        capture_output=True,
        timeout=120,
    )
    return database_url


@pytest.fixture
def api(own_services: Services, migrated: str, tmp_path: Path) -> Iterator[dict[str, Server]]:
    """Both API servers, each on a free port of the loopback."""
    with ExitStack() as stack:
        servers = {}
        for name in ("api-1", "api-2"):
            service, port = own_services[name], free_port()
            env = environment_of(
                service,
                DATABASE_URL=migrated,
                TIDEGAUGE_HOST="127.0.0.1",
                TIDEGAUGE_PORT=str(port),
                TIDEGAUGE_TRUSTED_PROXIES="127.0.0.1/32",
            )
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", "tidegauge", *service["command"]], env=env, stderr=log
            )
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)
            servers[name] = Server(f"http://127.0.0.1:{port}", process)
        for name, server in servers.items():
            wait_until(
                lambda server=server: answers(server.url + "/health/ready"),  # type: ignore[misc]
                timeout_s=60,
                what=f"{name} is ready",
            )
        yield servers


@pytest.fixture
def nginx(api: dict[str, Server], tmp_path: Path) -> Iterator[Server]:
    need_programs("nginx")
    with run_nginx(tmp_path / "nginx", api=[s.address for s in api.values()]) as server:
        yield server


def test_what_one_server_stored_the_other_answers_through_nginx(
    nginx: Server, own_services: Services
) -> None:
    token = own_services["api-1"]["environment"]["TIDEGAUGE_ACCESS_TOKEN"]
    headers = {"Authorization": f"Bearer {token}"}
    now_ms = time.time_ns() // 1_000_000

    stored = [
        requests.post(
            nginx.url + "/api/v1/metrics",
            json=[{"name": "m", "value": 5, "tags": {"n": str(n)}, "timestamp": now_ms}],
            headers=headers,
            timeout=30,
        )
        for n in range(4)
    ]

    assert [answer.status_code for answer in stored] == [202] * 4, stored[0].text
    for _ in range(4):
        answer = requests.post(
            nginx.url + "/prometheus/api/v1/query",
            data={"query": "sum(m)"},
            headers=headers,
            timeout=30,
        )
        assert answer.json()["data"]["result"][0]["value"][1] == "20"


def test_health_checks_succeed_on_a_server_that_is_ready_and_fail_without(
    api: dict[str, Server], own_services: Services
) -> None:
    check = own_services["api-1"]["healthcheck"]["test"]
    port = api["api-1"].url.rpartition(":")[2]

    def run() -> int:
        assert check[:2] == ["CMD", "python"]
        return subprocess.run(
            [sys.executable, *check[2:]],
            env=clean_environment(TIDEGAUGE_PORT=port),
            capture_output=True,
            timeout=30,
        ).returncode

    assert run() == 0
    api["api-1"].process.terminate()
    assert api["api-1"].process.wait(60) == 0
    assert run() != 0


def test_the_health_check_of_the_image_asks_the_port_of_the_settings(
    api: dict[str, Server], repository: Path
) -> None:
    dockerfile = (repository / "Dockerfile").read_text(encoding="utf-8")
    (line,) = [line for line in dockerfile.splitlines() if line.strip().startswith('CMD ["python"')]
    script = line.partition('"-c", "')[2].removesuffix('"]')
    port = api["api-2"].url.rpartition(":")[2]

    done = subprocess.run(
        [sys.executable, "-c", script],
        env=clean_environment(TIDEGAUGE_PORT=port),
        capture_output=True,
        timeout=30,
    )

    assert done.returncode == 0, done.stderr
