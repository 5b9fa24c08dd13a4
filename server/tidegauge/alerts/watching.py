"""The rules at work: what the evaluator knows of each between two evaluations."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tidegauge.alerts.alert_series import find_alert_series
from tidegauge.alerts.reading import NameMatchers, find_names, hide_own_alerts, reads
from tidegauge.errors import TidegaugeError
from tidegauge.model.alerts import AlertInstance, AlertRule, AlertState, LastEvaluation
from tidegauge.model.labels import Labels
from tidegauge.model.recording import RecordingRule
from tidegauge.query.parsing import QueryParser
from tidegauge.storage.alert_rules import StoredRule
from tidegauge.storage.recording_rules import StoredRecording

Rule = AlertRule | RecordingRule
RuleKey = tuple[str, int]
"""The kind of a rule, and its id."""


@dataclass(slots=True, eq=False)
class Watched:
    """A rule at work.

    Args:
        rule: the rule.
        query: what is asked.
        names: which metrics that reads.
        slot: the interval in which it was last evaluated.
        at_ms: when that was by the database's clock; None: never.
        standing: an alerting rule's label sets that are not inactive.
        written: the series that the last evaluation gave, to be ended when they are no more.
        at_s: when it was last evaluated by this process's monotonic clock; None: not by it.
        after: the recording rules of its group that it waits for, since it reads what they give.
        under_way: it is being evaluated, or is about to be.
    """

    rule: Rule
    query: str
    names: NameMatchers
    slot: int
    at_ms: int | None
    standing: dict[Labels, AlertInstance] = field(default_factory=dict)
    written: Iterable[Labels] = ()
    at_s: float | None = None
    after: tuple[Watched, ...] = ()
    under_way: bool = False

    @property
    def key(self) -> RuleKey:
        """What tells it apart."""
        return key_of(self.rule)

    @property
    def is_ready(self) -> bool:
        """Whether it waits for nobody."""
        return not any(one.under_way for one in self.after)

    def elapsed_ms(self, now_ms: int, now_s: float) -> int:
        """Return the time since the evaluation before, by the clock that cannot be set if it may.

        After a restart, or a takeover, only the database's clock knows.
        """
        if self.at_s is not None:
            return int((now_s - self.at_s) * 1000)
        return 0 if self.at_ms is None else max(0, now_ms - self.at_ms)


@dataclass(slots=True)
class Memory:
    """What is known of all rules, as long as nothing says that it is out of date.

    Args:
        version: of the rules that were read.
        watched: the rules.
        ended: series of rules that are gone, which are still to be ended.
    """

    version: tuple[int, int]
    watched: dict[RuleKey, Watched] = field(default_factory=dict)
    ended: list[Labels] = field(default_factory=list)

    def find_due(self, now_ms: int) -> list[Watched]:
        """Return the rules whose time has come; those that have waited longest first."""
        due = [
            one
            for one in self.watched.values()
            if not one.under_way and one.slot != slot_of(one.rule, now_ms)
        ]
        due.sort(key=lambda one: (one.at_ms or 0, one.rule.position, one.key))
        return due

    def count_firing(self) -> int:
        """Return how many alerts fire."""
        return sum(
            alert.state is AlertState.FIRING
            for one in self.watched.values()
            for alert in one.standing.values()
        )


def watch_rules(
    version: tuple[int, int],
    alerting: Sequence[StoredRule],
    recording: Sequence[StoredRecording],
    standing: Mapping[int, Sequence[AlertInstance]],
    *,
    before: Memory | None,
    parser: QueryParser,
    now_ms: int,
) -> Memory:
    """Return what to watch: rules that have not changed go on as they are.

    Args:
        version: of these rules.
        alerting, recording: the rules; those that are switched off are left out.
        standing: the label sets of the alerting rules that are not inactive.
        before: what was watched until now; None: nothing is known.
        parser: reads queries.
        now_ms: the database's clock.
    """
    known = {} if before is None else before.watched
    memory = Memory(version)
    for rule, last in _list_rules(alerting, recording):
        old = known.get(key_of(rule))
        if old is not None and old.rule.revision == rule.revision:
            memory.watched[old.key] = old
            continue
        one = _watch(rule, last, parser, now_ms)
        if isinstance(rule, AlertRule):
            one.standing = {alert.labels: alert for alert in standing.get(rule.id, ())}
            # Whoever evaluated it before wrote them; those that are no more must end.
            one.written = list(find_alert_series(rule, one.standing.values()))
        if old is not None:
            one.at_s, one.written = old.at_s, old.written
        memory.watched[one.key] = one
    if before is not None:
        gone = [old for key, old in known.items() if key not in memory.watched]
        memory.ended = [*before.ended, *(labels for old in gone for labels in old.written)]
    _link(memory.watched.values())
    return memory


def key_of(rule: Rule) -> RuleKey:
    """Return what tells a rule apart from all others."""
    return ("alert" if isinstance(rule, AlertRule) else "record", rule.id)


def slot_of(rule: Rule, time_ms: int) -> int:
    """Return the interval of a rule in which a time lies.

    Rules begin theirs at different times, but for those of one group.
    """
    return (time_ms - _offset_ms(rule)) // rule.interval_ms


def slot_start_ms(rule: Rule, slot: int) -> int:
    """Return when an interval of a rule begins."""
    return slot * rule.interval_ms + _offset_ms(rule)


def _offset_ms(rule: Rule) -> int:
    origin = rule.origin
    seed = str(rule.id) if origin is None else f"{origin.file};{origin.group}"
    return zlib.crc32(seed.encode()) % rule.interval_ms


def _list_rules(
    alerting: Sequence[StoredRule], recording: Sequence[StoredRecording]
) -> Iterator[tuple[Rule, LastEvaluation | None]]:
    for stored in alerting:
        if stored.rule.enabled:
            yield stored.rule, stored.last
    for recorded in recording:
        yield recorded.rule, recorded.last


def _watch(rule: Rule, last: LastEvaluation | None, parser: QueryParser, now_ms: int) -> Watched:
    query = rule.query
    names: NameMatchers = ()
    try:
        expr = parser.parse(query)
        names = find_names(expr)
        if isinstance(rule, AlertRule):
            query = hide_own_alerts(query, expr, rule.name)
    except TidegaugeError:
        # Each evaluation says what is wrong with it.
        pass
    at_ms = None if last is None else last.at_ms
    return Watched(
        rule=rule,
        query=query,
        names=names,
        slot=slot_of(rule, now_ms if at_ms is None else at_ms),
        at_ms=at_ms,
    )


def _link(watched: Iterable[Watched]) -> None:
    """Let each rule wait for those before it in its group whose series it reads."""
    groups: dict[tuple[str, str, int], list[Watched]] = {}
    for one in watched:
        if one.rule.origin is not None:
            place = (one.rule.origin.file, one.rule.origin.group, one.rule.interval_ms)
            groups.setdefault(place, []).append(one)
    for group in groups.values():
        recording = [
            (other, other.rule.record, other.rule.position)
            for other in group
            if isinstance(other.rule, RecordingRule)
        ]
        for one in group:
            one.after = tuple(
                other
                for other, metric, position in recording
                if position < one.rule.position and reads(one.names, metric)
            )
