"""Somebody takes on what fires: it is not told again until it is over, unless they want that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tidegauge.alerts.payloads import alert_labels
from tidegauge.alerts.service import MAX_ID
from tidegauge.alerts.silencing import check_text
from tidegauge.auth.actor import Actor
from tidegauge.errors import NotFound
from tidegauge.model.alerts import AlertInstance, AlertRule, AlertState
from tidegauge.model.labels import Labels
from tidegauge.storage.acknowledgements import Acknowledgement, Acknowledgements
from tidegauge.storage.alert_instances import fingerprint_of
from tidegauge.storage.alert_rules import AlertRules


@dataclass(frozen=True, slots=True)
class Which:
    """Which of a rule's firing alerts are meant.

    Args:
        labels: those that have all of these; empty: every one.
        fingerprint: the one with this fingerprint, as the API shows it; "": whichever.
    """

    labels: Labels = ()
    fingerprint: str = ""

    def takes(self, rule: AlertRule, alert: AlertInstance) -> bool:
        """Return whether this alert is meant."""
        if self.fingerprint and fingerprint_of(alert.labels).hex() != self.fingerprint.lower():
            return False
        return set(self.labels) <= set(alert_labels(rule, alert))


@dataclass(frozen=True, slots=True)
class Taken:
    """An alert that fires, with its labels, and its acknowledgement; None: it has none now."""

    labels: Labels
    acknowledgement: Acknowledgement | None


class AcknowledgeService:
    """Acknowledges alerts; safe to use from many threads.

    Args:
        rules: the rules, and where their alerts stand.
        acknowledgements: keeps what is acknowledged.
        clock_ms: Unix ms.
    """

    def __init__(
        self,
        *,
        rules: AlertRules,
        acknowledgements: Acknowledgements,
        clock_ms: Callable[[], int],
    ) -> None:
        self._rules, self._acknowledgements = rules, acknowledgements
        self._clock_ms = clock_ms

    def add(
        self, rule_id: int, which: Which, *, comment: str, keep_repeating: bool, actor: Actor
    ) -> list[Taken]:
        """Acknowledge alerts of a rule; return these.

        One that was acknowledged already has the new comment, by whoever gave it.

        Args:
            which: of those that fire.
            comment: for others to read.
            keep_repeating: whether people are told again all the same.
            actor: who takes them on.
        Raises:
            NotFound: no such rule, or none of these fires. InvalidInput: of the comment.
            Unavailable.
        """
        check_text("comment", comment)
        firing = self._find_firing(rule_id, which)
        made = Acknowledgement(comment, actor.name, self._clock_ms(), keep_repeating)
        entry = actor.entry("alert.acknowledge", f"alert:{rule_id}", {"comment": comment})
        put = self._acknowledgements.put(rule_id, list(firing), made, entry)
        if not put:
            raise NotFound(f"no such alert of the rule {rule_id} fires any more")
        return self._show(firing, put)

    def take_back(self, rule_id: int, which: Which, actor: Actor) -> list[Taken]:
        """Take acknowledgements back; return the alerts that had one.

        Raises:
            NotFound: no such rule, or none of these is acknowledged. Unavailable.
        """
        firing = self._find_firing(rule_id, which)
        entry = actor.entry("alert.unacknowledge", f"alert:{rule_id}")
        gone = self._acknowledgements.delete(list(firing), entry)
        if not gone:
            raise NotFound(f"no such alert of the rule {rule_id} is acknowledged")
        return self._show(firing, gone)

    def _find_firing(self, rule_id: int, which: Which) -> dict[int, Labels]:
        """Return the labels of the alerts that are meant, by the event of their beginning."""
        if not 0 < rule_id <= MAX_ID:
            raise NotFound(f"there is no alert rule {rule_id}")
        rule = self._rules.read(rule_id).rule
        standing = self._rules.read_instances([rule_id]).get(rule_id, [])
        firing = {
            one.event_id: alert_labels(rule, one)
            for one in standing
            if one.state is AlertState.FIRING and which.takes(rule, one)
        }
        if not firing:
            raise NotFound(f"no such alert of the rule {rule_id} fires")
        return firing

    def _show(self, firing: dict[int, Labels], changed: set[int]) -> list[Taken]:
        now = self._acknowledgements.read(list(changed))
        return [Taken(firing[number], now.get(number)) for number in sorted(changed)]
