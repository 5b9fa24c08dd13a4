"""A copy of where the alerts of each rule stand, in the cache; the record is PostgreSQL's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson

from tidegauge.alerts.payloads import alert_labels, json_number
from tidegauge.cache.protocol import Cache
from tidegauge.model.alerts import (
    ACTIVE_STATES,
    AlertInstance,
    AlertRule,
    AlertState,
    LastEvaluation,
)

TTL_S = 3600.0
MAX_SHOWN = 100

_WORST_FIRST = (AlertState.FIRING, AlertState.PENDING, AlertState.RESOLVED)


def worst_state(standing: Iterable[AlertInstance]) -> AlertState:
    """Return the state of a rule: that of its worst alert."""
    states = {one.state for one in standing}
    return next((state for state in _WORST_FIRST if state in states), AlertState.INACTIVE)


class LiveState:
    """Keeps `alert:state:{rule_id}`.

    Args:
        cache: where.
    """

    def __init__(self, *, cache: Cache) -> None:
        self._cache = cache

    def put(self, rule: AlertRule, standing: Sequence[AlertInstance], last: LastEvaluation) -> None:
        """Keep where a rule stands after an evaluation, for an hour."""
        active = [one for one in standing if one.state in ACTIVE_STATES]
        state = {
            "rule_id": rule.id,
            "state": worst_state(standing).value,
            "evaluated_at": last.at_ms,
            "error": last.error,
            "active": len(active),
            "alerts": [
                {
                    "labels": dict(alert_labels(rule, one)),
                    "state": one.state.value,
                    "value": json_number(one.value),
                    "active_at": one.active_ms,
                    "fired_at": one.fired_ms,
                }
                for one in active[:MAX_SHOWN]
            ],
        }
        self._cache.set(_key(rule.id), orjson.dumps(state), ttl_s=TTL_S)

    def drop(self, rule_ids: Iterable[int]) -> None:
        """Keep nothing of rules that are gone."""
        keys = [_key(rule_id) for rule_id in rule_ids]
        if keys:
            self._cache.delete(*keys)


def _key(rule_id: int) -> str:
    return f"alert:state:{rule_id}"
