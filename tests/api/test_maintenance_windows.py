"""`/api/v1/maintenance-windows` and the previews, on a real database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from tidegauge.auth.permissions import Role
from tidegauge.model.alerts import AlertInstance, AlertState
from tidegauge.model.labels import make_labels
from tidegauge.services import Services

from tests.support.alerts import ENTRY, make_change, make_evaluated, make_rule

API = "/api/v1/maintenance-windows"
RECURRENCE = {
    "start": "02:30",
    "duration": "2h",
    "weekdays": ["sunday", "monday"],
    "days_of_month": [-1, 1],
    "months": [12, 1],
    "first_day": "2026-01-01",
    "last_day": "2199-12-31",
}
BODY = {
    "name": "backups",
    "matchers": [{"name": "host", "operator": "=~", "value": "db-.*"}],
    "time_zone": "Europe/Berlin",
    "recurrence": RECURRENCE,
    "comment": "disks are busy",
}
ALWAYS = {"start": "00:00", "duration": "24h"}
HOUR_MS = 3_600_000


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


def test_a_window_is_given_back_as_it_was_made(editor: FlaskClient) -> None:
    made = add(editor)

    assert made == made | {**BODY, "once": None, "enabled": True, "created_by": "editor"} | {
        "recurrence": RECURRENCE
        | {"weekdays": ["monday", "sunday"], "months": [1, 12], "days_of_month": [-1, 1]}
    }
    assert editor.get(f"{API}/{made['id']}").get_json() == {"data": made}
    assert editor.get(API).get_json() == {"data": [made], "next_after": None}


def test_it_says_whether_it_is_open_and_until_when(editor: FlaskClient) -> None:
    always = add(editor, recurrence=ALWAYS, time_zone="UTC")
    off = add(editor, recurrence=ALWAYS, enabled=False)

    assert always["active"] is True
    assert always["next"]["ends_at"] - always["next"]["starts_at"] == 24 * HOUR_MS
    assert (off["active"], off["next"]) == (False, None)


def test_once_is_days_or_times_of_the_wall_clock(editor: FlaskClient) -> None:
    once = {"from": "2026-12-24", "until": "2026-12-26"}

    made = add(editor, recurrence=None, once=once, enabled=False)

    assert made["once"] == {"from": "2026-12-24T00:00:00", "until": "2026-12-27T00:00:00"}
    assert made["recurrence"] is None


def test_a_window_is_changed_and_deleted_and_all_of_that_is_recorded(
    services: Services, editor: FlaskClient
) -> None:
    made = add(editor)
    path = f"{API}/{made['id']}"

    changed = editor.put(path, json={**BODY, "name": "new", "recurrence": ALWAYS})
    assert editor.delete(path).get_json() == {"deleted": [made["id"]]}

    data = changed.get_json()["data"]
    assert (data["name"], data["created_by"], data["active"]) == ("new", "editor", True)
    for method in (editor.get, editor.delete):
        assert method(path).status_code == 404
    assert editor.put(path, json=BODY).status_code == 404
    assert editor.get(f"{API}/99999999999").status_code == 404
    assert services.people is not None
    target = f"maintenance-window:{made['id']}"
    rows = services.people.audit.read(before=None, target=target, limit=9)
    assert [row.entry.action.partition(".")[2] for row in rows] == ["delete", "update", "create"]


def test_a_viewer_sees_windows_and_previews_and_makes_none(
    editor: FlaskClient, client_of: Callable[[Role], FlaskClient]
) -> None:
    path, viewer = f"{API}/{add(editor)['id']}", client_of("viewer")

    assert [viewer.get(path).status_code, viewer.post(f"{API}/preview", json=BODY).status_code] == [
        200,
        200,
    ]
    for refused in (viewer.post(API, json=BODY), viewer.put(path, json=BODY), viewer.delete(path)):
        assert refused.status_code == 403


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "name: it has 0 characters"),
        ({"matchers": []}, "matchers: there are 0"),
        ({"time_zone": "Mars/Base"}, 'no time zone "Mars/Base"'),
        ({"recurrence": None}, "either recurrence or once"),
        ({"once": {"from": "2030-01-01", "until": "2030-01-02"}}, "either recurrence or once"),
        ({"recurrence": {**RECURRENCE, "start": "24:00"}}, '"24:00" is no time of day'),
        ({"recurrence": {**RECURRENCE, "duration": "8d"}}, "from 1 minute to 7 days"),
        ({"recurrence": {**RECURRENCE, "duration": 0}}, "from 1 minute to 7 days"),
        ({"recurrence": {**RECURRENCE, "weekdays": ["someday"]}}, "someday"),
        ({"recurrence": {**RECURRENCE, "days_of_month": [0]}}, "days_of_month: 0 is not"),
        ({"recurrence": {**RECURRENCE, "months": [13]}}, "months: 13 is not"),
        ({"recurrence": {**RECURRENCE, "first_day": "2026-02-30"}}, '"2026-02-30" is no day'),
        ({"recurrence": {**RECURRENCE, "last_day": "9999-12-31"}}, "its year is not"),
        ({"recurrence": {**RECURRENCE, "last_day": "2026-01-05"}}, "never open"),
        ({"recurrence": {**ALWAYS, "days_of_month": [30], "months": [2]}}, "never open"),
        ({"recurrence": None, "once": {"from": "soon", "until": "2030-01-02"}}, '"soon"'),
        ({"recurrence": None, "once": {"from": "2030-01-02", "until": "2030-01-01"}}, "after"),
        ({"recurrence": None, "once": {"from": "2030-01-02", "until": "2033-01-01"}}, "366 days"),
        ({"recurrence": None, "once": {"from": "2020-01-01", "until": "2020-01-02"}}, "never open"),
    ],
)
def test_a_wrong_window_is_refused(
    editor: FlaskClient, fields: dict[str, object], said: str
) -> None:
    for path in (API, f"{API}/preview"):
        response = editor.post(path, json={**BODY, **fields})

        assert response.status_code == 400
        assert said in response.get_json()["error"]


def test_a_preview_shows_when_a_window_is_open_next_here_and_in_utc(editor: FlaskClient) -> None:
    response = editor.post(
        f"{API}/preview", json={**BODY, "recurrence": RECURRENCE | {"days_of_month": []}}
    )

    shown = response.get_json()["data"]["occurrences"]
    assert len(shown) == 10
    assert [one["starts_at"] for one in shown] == sorted({one["starts_at"] for one in shown})
    first = shown[0]
    assert first["ends_at"] - first["starts_at"] == 2 * HOUR_MS
    assert (first["local"][0][11:], first["utc"][0][11:]) == ("02:30+01:00", "01:30+00:00")


def store_alerts(services: Services) -> None:
    """Let two alerts fire a day ago and one of them end; another rule's is pending."""
    assert services.storage.alerts is not None
    tables = services.storage.alerts
    now_ms = services.clock_ms()
    hot = tables.rules.add(make_rule(name="hot"), ENTRY).rule
    full = tables.rules.add(make_rule(name="full"), ENTRY).rule
    token = tables.open_lease("test", 60)
    held = token.take()
    assert held is not None

    def alert(host: str, state: AlertState) -> AlertInstance:
        return AlertInstance(make_labels({"host": host}), state, 6.0, active_ms=now_ms)

    a, b = (alert(host, AlertState.FIRING) for host in ("db-1", "web-1"))
    c = alert("db-2", AlertState.PENDING)
    d = alert("db-3", AlertState.RESOLVED)
    ended = make_change(hot, d, told=False, now_ms=now_ms)
    assert ended.event is not None
    ended = replace(ended, event=replace(ended.event, previous=AlertState.FIRING))
    yesterday_ms = now_ms - 24 * HOUR_MS
    fired = [make_change(hot, one, told=False, now_ms=yesterday_ms) for one in (a, b)]
    pending = make_change(full, c, told=False, now_ms=yesterday_ms)
    tables.changes.write(
        held.token, [make_evaluated(hot, *fired, ended), make_evaluated(full, pending)]
    )


def test_a_preview_of_a_silence_says_what_it_would_mute_and_mutes_nothing(
    services: Services, editor: FlaskClient
) -> None:
    store_alerts(services)

    response = editor.post("/api/v1/silences/preview", json={"matchers": BODY["matchers"]})

    data = response.get_json()["data"]
    shown = [(one["rule"], one["labels"]["host"], one["state"]) for one in data["alerts"]]
    assert shown == [("hot", "db-1", "firing"), ("full", "db-2", "pending")]
    assert data["alerts_in_all"] == 2
    assert data["last_7_days"] == {"fired": 1, "muted": 1, "complete": True}
    assert editor.get("/api/v1/silences").get_json()["data"] == []
    refused = editor.post("/api/v1/silences/preview", json={"matchers": []})
    assert refused.status_code == 400


def test_a_preview_shows_alerts_that_others_posted(
    editor: FlaskClient, client_of: Callable[[Role], FlaskClient]
) -> None:
    labels = {"alertname": "disk is full", "host": "db-9"}
    posted = client_of("admin").post("/alertmanager/api/v2/alerts", json=[{"labels": labels}])
    assert posted.status_code == 200, posted.get_data(as_text=True)

    response = editor.post("/api/v1/silences/preview", json={"matchers": BODY["matchers"]})

    data = response.get_json()["data"]
    assert data["alerts"] == [
        {"rule_id": None, "rule": "disk is full", "labels": labels, "state": "firing"}
    ]
    assert data["last_7_days"]["fired"] == 1


def test_a_preview_of_a_window_counts_what_fired_while_it_would_have_been_open(
    services: Services, editor: FlaskClient
) -> None:
    store_alerts(services)

    def ask(recurrence: dict[str, object]) -> Any:
        body = {**BODY, "time_zone": "UTC", "recurrence": recurrence}
        return editor.post(f"{API}/preview", json=body).get_json()["data"]["last_7_days"]

    assert ask(ALWAYS) == {"fired": 1, "muted": 1, "complete": True}
    in_half_a_year = datetime.fromtimestamp(services.clock_ms() / 1000, UTC) + timedelta(days=180)
    other = {**ALWAYS, "months": [in_half_a_year.month]}
    assert ask(other) == {"fired": 1, "muted": 0, "complete": True}
