"""Grafana's own alerts come back by its webhook: each once, with its end, and shown on panels."""

from __future__ import annotations

from typing import Any

import pytest

PATH = "/api/v1/alerts/grafana"
BEGAN, ENDED = "2023-11-14T22:00:00Z", "2023-11-14T22:05:00Z"
NEVER = "0001-01-01T00:00:00Z"


def make_alert(**changes: Any) -> dict[str, Any]:
    """Return an alert as Grafana 13 sends it (grafana-contract §4.3)."""
    return {
        "status": "firing",
        "labels": {"alertname": "Disk fills", "grafana_folder": "Fleet", "host": "web,1"},
        "annotations": {"summary": "web1 has 3 hours left"},
        "startsAt": BEGAN,
        "endsAt": NEVER,
        "values": {"B": 22.5},
        "generatorURL": "http://grafana/alerting/1",
        "fingerprint": "b93a5c0d2d7d9f0a",
        "silenceURL": "http://grafana/silence",
        "dashboardURL": "",
        "panelURL": "",
        **changes,
    }


def send(client, *alerts: dict[str, Any]) -> Any:
    body = {
        "receiver": "tidegauge",
        "status": "firing",
        "orgId": 1,
        "alerts": list(alerts),
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://grafana/",
        "version": "1",
        "groupKey": "{}",
        "truncatedAlerts": 0,
        "title": "[FIRING:1]",
        "state": "alerting",
        "message": "",
    }
    return client.post(PATH, json=body)


def list_marks(client) -> list[dict[str, Any]]:
    return client.get("/api/v1/annotations?tag=alert").get_json()["data"]


def test_an_alert_that_fires_is_a_mark_and_told_again_is_the_same(client) -> None:
    first, again = send(client, make_alert()), send(client, make_alert())

    assert (first.get_json(), again.get_json()) == ({"data": {"kept": 1}}, {"data": {"kept": 0}})
    (mark,) = list_marks(client)
    assert (mark["title"], mark["text"]) == ("Disk fills", "web1 has 3 hours left")
    assert (mark["time"], mark["time_end"]) == (1_699_999_200_000, None)
    assert {"alert", "grafana", "host:web 1"} <= set(mark["tags"])


def test_its_end_makes_a_span_of_it(client) -> None:
    send(client, make_alert())
    resolved = make_alert(status="resolved", endsAt=ENDED)

    send(client, resolved)
    send(client, resolved)

    (mark,) = list_marks(client)
    assert mark["time_end"] - mark["time"] == 300_000


def test_the_next_time_it_fires_is_another_mark(client) -> None:
    send(client, make_alert(status="resolved", endsAt=ENDED))
    send(client, make_alert(startsAt="2023-11-14T22:10:00Z"))

    assert len(list_marks(client)) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "weird"}, 'status "weird"'),
        ({"startsAt": "yesterday"}, 'startsAt "yesterday"'),
        ({"status": "resolved", "endsAt": "x"}, 'endsAt "x"'),
        ({"labels": {"a": 1}}, "alerts[0].labels"),
    ],
)
def test_what_makes_no_sense_is_refused(client, changes, said: str) -> None:
    response = send(client, make_alert(**changes))

    assert response.status_code == 400
    assert said in response.get_json()["error"]


def test_too_many_at_once_are_refused(client) -> None:
    assert send(client, *[make_alert()] * 1001).status_code == 400


def test_they_are_shown_where_a_panel_asks_for_alerts(client) -> None:
    send(client, make_alert())
    asked = {
        "range": {"from": "2023-11-14T21:00:00Z", "to": "2023-11-14T23:00:00Z"},
        "targets": [{"refId": "Anno", "target": "alerts", "editorMode": "code", "payload": {}}],
    }

    (table,) = client.post("/grafana/json/query", json=asked).get_json()

    assert [row[2] for row in table["rows"]] == ["Disk fills"]
