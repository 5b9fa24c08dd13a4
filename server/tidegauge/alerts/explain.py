"""Says of alerts, now or in the past, why somebody was told or was not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tidegauge.alerts.evaluation import Outcome, read_outcome
from tidegauge.alerts.explanation import Answer, Explanation, Mute, Standing
from tidegauge.alerts.muting import Mutings, PlannedQuiet
from tidegauge.alerts.payloads import alert_labels
from tidegauge.alerts.service import MAX_ID
from tidegauge.alerts.state import holds
from tidegauge.errors import InvalidInput, NotFound, TidegaugeError, Unavailable
from tidegauge.model.alerts import ACTIVE_STATES, AlertInstance, AlertRule, AlertState
from tidegauge.model.labels import Labels, find_label
from tidegauge.model.matchers import Matcher
from tidegauge.model.routing import RoutedChannel, RouteStep, Routing
from tidegauge.model.silences import Muting, Silence
from tidegauge.query.service import QueryOptions, QueryService
from tidegauge.storage.acknowledgements import Acknowledgement, Acknowledgements
from tidegauge.storage.alert_ledger import AlertLedger, PastEvent
from tidegauge.storage.alert_rules import AlertRules, StoredRule

MAX_RULES = 20
"""Most rules whose queries are asked for one explanation."""

MAX_ALERTS = 50
"""Most alerts that are explained at once."""

# Somebody waits, and may be on the phone.
QUERY_TIMEOUT_MS = 4000
ALL_QUERIES_S = 10.0
EVENTS, NOTIFICATIONS = 20, 50

# The years in which a maintenance window may be open, from 1970 to 2199: calendars end, too.
_LAST_MS = 7_258_118_400_000 - 1

_BY_STATE = {
    AlertState.FIRING: 0,
    AlertState.PENDING: 1,
    AlertState.RESOLVED: 2,
    AlertState.INACTIVE: 3,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to know.

    Args:
        selectors: alerts whose labels fit all matchers of one of these; empty: all of the rule.
        rule_id: only those of this rule; None: of any.
        time_ms: how it was then, Unix ms; None: how it is now.
    """

    selectors: Sequence[Sequence[Matcher]] = ()
    rule_id: int | None = None
    time_ms: int | None = None

    def takes(self, labels: Labels) -> bool:
        """Return whether an alert with these labels is meant."""
        return not self.selectors or any(
            all(one.matches(find_label(labels, one.name)) for one in selector)
            for selector in self.selectors
        )

    def may_take(self, rule: AlertRule) -> bool:
        """Return whether an alert of this rule could be meant, whatever its series."""
        fixed = {name: text for name, text in rule.labels if "{{" not in text}
        known = {"alertname": rule.name, "severity": rule.severity.value, **fixed}
        return not self.selectors or any(
            all(one.matches(known[one.name]) for one in selector if one.name in known)
            for selector in self.selectors
        )

    def wanted_labels(self) -> Labels:
        """Return the labels that were asked for by name and value."""
        found = {
            one.name: one.value
            for selector in self.selectors[:1]
            for one in selector
            if not one.is_regex and one.matches(one.value)
        }
        return tuple(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class Explained:
    """What there is to say.

    Args:
        explanations: firing ones first.
        rules: how many rules fit.
        left_out: what of them is not told here; "": nothing.
    """

    explanations: Sequence[Explanation]
    rules: int
    left_out: str = ""


@dataclass(slots=True)
class _Look:
    """A look at one rule: what its query gave, by the labels of alerts, and how they stand."""

    stored: StoredRule
    outcome: Outcome
    values: dict[Labels, float] = field(default_factory=dict)
    standing: dict[Labels, Standing] = field(default_factory=dict)


# Without a look at a rule: others posted it.
_Found = tuple[_Look | None, Labels, Standing]

_POSTED = Answer(False, reason="others post this alert; no query of ours finds it")


class Explainer:
    """Explains alerts; safe to use from many threads.

    Args:
        rules: the rules, and where their alerts stand.
        ledger: what they went through.
        mutings: what keeps them quiet.
        acknowledgements: who took which on.
        read_routing: whom to tell where a rule does not say.
        query: answers the rules' queries.
        clock_ms: Unix ms.
        monotonic: seconds.
    """

    def __init__(
        self,
        *,
        rules: AlertRules,
        ledger: AlertLedger,
        mutings: Mutings,
        acknowledgements: Acknowledgements,
        read_routing: Callable[[], Routing],
        query: QueryService,
        clock_ms: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self._rules, self._ledger, self._mutings = rules, ledger, mutings
        self._acknowledgements, self._read_routing = acknowledgements, read_routing
        self._query, self._clock_ms, self._monotonic = query, clock_ms, monotonic

    def explain(self, asked: Asked) -> Explained:
        """Return what there is to say of the alerts that are meant.

        Raises:
            InvalidInput: neither a rule nor labels are asked for, or of no time that there is.
                NotFound: no such rule, or none could have such alerts. Unavailable.
        """
        at_ms = self._clock_ms() if asked.time_ms is None else asked.time_ms
        if not 0 <= at_ms <= _LAST_MS:
            raise InvalidInput("time: its year is not from 1970 to 2199")
        posted = self._find_posted(asked, at_ms)
        fitting = self._find_rules(asked)
        if not fitting and not posted:
            raise NotFound("no alert rule could have an alert with these labels")
        found = [*posted, *self._look_at(asked, fitting, at_ms, known=bool(posted))]
        found.sort(key=lambda one: _BY_STATE[one[2].state])
        routing, muting = self._read_routing(), self._mutings.read_standing(at_ms)
        explanations = []
        for look, labels, standing in found[:MAX_ALERTS]:
            rule = None if look is None else look.stored.rule
            steps, channels = _route(rule, labels, routing)
            explained = Explanation(
                rule=rule,
                at_ms=at_ms,
                labels=labels,
                answer=_POSTED if look is None else _answer(look, labels),
                standing=standing,
                last=look.stored.last if look is not None and asked.time_ms is None else None,
                mutes=[_tell_mute(one, at_ms) for one in muting if one.covers(labels, at_ms)],
                steps=steps,
                channels=channels,
                told=(),
                acknowledgement=None,
            )
            explanations.append(self._add_told(explained))
        return Explained(explanations, len(fitting), _leave_out(len(fitting), len(found)))

    def _look_at(
        self, asked: Asked, fitting: list[StoredRule], at_ms: int, *, known: bool
    ) -> list[_Found]:
        alerts = self._rules.read_instances([one.rule.id for one in fitting])
        # Those that have such alerts come first: they are what somebody asks about.
        fitting.sort(key=lambda one: not _has_alert(asked, one.rule, alerts.get(one.rule.id, ())))
        until_s = self._monotonic() + ALL_QUERIES_S
        looks = [
            self._look(asked, one, alerts.get(one.rule.id, ()), at_ms, until_s)
            for one in fitting[:MAX_RULES]
        ]
        return _choose(asked, looks, known=known)

    def _find_posted(self, asked: Asked, at_ms: int) -> list[_Found]:
        if asked.rule_id is not None or not asked.selectors:
            return []
        events = self._ledger.read_last_events(None, until_ms=at_ms)
        return [
            (None, one.labels, Standing(one.state, one.at_ms))
            for one in events
            if asked.takes(one.labels)
        ]

    def _find_rules(self, asked: Asked) -> list[StoredRule]:
        if asked.rule_id is None:
            if not asked.selectors:
                raise InvalidInput("name the alert: rule_id, match[], or labels like host=db1")
            return [one for one in self._rules.read_all() if asked.may_take(one.rule)]
        if not 0 < asked.rule_id <= MAX_ID:
            raise NotFound(f"there is no alert rule {asked.rule_id}")
        return [self._rules.read(asked.rule_id)]

    def _look(
        self,
        asked: Asked,
        stored: StoredRule,
        alerts: Sequence[AlertInstance],
        at_ms: int,
        until_s: float,
    ) -> _Look:
        rule = stored.rule
        look = _Look(stored, self._ask(rule, at_ms, until_s))
        for labels, value in look.outcome.series:
            look.values[alert_labels(rule, AlertInstance(labels, value=value))] = value
        events = self._ledger.read_last_events(rule.id, until_ms=at_ms)
        look.standing = {one.labels: _stand_then(rule, one, at_ms) for one in events}
        if asked.time_ms is None:
            # What is remembered of now is more exact; what is not stands no longer.
            for labels, standing in look.standing.items():
                if standing.state in ACTIVE_STATES:
                    look.standing[labels] = Standing(AlertState.INACTIVE)
            look.standing |= {alert_labels(rule, one): _stand_now(rule, one) for one in alerts}
        return look

    def _ask(self, rule: AlertRule, at_ms: int, until_s: float) -> Outcome:
        left_ms = int((until_s - self._monotonic()) * 1000)
        if left_ms <= 0:
            return Outcome(error="it was not asked: the time for queries was over")
        options = QueryOptions(timeout_ms=min(left_ms, QUERY_TIMEOUT_MS), cached=False)
        try:
            return read_outcome(
                self._query.instant(rule.query, time_ms=at_ms, options=options).result
            )
        except Unavailable:
            raise
        except TidegaugeError as fault:
            return Outcome(error=fault.message)

    def _add_told(self, one: Explanation) -> Explanation:
        events = self._ledger.read_events(
            None if one.rule is None else one.rule.id, one.labels, until_ms=one.at_ms, limit=EVENTS
        )
        # Of the last firing: its beginning, and what came after it.
        began = next((event.id for event in events if event.state is AlertState.FIRING), None)
        if began is None:
            return one
        taken: Mapping[int, Acknowledgement] = self._acknowledgements.read([began])
        acknowledgement = taken.get(began)
        if acknowledgement is not None and acknowledgement.made_ms > one.at_ms:
            acknowledgement = None
        ids = [event.id for event in events if event.id >= began]
        told = self._ledger.read_told(ids, until_ms=one.at_ms, limit=NOTIFICATIONS)
        standing = one.standing
        if standing.state is AlertState.INACTIVE and standing.since_ms is None:
            standing = replace(standing, since_ms=events[0].at_ms)
        return replace(one, told=told, acknowledgement=acknowledgement, standing=standing)


def _has_alert(asked: Asked, rule: AlertRule, alerts: Sequence[AlertInstance]) -> bool:
    return any(asked.takes(alert_labels(rule, one)) for one in alerts)


def _choose(asked: Asked, looks: Sequence[_Look], *, known: bool) -> list[_Found]:
    found: list[_Found] = []
    without: list[_Look] = []
    for look in looks:
        meant = [labels for labels in {**look.standing, **look.values} if asked.takes(labels)]
        found += [
            (look, labels, look.standing.get(labels, Standing(AlertState.INACTIVE)))
            for labels in meant
        ]
        if not meant:
            without.append(look)
    # Where other rules know such a series, those that do not are of no interest; but one whose
    # query failed may have missed it.
    told = [one for one in without if not (found or known) or one.outcome.error]
    wanted = asked.wanted_labels()
    return [*found, *((one, wanted, Standing(AlertState.INACTIVE)) for one in told)]


def _answer(look: _Look, labels: Labels) -> Answer:
    rule, value = look.stored.rule, look.values.get(labels)
    if value is not None:
        return Answer(True, value, holds(rule.condition, value, rule.threshold))
    if look.outcome.error:
        return Answer(False, reason=f"the query failed: {look.outcome.error}")
    count = len(look.outcome.series)
    if not count:
        return Answer(False, reason=f"the query finds no data (no_data: {rule.no_data.value})")
    return Answer(False, reason=f"none of the {count} series of the query has these labels")


def _route(
    rule: AlertRule | None, labels: Labels, routing: Routing
) -> tuple[Sequence[RouteStep], Sequence[RoutedChannel]]:
    if rule is not None and rule.channels:
        return (), [RoutedChannel(one) for one in rule.channels]
    return routing.explain(labels), routing.choose(labels)


def _tell_mute(muting: Muting, at_ms: int) -> Mute:
    if isinstance(muting, Silence):
        return Mute("silence", muting.id, muting.comment, muting.created_by, muting.ends_ms)
    if isinstance(muting, PlannedQuiet):
        window = muting.window
        until_ms = max(one.ends_ms for one in muting.occurrences if one.holds(at_ms))
        return Mute("maintenance window", window.id, window.name, window.created_by, until_ms)
    raise TypeError(f"{type(muting).__name__} is not known to mute alerts")


def _stand_now(rule: AlertRule, alert: AlertInstance) -> Standing:
    if alert.state is AlertState.PENDING:
        left_ms = max(0, rule.hold_ms - alert.held_ms)
        return Standing(alert.state, alert.active_ms, alert.held_ms, left_ms)
    since_ms = alert.fired_ms if alert.state is AlertState.FIRING else alert.resolved_ms
    return Standing(alert.state, since_ms)


def _stand_then(rule: AlertRule, event: PastEvent, at_ms: int) -> Standing:
    if event.state is AlertState.PENDING:
        held_ms = at_ms - event.at_ms
        return Standing(event.state, event.at_ms, held_ms, max(0, rule.hold_ms - held_ms))
    return Standing(event.state, event.at_ms)


def _leave_out(rules: int, alerts: int) -> str:
    parts = []
    if rules > MAX_RULES:
        parts.append(f"{rules - MAX_RULES} more rules could have such alerts")
    if alerts > MAX_ALERTS:
        parts.append(f"{alerts - MAX_ALERTS} more alerts fit")
    return "; ".join(parts) + ("; name more labels" if parts else "")
