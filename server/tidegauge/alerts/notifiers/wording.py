"""How an alert is put into words, for people: what every message to them begins with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tidegauge.model.floats import format_go_g

_CONDITIONS = {"gt": ">", "lt": "<", "eq": "==", "ne": "!=", "gte": ">=", "lte": "<="}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_TITLE_CHARS = 200

STATUS_WORDS = {"firing": "FIRING", "repeat": "STILL FIRING", "resolved": "RESOLVED"}


def make_subject(alerts: Sequence[Mapping[str, Any]]) -> str:
    """Return one line: an alert's title, or of several how many do what, and what they share.

    Args:
        alerts: their payloads, see `storage.outbox.NewNotification`; at least one.
    """
    if len(alerts) == 1:
        return make_title(alerts[0])
    counts = Counter(str(one["status"]) for one in alerts)
    counted = ", ".join(
        f"{_word(status)}:{counts[status]}" for status in sorted(counts, key=_place)
    )
    names = {name_of(one) for one in alerts}
    name = names.pop() if len(names) == 1 else f"{len(names)} kinds of alerts"
    return _make_line(counted, f"{name}{_tell_apart(common_pairs(alerts, 'labels'))}")


def make_title(payload: Mapping[str, Any]) -> str:
    """Return one line: the status, the rule, and the labels that tell its alerts apart."""
    severity = severity_of(payload)
    shown = f"{severity}: " if severity else ""
    apart = _tell_apart(payload["labels"])
    return _make_line(_word(str(payload["status"])), f"{shown}{name_of(payload)}{apart}")


def make_facts(payload: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is known, as (name, text), in the order in which people ask for it."""
    rule, value = payload.get("rule") or {}, payload.get("value")
    facts = [("Severity", severity_of(payload))] if severity_of(payload) else []
    if value is not None:
        facts.append(("Value", format_go_g(float(value))))
    if rule.get("threshold") is not None:
        sign = _CONDITIONS.get(str(rule.get("condition")), str(rule.get("condition")))
        facts.append(("Condition", f"{sign} {format_go_g(float(rule['threshold']))}"))
    facts.append(("Since", format_time(payload["starts_at"])))
    if payload.get("ends_at") is not None:
        facts.append(("Until", format_time(payload["ends_at"])))
    if rule:
        facts.append(("Query", str(rule["query"])))
    return facts


def name_of(payload: Mapping[str, Any]) -> str:
    """Return what people call it: the rule's name; of an alert posted by others, its alertname."""
    rule = payload.get("rule") or {}
    return str(rule.get("name") or payload["labels"].get("alertname", "alert"))


def severity_of(payload: Mapping[str, Any]) -> str:
    """Return how bad it is; "" where nobody says."""
    rule = payload.get("rule") or {}
    return str(rule.get("severity") or payload["labels"].get("severity", ""))


def common_pairs(alerts: Sequence[Mapping[str, Any]], part: str) -> dict[str, str]:
    """Return the labels, or the annotations, that are the same in all of these alerts.

    Args:
        alerts: their payloads; at least one.
        part: "labels" or "annotations".
    """
    first, *others = (one[part] for one in alerts)
    return {
        str(name): str(text)
        for name, text in first.items()
        if all(one.get(name) == text for one in others)
    }


def format_time(time_ms: int) -> str:
    """Return a time as people write it, in UTC."""
    try:
        moment = _EPOCH + timedelta(milliseconds=time_ms)
    except OverflowError:
        return f"{time_ms} ms"
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def to_one_line(text: str) -> str:
    """Return a text without line breaks and other control characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _make_line(status: str, text: str) -> str:
    return to_one_line(f"[{status}] {text}")[:MAX_TITLE_CHARS]


def _tell_apart(labels: Mapping[str, Any]) -> str:
    known = ("alertname", "severity", "__name__")
    texts = [str(text) for name, text in sorted(labels.items()) if name not in known]
    return f" ({' '.join(texts)})" if texts else ""


def _word(status: str) -> str:
    return STATUS_WORDS.get(status, status.upper())


def _place(status: str) -> int:
    known = list(STATUS_WORDS)
    return known.index(status) if status in known else len(known)
