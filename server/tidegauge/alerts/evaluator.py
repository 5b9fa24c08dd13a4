"""Evaluates the rules that are due, side by side, and stores what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from structlog.typing import FilteringBoundLogger

from tidegauge.alerts.alert_series import find_alert_series
from tidegauge.alerts.asking import Asker, Finished, Judged, Recorded, Round
from tidegauge.alerts.live_state import LiveState
from tidegauge.alerts.muting import Mutings
from tidegauge.alerts.recent import RecentSamples
from tidegauge.alerts.results import Results, make_samples
from tidegauge.alerts.routing import CurrentRouting
from tidegauge.alerts.watching import Memory, Watched, slot_of, watch_rules
from tidegauge.alerts.workers import Workers
from tidegauge.errors import InvalidInput
from tidegauge.model.alerts import AlertRule, AlertState
from tidegauge.model.recording import RecordingRule
from tidegauge.observability.alert_instruments import AlertInstruments
from tidegauge.query.parsing import QueryParser
from tidegauge.storage.acknowledgements import Acknowledgements
from tidegauge.storage.alert_changes import AlertChanges, Evaluated
from tidegauge.storage.alert_instances import Key
from tidegauge.storage.alert_lease import Hold
from tidegauge.storage.alert_rules import AlertRules
from tidegauge.storage.faults import DatabaseFault
from tidegauge.storage.recording_rules import RecordingRules

# A round ends after this: what has come in is stored, the lease is renewed, and what is slow goes
# on into the next one.
ROUND_S = 0.25
# Most that are under way.
ROUND_RULES = 200
# After so many alerts a round ends, too: it must be stored well within the time of the lease,
# however many fire at once.
ROUND_CHANGES = 5000
# A cache that is slow goes without some copies; the lease cannot wait for it.
COPIES_S = 0.5


class Evaluator:
    """Evaluates rules for whoever holds the lease; for one thread, which has others ask.

    Args:
        rules, recordings: the rules.
        changes: stores what follows.
        silences: of which alerts nobody is told.
        acknowledgements: of which alerts nobody is told again.
        routing: whom to tell where a rule does not say.
        asker: evaluates single rules.
        workers: those who ask side by side.
        recent: shows rules what others gave just now.
        results: stores what rules give as series.
        parser: reads queries.
        live: gets a copy of where alerts stand.
        meters: the instruments.
        monotonic: seconds.
        log: is told of changes of state.
        alert_series: whether alerts are series, too.
        round_s: how long one round waits for those who ask.
    """

    def __init__(
        self,
        *,
        rules: AlertRules,
        recordings: RecordingRules,
        changes: AlertChanges,
        silences: Mutings,
        acknowledgements: Acknowledgements,
        routing: CurrentRouting,
        asker: Asker,
        workers: Workers[Finished],
        recent: RecentSamples,
        results: Results,
        parser: QueryParser,
        live: LiveState,
        meters: AlertInstruments,
        monotonic: Callable[[], float],
        log: FilteringBoundLogger,
        alert_series: bool = True,
        round_s: float = ROUND_S,
    ) -> None:
        self._rules, self._recordings, self._changes = rules, recordings, changes
        self._silences, self._acknowledgements = silences, acknowledgements
        self._routing = routing
        self._asker, self._workers = asker, workers
        self._recent, self._results, self._parser = recent, results, parser
        self._live, self._meters, self._monotonic, self.log = live, meters, monotonic, log
        self._alert_series, self._round_s = alert_series, round_s
        self._memory: Memory | None = None
        self._waiting: list[tuple[Watched, Round]] = []

    @property
    def is_busy(self) -> bool:
        """Whether evaluations are under way that the next round will collect."""
        return self._workers.under_way > 0

    def forget(self) -> None:
        """Read everything anew before the next evaluation: another may have been at work."""
        self._memory, self._waiting = None, []
        self._workers.forget()
        self._recent.forget()
        self._results.forget()

    def close(self) -> None:
        """Evaluate nothing any more."""
        self._workers.close()

    def evaluate_due(self, hold: Hold) -> int:
        """Begin rules whose time has come, and store what has ended; return how many have.

        Those that have waited longest come first. One that is slow is collected by a later call.

        Args:
            hold: the lease, renewed just now.
        Raises:
            LeaseLost: another evaluator is at work; nothing was stored, `forget` follows.
            Unavailable: the database is away; `forget` follows, since nobody can say what was
                stored.
        """
        memory = self._look(hold.now_ms)
        self._begin(memory, hold)
        done = self._collect(memory)
        if done:
            self._store(hold.token, done)
        ended, memory.ended = memory.ended, []
        self._results.add(make_samples({}, ended, hold.now_ms))
        self._results.send(hold.token)
        self._meters.firing.set(memory.count_firing())
        return len(done)

    def _look(self, now_ms: int) -> Memory:
        version = self._rules.read_version()
        before = self._memory
        if before is None or before.version != version:
            # The version was read first: a change in between shows at the next look.
            self._memory = watch_rules(
                version,
                self._rules.read_all(),
                self._recordings.read_all(),
                self._changes.read_instances(),
                before=before,
                parser=self._parser,
                now_ms=now_ms,
            )
            if before is not None:
                gone = set(before.watched) - set(self._memory.watched)
                self._live.drop(rule_id for kind, rule_id in gone if kind == "alert")
                self._recent.drop(rule_id for kind, rule_id in gone if kind == "record")
            return self._memory
        return before

    def _begin(self, memory: Memory, hold: Hold) -> None:
        room = ROUND_RULES - self._workers.under_way - len(self._waiting)
        due = memory.find_due(hold.now_ms)[: max(0, room)]
        if not due:
            return
        of = Round(
            silences=self._silences.read_standing(hold.now_ms),
            acknowledged=self._acknowledgements.read_quiet(),
            routing=self._routing.read(),
            now_ms=hold.now_ms,
            now_s=self._monotonic(),
        )
        for one in due:
            one.under_way = True
        self._waiting += [(one, of) for one in due]
        self._start_ready()

    def _start_ready(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one, of in waiting:
            if one.is_ready:
                self._workers.start(partial(self._asker.evaluate, one, of))
            else:
                self._waiting.append((one, of))

    def _collect(self, memory: Memory) -> list[Finished]:
        """Return what has ended by the end of the round, at most one evaluation of each rule."""
        done: list[Finished] = []
        changes = 0
        until_s = self._monotonic() + self._round_s
        while self._workers.under_way and changes < ROUND_CHANGES:
            found = self._workers.collect(until_s - self._monotonic())
            if found is None:
                break
            one, came = found.one, found.came
            one.under_way = False
            if memory.watched.get(one.key) is one:
                done.append(found)
                changes += len(came.changes) if isinstance(came, Judged) else 0
                if isinstance(one.rule, RecordingRule) and isinstance(came, Recorded):
                    self._recent.add(one.rule.id, one.rule.record, came.samples)
            if self._waiting:
                self._start_ready()
        return done

    def _store(self, token: int, done: Sequence[Finished]) -> None:
        try:
            ids = self._changes.write(
                token,
                [made for one in done if (made := _to_evaluated(one)) is not None],
                [(one.one.rule.id, one.last) for one in done if _is_recording(one)],
            )
        except (InvalidInput, DatabaseFault) as exc:
            if len(done) > 1:
                # One that cannot be stored must not keep the others from it.
                for single in done:
                    self._store(token, [single])
                return
            (one,) = done
            if one.came is None:
                raise
            _, rule_id = one.one.key
            self.log.error("alerts cannot be stored", rule_id=rule_id, error=exc.message)
            failed = replace(one.last, error=exc.message)
            self._store(token, [replace(one, last=failed, came=None)])
            return
        for finished in done:
            self._note(finished, ids)
        self._copy(done)

    def _note(self, finished: Finished, ids: Mapping[Key, int]) -> None:
        one, last = finished.one, finished.last
        one.slot, one.at_ms, one.at_s = slot_of(one.rule, last.at_ms), last.at_ms, finished.now_s
        self._meters.missed.inc(last.missed)
        if isinstance(one.rule, RecordingRule):
            if isinstance(finished.came, Recorded):
                self._results.add(finished.came.samples)
                one.written = finished.came.written
            return
        if isinstance(finished.came, Judged):
            self._remember(one, one.rule, finished.came, ids)
        if self._alert_series:
            found = find_alert_series(one.rule, one.standing.values())
            time_ms = last.at_ms - one.rule.query_offset_ms
            self._results.add(make_samples(found, one.written, time_ms))
            one.written = list(found)

    def _copy(self, done: Sequence[Finished]) -> None:
        until_s = self._monotonic() + COPIES_S
        for finished in done:
            rule, standing = finished.one.rule, finished.one.standing
            if isinstance(rule, AlertRule) and self._monotonic() < until_s:
                self._live.put(rule, list(standing.values()), finished.last)

    def _remember(
        self, one: Watched, rule: AlertRule, judged: Judged, ids: Mapping[Key, int]
    ) -> None:
        for change in judged.changes:
            instance, event = change.instance, change.event
            if change.forgotten or instance.state is AlertState.INACTIVE:
                one.standing.pop(instance.labels, None)
            else:
                event_id = ids.get((rule.id, instance.labels), instance.event_id)
                one.standing[instance.labels] = replace(instance, event_id=event_id)
            if event is not None:
                self._meters.changes.labels(event.state.value).inc()
                self.log.info(
                    "alert changed",
                    rule_id=rule.id,
                    rule=rule.name,
                    labels=dict(event.labels),
                    previous=event.previous.value,
                    state=event.state.value,
                    value=event.value,
                )


def _is_recording(finished: Finished) -> bool:
    return isinstance(finished.one.rule, RecordingRule)


def _to_evaluated(finished: Finished) -> Evaluated | None:
    rule, last, came = finished.one.rule, finished.last, finished.came
    if not isinstance(rule, AlertRule):
        return None
    return Evaluated(
        rule=rule,
        at_ms=last.at_ms,
        took_ms=last.took_ms,
        series=last.series,
        missed=last.missed,
        error=last.error,
        changes=came.changes if isinstance(came, Judged) else (),
    )
