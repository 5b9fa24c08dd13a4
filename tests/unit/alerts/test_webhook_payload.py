"""The bodies of webhooks: each alert a group of its own, known by Prometheus's fingerprint."""

from __future__ import annotations

import json

import pytest
from tidegauge.alerts.notifiers.webhook_payload import fingerprint, make_body

from tests.unit.alerts.notifications import KEY, make_payload


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


def test_an_end_is_told_of_the_same_group() -> None:
    firing = json.loads(make_body(make_payload(), form="alertmanager", key=KEY))
    repeat = json.loads(make_body(make_payload(status="repeat"), form="alertmanager", key=KEY))
    ended = make_payload(status="resolved", ends_at=1_767_323_105_000)
    resolved = json.loads(make_body(ended, form="alertmanager", key=KEY))

    assert firing == repeat
    assert resolved["status"] == resolved["alerts"][0]["status"] == "resolved"
    assert resolved["alerts"][0]["endsAt"] == "2026-01-02T03:05:05.000Z"
    assert resolved["groupKey"] == firing["groupKey"]
    assert resolved["alerts"][0]["fingerprint"] == firing["alerts"][0]["fingerprint"]


def test_other_series_are_other_groups() -> None:
    bodies = [
        json.loads(make_body(make_payload(labels={"pod": pod}), form="alertmanager", key=KEY))
        for pod in ("a", "b")
    ]

    assert bodies[0]["groupKey"] != bodies[1]["groupKey"]
    assert bodies[0]["groupLabels"]["alertname"] == "High latency"
