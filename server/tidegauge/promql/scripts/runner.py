"""Runs a script: loads its series, evaluates its queries, says which evals fail and why.

An instant eval is asked again with `@` on every selector at other times, and each of these as
the middle step of a range query; it passes only if all of them give what is expected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from tidegauge.errors import InvalidInput, TidegaugeError
from tidegauge.model.histogram import Histogram
from tidegauge.promql import nodes
from tidegauge.promql.engine import Engine
from tidegauge.promql.parser import ParserOptions, parse
from tidegauge.promql.printer import print_expr
from tidegauge.promql.reader import Reader
from tidegauge.promql.scripts import comparison, pinning
from tidegauge.promql.scripts.commands import (
    Broken,
    Clear,
    Eval,
    Expected,
    Grid,
    Load,
    Offsets,
)
from tidegauge.promql.scripts.loading import LoadedSeries, convert_series, place_samples
from tidegauge.promql.scripts.notation import HistogramPoint, SeriesLine
from tidegauge.promql.scripts.parsing import parse_script
from tidegauge.promql.value import Result

SCRIPT_SYNTAX = ParserOptions(
    experimental_functions=True, extended_range_selectors=True, fill_modifiers=True
)
"""The scripts use the whole language, the parts behind feature flags too."""


_REPEAT_MS = 60_000


class Store(Protocol):
    """Holds what a script has loaded since its last `clear`."""

    def write(self, series: Sequence[LoadedSeries]) -> None:
        """Add samples."""
        ...

    def reader(self) -> Reader:
        """Return a reader for one query over what was written."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one eval.

    Args:
        line: its line in the script, from 1.
        text: the query, or the command that could not be read.
        failure: what is wrong, None where it passed.
        runs: how often a query was evaluated for it.
    """

    line: int
    text: str
    failure: str | None
    runs: int


class _Mismatch(Exception):
    """A run that did not give what is expected."""


def run_script(text: str, *, engine: Engine, make_store: Callable[[], Store]) -> Iterator[Outcome]:
    """Run a script and yield what became of each eval, in order.

    A command that cannot be read, or a load that fails, counts as a failed eval.
    Args:
        make_store: makes an empty store; asked at the start and at every `clear`.
    """
    script = _Script(engine, make_store)
    for command in parse_script(text):
        match command:
            case Clear():
                script.clear()
            case Load():
                fault = script.load(command)
                if fault is not None:
                    yield Outcome(command.line, "load", fault, 0)
            case Eval():
                yield script.evaluate(command)
            case Broken():
                yield Outcome(command.line, "", command.reason, 0)


class _Script:
    def __init__(self, engine: Engine, make_store: Callable[[], Store]) -> None:
        self._engine, self._make_store = engine, make_store
        self._runs = 0
        self.clear()

    def clear(self) -> None:
        self._store = self._make_store()

    def load(self, command: Load) -> str | None:
        placed = [
            place_series(series, command.interval_ms, offsets)
            for series, offsets in zip(command.series, command.starts, strict=True)
        ]
        if command.with_nhcb:
            placed += convert_series(placed)
        try:
            self._store.write(placed)
        except TidegaugeError as exc:
            return exc.message
        return None

    def evaluate(self, command: Eval) -> Outcome:
        self._runs = 0
        try:
            self._evaluate(command)
        except _Mismatch as exc:
            return Outcome(command.line, command.expr, str(exc), self._runs)
        return Outcome(command.line, command.expr, None, self._runs)

    def _evaluate(self, command: Eval) -> None:
        try:
            expr = parse(command.expr, SCRIPT_SYNTAX)
        except InvalidInput as exc:
            raise _Mismatch(f"cannot be parsed: {exc.message}") from exc
        if command.is_range:
            self._ask(command, expr, command.grid, "")
            return
        end_ms = (command.range_vector or command.grid).end_ms
        self._ask_instant(command, expr, end_ms, "")
        pinned = pinning.pin(expr, end_ms)
        if pinned is None:
            return
        # Positions in annotations are those of the text that is really asked.
        text = print_expr(pinned)
        try:
            pinned = parse(text, SCRIPT_SYNTAX)
        except InvalidInput as exc:
            raise _Mismatch(f"cannot be parsed as printed with @, {text}: {exc.message}") from exc
        for time_ms in pinning.repetition_times_ms(end_ms):
            self._ask_instant(command, pinned, time_ms, f"asked as {text} at {time_ms / 1000:g}s: ")

    def _ask_instant(self, command: Eval, expr: nodes.Expr, time_ms: int, how: str) -> None:
        if not self._ask(command, expr, Grid(time_ms, time_ms, 0), how):
            return
        if not command.runs_as_range_too or pinning.has_context_call(command.expr):
            return
        how += "as a range query: "
        grid = Grid(time_ms - _REPEAT_MS, time_ms + _REPEAT_MS, _REPEAT_MS)
        result, message = self._run(expr, grid)
        if result is None:
            raise _Mismatch(f"{how}failed: {message}")
        _require(comparison.find_step_mismatch(command, result, 1), how)

    def _ask(self, command: Eval, expr: nodes.Expr, grid: Grid, how: str) -> bool:
        """Ask and compare; return whether there is a result."""
        result, message = self._run(expr, grid)
        if result is None:
            _require(comparison.find_failure_mismatch(command, message), how)
            return False
        if Expected.FAIL in command.expects:
            raise _Mismatch(f"{how}expected it to fail, it did not")
        _require(comparison.find_annotation_mismatch(command, result.annotations), how)
        _require(comparison.find_result_mismatch(command, result), how)
        return True

    def _run(self, expr: nodes.Expr, grid: Grid) -> tuple[Result | None, str]:
        self._runs += 1
        try:
            result = self._engine.evaluate(
                expr,
                reader=self._store.reader(),
                start_ms=grid.start_ms,
                end_ms=grid.end_ms,
                step_ms=grid.step_ms,
            )
        except TidegaugeError as exc:
            return None, exc.message
        except Exception as exc:
            # A crash of the engine is a failed eval, and the script goes on.
            raise _Mismatch(f"the engine crashed: {type(exc).__name__}: {exc}") from exc
        return result, ""


def _require(fault: str | None, how: str) -> None:
    if fault is not None:
        raise _Mismatch(how + fault)


def place_series(series: SeriesLine, interval_ms: int, offsets: Offsets = ()) -> LoadedSeries:
    """Return the samples of a series, the first of them at time 0, and when they began.

    Args:
        offsets: how long after each sample's time it began, in ms; empty: nobody knows.
    """
    samples: list[tuple[int, float | Histogram]] = []
    starts_ms: list[int] = []
    for at, point in enumerate(series.points):
        if point is None:
            continue
        time_ms = at * interval_ms
        samples.append((time_ms, point.histogram if isinstance(point, HistogramPoint) else point))
        offset_ms = offsets[at] if offsets else None
        starts_ms.append(0 if offset_ms is None else time_ms + offset_ms)
    return place_samples(series.labels, samples, starts_ms)
