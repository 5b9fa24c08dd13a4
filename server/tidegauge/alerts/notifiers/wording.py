"""How an alert is put into words, for people: what every message to them begins with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tidegauge.model.floats import format_go_g

_CONDITIONS = {"gt": ">", "lt": "<", "eq": "==", "ne": "!=", "gte": ">=", "lte": "<="}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_TITLE_CHARS = 200

STATUS_WORDS = {"firing": "FIRING", "resolved": "RESOLVED", "repeat": "STILL FIRING"}


def make_title(payload: Mapping[str, Any]) -> str:
    """Return one line: the status, the rule, and the labels that tell its alerts apart."""
    rule = payload["rule"]
    name = str(rule["name"])
    known = ("alertname", "severity", "__name__")
    labels = [str(text) for key, text in sorted(payload["labels"].items()) if key not in known]
    told_apart = f" ({' '.join(labels)})" if labels else ""
    status = STATUS_WORDS.get(payload["status"], str(payload["status"]).upper())
    return to_one_line(f"[{status}] {rule['severity']}: {name}{told_apart}")[:MAX_TITLE_CHARS]


def make_facts(payload: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is known, as (name, text), in the order in which people ask for it."""
    rule, value = payload["rule"], payload["value"]
    facts = [("Severity", str(rule["severity"]))]
    if value is not None:
        facts.append(("Value", format_go_g(float(value))))
    if rule.get("threshold") is not None:
        sign = _CONDITIONS.get(str(rule.get("condition")), str(rule.get("condition")))
        facts.append(("Condition", f"{sign} {format_go_g(float(rule['threshold']))}"))
    facts.append(("Since", format_time(payload["starts_at"])))
    if payload.get("ends_at") is not None:
        facts.append(("Until", format_time(payload["ends_at"])))
    facts.append(("Query", str(rule["query"])))
    return facts


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
