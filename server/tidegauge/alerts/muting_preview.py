"""What a silence or a window would mute: alerts that stand now, and those of the last days."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tidegauge.alerts.payloads import alert_labels
from tidegauge.alerts.recurrence import find_zone, list_occurrences
from tidegauge.alerts.service import AlertService
from tidegauge.model.alerts import ACTIVE_STATES, AlertState
from tidegauge.model.external_alerts import ExternalAlert
from tidegauge.model.labels import Labels, find_label
from tidegauge.model.maintenance import MaintenanceWindow
from tidegauge.model.matchers import Matcher
from tidegauge.model.silences import fit

LOOK_BACK_MS = 7 * 86_400_000
MAX_EVENTS = 10_000
MAX_SHOWN = 100
_MANY = 100_000


@dataclass(frozen=True, slots=True)
class FittingAlert:
    """An alert that is pending or fires, and would be muted.

    Args:
        rule_id, rule_name: its rule; of one that others posted None, and its `alertname`.
        labels: with those of the rule.
        state: where it stands.
    """

    rule_id: int | None
    rule_name: str
    labels: Labels
    state: AlertState


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be muted.

    Args:
        shown: alerts that stand now and whose labels fit, at most MAX_SHOWN.
        standing: how many there are of these.
        fired: how often alerts whose labels fit began to fire in the last LOOK_BACK_MS.
        muted: how often that was while it would have muted them.
        complete: whether all events of that time were looked at, or the newest MAX_EVENTS only.
    """

    shown: Sequence[FittingAlert]
    standing: int
    fired: int
    muted: int
    complete: bool


class MutingPreview:
    """Says what would be muted, without muting it; safe to use from many threads.

    Args:
        alerts: the rules, their alerts and what these went through.
        list_posted: returns the alerts of others that fire.
        clock_ms: Unix ms.
    """

    def __init__(
        self,
        *,
        alerts: AlertService,
        list_posted: Callable[[], Sequence[ExternalAlert]],
        clock_ms: Callable[[], int],
    ) -> None:
        self._alerts, self._list_posted, self._clock_ms = alerts, list_posted, clock_ms

    def of_silence(self, matchers: Sequence[Matcher]) -> Preview:
        """Return what a silence would mute if it were there at all times.

        Raises:
            Unavailable.
        """
        return self._look(tuple(matchers), lambda _at_ms: True)

    def of_window(self, window: MaintenanceWindow) -> Preview:
        """Return what a window would mute: by its labels now, and by its times too in the past.

        Raises:
            InvalidInput: its time zone is not known here. Unavailable.
        """
        now_ms = self._clock_ms()
        times = list_occurrences(
            window.schedule,
            find_zone(window.zone),
            from_ms=now_ms - LOOK_BACK_MS,
            until_ms=now_ms,
            limit=_MANY,
        )
        return self._look(window.matchers, lambda at_ms: any(one.holds(at_ms) for one in times))

    def _look(self, matchers: tuple[Matcher, ...], is_open: Callable[[int], bool]) -> Preview:
        now_ms = self._clock_ms()
        standing = [one for one in self._list_standing() if fit(matchers, one.labels)]
        events = self._alerts.read_events(
            start_ms=now_ms - LOOK_BACK_MS, end_ms=now_ms, limit=MAX_EVENTS
        )
        fired = [
            one.at_ms
            for one in events
            if one.state is AlertState.FIRING and fit(matchers, one.labels)
        ]
        return Preview(
            shown=standing[:MAX_SHOWN],
            standing=len(standing),
            fired=len(fired),
            muted=sum(is_open(at_ms) for at_ms in fired),
            complete=len(events) < MAX_EVENTS,
        )

    def _list_standing(self) -> list[FittingAlert]:
        own = [
            FittingAlert(rule.id, rule.name, alert_labels(rule, alert), alert.state)
            for view in self._alerts.list_all()
            for rule in (view.stored.rule,)
            for alert in view.standing
            if alert.state in ACTIVE_STATES
        ]
        posted = [
            FittingAlert(None, find_label(one.labels, "alertname"), one.labels, one.state)
            for one in self._list_posted()
        ]
        return own + posted
