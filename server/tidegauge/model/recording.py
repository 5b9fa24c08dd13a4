"""Recording rules, and the groups of rules that a rule file has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegauge.model.alerts import AlertRule, RuleOrigin


@dataclass(frozen=True, slots=True)
class RecordingRule:
    """A question whose answer is written down as series of their own, again and again.

    Args:
        record: the metric of these series.
        query: PromQL.
        labels: put on the series; an empty value takes the label away.
        interval_ms: how often it is evaluated.
        limit: more series than this are an error; 0: no limit.
        query_offset_ms: the query is asked as of so long ago, and its answer stands there.
        origin: the file it was loaded from.
        position: its place among the rules of its group, from 0.
        id: 0 before it is stored.
        revision: moves with every change, over all rules.
    """

    record: str
    query: str
    labels: Mapping[str, str]
    interval_ms: int
    origin: RuleOrigin
    limit: int = 0
    query_offset_ms: int = 0
    position: int = 0
    id: int = 0
    revision: int = 0


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """A group of a rule file; each of its rules has the group's fields, too.

    Args:
        name: its name in the file.
        interval_ms: how often its rules are evaluated.
        limit: of each rule; 0: no limit.
        query_offset_ms: of each rule.
        labels: of each rule that does not have them itself.
        rules: in the order of the file.
    """

    name: str
    interval_ms: int
    limit: int = 0
    query_offset_ms: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[AlertRule | RecordingRule, ...] = ()

    @property
    def alerting(self) -> list[AlertRule]:
        """Its alerting rules, in order."""
        return [one for one in self.rules if isinstance(one, AlertRule)]

    @property
    def recording(self) -> list[RecordingRule]:
        """Its recording rules, in order."""
        return [one for one in self.rules if isinstance(one, RecordingRule)]
