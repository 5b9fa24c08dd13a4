"""Makes, changes, deletes and shows alert rules."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from tidegauge.alerts.evaluation import end_alert
from tidegauge.alerts.rules import check_rule
from tidegauge.auth.actor import Actor
from tidegauge.auth.principal import Principal
from tidegauge.errors import Conflict, Forbidden, NotFound
from tidegauge.model.alerts import AlertInstance, AlertRule, AlertState
from tidegauge.query.parsing import QueryParser
from tidegauge.storage.acknowledgements import Acknowledgement, Acknowledgements
from tidegauge.storage.alert_events import AlertEvent, AlertEvents
from tidegauge.storage.alert_rules import AlertRules, End, StoredRule
from tidegauge.storage.recording_rules import RecordingRules, StoredRecording

MAX_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule with where its alerts stand.

    Args:
        acknowledged: what somebody has taken on of them, by the event by which it began to fire.
        unheard: the events of which somebody was to hear and did not.
    """

    stored: StoredRule
    standing: list[AlertInstance]
    acknowledged: Mapping[int, Acknowledgement] = field(default_factory=dict)
    unheard: Collection[int] = ()


class AlertService:
    """Alert rules for whom it is allowed; safe to use from many threads.

    Args:
        rules, recordings: the rules.
        events: what their alerts went through.
        acknowledgements: what somebody has taken on.
        parser: reads queries.
        clock_ms: Unix ms.
    """

    def __init__(
        self,
        *,
        rules: AlertRules,
        recordings: RecordingRules,
        events: AlertEvents,
        acknowledgements: Acknowledgements,
        parser: QueryParser,
        clock_ms: Callable[[], int],
    ) -> None:
        self._rules, self._recordings, self._events = rules, recordings, events
        self._acknowledgements = acknowledgements
        self._parser, self._clock_ms = parser, clock_ms

    def add(self, rule: AlertRule, principal: Principal, actor: Actor) -> RuleView:
        """Store a rule as the principal's own, and return it with its id.

        Raises:
            InvalidInput, LimitExceeded: it is no rule. Unavailable.
        """
        check_rule(rule, self._parser)
        owned = replace(rule, owner_id=principal.user_id)
        entry = actor.entry("alert.create", details={"name": rule.name})
        return RuleView(self._rules.add(owned, entry), [])

    def list_page(self, *, after: int, limit: int) -> list[RuleView]:
        """Return rules in the order of their ids, from the first behind `after`.

        Raises:
            Unavailable.
        """
        return self._view(self._rules.read_page(after=after, limit=limit))

    def list_all(self) -> list[RuleView]:
        """Return all rules in the order of their ids.

        Raises:
            Unavailable.
        """
        return self._view(self._rules.read_all())

    def list_recordings(self) -> list[StoredRecording]:
        """Return all recording rules, those of a group together and in its order.

        Raises:
            Unavailable.
        """
        return self._recordings.read_all()

    def read(self, rule_id: int) -> RuleView:
        """Return one rule.

        Raises:
            NotFound, Unavailable.
        """
        view = self._view([self._find(rule_id)])[0]
        unheard = self._events.read_unheard([one.event_id for one in view.standing])
        return replace(view, unheard=unheard)

    def change(self, rule_id: int, rule: AlertRule, principal: Principal, actor: Actor) -> RuleView:
        """Put a rule in the place of another; where it asks something else its alerts end.

        Raises:
            NotFound. Forbidden. InvalidInput, LimitExceeded: it is no rule. Conflict: it comes
                from a file. Unavailable.
        """
        old = self._find_own(rule_id, principal, "update")
        check_rule(rule, self._parser)
        new = replace(rule, id=rule_id, owner_id=old.owner_id)
        entry = actor.entry("alert.update", f"alert:{rule_id}", {"name": rule.name})
        reason = _why_alerts_end(old, new)
        self._rules.replace(new, entry, end=self._make_end(old, reason) if reason else None)
        return self.read(rule_id)

    def delete(self, rule_id: int, principal: Principal, actor: Actor) -> None:
        """Delete a rule and end its alerts; what they went through stays in the database.

        Raises:
            NotFound. Forbidden. Conflict: it comes from a file. Unavailable.
        """
        old = self._find_own(rule_id, principal, "delete")
        entry = actor.entry("alert.delete", f"alert:{rule_id}", {"name": old.name})
        self._rules.delete(rule_id, entry, end=self._make_end(old, "the rule was deleted"))

    def read_history(
        self,
        rule_id: int,
        *,
        before: int | None,
        start_ms: int | None,
        end_ms: int | None,
        limit: int,
    ) -> list[AlertEvent]:
        """Return what a rule's alerts went through, newest first.

        Args:
            before: only events with a smaller id, to turn the page; None: from the newest.
            start_ms, end_ms: only those within; None where it is open.
            limit: at most so many.
        Raises:
            NotFound, Unavailable.
        """
        self._find(rule_id)
        return self._events.read_page(
            rule_id, before=before, start_ms=start_ms, end_ms=end_ms, limit=limit
        )

    def read_acknowledgements(self, events: Sequence[AlertEvent]) -> Mapping[int, Acknowledgement]:
        """Return what of these events was acknowledged, by event.

        Raises:
            Unavailable.
        """
        began = [one.id for one in events if one.state is AlertState.FIRING]
        return self._acknowledgements.read(began)

    def read_events(self, *, start_ms: int, end_ms: int, limit: int) -> list[AlertEvent]:
        """Return the newest events of all rules by which something began or ceased to fire.

        Raises:
            Unavailable.
        """
        return self._events.read_range(start_ms=start_ms, end_ms=end_ms, limit=limit)

    def _make_end(self, rule: AlertRule, reason: str) -> End:
        return partial(end_alert, rule, reason=reason, now_ms=self._clock_ms())

    def _view(self, stored: list[StoredRule]) -> list[RuleView]:
        standing = self._rules.read_instances([one.rule.id for one in stored])
        firing = [
            alert.event_id
            for alerts in standing.values()
            for alert in alerts
            if alert.state is AlertState.FIRING
        ]
        taken = self._acknowledgements.read(firing)
        return [RuleView(one, standing.get(one.rule.id, []), taken) for one in stored]

    def _find(self, rule_id: int) -> StoredRule:
        # What is no id of ours is not there, either; the table could not even hold it.
        if not 0 < rule_id <= MAX_ID:
            raise NotFound(f"there is no alert rule {rule_id}")
        return self._rules.read(rule_id)

    def _find_own(self, rule_id: int, principal: Principal, action: str) -> AlertRule:
        rule = self._find(rule_id).rule
        if not principal.may_touch("alert", action, rule.owner_id):
            raise Forbidden(
                f"alert rule {rule_id} is not yours: its owner may {action} it, or an admin"
            )
        if rule.origin is not None:
            raise Conflict(
                f"alert rule {rule_id} comes from the file {rule.origin.file}: change it there, "
                "and load that again with `tidegauge rules load`"
            )
        return rule


def _why_alerts_end(old: AlertRule, new: AlertRule) -> str:
    if old.enabled and not new.enabled:
        return "the rule was switched off"
    if old.query != new.query:
        return "the rule's query was changed"
    return ""
