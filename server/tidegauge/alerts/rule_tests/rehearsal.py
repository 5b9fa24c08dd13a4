"""Evaluates groups of rules over what is in memory, as Prometheus would.

Unlike the evaluator's, an alert's labels are those of the series and of the rule alone, and its
annotations see those of the series: tests of rule files were written against that.
Source: Prometheus `rules/alerting.go`, `rules/recording.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tidegauge.alerts.state import Seen, Timing, advance
from tidegauge.alerts.templates.expand import AlertData, expand_or_explain
from tidegauge.errors import QueryFailed, TidegaugeError
from tidegauge.model.alerts import ACTIVE_STATES, AlertInstance, AlertRule, AlertState
from tidegauge.model.histogram import Histogram
from tidegauge.model.labels import METRIC_NAME, Labels, make_labels
from tidegauge.model.recording import RecordingRule, RuleGroup
from tidegauge.model.stale import STALE_NAN
from tidegauge.promql.scripts.loading import LoadedSeries, place_samples

Sample = float | Histogram
Samples = list[tuple[Labels, Sample]]
Ask = Callable[[str, int], Samples]
"""Answers a query at a time, Unix ms, with the labels as they are."""

Write = Callable[[Sequence[LoadedSeries]], None]


class RuleFailed(QueryFailed):
    """A rule could not be evaluated.

    Args:
        name: of the rule.
        now_ms: when, Unix ms.
        fault: why.
    """

    def __init__(self, name: str, now_ms: int, fault: TidegaugeError) -> None:
        super().__init__(fault.message)
        self.name, self.now_ms = name, now_ms


@dataclass(slots=True)
class _Standing:
    """An alert that is pending or firing.

    Args:
        alert: where it stands.
        data: what its templates see, as of when its condition last held.
    """

    alert: AlertInstance
    data: AlertData


@dataclass(slots=True)
class _Watched:
    rule: AlertRule | RecordingRule
    standing: dict[Labels, _Standing] = field(default_factory=dict)
    written: set[Labels] = field(default_factory=set)


class Rehearsal:
    """Groups of rules at work, in the order in which they are evaluated.

    Args:
        groups: the groups.
        ask: answers queries.
        write: stores samples, for later queries.
        external_labels, external_url: what templates see of the installation.
    """

    def __init__(
        self,
        groups: Sequence[RuleGroup],
        *,
        ask: Ask,
        write: Write,
        external_labels: Mapping[str, str],
        external_url: str,
    ) -> None:
        self._watched = [_Watched(rule) for group in groups for rule in group.rules]
        self._ask, self._write = ask, write
        self._external_labels, self._external_url = external_labels, external_url
        self._elapsed_ms = 0
        self._last_ms: int | None = None

    def evaluate(self, now_ms: int) -> list[RuleFailed]:
        """Evaluate every rule once, later than the last time; return the faults.

        Args:
            now_ms: Unix ms.
        """
        self._elapsed_ms = 0 if self._last_ms is None else now_ms - self._last_ms
        self._last_ms = now_ms
        faults = []
        for one in self._watched:
            try:
                self._evaluate(one, now_ms)
            except TidegaugeError as exc:
                name = one.rule.name if isinstance(one.rule, AlertRule) else one.rule.record
                faults.append(RuleFailed(name, now_ms, exc))
        return faults

    def list_firing(self, name: str) -> list[tuple[Labels, Labels]]:
        """Return the labels and the annotations of each firing alert of a name."""
        return [
            (labels, _expand(one.rule.annotations, standing.data))
            for one in self._watched
            if isinstance(one.rule, AlertRule) and one.rule.name == name
            for labels, standing in one.standing.items()
            if standing.alert.state is AlertState.FIRING
        ]

    def _evaluate(self, one: _Watched, now_ms: int) -> None:
        at_ms = now_ms - one.rule.query_offset_ms
        found = self._ask(one.rule.query, at_ms)
        if isinstance(one.rule, RecordingRule):
            samples = _record(one.rule, found)
        else:
            self._advance(one, one.rule, found, now_ms, at_ms)
            samples = _show(one.standing)
        _check_limit(one.rule, len(one.standing or samples))
        gone = one.written - set(samples)
        one.written = set(samples)
        ends = dict.fromkeys(gone, float(STALE_NAN[0]))
        self._write(
            [place_samples(labels, [(at_ms, one)]) for labels, one in {**samples, **ends}.items()]
        )

    def _advance(
        self, one: _Watched, rule: AlertRule, found: Samples, now_ms: int, at_ms: int
    ) -> None:
        timing = Timing(hold_ms=rule.hold_ms, keep_firing_ms=rule.keep_firing_ms)
        bad: dict[Labels, AlertData] = {}
        for labels, sample in found:
            data = AlertData(
                rule.name,
                dict(labels),
                _value(sample),
                now_ms,
                lambda text: [(dict(key), _value(got)) for key, got in self._ask(text, at_ms)],
                self._external_labels,
                self._external_url,
            )
            of_rule = dict(_expand(dict(rule.labels), data))
            own = make_labels({**data.labels, **of_rule, METRIC_NAME: "", "alertname": rule.name})
            if own in bad:
                raise QueryFailed(
                    "vector contains metrics with the same labelset after applying alert labels"
                )
            bad[own] = data
        for labels in [*bad, *(labels for labels in one.standing if labels not in bad)]:
            before = one.standing.get(labels)
            # One that goes on firing says what it said when its condition last held.
            seen = bad[labels] if labels in bad else one.standing[labels].data
            alert = advance(
                before.alert if before else AlertInstance(labels),
                Seen.TRUE if labels in bad else Seen.FALSE,
                value=seen.value,
                elapsed_ms=self._elapsed_ms,
                now_ms=now_ms,
                timing=timing,
            )
            if alert.state in ACTIVE_STATES:
                one.standing[labels] = _Standing(alert, seen)
            else:
                one.standing.pop(labels, None)


def order_groups(groups: Sequence[RuleGroup], wanted: Sequence[str]) -> list[RuleGroup]:
    """Return groups in the order in which they are to be evaluated; first those without a place.

    Raises:
        QueryFailed: a group has two places.
    """
    places = {name: place for place, name in enumerate(wanted)}
    if len(places) < len(wanted):
        twice = next(name for name in wanted if wanted.count(name) > 1)
        raise QueryFailed(f"group name repeated in evaluation order: {twice}")
    return sorted(groups, key=lambda group: places.get(group.name, 0))


def _record(rule: RecordingRule, found: Samples) -> dict[Labels, Sample]:
    samples = {
        make_labels({**dict(labels), METRIC_NAME: rule.record, **rule.labels}): value
        for labels, value in found
    }
    if len(samples) < len(found):
        raise QueryFailed(
            "vector contains metrics with the same labelset after applying rule labels"
        )
    return samples


def _show(standing: Mapping[Labels, _Standing]) -> dict[Labels, Sample]:
    samples: dict[Labels, Sample] = {}
    for labels, one in standing.items():
        state = {METRIC_NAME: "ALERTS", "alertstate": one.alert.state.value}
        samples[make_labels({**dict(labels), **state})] = 1.0
        since = make_labels({**dict(labels), METRIC_NAME: "ALERTS_FOR_STATE"})
        samples[since] = float(one.alert.active_ms // 1000)
    return samples


def _check_limit(rule: AlertRule | RecordingRule, count: int) -> None:
    if rule.limit and count > rule.limit:
        what = "alerts" if isinstance(rule, AlertRule) else "series"
        raise QueryFailed(f"exceeded limit of {rule.limit} with {count} {what}")


def _expand(texts: Mapping[str, str], data: AlertData) -> Labels:
    return tuple(sorted((name, expand_or_explain(text, data)) for name, text in texts.items()))


def _value(sample: Sample) -> float:
    # To a template a histogram is no number.
    return 0.0 if isinstance(sample, Histogram) else sample
