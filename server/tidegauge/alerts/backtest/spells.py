"""When a rule would have fired, kept stretch by stretch; and what another `for` would have given.

Pure; memory holds a bounded number of spells, and label sets that stand somewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from tidegauge.alerts.backtest.grid import SEEN, Grid
from tidegauge.alerts.backtest.runs import Turn, advance_run
from tidegauge.alerts.state import Seen, Timing
from tidegauge.model.alerts import ACTIVE_STATES, AlertInstance, AlertRule, AlertState, Condition
from tidegauge.model.labels import Labels

MAX_SPELLS = 1000
"""Spells of either kind that are kept; all are counted."""

FLAP_MS = 15 * 60_000
"""A series flaps when it fires again within this after it was resolved: it is still shown then."""

BRIEF_MS = 5 * 60_000
"""A firing alert that is over within this was over before anybody could do something about it."""

LADDER_MS = tuple(
    1000 * seconds for seconds in (0, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
)
"""Values of `for` that people write; those above the rule's own are tried, too."""

_LESS = frozenset({Condition.LT, Condition.LTE})


@dataclass(slots=True)
class Spell:
    """A time in which the condition held for one label set; Unix ms.

    Args:
        labels: of the series.
        active_ms: when the condition came to hold.
        fired_ms: when it fired; None: it was over before.
        ended_ms: when it was resolved, or held no more; None: not within the range.
        peak: its worst value; None: it had none.
        flaps: it fired again soon after the one before.
        is_brief: it was over soon after it fired.
    """

    labels: Labels
    active_ms: int
    fired_ms: int | None
    ended_ms: int | None
    peak: float | None
    flaps: bool = False
    is_brief: bool = False


@dataclass(slots=True)
class Trial:
    """What one value of `for` gives.

    Args:
        hold_ms: the value.
        spells: how often it fires.
        flaps, brief: how many of these are such; see FLAP_MS, BRIEF_MS.
        firing_ms: for how long, all series together.
        lost: spells of the rule as it is, neither flapping nor brief, of which it tells nothing.
    """

    hold_ms: int
    spells: int = 0
    flaps: int = 0
    brief: int = 0
    firing_ms: int = 0
    lost: int = 0


@dataclass(slots=True)
class Told:
    """How many messages each channel would have got, without silences and grouping."""

    firing: int = 0
    repeat: int = 0
    resolved: int = 0


@dataclass(slots=True)
class Report:
    """What a rule would have done.

    Args:
        rule: the rule.
        start_ms, end_ms, step_ms: when it was evaluated; end and start are evaluations.
        trials: the rule as it is, then with longer values of `for`.
        told: what it would have said.
        fired: its first spells that fired, the earliest first, at most MAX_SPELLS.
        pending: those that did not.
        pending_total: how many these are in all.
        notes: what to know of these figures.
    """

    rule: AlertRule
    start_ms: int
    end_ms: int
    step_ms: int
    trials: list[Trial]
    told: Told = field(default_factory=Told)
    fired: list[Spell] = field(default_factory=list)
    pending: list[Spell] = field(default_factory=list)
    pending_total: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Track:
    """One label set: where it stands with each value of `for`, the rule's own first.

    Args:
        alerts: where it stands.
        fired_ms, ended_ms: when it last fired, and was resolved after that.
        peak: the worst value since its condition holds.
        spell: that which fires now, by the rule's own.
    """

    alerts: list[AlertInstance]
    fired_ms: list[int | None]
    ended_ms: list[int | None]
    peak: float | None = None
    spell: Spell | None = None


class SpellKeeper:
    """Takes in one stretch after the other, and keeps what came of it.

    Args:
        rule: the rule.
        start_ms: the first evaluation, Unix ms.
        step_ms: the time between two.
    """

    def __init__(self, rule: AlertRule, *, start_ms: int, step_ms: int) -> None:
        holds = [rule.hold_ms, *(one for one in LADDER_MS if one > rule.hold_ms)]
        self._timings = [Timing(hold_ms=one, keep_firing_ms=rule.keep_firing_ms) for one in holds]
        self._trials = [Trial(one) for one in holds]
        self._report = Report(rule, start_ms, start_ms, step_ms, self._trials)
        self._repeat_ms = -(-rule.repeat_ms // step_ms) * step_ms
        self._worst = min if rule.condition in _LESS else max
        self._step_ms = step_ms
        self._tracks: dict[Labels, _Track] = {}

    @property
    def standing(self) -> list[Labels]:
        """The label sets that are pending or firing."""
        return [labels for labels, track in self._tracks.items() if _is_active(track)]

    def take(self, grid: Grid) -> None:
        """Take in the stretch behind the one before."""
        for row, labels in enumerate(grid.labels):
            self._take_row(labels, grid.seen[row], grid.values[row], grid.steps_ms)
        self._report.end_ms = int(grid.steps_ms[-1])
        self._forget()

    def finish(self) -> Report:
        """Return what came of all of it; nothing more may be taken in."""
        report = self._report
        for labels, track in self._tracks.items():
            for number, trial in enumerate(self._trials):
                alert = track.alerts[number]
                if alert.state is AlertState.FIRING:
                    trial.firing_ms += report.end_ms - (alert.fired_ms or 0)
            own = track.alerts[0]
            if own.state is AlertState.PENDING:
                self._keep_pending(Spell(labels, own.active_ms, None, None, track.peak))
            if track.spell is not None:
                self._close(track, track.spell, None)
        for spells in (report.fired, report.pending):
            spells.sort(key=lambda one: (one.active_ms, one.labels))
        return report

    def _take_row(
        self, labels: Labels, seen: np.ndarray, values: np.ndarray, steps_ms: np.ndarray
    ) -> None:
        track = self._tracks.get(labels)
        if track is None:
            count = len(self._trials)
            track = _Track([AlertInstance(labels)] * count, [None] * count, [None] * count)
            self._tracks[labels] = track
        for what, start, stop, peak in _iterate_runs(seen, values, self._worst is min):
            if what is Seen.TRUE:
                same = track.alerts[0].state in ACTIVE_STATES and track.peak is not None
                known = [one for one in (track.peak if same else None, peak) if one is not None]
                track.peak = self._worst(known) if known else None
            # The rule's own comes last: when a spell of it ends it is known who told of it.
            for number in reversed(range(len(self._trials))):
                track.alerts[number], turns = advance_run(
                    track.alerts[number],
                    what,
                    start_ms=int(steps_ms[start]),
                    steps=stop - start,
                    step_ms=self._step_ms,
                    timing=self._timings[number],
                )
                for turn in turns:
                    self._note(labels, track, number, turn)

    def _note(self, labels: Labels, track: _Track, number: int, turn: Turn) -> None:
        now_ms, alert = turn
        trial = self._trials[number]
        if alert.state is AlertState.FIRING:
            ended_ms = track.ended_ms[number]
            flaps = ended_ms is not None and now_ms - ended_ms < FLAP_MS
            trial.spells += 1
            trial.flaps += flaps
            track.fired_ms[number] = now_ms
            if not number:
                track.spell = Spell(labels, alert.active_ms, now_ms, None, None, flaps)
                self._report.told.firing += 1
                if len(self._report.fired) < MAX_SPELLS:
                    self._report.fired.append(track.spell)
        elif alert.state is AlertState.RESOLVED:
            lasted_ms = now_ms - (alert.fired_ms or 0)
            trial.firing_ms += lasted_ms
            trial.brief += lasted_ms < BRIEF_MS
            track.ended_ms[number] = now_ms
            if not number and track.spell is not None:
                self._close(track, track.spell, now_ms)
        elif alert.state is AlertState.INACTIVE and not number:
            self._keep_pending(Spell(labels, alert.active_ms, None, now_ms, track.peak))

    def _close(self, track: _Track, spell: Spell, ended_ms: int | None) -> None:
        fired_ms = spell.fired_ms or 0
        # The evaluation at which it is resolved says that, and repeats nothing.
        last_ms = self._report.end_ms if ended_ms is None else ended_ms - self._step_ms
        lasted_ms = (self._report.end_ms if ended_ms is None else ended_ms) - fired_ms
        spell.ended_ms, spell.peak = ended_ms, track.peak
        spell.is_brief = ended_ms is not None and lasted_ms < BRIEF_MS
        told = self._report.told
        told.resolved += ended_ms is not None
        if self._repeat_ms:
            told.repeat += (last_ms - fired_ms) // self._repeat_ms
        if not spell.flaps and lasted_ms >= BRIEF_MS:
            for number, trial in enumerate(self._trials):
                at_ms = track.fired_ms[number]
                missed = at_ms is None or at_ms < spell.active_ms
                # What is pending at the end of the range may fire yet.
                trial.lost += missed and track.alerts[number].state is not AlertState.PENDING
        track.spell = None

    def _keep_pending(self, spell: Spell) -> None:
        self._report.pending_total += 1
        if len(self._report.pending) < MAX_SPELLS:
            self._report.pending.append(spell)

    def _forget(self) -> None:
        oldest_ms = self._report.end_ms - FLAP_MS
        for labels, track in list(self._tracks.items()):
            recent = any(ended is not None and ended > oldest_ms for ended in track.ended_ms)
            if not _is_active(track) and not recent:
                del self._tracks[labels]


def _is_active(track: _Track) -> bool:
    return any(alert.state in ACTIVE_STATES for alert in track.alerts)


def _iterate_runs(
    seen: np.ndarray, values: np.ndarray, smallest: bool
) -> Iterator[tuple[Seen, int, int, float | None]]:
    """Yield the runs of a row: what they saw, from where to where, and their worst value."""
    starts = np.concatenate([[0], np.flatnonzero(seen[1:] != seen[:-1]) + 1])
    # fmin and fmax pass over NaN.
    peaks = (np.fmin if smallest else np.fmax).reduceat(values, starts)
    stops = [*starts[1:].tolist(), len(seen)]
    codes = seen[starts].tolist()
    for code, start, stop, peak in zip(codes, starts.tolist(), stops, peaks.tolist(), strict=True):
        yield SEEN[code], start, stop, None if peak != peak else peak
