"""Evaluates the rules that are due, and stores what follows from it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from structlog.typing import FilteringBoundLogger

from tidegauge.alerts.evaluation import Outcome, evaluate, read_outcome, read_samples
from tidegauge.alerts.live_state import LiveState
from tidegauge.alerts.muting import Mutings
from tidegauge.alerts.payloads import alert_annotations
from tidegauge.errors import DeadlineExceeded, InvalidInput, TidegaugeError, Unavailable
from tidegauge.model.alerts import AlertInstance, AlertRule, AlertState
from tidegauge.model.labels import Labels
from tidegauge.model.silences import Muting
from tidegauge.observability.alert_instruments import AlertInstruments
from tidegauge.query.service import QueryOptions, QueryService
from tidegauge.storage.acknowledgements import Acknowledgements
from tidegauge.storage.alert_changes import AlertChanges, Change, Evaluated
from tidegauge.storage.alert_instances import Key
from tidegauge.storage.alert_lease import Hold
from tidegauge.storage.alert_rules import AlertRules

# A round ends after this, or so many rules, for the lease to be renewed and results to be stored.
ROUND_S = 1.0
ROUND_RULES = 200
TEMPLATE_QUERIES_MS = 4000
# A cache that is slow goes without some copies; the lease cannot wait for it.
COPIES_S = 0.5

MAX_ERROR_CHARS = 500


@dataclass(slots=True)
class _Watched:
    """A rule at work.

    Args:
        rule: the rule.
        standing: its label sets that are not inactive.
        slot: the interval in which it was last evaluated.
        at_ms: when that was by the database's clock; None: never.
        at_s: by this process's monotonic clock; None: not by this process.
    """

    rule: AlertRule
    standing: dict[Labels, AlertInstance]
    slot: int
    at_ms: int | None
    at_s: float | None = None

    def elapsed_ms(self, now_ms: int, now_s: float) -> int:
        """Return the time since the evaluation before, by the clock that cannot be set if it may.

        After a restart, or a takeover, only the database's clock knows.
        """
        if self.at_s is not None:
            return int((now_s - self.at_s) * 1000)
        return 0 if self.at_ms is None else max(0, now_ms - self.at_ms)


@dataclass(slots=True)
class _Memory:
    """What is known of all rules, as long as nothing says that it is out of date."""

    version: tuple[int, int]
    watched: dict[int, _Watched] = field(default_factory=dict)


class Evaluator:
    """Evaluates rules for whoever holds the lease; for one thread.

    Args:
        rules: the rules.
        changes: stores what follows.
        silences: of which alerts nobody is told.
        acknowledgements: of which alerts nobody is told again.
        query: answers their queries.
        live: gets a copy of where alerts stand.
        meters: the instruments.
        query_timeout_ms: how long one query may take.
        monotonic: seconds.
        log: is told of changes of state.
    """

    def __init__(
        self,
        *,
        rules: AlertRules,
        changes: AlertChanges,
        silences: Mutings,
        acknowledgements: Acknowledgements,
        query: QueryService,
        live: LiveState,
        meters: AlertInstruments,
        query_timeout_ms: int,
        monotonic: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        self._rules, self._changes, self._query, self._live = rules, changes, query, live
        self._meters, self.log = meters, log
        self._silences, self._acknowledgements = silences, acknowledgements
        self._acknowledged: frozenset[int] = frozenset()
        self._monotonic = monotonic
        self._options = QueryOptions(timeout_ms=query_timeout_ms, cached=False)
        self._memory: _Memory | None = None

    def forget(self) -> None:
        """Read everything anew before the next evaluation: another may have been at work."""
        self._memory = None

    def evaluate_due(self, hold: Hold) -> int:
        """Evaluate rules whose time has come, for about a second; return how many.

        Those that have waited longest come first.

        Args:
            hold: the lease, renewed just now.
        Raises:
            LeaseLost: another evaluator is at work; nothing was stored, `forget` follows.
            Unavailable: the database is away; `forget` follows, since nobody can say what was
                stored.
        """
        memory = self._look(hold.now_ms)
        due = [one for one in memory.watched.values() if one.slot != _slot(one.rule, hold.now_ms)]
        due.sort(key=lambda one: (one.at_ms or 0, one.rule.id))
        silences = self._silences.read_standing(hold.now_ms) if due else []
        self._acknowledged = self._acknowledgements.read_quiet() if due else frozenset()
        began_s = self._monotonic()
        done: list[tuple[_Watched, Evaluated]] = []
        for one in due[:ROUND_RULES]:
            now_s = self._monotonic()
            if now_s - began_s > ROUND_S:
                break
            now_ms = hold.now_ms + int((now_s - began_s) * 1000)
            done.append((one, self._evaluate(one, silences, now_ms, now_s)))
            one.at_s = now_s
        if done:
            self._store(hold.token, done)
        self._meters.firing.set(_count_firing(memory))
        return len(done)

    def _look(self, now_ms: int) -> _Memory:
        version = self._rules.read_version()
        if self._memory is None or self._memory.version != version:
            # The version was read first: a change in between shows at the next look.
            self._memory = self._read(version, now_ms, self._memory)
        return self._memory

    def _read(self, version: tuple[int, int], now_ms: int, before: _Memory | None) -> _Memory:
        stored = [one for one in self._rules.read_all() if one.rule.enabled]
        standing = self._changes.read_instances()
        known = before.watched if before is not None else {}
        fresh = _Memory(version)
        for one in stored:
            rule = one.rule
            at_ms = None if one.last is None else one.last.at_ms
            fresh.watched[rule.id] = _Watched(
                rule=rule,
                standing={alert.labels: alert for alert in standing.get(rule.id, ())},
                slot=_slot(rule, now_ms if at_ms is None else at_ms),
                at_ms=at_ms,
                at_s=known[rule.id].at_s if rule.id in known else None,
            )
        self._live.drop(set(known) - set(fresh.watched))
        return fresh

    def _evaluate(
        self, one: _Watched, silences: list[Muting], now_ms: int, now_s: float
    ) -> Evaluated:
        rule = one.rule
        try:
            outcome, changes = self._ask(one, silences, now_ms, now_s)
        except Unavailable:
            # Nothing is wrong with the rule, and the database could not store what follows.
            raise
        except Exception as exc:
            # A fault of ours that one rule brings out must not end the evaluation of all others.
            self.log.exception("a rule cannot be evaluated", rule_id=rule.id, rule=rule.name)
            outcome, changes = Outcome(error=f"internal error: {type(exc).__name__}"), []
        took_s = self._monotonic() - now_s
        self._meters.evaluations.labels("error" if outcome.error else "success").inc()
        self._meters.evaluation_s.observe(took_s)
        return Evaluated(
            rule=rule,
            at_ms=now_ms,
            took_ms=took_s * 1000,
            series=len(outcome.series),
            missed=max(0, _slot(rule, now_ms) - one.slot - 1),
            error=outcome.error,
            changes=changes,
        )

    def _ask(
        self, one: _Watched, silences: list[Muting], now_ms: int, now_s: float
    ) -> tuple[Outcome, list[Change]]:
        try:
            answer = self._query.instant(one.rule.query, time_ms=now_ms, options=self._options)
            outcome = read_outcome(answer.result)
            return outcome, self._judge(one, outcome, silences, now_ms, now_s)
        except Unavailable:
            raise
        except TidegaugeError as exc:
            outcome = Outcome(error=exc.message[:MAX_ERROR_CHARS] or exc.code)
            return outcome, self._judge(one, outcome, silences, now_ms, now_s)

    def _judge(
        self,
        one: _Watched,
        outcome: Outcome,
        silences: list[Muting],
        now_ms: int,
        now_s: float,
    ) -> list[Change]:
        def expand(rule: AlertRule, alert: AlertInstance) -> Mapping[str, str]:
            return alert_annotations(rule, alert, now_ms=now_ms, query=ask)

        def ask(text: str) -> list[tuple[Mapping[str, str], float]]:
            # The lease is renewed between evaluations: templates must not keep it waiting.
            left_ms = TEMPLATE_QUERIES_MS - int((self._monotonic() - now_s) * 1000)
            if left_ms <= 0:
                raise DeadlineExceeded("the time for queries of templates is over")
            options = QueryOptions(timeout_ms=left_ms, cached=False)
            found = read_samples(self._query.instant(text, time_ms=now_ms, options=options).result)
            return [(dict(labels), value) for labels, value in found]

        return evaluate(
            one.rule,
            one.standing,
            outcome,
            elapsed_ms=one.elapsed_ms(now_ms, now_s),
            now_ms=now_ms,
            expand=expand,
            silences=silences,
            acknowledged=self._acknowledged,
        )

    def _store(self, token: int, done: list[tuple[_Watched, Evaluated]]) -> None:
        try:
            ids = self._changes.write(token, [evaluated for _, evaluated in done])
        except InvalidInput as exc:
            if len(done) > 1:
                # One that cannot be stored must not keep the others from it.
                for single in done:
                    self._store(token, [single])
                return
            ((one, evaluated),) = done
            self.log.error("alerts cannot be stored", rule_id=one.rule.id, error=exc.message)
            done = [(one, replace(evaluated, error=exc.message, changes=()))]
            ids = self._changes.write(token, [done[0][1]])
        for one, evaluated in done:
            one.slot, one.at_ms = _slot(one.rule, evaluated.at_ms), evaluated.at_ms
            self._meters.missed.inc(evaluated.missed)
            self._remember(one, evaluated, ids)
        until_s = self._monotonic() + COPIES_S
        for one, evaluated in done:
            if self._monotonic() < until_s:
                self._live.put(one.rule, list(one.standing.values()), evaluated)

    def _remember(self, one: _Watched, evaluated: Evaluated, ids: Mapping[Key, int]) -> None:
        for change in evaluated.changes:
            instance, event = change.instance, change.event
            if change.forgotten or instance.state is AlertState.INACTIVE:
                one.standing.pop(instance.labels, None)
            else:
                event_id = ids.get((one.rule.id, instance.labels), instance.event_id)
                one.standing[instance.labels] = replace(instance, event_id=event_id)
            if event is not None:
                self._meters.changes.labels(event.state.value).inc()
                self.log.info(
                    "alert changed",
                    rule_id=one.rule.id,
                    rule=one.rule.name,
                    labels=dict(event.labels),
                    previous=event.previous.value,
                    state=event.state.value,
                    value=event.value,
                )


def _slot(rule: AlertRule, time_ms: int) -> int:
    """Return the interval of a rule in which a time lies; rules begin theirs at different times."""
    return (time_ms - zlib.crc32(str(rule.id).encode()) % rule.interval_ms) // rule.interval_ms


def _count_firing(memory: _Memory) -> int:
    return sum(
        alert.state is AlertState.FIRING
        for one in memory.watched.values()
        for alert in one.standing.values()
    )
