"""Dashboards through HTTP, on a real PostgreSQL."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from tidegauge.app import create_app
from tidegauge.auth.actor import SYSTEM
from tidegauge.auth.principal import person
from tidegauge.config import Config, DashboardsConfig, DatabaseConfig, TraceConfig
from tidegauge.observability.logs import make_logger
from tidegauge.services import Services, build_services

from tests.support.people import ALMIGHTY
from tests.support.servers import wait_until
from tests.unit.dashboards.examples import SHARED, dashboard, panel

pytestmark = pytest.mark.services

URL = "/api/v1/dashboards"
PLACE = {"x": 0, "y": 0, "w": 12, "h": 8}


@pytest.fixture
def config(migrated_database_url: str) -> Config:
    return Config(
        database=DatabaseConfig(url=migrated_database_url),
        dashboards=DashboardsConfig(max_bytes=20_000),
        trace=TraceConfig(own_metrics_s=0),
    )


@pytest.fixture
def services(config: Config) -> Iterator[Services]:
    log = make_logger(io.BytesIO(), level="info", service="api", clock_ms=lambda: 0)
    built = build_services(config, log=log)
    yield built
    built.close()


@pytest.fixture
def app(services: Services) -> Flask:
    """The application for an admin's programs."""
    return create_app(services, local=ALMIGHTY)


def make(client: FlaskClient, **fields: Any) -> dict[str, Any]:
    response = client.post(URL, json={"title": "Shops", **fields})
    assert response.status_code == 201, response.get_data(as_text=True)
    data: dict[str, Any] = response.get_json()["data"]
    return data


def line(**more: Any) -> dict[str, Any]:
    return {"type": "line", "title": "Up", "query": "up", "position": PLACE, **more}


def test_a_dashboard_is_made_read_changed_and_deleted(client: FlaskClient) -> None:
    made = make(client, panels=[line()], tags=["a"], public=True)
    one = f"{URL}/{made['id']}"

    read = client.get(one)
    assert read.get_json()["data"] == made
    assert (made["version"], made["panels"][0]["id"]) == (1, f"{made['id']}-1")
    assert read.headers["ETag"] == '"1"'
    assert client.get(one, headers={"If-None-Match": '"1"'}).status_code == 304

    made["panels"][0]["query"] = "down"
    changed = client.put(one, json=made)
    assert changed.status_code == 200, changed.get_data(as_text=True)
    assert changed.get_json()["data"]["panels"][0]["query"] == "down"
    assert client.get(one).get_json() == changed.get_json()

    assert client.delete(one).status_code == 204
    assert client.get(one).status_code == 404
    assert client.get(f"{one}/versions").status_code == 404


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        ({"title": "x"}, {}, 428, '"version"'),
        ({"title": "x", "version": 1}, {}, 409, "at version 2"),
        ({"title": "x"}, {"If-Match": '"1"'}, 412, "at version 2"),
        ({"title": "x"}, {"If-Match": 'W/"2"'}, 200, ""),
        ({"title": "x", "version": 2}, {"If-Match": '"2"'}, 200, ""),
        ({"title": "x"}, {"If-Match": "*"}, 200, ""),
        ({"title": "x", "version": 2}, {"If-Match": '"1"'}, 400, "If-Match says version 1"),
        ({"title": "x"}, {"If-Match": '"abc"'}, 400, "one ETag of ours"),
        ({"title": "x"}, {"If-Match": '"1", "2"'}, 400, "one ETag of ours"),
    ],
)
def test_a_change_says_which_version_it_was_made_to(
    client: FlaskClient, body: Any, headers: Any, status: int, reason: str
) -> None:
    one = f"{URL}/{make(client)['id']}"
    assert client.put(one, json={"description": "2", "version": 1}).status_code == 200

    response = client.put(one, json=body, headers=headers)

    assert response.status_code == status
    assert reason in response.get_json().get("error", "")
    if status in (409, 412):
        assert response.headers["ETag"] == '"2"'


def test_panels_are_added_changed_and_taken_away(client: FlaskClient) -> None:
    number = make(client)["id"]

    added = client.post(f"{URL}/{number}/panels", json=line())
    assert (added.status_code, added.get_json()["data"]["id"]) == (201, f"{number}-1")
    panel_url = added.headers["Location"]

    read = client.get(panel_url).get_json()["data"]
    assert (read["query"], read["version"]) == ("up", 2)

    changed = client.put(panel_url, json={**read, "type": "stat"})
    assert (changed.status_code, changed.get_json()["data"]["type"]) == (200, "stat")
    assert client.put(panel_url, json=read).status_code == 409

    assert client.delete(panel_url, headers={"If-Match": '"2"'}).status_code == 412
    assert client.delete(panel_url).status_code == 204
    assert client.get(panel_url).status_code == 404


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "the body is not JSON"),
        (b"[]", "the body: an object is wanted"),
        (b"{}", "title: missing data for required field"),
        ({"title": 5}, "title: not a valid string (5)"),
        ({"title": " "}, "title: empty"),
        ({"title": "x" * 201}, "title: length must be between 1 and 200"),
        ({"title": "a\0b"}, "title: a NUL character cannot be stored"),
        ({"title": "x", "colour": 1}, "colour: unknown field (1)"),
        ({"title": "x", "public": "yes"}, 'public: not a valid boolean ("yes")'),
        ({"title": "x", "tags": ["a", 1]}, "tags[1]: not a valid string (1)"),
        ({"title": "x", "folder": "gone"}, 'folder: there is no folder "gone"'),
        ({"title": "x", "time": {"from": "now"}}, "time.to: missing data"),
        ({"title": "x", "panels": [{}]}, "panels[0].type"),
        ({"title": "x", "panels": [{"type": "pie"}]}, 'panels[0].type: "pie" is none of line'),
        (
            {"title": "x", "panels": [line(position={**PLACE, "x": 25})]},
            "panels[0].position.x: must be greater than or equal to 0 and less than or equal to 23"
            " (25)",
        ),
        (
            {"title": "x", "panels": [line(position={**PLACE, "x": True})]},
            "panels[0].position.x: not a valid integer (true)",
        ),
        ({"title": "x", "panels": [line(), line()]}, "panels lie on one another: 1 and 2"),
        ({"title": "x", "panels": [line(query="sum(")]}, "the query does not parse: 1:5"),
        (
            {"title": "x", "panels": [line(max="many")]},
            'panels[0].max: not a valid number ("many")',
        ),
        ({"title": "x", "panels": [line(id="99-1")]}, "99-1 is no panel of this dashboard"),
        ({"title": "x", "variables": [{}]}, "variables[0].name: missing data"),
    ],
)
def test_a_wrong_body_is_refused_with_place_reason_and_value(
    client: FlaskClient, body: Any, reason: str
) -> None:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)

    response = client.post(URL, data=raw)

    assert response.status_code == 400
    assert reason in response.get_json()["error"]
    assert client.get(URL).get_json()["data"] == []


def test_a_body_that_is_too_long_is_refused_before_it_is_read(client: FlaskClient) -> None:
    long = client.post(URL, data=b" " * 100_000)
    wide = client.post(f"{URL}/import", json=dashboard(anything="x" * 30_000))

    assert (long.status_code, wide.status_code) == (413, 413)
    assert "TIDEGAUGE_DASHBOARD_MAX_BYTES" in long.get_json()["error"]
    assert "20000 at most" in wide.get_json()["error"]


def test_a_grafana_dashboard_goes_in_and_comes_out(client: FlaskClient) -> None:
    body = {"dashboard": SHARED, "inputs": {"DS_LOGS": "logs"}, "public": True}

    taken = client.post(f"{URL}/import", json=body)
    assert (taken.status_code, taken.get_json()["warnings"]) == (201, [])
    number = taken.get_json()["data"]["id"]
    given = client.get(f"{URL}/{number}/grafana").get_json()

    assert (given["uid"], given["id"], given["version"]) == ("shared", None, 1)
    assert given["panels"][0]["type"] == "graph"
    assert given["panels"][2]["datasource"]["uid"] == "logs"
    assert client.post(f"{URL}/import", json=given).status_code == 409
    again = client.post(f"{URL}/import", json={"dashboard": given, "overwrite": True})
    assert (again.status_code, again.get_json()["data"]["version"]) == (200, 2)


@pytest.mark.parametrize(
    ("inputs", "status"),
    [
        ([{"name": "DS_LOGS", "type": "datasource", "value": "x"}], 201),
        ({"DS_LOGS": 5}, 400),
        (["DS_LOGS"], 400),
        ("DS_LOGS", 400),
        ({"OTHER": "x"}, 400),
    ],
)
def test_inputs_come_by_name_or_as_grafana_sends_them(
    client: FlaskClient, inputs: Any, status: int
) -> None:
    response = client.post(f"{URL}/import", json={"dashboard": SHARED, "inputs": inputs})

    assert response.status_code == status


def test_nul_and_odd_numbers_inside_an_import_come_out_again(client: FlaskClient) -> None:
    sent = dashboard(panel(1, "up", odd="a\0b", big=2**53, small=1e-300), title="Odd")

    number = client.post(f"{URL}/import", json=sent).get_json()["data"]["id"]

    given = client.get(f"{URL}/{number}/grafana").get_json()["panels"][0]
    assert (given["odd"], given["big"], given["small"]) == ("a\0b", 2**53, 1e-300)


def test_versions_are_listed_compared_and_restored(client: FlaskClient) -> None:
    one = f"{URL}/{make(client)['id']}"
    client.put(one, json={"title": "Two", "version": 1, "message": "renamed"})

    versions = client.get(f"{one}/versions").get_json()["data"]
    assert [(row["version"], row["message"]) for row in versions] == [(2, "renamed"), (1, "")]
    assert client.get(f"{one}/versions/1").get_json()["data"]["dashboard"]["title"] == "Shops"
    assert client.get(f"{one}/versions/diff?from=1&to=2").get_json() == {
        "data": [{"path": "title", "old": "Shops", "new": "Two"}],
        "truncated": False,
    }
    assert client.get(f"{one}/versions/diff?from=1").status_code == 400
    assert client.get(f"{one}/versions/3").status_code == 404

    restored = client.post(f"{one}/restore", json={"version": 1}, headers={"If-Match": '"2"'})
    assert (restored.status_code, restored.get_json()["data"]["title"]) == (200, "Shops")
    assert client.get(one).get_json()["data"]["version"] == 3


def test_lists_are_searched_and_paged(client: FlaskClient) -> None:
    for title in ("CPU: total", "cpu", "Disk"):
        make(client, title=title, tags=["host"])

    page = client.get(f"{URL}?search=c&tag=host&limit=1").get_json()
    rest = client.get(URL, query_string={"after": page["next"], "limit": 5}).get_json()

    assert [row["title"] for row in page["data"] + rest["data"]] == ["cpu", "CPU: total", "Disk"]
    assert rest["next"] is None
    assert client.get(f"{URL}?after=x").status_code == 400
    assert client.get(f"{URL}?search=%00").status_code == 400
    assert client.get(f"{URL}?owner=99").get_json()["data"] == []


def test_folders_are_made_used_and_deleted(client: FlaskClient) -> None:
    made = client.post("/api/v1/folders", json={"uid": "ops", "title": "Ops"})
    assert made.get_json()["data"] == {"uid": "ops", "title": "Ops", "parent": None}
    assert client.post("/api/v1/folders", json={"title": "ops"}).status_code == 409
    number = make(client, folder="ops")["id"]

    assert client.delete("/api/v1/folders/ops").status_code == 409
    assert client.get(f"{URL}?folder=ops").get_json()["data"][0]["id"] == number
    renamed = client.put("/api/v1/folders/ops", json={"title": "Operations"}).get_json()
    assert renamed["data"]["title"] == "Operations"
    client.put(f"{URL}/{number}", json={"folder": None, "version": 1})
    assert client.delete("/api/v1/folders/ops").status_code == 204
    assert client.get("/api/v1/folders").get_json() == {"data": []}


@pytest.mark.parametrize(
    "path", ["0", "999999", str(2**31), str(2**80), "-1", "x", "1%20OR%201=1", "1.0"]
)
def test_ids_of_nothing_are_not_found(client: FlaskClient, path: str) -> None:
    assert client.get(f"{URL}/{path}").status_code == 404
    assert client.get(f"/api/v1/panels/{path}").status_code == 404
    assert client.get(f"/api/v1/panels/1-{path}").status_code == 404


def test_without_a_database_there_are_no_dashboards_and_the_breaker_opens(
    client: FlaskClient, services: Services
) -> None:
    services.storage.close()

    answers = [client.get(f"{URL}/1") for _ in range(30)]

    assert {answer.status_code for answer in answers} == {503}
    assert answers[0].get_json()["code"] == "unavailable"
    assert answers[-1].get_json()["code"] == "circuit_open"


def test_people_see_and_change_what_is_theirs_to_see_and_change(services: Services) -> None:
    people = services.people
    assert people is not None
    clients = {}
    for name, role in (("ada", "editor"), ("bob", "editor"), ("vic", "viewer"), ("root", "admin")):
        row = people.accounts.create_user(name, "correct horse battery", role, SYSTEM)
        clients[name] = create_app(services, local=person(row.id, name, role)).test_client()
    ada, bob, vic, root = clients.values()
    mine = make(ada)
    shared = make(ada, public=True)

    assert (mine["owner"], root.get(f"{URL}/{mine['id']}").status_code) == ("ada", 200)
    for other in (bob, vic):
        assert other.get(f"{URL}/{mine['id']}").status_code == 404
        assert other.get(f"{URL}/{shared['id']}").status_code == 200
        assert len(other.get(URL).get_json()["data"]) == 1
    body = {"title": "x", "version": 1}
    assert bob.put(f"{URL}/{mine['id']}", json=body).status_code == 404
    assert bob.put(f"{URL}/{shared['id']}", json=body).status_code == 403
    assert vic.put(f"{URL}/{shared['id']}", json=body).status_code == 403
    assert vic.post(URL, json={"title": "x"}).status_code == 403
    assert bob.post("/api/v1/folders", json={"title": "x"}).status_code == 403
    assert root.put(f"{URL}/{shared['id']}", json=body).status_code == 200

    log = root.get(f"/api/v1/admin/audit?target=dashboard:{shared['id']}").get_json()["data"]
    assert [(entry["actor_name"], entry["action"]) for entry in log] == [
        ("root", "dashboard.update"),
        ("ada", "dashboard.create"),
    ]


def test_a_dashboard_from_a_file_is_served_with_its_drift(config: Config, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(orjson.dumps(dashboard(panel(1, "a"), title="From a file")))
    settings = dataclasses.replace(
        config, dashboards=DashboardsConfig(folder=str(tmp_path), scan_s=1)
    )
    log = make_logger(io.BytesIO(), level="info", service="api", clock_ms=lambda: 0)
    with closing(build_services(settings, log=log)) as services:
        client = create_app(services, local=ALMIGHTY).test_client()
        wait_until(
            lambda: client.get(URL).get_json()["data"] != [], timeout_s=30, what="it is loaded"
        )
        (row,) = client.get(URL).get_json()["data"]
        client.put(f"{URL}/{row['id']}", json={"title": "Edited", "version": row["version"]})

        drift = client.get(f"{URL}/{row['id']}/drift").get_json()["data"]
        own = client.get(f"{URL}/{make(client)['id']}/drift")

    assert (row["title"], row["public"], row["owner_id"]) == ("From a file", True, None)
    assert (drift["file"], drift["conflicts"]) == ("a.json", [])
    assert drift["changes"] == [{"path": "title", "old": "From a file", "new": "Edited"}]
    assert own.status_code == 404


def test_dashboards_of_an_account_that_is_deleted_stay_with_their_history(
    client: FlaskClient, services: Services
) -> None:
    people = services.people
    assert people is not None
    row = people.accounts.create_user("ada", "correct horse battery", "editor", SYSTEM)
    ada = create_app(services, local=person(row.id, "ada", "editor")).test_client()
    number = make(ada, public=True)["id"]

    people.accounts.delete_user(row.id, SYSTEM)

    left = client.get(f"{URL}/{number}").get_json()["data"]
    (version,) = client.get(f"{URL}/{number}/versions").get_json()["data"]
    assert (left["owner_id"], left["owner"]) == (None, None)
    assert (version["author_id"], version["author"]) == (None, "ada")
    assert client.put(f"{URL}/{number}", json={"title": "x", "version": 1}).status_code == 200
