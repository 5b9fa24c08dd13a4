"""`/api/v1/alerts/routing` on a real database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from tidegauge.auth.permissions import Role
from tidegauge.services import Services

API = "/api/v1/alerts/routing"
HOOK = {"type": "webhook", "target": "https://u:secret@example.org/secret", "secret": "secret"}
DOCUMENT = {
    "receivers": [
        {"name": "all", "channels": [{"type": "email", "target": "ops@example.org"}]},
        {"name": "dba", "channels": [HOOK]},
    ],
    "route": {
        "receiver": "all",
        "group_wait": "30s",
        "routes": [{"receiver": "dba", "matchers": ['team="db"'], "continue": True}],
    },
}


@pytest.fixture
def services(stored_services: Services) -> Services:
    return stored_services


@pytest.fixture
def admin(client_of: Callable[[Role], FlaskClient]) -> FlaskClient:
    return client_of("admin")


def put(client: FlaskClient, revision: int = 0, **fields: Any) -> dict[str, Any]:
    answer = client.put(API, json={**DOCUMENT, "revision": revision, **fields})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_json()["data"]


def test_at_first_there_are_no_routes(admin: FlaskClient) -> None:
    first = admin.get(API).get_json()["data"]

    assert (first["receivers"], first["route"], first["revision"]) == ([], None, 0)


def test_a_document_is_shown_as_it_was_sent_and_audited(
    services: Services, admin: FlaskClient
) -> None:
    stored = put(admin)

    shown = admin.get(API).get_json()["data"]
    assert shown == stored
    assert (shown["revision"], shown["changed_by"]) == (1, "admin")
    assert {name: shown[name] for name in DOCUMENT} == DOCUMENT
    assert services.people is not None
    (row,) = services.people.audit.read(before=None, target="alert-routing", limit=9)
    assert (row.entry.action, row.entry.details) == ("alert.routing", {"receivers": ["all", "dba"]})


def test_a_change_to_a_revision_that_is_gone_is_refused(admin: FlaskClient) -> None:
    put(admin)

    answer = admin.put(API, json={**DOCUMENT, "revision": 0})

    assert answer.status_code == 409
    assert "is at revision 1, the change was made to 0" in answer.get_json()["error"]
    assert put(admin, revision=1, route=None)["revision"] == 2


def test_only_who_may_change_routes_sees_secrets(
    admin: FlaskClient, client_of: Callable[[Role], FlaskClient]
) -> None:
    put(admin)

    for role in ("viewer", "editor"):
        shown = client_of(role).get(API)
        assert "secret" not in shown.get_data(as_text=True)
        assert shown.get_json()["data"]["receivers"][1]["channels"] == [
            {"type": "webhook", "target": "https://example.org"}
        ]
        assert client_of(role).put(API, json={**DOCUMENT, "revision": 1}).status_code == 403


def test_a_preview_says_which_way_an_alert_takes_and_whom_it_reaches(
    admin: FlaskClient, client_of: Callable[[Role], FlaskClient]
) -> None:
    put(admin)
    viewer = client_of("viewer")

    answer = viewer.post(f"{API}/preview", json={"labels": {"team": "db", "alertname": "x"}})

    found = answer.get_json()["data"]
    assert found["receivers"] == ["dba"]
    assert [(one["path"], one["matched"], one["chosen"]) for one in found["routes"]] == [
        ("{}", True, False),
        ('{}/{team="db"}', True, True),
    ]
    (channel,) = found["channels"]
    assert channel["group_key"] == '{}/{team="db"}:{alertname="x"}'
    assert channel["group_wait_ms"] == 30_000
    assert "secret" not in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"route": {"receiver": "x"}}, 'there is no receiver "x"'),
        ({"receivers": [{"name": "all", "color": 1}]}, "color"),
        ({"revision": "1"}, "revision"),
        ({"route": {"receiver": "all", "matchers": [{"name": "a"}]}}, "value"),
    ],
)
def test_a_wrong_document_is_refused(admin: FlaskClient, body: dict[str, Any], said: str) -> None:
    answer = admin.put(API, json={**DOCUMENT, "revision": 0, **body})

    assert answer.status_code == 400
    assert said in answer.get_json()["error"]


def test_a_tower_of_routes_is_refused(admin: FlaskClient) -> None:
    tower = '{"routes":[' * 20_000 + "]}" * 20_000

    answer = admin.put(API, data=f'{{"revision":0,"receivers":[],"route":{tower}}}')

    assert answer.status_code == 400
