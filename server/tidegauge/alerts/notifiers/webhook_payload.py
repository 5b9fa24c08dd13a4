"""The bodies of webhooks: Alertmanager's version 4, and our own, which holds more.

Source: prometheus.io/docs/alerting/latest/configuration, "webhook_config"; the fingerprint is that
of prometheus/common `model.LabelSet`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from tidegauge.alerts.notifiers.wording import common_pairs, name_of, severity_of
from tidegauge.storage.moments import to_moment
from tidegauge.storage.outbox import ClaimedNotification

ALERTMANAGER, OWN = "alertmanager", "tidegauge"
FORMATS = (ALERTMANAGER, OWN)

_NEVER = "0001-01-01T00:00:00Z"
_FNV_OFFSET, _FNV_PRIME, _MASK = 0xCBF29CE484222325, 0x100000001B3, (1 << 64) - 1


def make_body(message: ClaimedNotification, *, form: str) -> bytes:
    """Return the JSON body of one message.

    Args:
        message: what is told.
        form: one of FORMATS.
    """
    return orjson.dumps(_own(message) if form == OWN else _alertmanager(message))


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return what Alertmanager knows an alert by: 64 bits in hexadecimal."""
    value = _FNV_OFFSET
    for name, text in sorted(labels.items()):
        for byte in b"%b\xff%b\xff" % (name.encode(), text.encode()):
            value = ((value ^ byte) * _FNV_PRIME) & _MASK
    return f"{value:016x}"


def _own(message: ClaimedNotification) -> dict[str, Any]:
    # Of a single alert the fields are where they are easiest to find, too.
    single = message.alerts[0] if len(message.alerts) == 1 else {}
    return {
        "version": "1",
        "idempotency_key": message.idempotency_key,
        "status": _common_status(message.alerts),
        "receiver": message.receiver,
        "group_key": message.group_key,
        "group_labels": message.group_labels,
        **single,
        "alerts": message.alerts,
        "others": message.others,
        "left_out": message.left_out,
    }


def _alertmanager(message: ClaimedNotification) -> dict[str, Any]:
    # Alertmanager tells of all of a group: "resolved" must mean that nothing of it fires any more.
    told = [*message.alerts, *message.others]
    alerts = [_alertmanager_alert(one) for one in told]
    return {
        "version": "4",
        "groupKey": message.group_key,
        "truncatedAlerts": message.left_out,
        "status": "firing" if message.left_out else _common_status(told),
        "receiver": message.receiver or f"rule {message.rule_id}",
        "groupLabels": message.group_labels,
        "commonLabels": common_pairs(alerts, "labels"),
        "commonAnnotations": common_pairs(alerts, "annotations"),
        "externalURL": "",
        "alerts": alerts,
    }


def _alertmanager_alert(payload: Mapping[str, Any]) -> dict[str, Any]:
    labels = {"alertname": name_of(payload), "severity": severity_of(payload)}
    labels |= {str(name): str(text) for name, text in payload["labels"].items()}
    labels = {name: text for name, text in sorted(labels.items()) if text}
    ends_at = payload.get("ends_at")
    return {
        "status": _common_status([payload]),
        "labels": labels,
        "annotations": payload["annotations"],
        "startsAt": _format_time(payload["starts_at"]),
        "endsAt": _NEVER if ends_at is None else _format_time(ends_at),
        "generatorURL": str(payload.get("generator_url", "")),
        "fingerprint": fingerprint(labels),
    }


def _common_status(alerts: Sequence[Mapping[str, Any]]) -> str:
    return "resolved" if all(one["status"] == "resolved" for one in alerts) else "firing"


def _format_time(time_ms: int) -> str:
    # Who posts alerts names any time, and one out of all calendars must not keep its group back.
    moment = to_moment(time_ms)
    assert moment is not None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
