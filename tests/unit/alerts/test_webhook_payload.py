"""The bodies of webhooks: what a group tells, each alert known by Prometheus's fingerprint."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tidegauge.alerts.notifiers.webhook_payload import fingerprint, make_body
from tidegauge.storage.outbox import ClaimedNotification

from tests.unit.alerts.notifications import KEY, make_message, make_payload


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        # prometheus/common model/signature_test.go
        ({}, 14695981039346656037),
        ({"name": "garland, briggs", "fear": "love is not enough"}, 5799056148416392346),
    ],
)
def test_fingerprints_are_those_of_prometheus(labels: dict[str, str], wanted: int) -> None:
    assert int(fingerprint(labels), 16) == wanted


def read_body(message: ClaimedNotification, form: str = "alertmanager") -> dict[str, Any]:
    """Return what a webhook of this form is sent."""
    body: dict[str, Any] = json.loads(make_body(message, form=form))
    return body


def test_an_end_is_told_of_the_same_group() -> None:
    firing = read_body(make_message())
    repeat = read_body(make_message(make_payload(status="repeat")))
    ended = make_payload(status="resolved", ends_at=1_767_323_105_000)
    resolved = read_body(make_message(ended))

    assert firing == repeat
    assert resolved["status"] == resolved["alerts"][0]["status"] == "resolved"
    assert resolved["alerts"][0]["endsAt"] == "2026-01-02T03:05:05.000Z"
    assert resolved["groupKey"] == firing["groupKey"]
    assert resolved["alerts"][0]["fingerprint"] == firing["alerts"][0]["fingerprint"]
    assert firing["receiver"] == "rule 7"


def test_a_group_has_in_common_what_is_the_same_in_all_its_alerts() -> None:
    alerts = [
        make_payload(
            labels={"job": "api", "pod": pod}, annotations={"summary": pod, "runbook": "r"}
        )
        for pod in ("a", "b")
    ]

    body = read_body(make_message(*alerts, receiver="dba", group_labels={"job": "api"}))

    assert (body["version"], body["receiver"], body["truncatedAlerts"]) == ("4", "dba", 0)
    assert body["groupLabels"] == {"job": "api"}
    assert body["commonLabels"] == {
        "alertname": "High latency",
        "job": "api",
        "severity": "critical",
    }
    assert body["commonAnnotations"] == {"runbook": "r"}
    assert [one["labels"]["pod"] for one in body["alerts"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("others", "left_out"), [([make_payload(labels={"pod": "b"})], 0), ([], 1)]
)
def test_a_group_is_resolved_when_nothing_of_it_fires_any_more(
    others: list[dict[str, Any]], left_out: int
) -> None:
    ended = make_payload(status="resolved", labels={"pod": "a"})

    beside = read_body(make_message(ended, others=others, left_out=left_out))
    last = read_body(make_message(ended))

    assert (beside["status"], last["status"]) == ("firing", "resolved")
    assert [one["status"] for one in beside["alerts"]] == ["resolved", *["firing"] * len(others)]
    assert beside["truncatedAlerts"] == left_out


def test_our_own_form_has_a_single_alert_at_its_top_and_all_in_a_list() -> None:
    single = read_body(make_message(make_payload(status="repeat")), form="tidegauge")
    both = read_body(
        make_message(make_payload(), make_payload(status="resolved")), form="tidegauge"
    )

    assert (single["version"], single["idempotency_key"], single["value"]) == ("1", KEY, 2.5)
    assert single["status"] == "repeat"
    assert single["alerts"] == [make_payload(status="repeat")]
    assert (both["status"], len(both["alerts"]), "labels" in both) == ("firing", 2, False)


def test_an_alert_that_others_posted_has_the_labels_it_came_with() -> None:
    posted = make_payload(rule=None, labels={"alertname": "Down"}, generator_url="http://p/graph")

    (alert,) = read_body(make_message(posted, rule_id=None, receiver="all"))["alerts"]

    assert alert["labels"] == {"alertname": "Down"}
    assert alert["generatorURL"] == "http://p/graph"


def test_a_time_out_of_all_calendars_does_not_keep_its_group_back() -> None:
    late = 253_402_343_999_000

    body = read_body(make_message(make_payload(starts_at=late, ends_at=late), make_payload()))

    assert [one["startsAt"] for one in body["alerts"]] == [
        "9999-12-31T23:59:59.999Z",
        "2026-01-02T03:04:05.000Z",
    ]
