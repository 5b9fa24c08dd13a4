"""Grafana's own alerts, as its webhook tells them, kept as marks: when each fired, and till when.

Grafana says a firing alert again and again, and says its end once; a mark is known by the alert's
fingerprint and its start. Source: grafana-contract §4.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from tidegauge.errors import InvalidInput
from tidegauge.model.annotations import Annotation

ALERT_TAG = "alert"
MAX_ALERTS = 1000

_SOURCE_TAG = "grafana"
_TEXT_CHARS = 4096
_TITLE_CHARS = 256
_TAG_CHARS = 100
_MAX_LABELS = 20


class GrafanaAlert(msgspec.Struct):
    """One alert; what else Grafana says of it is passed over."""

    status: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    startsAt: str = ""
    endsAt: str = ""
    fingerprint: str = ""


class GrafanaWebhook(msgspec.Struct):
    """What Grafana's webhook contact point sends."""

    alerts: list[GrafanaAlert]


def make_mark(alert: GrafanaAlert) -> Annotation:
    """Return the mark of an alert: a moment while it fires, a span when it is resolved.

    Raises:
        InvalidInput: its status or its times are none.
    """
    if alert.status not in ("firing", "resolved"):
        raise InvalidInput(f'alerts: the status "{alert.status[:64]}" is not firing or resolved')
    starts_ms = _read_ms("startsAt", alert.startsAt)
    ends_ms = None
    if alert.status == "resolved":
        ends_ms = max(starts_ms, _read_ms("endsAt", alert.endsAt))
    return Annotation(
        time_ms=starts_ms,
        time_end_ms=ends_ms,
        title=_clean(alert.labels.get("alertname", "") or "alert", _TITLE_CHARS),
        text=_clean(_describe(alert), _TEXT_CHARS),
        tags=(*identify(alert), *_label_tags(alert.labels)),
    )


def identify(alert: GrafanaAlert) -> tuple[str, str, str]:
    """Return the tags by which the marks of an alert are found."""
    return ALERT_TAG, _SOURCE_TAG, f"fingerprint:{_clean(alert.fingerprint, _TAG_CHARS)}"


def find_same(marks: Sequence[Annotation], wanted: Annotation) -> Annotation | None:
    """Return the mark that tells of the same alert already, by the same sender.

    Another's must neither be ended by this one nor stand for it.
    """
    place = wanted.time_ms, wanted.owner_id
    return next((one for one in marks if (one.time_ms, one.owner_id) == place), None)


def _label_tags(labels: Mapping[str, str]) -> list[str]:
    named = [f"{name}:{value}" for name, value in sorted(labels.items()) if name != "alertname"]
    return [_clean(tag, _TAG_CHARS) for tag in named[:_MAX_LABELS]]


def _describe(alert: GrafanaAlert) -> str:
    said = alert.annotations
    return said.get("summary") or said.get("description") or said.get("message") or ""


def _clean(text: str, most: int) -> str:
    # Commas part tags, and NUL cannot be stored.
    return text.replace("\0", "").replace(",", " ")[:most]


def _read_ms(name: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise InvalidInput(f'alerts: {name} "{text[:64]}" is not RFC 3339') from exc
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)
