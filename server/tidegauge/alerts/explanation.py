"""What there is to say of one alert at one moment, and the sentence that sums it up. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tidegauge.model.alerts import AlertRule, AlertState, Condition, LastEvaluation
from tidegauge.model.labels import Labels
from tidegauge.model.routing import RoutedChannel, RouteStep
from tidegauge.promql.durations import NS_PER_MS, format_duration
from tidegauge.storage.acknowledgements import Acknowledgement
from tidegauge.storage.alert_ledger import Told

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN_CHARS = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What the rule's query says of an alert.

    Args:
        present: whether the series is in the answer.
        value: its value; None: it is not.
        holds: whether the condition does.
        reason: why the series is not there; "": it is.
    """

    present: bool
    value: float | None = None
    holds: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an alert stands.

    Args:
        since_ms: since when, Unix ms; None: nobody knows, or ever.
        held_ms: how much of `for` has gone by; None: it is not pending.
        fires_in_ms: how much of it is left.
    """

    state: AlertState
    since_ms: int | None = None
    held_ms: int | None = None
    fires_in_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Mute:
    """What keeps an alert quiet.

    Args:
        kind: "silence" or "maintenance window".
        id: its id.
        comment: why, or its name.
        made_by: the name of whoever made it.
        until_ms: until when, Unix ms.
    """

    kind: str
    id: int
    comment: str
    made_by: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """All there is to say of one alert at one moment.

    Args:
        rule: as it is now; None: others posted the alert.
        at_ms: the moment, Unix ms.
        labels: the alert's; where no series fits, what was asked for.
        answer: what the rule's query says then.
        standing: where it stands.
        last: how the last evaluation went; None: there was none, or it is about the past.
        mutes: what keeps it quiet, silences first.
        steps: the routes that were looked at; empty: the rule says itself whom to tell.
        channels: who is told.
        told: notifications of its last firing, newest first.
        acknowledgement: who took that on.
    """

    rule: AlertRule | None
    at_ms: int
    labels: Labels
    answer: Answer
    standing: Standing
    last: LastEvaluation | None
    mutes: Sequence[Mute]
    steps: Sequence[RouteStep]
    channels: Sequence[RoutedChannel]
    told: Sequence[Told]
    acknowledgement: Acknowledgement | None

    @property
    def summary(self) -> str:
        """One sentence that says why somebody is told, or is not."""
        return _sum_up(self)


def _sum_up(one: Explanation) -> str:
    state, since = one.standing.state, _clock(one.standing.since_ms, one.at_ms)
    if state is AlertState.PENDING:
        held, left = one.standing.held_ms or 0, one.standing.fires_in_ms or 0
        return (
            f"pending since {since}: held {_duration(held)} of {_duration(held + left)}, "
            f"fires in {_duration(left)} if that goes on"
        )
    if state is AlertState.FIRING:
        return f"firing since {since}, {_tell_firing(one)}"
    if state is AlertState.RESOLVED:
        return f"resolved at {since}, {_tell_who(one) or 'nobody had been told that it fired'}"
    if one.rule is not None and not one.rule.enabled:
        return "not evaluated: the rule is switched off"
    return f"not firing: {_why_not(one, one.rule)}"


def _why_not(one: Explanation, rule: AlertRule | None) -> str:
    if rule is None or not one.answer.present:
        return one.answer.reason
    bad = f"{rule.condition.value} {rule.threshold:g}"
    value = one.answer.value
    if not one.answer.holds:
        return f"the value {value:g} is not {bad}"
    if rule.condition is Condition.ANY:
        bad = "in the answer"
    return f"the value {value:g} is {bad}, and the next evaluation will see it"


def _tell_firing(one: Explanation) -> str:
    said = _tell_who(one)
    if not said:
        if one.mutes:
            return f"not notified: {_name(one.mutes[0], one.at_ms)}"
        if not one.channels:
            return "not notified: the rule names nobody to tell, and no route leads to anybody"
        return "not notified yet"
    if one.acknowledgement is not None:
        taken = one.acknowledgement
        word = f" ({taken.comment})" if taken.comment else ""
        end = "still repeated" if taken.keep_repeating else "not repeated until it is over"
        said += f"; acknowledged by {taken.made_by}{word}: {end}"
    if one.mutes:
        said += f"; repeats are muted by {_name(one.mutes[0], one.at_ms)}"
    return said


def _tell_who(one: Explanation) -> str:
    if not one.told:
        return ""
    newest = one.told[0]
    failed = [told for told in one.told if told.state == "failed"]
    sent = [told for told in one.told if told.state == "sent"]
    answer = newest.answer[:_SHOWN_CHARS]
    if newest.state == "pending":
        if not answer:
            return "its notification is on its way"
        when = _clock(newest.next_attempt_ms, one.at_ms)
        return f"not delivered yet: {answer}; the next attempt is at {when}"
    parts = []
    if sent:
        kinds = ", ".join(sorted({str(told.channel.get("type")) for told in sent}))
        when = _clock(sent[0].finished_ms, one.at_ms)
        times = "once" if len(sent) == 1 else f"{len(sent)} times, the last"
        parts.append(f"notified {times} at {when} by {kinds}")
    if failed:
        said = failed[0].answer[:_SHOWN_CHARS]
        parts.append(f"notification failed after {failed[0].attempts} attempts: {said}")
    return "; ".join(parts)


def _name(mute: Mute, at_ms: int) -> str:
    comment = f" ({mute.comment})" if mute.comment else ""
    return f"{mute.kind} {mute.id}{comment} until {_clock(mute.until_ms, at_ms)}"


def _clock(time_ms: int | None, at_ms: int) -> str:
    """Return a moment as people say it: the day only where it is another one. UTC."""
    if time_ms is None:
        return "an unknown time"
    moment, other = (_EPOCH + timedelta(milliseconds=ms) for ms in (time_ms, at_ms))
    return moment.strftime("%H:%M" if moment.date() == other.date() else "%Y-%m-%d %H:%M")


def _duration(length_ms: int) -> str:
    return format_duration(length_ms // 1000 * 1000 * NS_PER_MS)
