"""Marks and events on Grafana's panels, as each release asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.grafana_json import (
    BASE,
    NOW_MS,
    RANGE,
    RELEASES,
    check_frames,
    headers,
    query_body,
    target,
)

NAMES = ["time", "timeEnd", "title", "text", "tags", "id"]
MARKS = (
    {"text": "late", "time": NOW_MS - 1000, "tags": ["deploy"]},
    {
        "title": "v1",
        "time": NOW_MS - 400_000,
        "time_end": NOW_MS - 300_000,
        "tags": ["web", "deploy"],
    },
    {"text": "long before", "time": NOW_MS - 4_000_000},
    {"text": "elsewhere", "time": NOW_MS - 2000, "dashboard_id": 7},
)


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def ask(client: FlaskClient, release: str) -> Callable[..., list[dict[str, Any]]]:
    """Ask for annotations and return the rows as objects."""

    def send(text: str, payload: object = None, mode: str = "code") -> list[dict[str, Any]]:
        wanted = target(text, ref_id="Anno", mode=mode, payload=payload)
        response = client.post(
            f"{BASE}/query",
            json=query_body(release, wanted, intervalMs=60_000),
            headers={**headers(release), "Accept-Encoding": "identity"},
        )
        assert response.status_code == 200, response.get_data(as_text=True)
        frames = response.get_json()
        check_frames(frames, ["Anno"])
        (table,) = frames
        assert table["type"] == "table"
        assert [column["text"] for column in table["columns"]] == NAMES
        return [dict(zip(NAMES, row, strict=True)) for row in table["rows"]]

    return send


@pytest.fixture
def marks(client: FlaskClient) -> None:
    for mark in MARKS:
        assert client.post("/api/v1/annotations", json=mark).status_code == 201


@pytest.mark.usefixtures("marks")
@pytest.mark.parametrize("text", ["annotations", "", " Annotations "])
def test_marks_of_the_range_are_shown_oldest_first(
    ask: Callable[..., list[dict[str, Any]]], text: str
) -> None:
    assert ask(text) == [
        {
            "time": NOW_MS - 400_000,
            "timeEnd": NOW_MS - 300_000,
            "title": "v1",
            "text": "v1",
            "tags": "deploy,web",
            "id": "2",
        },
        {
            "time": NOW_MS - 1000,
            "timeEnd": None,
            "title": None,
            "text": "late",
            "tags": "deploy",
            "id": "1",
        },
    ]


@pytest.mark.usefixtures("marks")
@pytest.mark.parametrize(
    ("payload", "ids"),
    [
        ({"tags": ["web"]}, ["2"]),
        ({"tags": "web, nothing", "match": "any"}, ["2"]),
        ({"tags": "web, nothing"}, []),
        ('{"limit": 1}', ["1"]),
        ({"dashboard_id": "7"}, ["2", "4", "1"]),
    ],
)
def test_marks_are_chosen_by_the_payload(
    ask: Callable[..., list[dict[str, Any]]], payload: object, ids: list[str]
) -> None:
    assert [row["id"] for row in ask("annotations", payload)] == ids


def test_alerts_are_no_error_while_there_are_none(
    ask: Callable[..., list[dict[str, Any]]],
) -> None:
    assert ask("alerts") == []


def test_promql_above_zero_is_an_event(
    ask: Callable[..., list[dict[str, Any]]], push_remote: Callable[..., Any]
) -> None:
    first_ms = NOW_MS - 600_000
    down = [
        (first_ms + at, float(at // 60_000 in (3, 4, 5, 8))) for at in range(0, 600_000, 15_000)
    ]
    push_remote({"__name__": "down", "host": "a,b"}, down)

    rows = ask("down", {"alias": "{{host}} was away"})

    assert [row["timeEnd"] and row["timeEnd"] - row["time"] for row in rows] == [120_000, None]
    assert {row["text"] for row in rows} == {"a,b was away"}
    assert {row["tags"] for row in rows} == {"a b"}
    assert {row["id"] for row in rows} == {None}
    assert {row["tags"] for row in ask("vector(1)")} == {None}
    assert ask("down > bool 5") == []


@pytest.mark.usefixtures("marks")
def test_older_plugins_send_the_annotation_itself(client: FlaskClient) -> None:
    annotation = {"name": "deploys", "query": "deploy, web", "enable": True, "iconColor": "red"}
    body = {"range": RANGE, "rangeRaw": RANGE["raw"], "annotation": annotation}

    response = client.post(f"{BASE}/annotations", json=body)

    assert response.get_json() == [
        {
            "annotation": annotation,
            "time": NOW_MS - 400_000,
            "isRegion": True,
            "timeEnd": NOW_MS - 300_000,
            "title": "v1",
            "tags": ["deploy", "web"],
            "text": "v1",
        }
    ]
    for query in ("", "annotations", None):
        body["annotation"] = {"query": query}
        found = client.post(f"{BASE}/annotations", json=body).get_json()
        assert [one["text"] for one in found] == ["v1", "late"]


def test_older_plugins_without_a_range_hear_so(client: FlaskClient) -> None:
    response = client.post(f"{BASE}/annotations", json={"annotation": {}})

    assert response.status_code == 400
    assert "range.from" in response.get_json()["message"]


def test_browsers_may_ask_from_elsewhere(client: FlaskClient) -> None:
    response = client.options(f"{BASE}/annotations", headers={"Origin": "http://localhost:3000"})

    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Methods"] == "POST"
