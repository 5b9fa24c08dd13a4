"""Small requests to the Grafana JSON data source do not become large work or large answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from tidegauge.config import Config, QueryConfig, TraceConfig

from tests.support.grafana_json import BASE, NOW_MS, RANGE

MEBI = 1024 * 1024
LONG = "x" * (MEBI // 2)
MANY = [f"value-{number}" for number in range(20_000)]


@pytest.fixture
def config() -> Config:
    return Config(trace=TraceConfig(own_metrics_s=0), query=QueryConfig(max_series=3))


@pytest.fixture
def refused(client: FlaskClient) -> Callable[..., str]:
    """Ask something that is refused, and return the message, which is short."""

    def send(body: dict[str, Any], *, path: str = "/query", status: int = 400) -> str:
        response = client.post(f"{BASE}{path}", data=orjson.dumps({"range": RANGE, **body}))
        assert response.status_code == status, response.get_data(as_text=True)[:1000]
        assert len(response.data) < 2000
        return response.get_json()["message"]

    return send


def one(target: str, payload: object = None, **more: Any) -> dict[str, Any]:
    """Return a body with one target."""
    return {"targets": [{"target": target, "payload": payload, "editorMode": "code"}], **more}


@pytest.mark.parametrize(
    "text",
    [
        'x{a="' + "$v" * 10_000 + '"}',
        "x" + " $v" * 10_000,
        'x{a="\\q' + "\ue0000\ue001" * 1000 + '"}',
        'x{a="' + "\ue0000\ue001" * 1000 + '"}',
    ],
)
def test_variables_do_not_make_a_query_endless(refused: Callable[..., str], text: str) -> None:
    scoped = {"v": {"value": "x" * 100_000}, "w": {"value": '"' * 100_000}}

    assert "longer than 262144 bytes" in refused(one(text, scopedVars=scoped))


@pytest.mark.parametrize("name", ["alias", "unit", "aggregation", "where"])
def test_variables_do_not_make_an_option_endless(refused: Callable[..., str], name: str) -> None:
    text = "a =~ " + "$v" * 100

    assert "longer than" in refused(one("x", {name: text}, scopedVars={"v": {"value": LONG}}))


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"alias": "x" * 257}, "257 characters, at most 256"),
        ({"unit": "x" * 65}, "65 characters, at most 64"),
        ({"where": "a = b\n" * 51}, "more than 50 conditions"),
        ({"where": {f"l{number}": "x" for number in range(51)}}, "more than 50 conditions"),
        ({"aggregation": "sum", "group_by": ["$v"] * 1000}, "more than 1000 names"),
    ],
)
def test_options_are_bounded(
    refused: Callable[..., str], payload: dict[str, Any], said: str
) -> None:
    assert said in refused(one("x", payload, scopedVars={"v": {"value": MANY}}))


@pytest.mark.parametrize(
    "text",
    [
        'x{a="' + '\\"' * 100_000,
        'x{a="' + "\\" * 200_001 + '"}',
        "x{a=`" + "'" * 200_000,
        "'\"`" * 80_000,
        "${v:" * 60_000,
        "#" * 200_000 + "\n" + "(" * 50_000,
    ],
)
@pytest.mark.parametrize("value", ['"', "\\", '\\"', "'\"`"])
def test_odd_quotes_take_no_time_by_the_square(client: FlaskClient, text: str, value: str) -> None:
    body = {"range": RANGE, **one(text, scopedVars={"v": {"value": value}})}

    response = client.post(f"{BASE}/query", json=body)

    assert response.status_code in (200, 400, 422)
    assert response.is_json


@pytest.mark.parametrize(
    "line",
    ["a" + " " * MEBI + "b", "a =" + " " * MEBI + "(", "a" * MEBI, "=" * MEBI, "a = (" + "\\" * 9],
)
def test_odd_conditions_take_no_time_by_the_square(client: FlaskClient, line: str) -> None:
    response = client.post(f"{BASE}/query", json={"range": RANGE, **one("x", {"where": line})})

    assert response.status_code in (200, 400)


@pytest.mark.parametrize(
    "text",
    [
        "label_values(" + ",x" * 200_000 + " y)",
        "label_values(" + "x " * 100_000 + ")",
        "metrics" + "(" * 200_000,
        "query_result(" + '"\\"' * 60_000,
        " " * MEBI,
        "x" * MEBI,
    ],
)
def test_odd_variables_take_no_time_by_the_square(client: FlaskClient, text: str) -> None:
    response = client.post(f"{BASE}/variable", json={"payload": {"target": text}})

    assert response.status_code in (200, 400)
    assert len(response.data) < 2000


def test_a_long_name_does_not_come_back_with_each_series(
    client: FlaskClient, push: Callable[..., None], refused: Callable[..., str]
) -> None:
    for host in "abc":
        push("cpu", 1, {"host": host, "path": "p" * 250}, NOW_MS - 60_000)
    refs = {"targets": [{"target": "cpu", "refId": LONG}]}
    annotation = {"annotation": {"name": LONG}}

    frames = client.post(
        f"{BASE}/query", json={"range": RANGE, **one("cpu", {"alias": "{{path}}" * 32})}
    ).get_json()

    assert [len(frame["title"]) for frame in frames] == [1024] * 3
    assert "refId" in refused(refs)
    assert "longer than 16384" in refused(annotation, path="/annotations", status=413)


def test_the_series_of_a_panel_count_together(
    push: Callable[..., None], refused: Callable[..., str]
) -> None:
    for host in "ab":
        push("cpu", 1, {"host": host}, NOW_MS - 60_000)
    twice = {"targets": [{"target": "cpu", "refId": name} for name in "AB"]}

    assert "TIDEGAUGE_QUERY_MAX_SERIES" in refused(twice, status=422)


def test_variables_with_very_many_values_are_put_in_for_each_query(client: FlaskClient) -> None:
    text = "count(x{host=~`$hosts`})"
    every = [{"target": text, "refId": f"Q{at}", "editorMode": "code"} for at in range(20)]
    few = MANY[:5000]

    response = client.post(
        f"{BASE}/query",
        json={"range": RANGE, "targets": every, "scopedVars": {"hosts": {"value": few}}},
    )

    assert response.status_code == 200, response.get_data(as_text=True)[:1000]
