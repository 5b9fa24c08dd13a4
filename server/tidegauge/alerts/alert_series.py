"""`ALERTS` and `ALERTS_FOR_STATE`: what alerts there are, as series.

Source: Prometheus `rules/alerting.go`.
"""

from __future__ import annotations

from collections.abc import Iterable

from tidegauge.alerts.payloads import alert_labels
from tidegauge.alerts.reading import ALERTS, ALERTS_FOR_STATE
from tidegauge.model.alerts import ACTIVE_STATES, AlertInstance, AlertRule, AlertState
from tidegauge.model.labels import METRIC_NAME, Labels, drop_name, make_labels

_STATE = "alertstate"


def find_alert_series(rule: AlertRule, standing: Iterable[AlertInstance]) -> dict[Labels, float]:
    """Return the series of a rule's alerts that are pending or firing, with their values.

    `ALERTS` has the state as a label and the value 1; `ALERTS_FOR_STATE` has the Unix time in
    seconds since when the condition holds. Where two alerts
    have the same labels the firing one counts.
    """
    found: dict[Labels, float] = {}
    active = [one for one in standing if one.state in ACTIVE_STATES]
    active.sort(key=lambda one: one.state is AlertState.FIRING)
    for one in active:
        labels = dict(drop_name(alert_labels(rule, one)))
        of_state = make_labels({**labels, METRIC_NAME: ALERTS, _STATE: one.state.value})
        found[of_state] = 1.0
        since = make_labels({**labels, METRIC_NAME: ALERTS_FOR_STATE})
        found[since] = float(one.active_ms // 1000)
    return found
