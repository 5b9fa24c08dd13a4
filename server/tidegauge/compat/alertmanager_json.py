"""Alerts and silences in the shape of Alertmanager's API, version 2.

Source: Alertmanager `api/v2/openapi.yaml`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tidegauge.alerts.notifiers.webhook_payload import fingerprint
from tidegauge.alerts.standing import AlertGroup, StandingAlert
from tidegauge.errors import InvalidInput
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.model.silences import Silence
from tidegauge.query.times import parse_rfc3339_ms

NOBODY = "nobody"
"""The receiver of alerts of which nobody is told; Alertmanager has no alert without one."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO_YEAR = "0001-01-01T"
_LAST_MS = 253_402_300_799_999

_TYPES = {
    (False, True): MatchType.EQUAL,
    (False, False): MatchType.NOT_EQUAL,
    (True, True): MatchType.REGEX,
    (True, False): MatchType.NOT_REGEX,
}
_FLAGS = {type: flags for flags, type in _TYPES.items()}


def shape_alert(alert: StandingAlert) -> dict[str, object]:
    """Return an alert as Alertmanager shows it."""
    labels = dict(alert.labels)
    return {
        "annotations": dict(alert.annotations),
        "endsAt": write_time(alert.ends_ms),
        "fingerprint": fingerprint(labels),
        "receivers": [{"name": name} for name in receivers_of(alert)],
        "startsAt": write_time(alert.starts_ms),
        "status": {
            "inhibitedBy": [],
            "mutedBy": [f"maintenance window {one}" for one in alert.muted_by],
            "silencedBy": [str(one) for one in alert.silenced_by],
            "state": "suppressed" if alert.quiet else "active",
        },
        "updatedAt": write_time(alert.updated_ms),
        "generatorURL": alert.generator_url,
        "labels": labels,
    }


def shape_group(group: AlertGroup, alerts: Sequence[dict[str, object]]) -> dict[str, object]:
    """Return a group as Alertmanager shows it, with alerts that have their shape already."""
    return {
        "alerts": alerts,
        "labels": dict(group.labels),
        "receiver": {"name": group.receiver},
        "routeLabels": {},
    }


def receivers_of(alert: StandingAlert) -> list[str]:
    """Return the names of those who are told of an alert, each once."""
    return list(dict.fromkeys(one.receiver for one in alert.groups)) or [NOBODY]


def shape_silence(silence: Silence, now_ms: int) -> dict[str, object]:
    """Return a silence as Alertmanager shows it."""
    return {
        "id": str(silence.id),
        "status": {"state": silence.state(now_ms).value},
        "updatedAt": write_time(silence.created_ms),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": write_time(silence.ends_ms),
        "matchers": [_shape_matcher(one) for one in silence.matchers],
        "startsAt": write_time(silence.starts_ms),
        "annotations": {},
    }


def make_matcher(name: str, value: str, *, is_regex: bool, is_equal: bool) -> Matcher:
    """Return the matcher that two flags say.

    Raises:
        InvalidInput: the value is no regular expression.
    """
    return Matcher(_TYPES[is_regex, is_equal], name, value)


def read_time_ms(field: str, text: str | None) -> int | None:
    """Return the Unix ms of a time; None where it is missing, or Go's zero.

    Raises:
        InvalidInput: it is no RFC 3339.
    """
    if not text or text.startswith(_ZERO_YEAR):
        return None
    time_ms = parse_rfc3339_ms(text)
    if time_ms is None:
        raise InvalidInput(f'{field}: "{text[:64]}" is not a time in RFC 3339')
    return time_ms


def write_time(time_ms: int) -> str:
    """Return a time in RFC 3339."""
    moment = _EPOCH + timedelta(milliseconds=min(time_ms, _LAST_MS))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _shape_matcher(matcher: Matcher) -> dict[str, object]:
    is_regex, is_equal = _FLAGS[matcher.type]
    return {
        "isEqual": is_equal,
        "isRegex": is_regex,
        "name": matcher.name,
        "value": matcher.value,
    }
