"""`/api/v1/silences` on a real database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from tidegauge.auth.permissions import Role
from tidegauge.services import Services

API = "/api/v1/silences"
BODY = {"matchers": [{"name": "host", "value": "a"}], "ends_at": "now+2h", "comment": "new disks"}


@pytest.fixture
def services(stored_services: Services) -> Services:
    return stored_services


@pytest.fixture
def editor(client_of: Callable[[Role], FlaskClient]) -> FlaskClient:
    return client_of("editor")


def add(client: FlaskClient, **fields: object) -> dict[str, Any]:
    response = client.post(API, json={**BODY, **fields})
    assert response.status_code == 201, response.get_data(as_text=True)
    return response.get_json()["data"]


def test_a_silence_says_what_it_covers_by_whom_and_how_long(editor: FlaskClient) -> None:
    made = add(editor)

    assert made["matchers"] == [{"name": "host", "operator": "=", "value": "a"}]
    assert (made["comment"], made["created_by"], made["state"]) == ("new disks", "editor", "active")
    assert made["ends_at"] - made["starts_at"] == 2 * 3_600_000
    assert editor.get(f"{API}/{made['id']}").get_json() == {"data": made}
    assert editor.get(API).get_json()["data"] == [made]


def test_a_silence_ends_at_once_and_stays_in_the_list(
    services: Services, editor: FlaskClient
) -> None:
    now, later = add(editor), add(editor, starts_at="now+1h")

    for made in (now, later):
        for _ in range(2):
            assert editor.delete(f"{API}/{made['id']}").status_code == 200

    states = [one["state"] for one in editor.get(API).get_json()["data"]]
    assert states[0] == "expired"
    assert services.people is not None
    rows = services.people.audit.read(before=None, target=f"silence:{now['id']}", limit=9)
    assert [row.entry.action for row in rows] == ["silence.end", "silence.create"]


def test_a_silence_is_extended_and_keeps_its_beginning_and_its_maker(
    services: Services, editor: FlaskClient
) -> None:
    made = add(editor)
    wider = [{"name": "host", "operator": "=~", "value": "a|b"}]

    response = editor.put(
        f"{API}/{made['id']}", json={"matchers": wider, "ends_at": made["ends_at"] + 60_000}
    )

    changed = {"matchers": wider, "ends_at": made["ends_at"] + 60_000, "comment": ""}
    assert response.get_json() == {"data": {**made, **changed}}
    assert editor.get(f"{API}/{made['id']}").get_json() == {"data": {**made, **changed}}
    assert services.people is not None
    rows = services.people.audit.read(before=None, target=f"silence:{made['id']}", limit=9)
    assert [row.entry.action for row in rows] == ["silence.update", "silence.create"]


def test_a_silence_that_is_over_or_missing_is_not_changed(editor: FlaskClient) -> None:
    path = f"{API}/{add(editor)['id']}"
    editor.delete(path)

    refused, wrong = editor.put(path, json=BODY), editor.put(path, json={**BODY, "matchers": []})

    assert (refused.status_code, wrong.status_code) == (409, 400)
    assert "is over" in refused.get_json()["error"]
    assert editor.put(f"{API}/77", json=BODY).status_code == 404


def test_silences_are_listed_by_how_they_stand(editor: FlaskClient) -> None:
    ids = {
        "active": add(editor)["id"],
        "pending": add(editor, starts_at="now+1h")["id"],
        "expired": add(editor)["id"],
    }
    editor.delete(f"{API}/{ids['expired']}")

    for state, wanted in ids.items():
        listed = editor.get(API, query_string={"state": state}).get_json()["data"]
        assert [(one["id"], one["state"]) for one in listed] == [(wanted, state)]
    assert editor.get(API, query_string={"state": "over"}).status_code == 400


def test_a_viewer_sees_silences_and_makes_none(
    editor: FlaskClient, client_of: Callable[[Role], FlaskClient]
) -> None:
    path, viewer = f"{API}/{add(editor)['id']}", client_of("viewer")

    answers = (
        viewer.get(path),
        viewer.post(API, json=BODY),
        viewer.put(path, json=BODY),
        viewer.delete(path),
    )

    assert [one.status_code for one in answers] == [200, 403, 403, 403]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"matchers": []}, "matchers: there are 0"),
        ({"matchers": [{"name": "a", "value": ".*", "operator": "=~"}]}, "fit every alert"),
        ({"matchers": [{"name": "a", "value": "(", "operator": "=~"}]}, "("),
        ({"matchers": [{"name": "a", "value": "b", "operator": "~"}]}, "operator"),
        ({"matchers": [{"name": "a", "value": "\0"}]}, "cannot be stored"),
        ({"ends_at": "now-1h"}, "ends_at"),
        ({"ends_at": "soon"}, "soon"),
        ({"starts_at": "now+3h"}, "ends_at"),
        ({"ends_at": 2**60}, "366 days"),
        ({"ends_at": 2**60, "starts_at": 2**60 - 9}, "366 days"),
        ({"comment": "x" * 1025}, "comment"),
    ],
)
def test_a_wrong_silence_is_refused(
    editor: FlaskClient, fields: dict[str, object], said: str
) -> None:
    response = editor.post(API, json={**BODY, **fields})

    assert response.status_code == 400
    assert said in response.get_json()["error"]


def test_what_is_not_there_is_404(editor: FlaskClient) -> None:
    for path in (f"{API}/7", f"{API}/99999999999"):
        assert (editor.get(path).status_code, editor.delete(path).status_code) == (404, 404)
