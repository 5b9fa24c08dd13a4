"""The bodies of webhooks: Alertmanager's version 4, and our own, which holds more.

Source: prometheus.io/docs/alerting/latest/configuration, "webhook_config"; the fingerprint is that
of prometheus/common `model.LabelSet`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tidegauge.promql.quoting import quote

ALERTMANAGER, OWN = "alertmanager", "tidegauge"
FORMATS = (ALERTMANAGER, OWN)

_NEVER = "0001-01-01T00:00:00Z"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FNV_OFFSET, _FNV_PRIME, _MASK = 0xCBF29CE484222325, 0x100000001B3, (1 << 64) - 1


def make_body(payload: Mapping[str, Any], *, form: str, key: str) -> bytes:
    """Return the JSON body of one notification.

    Args:
        payload: see `storage.outbox.NewNotification`.
        form: one of FORMATS.
        key: the idempotency key; our own form holds it.
    """
    if form == OWN:
        return orjson.dumps({"version": "1", "idempotency_key": key, **payload})
    return orjson.dumps(_alertmanager(payload))


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return what Alertmanager knows an alert by: 64 bits in hexadecimal."""
    value = _FNV_OFFSET
    for name, text in sorted(labels.items()):
        for byte in b"%b\xff%b\xff" % (name.encode(), text.encode()):
            value = ((value ^ byte) * _FNV_PRIME) & _MASK
    return f"{value:016x}"


def _alertmanager(payload: Mapping[str, Any]) -> dict[str, Any]:
    rule = payload["rule"]
    labels = {"alertname": str(rule["name"]), "severity": str(rule["severity"])}
    labels |= {str(name): str(text) for name, text in payload["labels"].items()}
    labels = dict(sorted(labels.items()))
    status = "resolved" if payload["status"] == "resolved" else "firing"
    pairs = ", ".join(f"{name}={quote(text)}" for name, text in labels.items())
    ends_at = payload.get("ends_at")
    alert = {
        "status": status,
        "labels": labels,
        "annotations": payload["annotations"],
        "startsAt": _format_time(payload["starts_at"]),
        "endsAt": _NEVER if ends_at is None else _format_time(ends_at),
        "generatorURL": "",
        "fingerprint": fingerprint(labels),
    }
    return {
        "version": "4",
        # Each alert is a group of its own: the end of one closes no other with the same key.
        "groupKey": f"{{}}:{{{pairs}}}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": f"rule {rule['id']}",
        "groupLabels": labels,
        "commonLabels": labels,
        "commonAnnotations": payload["annotations"],
        "externalURL": "",
        "alerts": [alert],
    }


def _format_time(time_ms: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
