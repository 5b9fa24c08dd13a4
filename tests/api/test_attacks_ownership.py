"""Things of somebody else's: who may not see one learns nothing, who may not change one cannot."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.support.town import GRAFANA_SECRET, PASSWORD, Town

DASHBOARDS = "/api/v1/dashboards"
NOBODYS = 2_000_000_000
"""An id that nothing has."""
PLACE = {"x": 0, "y": 0, "w": 12, "h": 8}
LINE = {"type": "line", "title": "Up", "query": "up", "position": PLACE}


@dataclass(frozen=True)
class Route:
    """One way to touch a thing.

    Args:
        path: `{id}` is the thing's.
        body: what is sent.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        sent = "".join(f" {key}" for key in (*(self.body or ()), *self.headers))
        return f"{self.method} {self.path}{sent}"

    @property
    def changes(self) -> bool:
        return self.method != "GET"


OF_DASHBOARDS = (
    Route("GET", f"{DASHBOARDS}/{{id}}"),
    Route("GET", f"{DASHBOARDS}/{{id}}", headers={"If-None-Match": '"1"'}),
    Route("GET", f"{DASHBOARDS}/{{id}}/grafana"),
    Route("GET", f"{DASHBOARDS}/{{id}}/versions"),
    Route("GET", f"{DASHBOARDS}/{{id}}/versions/1"),
    Route("GET", f"{DASHBOARDS}/{{id}}/versions/diff?from=1&to=1"),
    Route("GET", f"{DASHBOARDS}/{{id}}/drift"),
    Route("GET", "/api/v1/panels/{id}-1"),
    Route("PUT", f"{DASHBOARDS}/{{id}}", {"title": "taken", "version": 1}),
    Route("PUT", f"{DASHBOARDS}/{{id}}", {"title": "taken", "version": 77}),
    Route("PUT", f"{DASHBOARDS}/{{id}}", {"public": True}, {"If-Match": "*"}),
    Route("PUT", f"{DASHBOARDS}/{{id}}", {"title": "taken"}, {"If-Match": '"5"'}),
    Route("DELETE", f"{DASHBOARDS}/{{id}}"),
    Route("DELETE", f"{DASHBOARDS}/{{id}}", headers={"If-Match": '"5"'}),
    Route("POST", f"{DASHBOARDS}/{{id}}/panels", LINE),
    Route("POST", f"{DASHBOARDS}/{{id}}/restore", {"version": 1}),
    Route("PUT", "/api/v1/panels/{id}-1", {"title": "taken"}),
    Route("DELETE", "/api/v1/panels/{id}-1"),
)


def touch(town: Town, who: str, route: Route, number: int) -> TestResponse:
    return town.clients[who].open(
        route.path.format(id=number),
        method=route.method,
        json=route.body,
        headers=dict(route.headers),
    )


def seen_of(response: TestResponse, number: int) -> tuple[int, str, Mapping[str, str]]:
    """Return all that an answer tells, but for what the sender knows, and names of the request."""
    text = response.get_data(as_text=True).replace(response.headers["X-Request-ID"], "ID")
    of_request = ("X-Request-ID", "Content-Length", "RateLimit-Remaining", "RateLimit-Reset")
    headers = {key: value for key, value in response.headers.items() if key not in of_request}
    return response.status_code, text.replace(str(number), "N"), headers


@pytest.fixture
def dashboard(town: Town) -> Callable[..., int]:
    def make(*, public: bool) -> int:
        made = town.make("owner", DASHBOARDS, title="Mine", public=public, panels=[LINE])
        return int(made["id"])

    return make


@pytest.mark.parametrize("route", OF_DASHBOARDS, ids=str)
@pytest.mark.parametrize("who", ["other", "viewer", "stranger"])
def test_a_private_dashboard_is_not_there_for_others(
    town: Town, dashboard: Callable[..., int], who: str, route: Route
) -> None:
    number = dashboard(public=False)
    before = town.clients["owner"].get(f"{DASHBOARDS}/{number}").get_json()

    there = seen_of(touch(town, who, route, number), number)
    nowhere = seen_of(touch(town, who, route, NOBODYS), NOBODYS)

    assert there == nowhere
    wanted = {"other": 404, "viewer": 403 if route.changes else 404, "stranger": 401}[who]
    assert there[0] == wanted
    assert town.clients["owner"].get(f"{DASHBOARDS}/{number}").get_json() == before


@pytest.mark.parametrize("route", OF_DASHBOARDS, ids=str)
@pytest.mark.parametrize("who", ["other", "viewer", "stranger"])
def test_a_public_dashboard_is_changed_by_nobody_else(
    town: Town, dashboard: Callable[..., int], who: str, route: Route
) -> None:
    number = dashboard(public=True)
    before = town.clients["owner"].get(f"{DASHBOARDS}/{number}").get_json()

    status = touch(town, who, route, number).status_code

    if who == "stranger":
        assert status == 401
    elif route.changes:
        assert status == 403
    else:
        # One that came from no file has no drift.
        assert status in (200, 304) or route.path.endswith("/drift")
    assert town.clients["owner"].get(f"{DASHBOARDS}/{number}").get_json() == before


@pytest.mark.parametrize(
    ("of", "scopes", "names", "reads", "changes"),
    [
        ("other", ["dashboards"], "", 404, 404),
        ("viewer", ["dashboards"], "", 404, 403),
        ("admin", ["query"], "", 404, 403),
        ("admin", ["ingest"], "", 403, 403),
        ("owner", ["query"], "", 200, 403),
        ("admin", ["dashboards"], "other", 404, 404),
        ("admin", ["dashboards"], "viewer", 404, 403),
        ("admin", ["dashboards"], "nobody here", 404, 403),
        ("admin", ["query"], "owner", 200, 403),
        ("admin", ["query"], "admin", 404, 403),
        ("viewer", ["dashboards"], "admin", 404, 403),
    ],
)
def test_a_token_opens_no_more_than_its_scope_its_owner_and_whom_grafana_names(
    town: Town,
    dashboard: Callable[..., int],
    of: str,
    scopes: list[str],
    names: str,
    reads: int,
    changes: int,
) -> None:
    path = f"{DASHBOARDS}/{dashboard(public=False)}"
    body = {"name": "robot", "scopes": scopes, "user_id": town.ids[of]}
    token = town.make("admin", "/api/v1/tokens", **body)["token"]
    headers = {"Authorization": f"Bearer {token}"}
    if names:
        headers |= {"X-Grafana-User": names, "X-Tidegauge-Grafana-Secret": GRAFANA_SECRET}
    client = town.app.test_client()

    read = client.get(path, headers=headers)
    changed = client.put(path, json={"title": "taken", "version": 1}, headers=headers)

    assert (read.status_code, changed.status_code) == (reads, changes)


def test_lists_hold_no_private_dashboard_of_others(town: Town) -> None:
    made = town.make("owner", DASHBOARDS, title="Hidden away", tags=["hidden"])

    for query in ({}, {"uid": made["uid"]}, {"owner": town.ids["owner"]}, {"tag": "hidden"}):
        for who, sees in (("owner", True), ("admin", True), ("other", False), ("viewer", False)):
            rows = town.clients[who].get(DASHBOARDS, query_string=query).get_json()["data"]
            assert (made["id"] in [row["id"] for row in rows]) == sees, (who, query)


def test_an_import_over_a_dashboard_one_cannot_see_makes_ones_own(town: Town) -> None:
    made = town.make("owner", DASHBOARDS, title="Mine")
    sent = {"dashboard": {"uid": made["uid"], "title": "Theirs"}, "overwrite": True}

    taken = town.clients["other"].post(f"{DASHBOARDS}/import", json=sent)

    data = taken.get_json()["data"]
    assert (taken.status_code, data["owner"]) == (201, "other")
    assert data["uid"] != made["uid"]
    kept = town.clients["owner"].get(f"{DASHBOARDS}/{made['id']}").get_json()["data"]
    assert (kept["title"], kept["version"]) == ("Mine", 1)


def test_an_import_over_a_public_dashboard_of_anothers_is_refused(town: Town) -> None:
    made = town.make("owner", DASHBOARDS, title="Mine", public=True)
    sent = {"dashboard": {"uid": made["uid"], "title": "Theirs"}, "overwrite": True}

    assert town.clients["other"].post(f"{DASHBOARDS}/import", json=sent).status_code == 403
    kept = town.clients["owner"].get(f"{DASHBOARDS}/{made['id']}").get_json()["data"]
    assert kept["title"] == "Mine"


@pytest.mark.parametrize("fields", [{"owner_id": 1}, {"owner": "admin"}, {"id": 1}, {"uid": "x"}])
def test_nobody_gives_a_dashboard_another_owner_or_id(
    town: Town, dashboard: Callable[..., int], fields: dict[str, Any]
) -> None:
    number = dashboard(public=False)
    one = f"{DASHBOARDS}/{number}"
    before = town.clients["owner"].get(one).get_json()["data"]

    town.clients["owner"].put(one, json={**fields, "version": 1, "description": "new"})

    after = town.clients["owner"].get(one).get_json()["data"]
    assert {key: after[key] for key in ("id", "uid", "owner_id", "owner")} == {
        key: before[key] for key in ("id", "uid", "owner_id", "owner")
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/users/{id}"),
        ("PATCH", "/api/v1/users/{id}"),
        ("DELETE", "/api/v1/users/{id}"),
        ("DELETE", "/api/v1/tokens/{id}"),
        ("PUT", "/api/v1/folders/{id}"),
        ("DELETE", "/api/v1/folders/{id}"),
        ("DELETE", "/api/v1/admin/queries/{id}"),
        ("GET", "/api/v1/admin/dead-letters/{id}"),
    ],
)
@pytest.mark.parametrize("who", ["other", "viewer", "stranger"])
def test_what_is_for_admins_answers_others_alike_whether_it_is_there(
    town: Town, who: str, method: str, path: str
) -> None:
    name = re.sub(r"\W+", "-", f"{who}{method}{path}x")
    user = town.make("admin", "/api/v1/users", username=name, password=PASSWORD)["id"]
    route = Route(method, path, {"disabled": True, "title": "x"} if method != "GET" else None)

    there = touch(town, who, route, user)
    nowhere = touch(town, who, route, NOBODYS)

    assert there.status_code == (401 if who == "stranger" else 403)
    assert seen_of(there, user) == seen_of(nowhere, NOBODYS)
    kept = town.clients["admin"].get(f"/api/v1/users/{user}").get_json()["data"]
    assert kept["disabled"] is False


MARKS = "/api/v1/annotations"


@pytest.mark.parametrize("who", ["other", "viewer"])
def test_a_mark_on_a_private_dashboard_is_as_hidden_as_that(
    town: Town, dashboard: Callable[..., int], who: str
) -> None:
    number = dashboard(public=False)
    mark = town.make("owner", MARKS, text="secret", tags=["s"], dashboard_id=number)["id"]
    client, one = town.clients[who], Route("GET", f"{MARKS}/{{id}}")
    asked = {"range": {"from": "2020-01-01T00:00:00Z", "to": "2040-01-01T00:00:00Z"}}
    target = {"refId": "Anno", "target": "annotations", "payload": {"dashboard_id": number}}

    assert seen_of(touch(town, who, one, mark), mark) == seen_of(
        touch(town, who, one, NOBODYS), NOBODYS
    )
    for query in ({}, {"dashboard_id": number}, {"tag": "s"}):
        assert client.get(MARKS, query_string=query).get_json()["data"] == [], query
    shown = client.post("/grafana/json/query", json={**asked, "targets": [target]})
    assert (shown.status_code, b"secret" in shown.data) == (200, False)
    for name in ("owner", "admin"):
        assert town.clients[name].get(f"{MARKS}/{mark}").status_code == 200
        assert b"secret" in town.clients[name].get(f"{MARKS}?dashboard_id={number}").data
    town.clients["owner"].delete(f"{DASHBOARDS}/{number}")
    assert b"secret" not in client.get(MARKS).data


@pytest.mark.parametrize("path", [f"{MARKS}/{{id}}", f"{MARKS}?id={{id}}"])
def test_a_mark_is_deleted_by_its_owner_or_an_admin(town: Town, path: str) -> None:
    mark = town.make("owner", MARKS, text="mine")["id"]
    route = Route("DELETE", path)

    statuses = [touch(town, who, route, mark).status_code for who in ("stranger", "viewer")]
    assert statuses == [401, 403]
    assert touch(town, "other", route, mark).status_code == 403
    assert town.clients["owner"].get(f"{MARKS}/{mark}").status_code == 200
    assert touch(town, "owner", route, mark).status_code == 200


def test_a_mark_on_a_private_dashboard_of_anothers_cannot_be_deleted_or_told(
    town: Town, dashboard: Callable[..., int]
) -> None:
    mark = town.make("owner", MARKS, text="x", dashboard_id=dashboard(public=False))["id"]
    route = Route("DELETE", f"{MARKS}/{{id}}")

    there, nowhere = (touch(town, "other", route, number) for number in (mark, NOBODYS))

    assert there.status_code == 404
    assert seen_of(there, mark) == seen_of(nowhere, NOBODYS)


def test_the_log_tells_of_marks_that_others_delete(town: Town) -> None:
    mine, theirs = (town.make("owner", MARKS, text=text)["id"] for text in ("mine", "theirs"))

    touch(town, "owner", Route("DELETE", f"{MARKS}/{{id}}"), mine)
    touch(town, "admin", Route("DELETE", f"{MARKS}/{{id}}"), theirs)

    told = [row for row in town.audit() if row["action"] == "annotation.delete"]
    assert [(row["actor_name"], row["target"]) for row in told] == [
        ("admin", f"annotation:{theirs}")
    ]
    assert told[0]["details"] == {"owner_id": town.ids["owner"], "text": "theirs"}


ALERTS = "/api/v1/alerts/grafana"


def alert(**said: Any) -> dict[str, Any]:
    begin = {"startsAt": "2023-11-14T22:00:00Z", "labels": {"alertname": "disk is full"}}
    return {"alerts": [{"status": "firing", **begin, "fingerprint": "f1", **said}]}


def test_nobody_ends_or_suppresses_the_alert_marks_of_anothers(town: Town) -> None:
    end = {"status": "resolved", "endsAt": "2023-11-14T22:01:00Z"}
    early = {"fingerprint": "f2", **end, "labels": {"alertname": "all is well"}}
    for who, sent in (
        ("other", alert(**early)),
        ("owner", alert()),
        ("owner", alert(fingerprint="f2")),
        ("other", alert(**end, labels={"alertname": "all is well"})),
    ):
        assert town.clients[who].post(ALERTS, json=sent).status_code == 200

    rows = town.clients["owner"].get(MARKS, query_string={"tag": "alert"}).get_json()["data"]

    mine = [row for row in rows if row["owner_id"] == town.ids["owner"]]
    assert [(row["title"], row["time_end"]) for row in mine] == [("disk is full", None)] * 2
