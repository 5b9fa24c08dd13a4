"""`tidegauge up` as a person meets it: it starts, says what to do, stops, and comes back."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.support.product import Up, parent_of
from tests.support.servers import wait_until

MakeUp = Callable[..., Up]


def run_line(line: str) -> str:
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_printed_curl_lines_ingest_and_query(up: Up) -> None:
    ingest, query = re.findall(r"^  (curl .*)$", up.output, re.MULTILINE)

    taken = json.loads(run_line(ingest))
    found = json.loads(run_line(query))["data"]["result"]

    assert taken == {"accepted": 1, "rejected": 0, "errors": []}
    assert [(series["metric"], series["value"][1]) for series in found] == [
        ({"__name__": "room_temperature", "room": "kitchen"}, "21.5")
    ]


def test_it_prints_what_prometheus_and_grafana_need(up: Up) -> None:
    assert (
        "  remote_write:\n"
        f"    - url: {up.base}/prometheus/api/v1/write\n"
        "      queue_config:\n"
        "        max_samples_per_send: 2000\n"
    ) in up.output
    assert f"type Prometheus, URL {up.base}/prometheus" in up.output


@pytest.mark.parametrize("order", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything_in_order(up: Up, order: signal.Signals) -> None:
    family = up.family()

    code = up.stop(order)

    assert code == 0, up.output
    assert up.output.rstrip().endswith("stopped")
    assert [pid for pid in family if parent_of(pid)] == []
    assert not (up.data / "postgres/postmaster.pid").exists()


def test_the_first_start_tells_the_password_of_the_admin_once(up: Up) -> None:
    (password,) = re.findall(r"admin, password (\S{24}) ", up.output)
    body = {"username": "admin", "password": password}
    signed_in = requests.post(f"{up.base}/api/v1/auth/login", json=body, timeout=10)
    stats = requests.get(
        f"{up.base}/api/v1/admin/stats", cookies=signed_in.cookies.get_dict(), timeout=10
    )
    stranger = requests.get(f"{up.base}/api/v1/admin/stats", timeout=10)
    up.stop()
    up.start()

    assert (signed_in.status_code, stats.status_code, stranger.status_code) == (200, 200, 403)
    assert "password" not in up.output


def test_second_start_finds_the_data(up: Up) -> None:
    assert up.send_json("kept", 42.5).status_code == 202
    assert up.stop() == 0

    up.start()

    assert [series["value"][1] for series in up.ask("kept")] == ["42.5"]


def test_port_in_use_is_told_before_anything_is_started(make_up: MakeUp) -> None:
    product = make_up()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", product.port))
        taken.listen()
        product.launch()
        assert product.process is not None
        code = product.process.wait(30)

    assert code == 2
    assert f"port {product.port} of 127.0.0.1 is in use" in product.output
    assert "--port" in product.output
    assert not product.data.exists()


def test_second_up_on_the_same_data_names_the_first(up: Up) -> None:
    second = Up(up.folder / "second")
    second.data = up.data

    second.launch()
    assert second.process is not None
    code = second.process.wait(30)

    assert code == 2
    assert f"in use by a Tidegauge with pid {up.pid}" in second.output
    assert up.answers()


def test_stale_lock_of_a_machine_that_went_down_is_cleared(up: Up) -> None:
    up.send_json("kept", 1)
    for pid in up.family():
        # Some end by themselves when those before them are gone.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert up.process is not None
    up.process.wait(10)
    assert (up.data / "postgres/postmaster.pid").exists()

    up.start()

    assert len(up.ask("kept")) == 1


def test_path_with_spaces_below_a_closed_folder(make_up: MakeUp, tmp_path: Path) -> None:
    product = make_up(folder="closed/a folder with spaces and ünï")
    product.folder.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)

    product.start()

    assert product.send_json("here", 1).status_code == 202


@pytest.mark.parametrize("part", ["worker", "api", "postgres", "evaluator"])
def test_a_part_that_dies_comes_back(up: Up, part: str) -> None:
    up.send_json("kept", 7)
    dead = up.part(part)

    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: not parent_of(dead), timeout_s=10, what=f"{part} dies")
    wait_until(
        lambda: (
            up.part(part) not in (0, dead) and up.answers("/prometheus/api/v1/query?query=kept")
        ),
        timeout_s=60,
        what=f"{part} comes back",
    )

    assert [series["value"][1] for series in up.ask("kept")] == ["7"]
    assert up.send_json("kept", 8).status_code == 202


def test_database_that_cannot_live_ends_the_product(up: Up) -> None:
    (up.data / "postgres/global/pg_control").unlink()

    os.kill(up.part("postgres"), signal.SIGKILL)
    assert up.process is not None
    code = up.process.wait(60)

    assert code == 1
    assert "PostgreSQL cannot be started again" in up.output
    assert "could not find the database system" in up.output


def test_children_of_a_killed_up_end_and_the_next_start_works(up: Up) -> None:
    up.send_json("kept", 7)
    family = up.family()

    os.kill(up.pid, signal.SIGKILL)
    assert up.process is not None
    up.process.wait(10)
    up.start()

    assert [series["value"][1] for series in up.ask("kept")] == ["7"]
    wait_until(
        lambda: not any(parent_of(pid) for pid in family), timeout_s=30, what="the old family ends"
    )


def test_database_url_is_used_instead_of_a_server_of_its_own(
    make_up: MakeUp, database_url: str
) -> None:
    product = make_up(settings={"DATABASE_URL": database_url})

    product.start()

    assert product.send_json("elsewhere", 3).status_code == 202
    assert [series["value"][1] for series in product.ask("elsewhere")] == ["3"]
    assert not (product.data / "postgres").exists()


def test_database_that_is_away_is_named_without_its_password(
    make_up: MakeUp, free_port: int
) -> None:
    url = f"postgresql://me:hidden@127.0.0.1:{free_port}/none"
    product = make_up(settings={"DATABASE_URL": url})

    product.launch()
    assert product.process is not None
    code = product.process.wait(90)

    assert code == 2
    assert str(free_port) in product.output
    assert "hidden" not in product.output
    assert "Traceback" not in product.output


def test_faults_of_settings_are_told_and_nothing_is_started(make_up: MakeUp) -> None:
    product = make_up(settings={"TIDEGAUGE_HTTP_THREADS": "many", "TIDEGAUGE_TYPO": "1"})

    product.launch()
    assert product.process is not None
    code = product.process.wait(30)

    assert code == 2
    assert "TIDEGAUGE_HTTP_THREADS='many'" in product.output
    assert "TIDEGAUGE_TYPO" in product.output
    assert not product.data.exists()


def test_several_workers_share_the_work(make_up: MakeUp) -> None:
    product = make_up(settings={"TIDEGAUGE_HTTP_WORKERS": "2"})
    product.start()

    for number in range(10):
        assert product.send_json("shared", number, tags={"n": str(number)}).status_code == 202

    assert [series["value"][1] for series in product.ask("count(shared)")] == ["10"]
    assert product.stop() == 0


def wait_until_live(product: Up, runs: int = 1) -> None:
    log = product.data / "log/demo.log"
    wait_until(
        lambda: log.exists() and log.read_text().count("going on live") >= runs,
        timeout_s=120,
        what="the past is filled in",
    )


def test_demo_fills_in_what_the_banner_says(make_up: MakeUp) -> None:
    product = make_up("--demo")
    product.start()

    wait_until_live(product)
    told = product.output.partition("To look at:")[2]
    queries = re.findall(r"^    (\S.*)$", told, re.M)
    results = [product.ask(query) for query in queries]

    assert len(queries) == 5
    assert [query for query, result in zip(queries, results, strict=True) if not result] == []
    assert {series["metric"]["host"] for series in [*results[2], *results[3]]} == {"db-1"}


def test_demo_goes_on_where_an_earlier_run_ended(make_up: MakeUp) -> None:
    product = make_up("--demo")
    product.start()
    wait_until_live(product)
    (first,) = product.ask("sum(last_over_time(http_requests_total[1h]))")
    assert product.stop() == 0

    product.start()
    wait_until_live(product, runs=2)
    wait_until(
        lambda: product.ask("sum(http_requests_total)")[0]["value"][1] != first["value"][1],
        timeout_s=60,
        what="a sample of the second run",
    )

    for metric in ("cpu_seconds_total", "http_requests_total", "http_request_duration_seconds_sum"):
        (resets,) = product.ask(f"sum(resets({metric}[3h]))")
        assert resets["value"][1] == "0", metric
    (cleaned,) = product.ask("sum(resets(disk_used_bytes[3h]))")
    assert cleaned["value"][1] == "0"
