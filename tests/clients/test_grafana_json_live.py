"""The JSON data source against the real product: through gunicorn, into PostgreSQL and back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from tests.support.grafana_json import BASE, RELEASES, check_frames, headers, query_body, target
from tests.support.product import Up


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a product with one metric and one mark."""
    product = Up(tmp_path_factory.mktemp("grafana_json"))
    product.start()
    now_ms = time.time_ns() // 1_000_000
    points = [
        {"name": "cpu", "value": at, "tags": {"host": host}, "timestamp": now_ms - at * 15_000}
        for at in range(1, 20)
        for host in ("a", 'b"} or up{x="')
    ]
    try:
        for path, body in (
            ("metrics", points),
            ("annotations", {"text": "out", "tags": ["deploy"], "time": "now-1m"}),
        ):
            sent = requests.post(f"{product.base}/api/v1/{path}", json=body, timeout=30)
            assert sent.status_code in (201, 202), sent.text
        yield product.base
    finally:
        product.end()


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    return request.param


def send(base: str, release: str, path: str, body: object) -> Any:
    """Send what this release sends, and return the parsed answer."""
    response = requests.post(
        f"{base}{BASE}{path}",
        json=body,
        headers=headers(release),
        timeout=30,
        allow_redirects=False,
    )
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/json"
    return response.json()


def last_ten_minutes() -> dict[str, str]:
    """Return the range as Grafana writes it."""
    now_s = time.time()
    return {
        name: datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")[:23] + "Z"
        for name, at_s in (("from", now_s - 600), ("to", now_s))
    }


def test_a_panel_its_variable_and_its_marks(base: str, release: str) -> None:
    asked = last_ten_minutes()
    evil = 'b"} or up{x="'
    body = query_body(
        release,
        target('cpu{host=~"b"\\} or up\\{x=""}', mode="code", payload={"alias": "{{host}}"}),
        target("cpu", ref_id="B", payload={"aggregation": "max", "group_by": ["host"]}),
        range=asked,
        scopedVars={"host": {"selected": True, "text": evil, "value": evil}},
    )

    frames = send(base, release, "/query", body)
    marks = send(
        base, release, "/query", query_body(release, target("", ref_id="Anno"), range=asked)
    )
    hosts = send(base, release, "/variable", {"payload": {"target": "label_values(cpu, host)"}})

    check_frames(frames, ["A", "B"])
    assert [frame["title"] for frame in frames] == [
        evil,
        '{host="a"}',
        '{host="b\\"} or up{x=\\""}',
    ]
    assert all(frame["datapoints"] for frame in frames)
    check_frames(marks, ["Anno"])
    assert [row[3] for row in marks[0]["rows"]] == ["out"]
    assert [one["__value"] for one in hosts] == ["a", evil]


def test_the_connection_is_tested_without_a_redirect(base: str, release: str) -> None:
    for path in (BASE, f"{BASE}/"):
        response = requests.get(
            f"{base}{path}", headers=headers(release), timeout=30, allow_redirects=False
        )

        assert response.status_code == 200
