"""Alert rules, and how far each of their label sets has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tidegauge.model.labels import EMPTY_LABELS, Labels


class AlertState(StrEnum):
    """Where a label set of a rule stands."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


ACTIVE_STATES = (AlertState.PENDING, AlertState.FIRING)


class Condition(StrEnum):
    """How a value is compared with the threshold; `any`: whatever is there is bad."""

    GT = "gt"
    LT = "lt"
    EQ = "eq"
    NE = "ne"
    GTE = "gte"
    LTE = "lte"
    ANY = "any"


class Policy(StrEnum):
    """What becomes of alerts of which nothing is known: no data, or a query that failed."""

    KEEP = "keep"
    FIRE = "fire"
    RESOLVE = "resolve"


class Severity(StrEnum):
    """How bad it is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class RuleOrigin:
    """Where a rule stands that was loaded from a file.

    Args:
        file, group: the names of these.
        place: tells it apart from the others of its group.
    """

    file: str
    group: str
    place: str


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A question that is asked again and again, and what follows from its answer.

    Args:
        name: what people call it.
        query: PromQL.
        condition, threshold: which values of the query are bad.
        hold_ms: how long the condition holds before the alert fires (Prometheus's `for`).
        keep_firing_ms: how long it goes on firing when the condition holds no more.
        interval_ms: how often it is evaluated.
        repeat_ms: how often people are told again of what still fires; 0: never.
        severity: how bad it is.
        enabled: whether it is evaluated.
        no_data, on_error: what becomes of its alerts when nothing is known.
        labels: put on its alerts, over those of the series.
        annotations: texts for people.
        channels: whom to tell, `{type, target, …}` each.
        owner_id: the account whose it is; None: nobody's.
        origin: the file it was loaded from; None: it was made by the API.
        limit: more alerts than this at once are an error; 0: no limit.
        query_offset_ms: the query is asked as of so long ago.
        position: its place among the rules of its group, from 0.
        id: 0 before it is stored.
        revision: moves with every change, over all rules.
        created_ms, changed_ms: Unix ms.
    """

    name: str
    query: str
    condition: Condition
    threshold: float
    hold_ms: int = 300_000
    keep_firing_ms: int = 0
    interval_ms: int = 10_000
    repeat_ms: int = 4 * 3_600_000
    severity: Severity = Severity.WARNING
    enabled: bool = True
    no_data: Policy = Policy.RESOLVE
    on_error: Policy = Policy.KEEP
    labels: Labels = EMPTY_LABELS
    annotations: Mapping[str, str] = field(default_factory=dict)
    channels: tuple[Mapping[str, object], ...] = ()
    owner_id: int | None = None
    origin: RuleOrigin | None = None
    limit: int = 0
    query_offset_ms: int = 0
    position: int = 0
    id: int = 0
    revision: int = 0
    created_ms: int = 0
    changed_ms: int = 0


@dataclass(frozen=True, slots=True)
class LastEvaluation:
    """How the last evaluation of a rule went.

    Args:
        at_ms: when it was, Unix ms.
        took_ms: how long the query took.
        series: how many it gave.
        missed: intervals, in all, that nobody evaluated.
        error: why it failed; "": it did not.
    """

    at_ms: int
    took_ms: float
    series: int
    missed: int
    error: str


@dataclass(frozen=True, slots=True)
class AlertInstance:
    """One label set of a rule.

    Durations are added up from one evaluation to the next, so that a step of a clock moves none.

    Args:
        labels: of the series, without the metric's name; empty for the rule as a whole.
        state: where it stands.
        value: the last that was seen; None: there was none.
        held_ms: how long the condition has held, while pending.
        false_ms: how long it goes on firing without it; None: the condition holds.
        missing_ms: how long nothing has been known of it; None: something is.
        active_ms: when the condition came to hold, Unix ms; 0: it never did.
        fired_ms, resolved_ms: when it last did, Unix ms; None: not since the condition holds.
        notified_ms: when people were last told, Unix ms.
        event_id: the event of its last change.
    """

    labels: Labels
    state: AlertState = AlertState.INACTIVE
    value: float | None = None
    held_ms: int = 0
    false_ms: int | None = None
    missing_ms: int | None = None
    active_ms: int = 0
    fired_ms: int | None = None
    resolved_ms: int | None = None
    notified_ms: int | None = None
    event_id: int = 0
