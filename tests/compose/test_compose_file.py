"""docker-compose.yml holds together, and is what SPEC §1 and §12 say."""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tidegauge.cli import COMMANDS
from tidegauge.config import Config, load_config

from tests.support.compose import read_dotenv, variables_of

MEBIBYTE = 1024 * 1024
# SPEC §12.
MEMORY_BYTES = {
    "timescaledb": 2048 * MEBIBYTE,
    "redis": 256 * MEBIBYTE,
    "api-1": 512 * MEBIBYTE,
    "api-2": 512 * MEBIBYTE,
    "worker-1": 256 * MEBIBYTE,
    "worker-2": 256 * MEBIBYTE,
    "evaluator": 128 * MEBIBYTE,
}
# SPEC §1.
PORTS = {
    "nginx": [3000],
    "api-1": [3001],
    "api-2": [3002],
    "timescaledb": [5432],
    "redis": [6379],
    "rabbitmq": [5672, 15672],
    "mailpit": [1025, 8025],
}
_SIZE = re.compile(r"(\d+)([mg])")
_IMAGE = re.compile(r"[a-z0-9/._-]+:v?\d+\.\d+\.\d+[a-z0-9.-]*")

Services = dict[str, dict[str, Any]]


def bytes_of(text: str) -> int:
    found = _SIZE.fullmatch(text)
    assert found is not None, text
    return int(found[1]) * {"m": 1, "g": 1024}[found[2]] * MEBIBYTE


def seconds_of(text: str) -> int:
    assert re.fullmatch(r"\d+s", text), text
    return int(text[:-1])


def has_health_check(service: dict[str, Any]) -> bool:
    return "test" in service.get("healthcheck", {})


def configs_of(own_services: Services) -> dict[str, Config]:
    return {name: load_config(parts["environment"]) for name, parts in own_services.items()}


def test_every_variable_is_in_the_env_file_and_used(repository: Path) -> None:
    text = (repository / "docker-compose.yml").read_text(encoding="utf-8")

    assert variables_of(text) == set(read_dotenv(repository / ".env"))


def test_credentials_need_no_quoting_in_addresses(repository: Path) -> None:
    wrong = {
        name: value
        for name, value in read_dotenv(repository / ".env").items()
        if not re.fullmatch(r"[A-Za-z0-9_-]+", value)
    }

    assert wrong == {}


def test_docker_compose_itself_takes_the_file(repository: Path) -> None:
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("docker: not on this machine")
    if subprocess.run([docker, "compose", "version"], capture_output=True, timeout=30).returncode:
        pytest.skip("docker: without its compose plugin")

    done = subprocess.run(
        [docker, "compose", "config", "--quiet"],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_who_is_waited_for_exists_and_can_be_waited_for(services: Services) -> None:
    wrong = [
        f"{name}: {other} {wait['condition']}"
        for name, parts in services.items()
        for other, wait in parts.get("depends_on", {}).items()
        if other not in services
        or (wait["condition"] == "service_healthy" and not has_health_check(services[other]))
        or (
            wait["condition"] == "service_completed_successfully"
            and services[other]["restart"] in ("always", "unless-stopped")
        )
    ]

    assert wrong == []


def test_every_service_that_stays_has_a_health_check(services: Services) -> None:
    assert {name for name, parts in services.items() if not has_health_check(parts)} == {"migrate"}


def test_what_writes_waits_for_the_schema_and_its_neighbours(own_services: Services) -> None:
    waits = {
        name: {other: wait["condition"] for other, wait in parts["depends_on"].items()}
        for name, parts in own_services.items()
    }

    assert waits.pop("migrate") == {"timescaledb": "service_healthy"}
    assert set(waits) == {"api-1", "api-2", "worker-1", "worker-2", "evaluator"}
    for conditions in waits.values():
        assert conditions == {
            "migrate": "service_completed_successfully",
            "timescaledb": "service_healthy",
            "rabbitmq": "service_healthy",
            "redis": "service_healthy",
        }


def test_ports_are_those_of_the_contract_on_loopback_only(services: Services) -> None:
    published = {
        name: [port.split(":") for port in parts["ports"]]
        for name, parts in services.items()
        if "ports" in parts
    }

    assert {host for ports in published.values() for host, _, _ in ports} == {"127.0.0.1"}
    assert {name: [int(out) for _, out, _ in ports] for name, ports in published.items()} == PORTS
    assert [ports for ports in published.values() for _, out, inner in ports if out != inner] == []


def test_memory_limits_are_those_of_the_sizing_table(services: Services) -> None:
    limits = {name: bytes_of(parts["mem_limit"]) for name, parts in services.items()}

    assert {name: limits[name] for name in MEMORY_BYTES} == MEMORY_BYTES
    # Without this a container would take as much again from the swap.
    assert [
        n for n, parts in services.items() if parts["memswap_limit"] != parts["mem_limit"]
    ] == []


def test_images_are_pinned(services: Services, own_services: Services) -> None:
    foreign = {name: parts["image"] for name, parts in services.items() if name not in own_services}

    assert {name: image for name, image in foreign.items() if not _IMAGE.fullmatch(image)} == {}


def test_every_service_is_held_short(services: Services) -> None:
    for name, parts in services.items():
        assert parts["cap_drop"] == ["ALL"], name
        assert parts["security_opt"] == ["no-new-privileges:true"], name
        assert parts["pids_limit"] > 0, name
        assert parts["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name
        assert not parts.get("privileged"), name
        assert "cap_add" not in parts, name


def test_root_file_systems_are_read_only(services: Services) -> None:
    # RabbitMQ's start script and plugins write where its image keeps them.
    writable = {name for name, parts in services.items() if not parts.get("read_only")}

    assert writable == {"rabbitmq"}


def test_nobody_runs_as_root(services: Services, own_services: Services) -> None:
    # Ours and Grafana's images name a user themselves.
    named = {name for name, parts in services.items() if parts.get("user", "root") != "root"}

    assert set(services) - named - set(own_services) == {"grafana"}


def test_data_lie_in_named_volumes(compose: dict[str, Any], services: Services) -> None:
    mounted = {
        volume.split(":")[0]: name
        for name, parts in services.items()
        for volume in parts.get("volumes", [])
        if not volume.startswith("./")
    }

    assert set(mounted) == set(compose["volumes"])
    assert set(mounted.values()) == {"timescaledb", "rabbitmq", "grafana"}


def test_mounted_files_are_there_and_read_only(services: Services, repository: Path) -> None:
    mounts = [
        volume.split(":")
        for parts in services.values()
        for volume in parts.get("volumes", [])
        if volume.startswith("./")
    ]

    assert len(mounts) == 5
    assert [source for source, _, _ in mounts if not (repository / source).exists()] == []
    assert {mode for _, _, mode in mounts} == {"ro"}


def test_settings_are_known_and_within_their_bounds(own_services: Services) -> None:
    configs = configs_of(own_services)

    assert configs["api-1"].http.port == 3001
    assert configs["api-2"].http.port == 3002
    assert {configs[name].http.host for name in ("api-1", "api-2")} == {"0.0.0.0"}
    assert {configs[name].worker.port for name in ("worker-1", "worker-2")} == {9100}
    assert configs["evaluator"].alerts.port == 9101
    assert (configs["evaluator"].notify.smtp_host, configs["evaluator"].notify.smtp_port) == (
        "mailpit",
        1025,
    )
    assert len(configs["api-1"].access.token) >= 16


def test_environment_values_are_strings(services: Services) -> None:
    wrong = [
        f"{name}: {variable}"
        for name, parts in services.items()
        for variable, value in parts.get("environment", {}).items()
        if not isinstance(value, str)
    ]

    assert wrong == []


def test_addresses_name_services_of_the_file(own_services: Services, services: Services) -> None:
    for name, config in configs_of(own_services).items():
        urls = [config.database.url, config.broker.url, config.cache.url]
        hosts = {url.rpartition("@")[2].partition(":")[0] for url in urls if url}
        assert hosts <= set(services), name


@pytest.mark.parametrize(
    "command",
    [
        "serve",
        "migrate",
        "worker",
        "evaluator",
    ],
)
def test_commands_are_commands_of_the_product(own_services: Services, command: str) -> None:
    assert [command] in [parts["command"] for parts in own_services.values()]
    assert command in COMMANDS


def test_no_service_runs_any_other_command(own_services: Services) -> None:
    commands = {tuple(parts["command"]) for parts in own_services.values()}

    assert commands == {("serve",), ("worker",), ("evaluator",), ("migrate",)}


def test_containers_are_given_longer_to_stop_than_requests(own_services: Services) -> None:
    for name, config in configs_of(own_services).items():
        grace_s = seconds_of(own_services[name]["stop_grace_period"])
        assert grace_s >= config.http.shutdown_s + 10, name


def test_the_api_trusts_nginx_and_nobody_else(
    compose: dict[str, Any], services: Services, own_services: Services
) -> None:
    subnet = ipaddress.ip_network(compose["networks"]["tidegauge"]["ipam"]["config"][0]["subnet"])
    fixed = {
        name: ipaddress.ip_address(parts["networks"]["tidegauge"]["ipv4_address"])
        for name, parts in services.items()
        if isinstance(parts["networks"], dict)
    }
    configs = configs_of(own_services)

    assert set(fixed) == {"nginx", "api-1", "api-2"}
    assert len(set(fixed.values())) == 3
    assert [name for name, address in fixed.items() if address not in subnet] == []
    for name in ("api-1", "api-2"):
        assert configs[name].access.trusted_proxies == f"{fixed['nginx']}/32"


def test_query_memory_fits_the_limit_of_the_container(own_services: Services) -> None:
    config = configs_of(own_services)["api-1"]

    # Some 60 bytes a sample (docs/reference/settings.md), and what waits for RabbitMQ.
    needed = config.query.max_samples_running * 60 + config.ingest.queue_bytes

    assert config.query.max_samples <= config.query.max_samples_running
    assert needed <= MEMORY_BYTES["api-1"] * 45 // 100


def test_nginx_conf_leads_to_services_and_ports_of_the_file(
    repository: Path, services: Services, own_services: Services
) -> None:
    text = (repository / "deploy/nginx/nginx.conf").read_text(encoding="utf-8")
    configs = configs_of(own_services)

    upstreams = dict(re.findall(r"server ([\w-]+):(\d+) ", text))

    assert upstreams == {name: str(configs[name].http.port) for name in ("api-1", "api-2")}
    assert "set $grafana grafana:3000;" in text
    assert "grafana" in services
