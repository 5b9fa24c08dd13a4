"""`tidegauge promqltest`: run Prometheus's evaluation scripts against our engine."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from tidegauge.model.frame import SeriesFrame
from tidegauge.model.histogram import Histogram
from tidegauge.model.labels import Labels
from tidegauge.model.matchers import Matcher
from tidegauge.promql.engine import Engine, EngineOptions
from tidegauge.promql.reader import SelectHints
from tidegauge.promql.scripts.histograms import store_hints
from tidegauge.promql.scripts.loading import LoadedSeries
from tidegauge.promql.scripts.runner import Outcome, run_script
from tidegauge.storage.memory import MemoryStorage
from tidegauge.storage.protocol import ReadBudget, StoredBatch

MAX_SAMPLES = 10_000_000
DEADLINE_S = 60.0


class MemoryStore:
    """What a script has loaded, in memory; also the reader over it."""

    def __init__(self) -> None:
        self._storage = MemoryStorage()
        self._numbers = itertools.count()
        self._histograms: dict[Labels, dict[int, Histogram]] = {}
        self._starts_ms: dict[Labels, dict[int, int]] = {}

    def write(self, series: Sequence[LoadedSeries]) -> None:
        """Add samples."""
        if not series:
            return
        keys = self._storage.register_series([one.labels for one in series])
        counts = [len(one.times_ms) for one in series]
        series_ids = [keys[one.labels].series_id for one in series]
        metric_ids = [keys[one.labels].metric_id for one in series]
        batch = StoredBatch(
            message_ids=[next(self._numbers).to_bytes(16, "big")],
            message_index=np.zeros(sum(counts), np.int32),
            series_ids=np.repeat(np.array(series_ids, np.int32), counts),
            metric_ids=np.repeat(np.array(metric_ids, np.int32), counts),
            times_ms=np.concatenate([one.times_ms for one in series]),
            values=np.concatenate([one.values for one in series]),
        )
        self._storage.append(batch)
        for one in series:
            self._keep_histograms(one)
            starts_ms = zip(one.times_ms.tolist(), one.starts_ms, strict=True)
            if any(one.starts_ms):
                self._starts_ms.setdefault(one.labels, {}).update(starts_ms)

    def reader(self) -> MemoryStore:
        """Return what reads it."""
        return self

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: SelectHints
    ) -> SeriesFrame:
        """Return the samples of the series that match, start and end included."""
        budget = ReadBudget(max_samples=MAX_SAMPLES, deadline_s=time.monotonic() + DEADLINE_S)
        frame = self._storage.select(matchers, start_ms, end_ms, budget)
        return replace(
            frame,
            histograms=_spread(frame, self._histograms, np.full(len(frame.times_ms), None, object)),
            starts_ms=_spread(frame, self._starts_ms, np.zeros(len(frame.times_ms), np.int64)),
        )

    def _keep_histograms(self, series: LoadedSeries) -> None:
        """Keep histograms beside the storage, which holds their sums."""
        if not any(series.histograms):
            return
        kept = self._histograms.setdefault(series.labels, {})
        pairs = zip(series.values.tolist(), series.histograms, strict=True)
        samples = [value if one is None else one for value, one in pairs]
        for time_ms, one in zip(series.times_ms.tolist(), store_hints(samples), strict=True):
            if isinstance(one, Histogram):
                kept[time_ms] = one


def _spread(
    frame: SeriesFrame, known: Mapping[Labels, Mapping[int, Any]], column: np.ndarray
) -> np.ndarray | None:
    """Return a column with what is known of each sample; None: nothing is of any series."""
    found = [(row, known[labels]) for row, labels in enumerate(frame.labels) if labels in known]
    for row, of_series in found:
        for at in range(int(frame.offsets[row]), int(frame.offsets[row + 1])):
            time_ms = int(frame.times_ms[at])
            if time_ms in of_series:
                column[at] = of_series[time_ms]
    return column if found else None


def make_script_engine() -> Engine:
    """Return an engine with the settings that the scripts are written for."""
    options = EngineOptions(
        lookback_ms=300_000,
        subquery_step_ms=60_000,
        delayed_name_removal=True,
        start_timestamps=True,
    )
    return Engine(options)


def run_file(path: Path) -> list[Outcome]:
    """Run one script and return what became of its evals."""
    text = path.read_text(encoding="utf-8")
    return list(run_script(text, engine=make_script_engine(), make_store=MemoryStore))


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--verbose", is_flag=True, help="Show the evals that pass as well.")
def promqltest(files: tuple[Path, ...], verbose: bool) -> None:
    """Run evaluation scripts of Prometheus's format against the engine.

    An instant eval is run as written; again as the middle step of a range query of three steps,
    a minute apart (not with `expect string`, `expect range vector`, or start(), end(), step(),
    range() in the query); and, unless it depends on the evaluation time, with `@ <its time>` on
    every selector, at five other times (three at time 0), each also as such a range query. It
    passes only if all its runs do. Feature flags are on as in Prometheus's own runner: delayed
    name removal, experimental functions, extended range selectors, fill modifiers, start
    timestamps; the lookback is 5 minutes, the default subquery step 1 minute.

    The exit code is 1 if an eval failed.
    """
    passed = failed = 0
    for path in files:
        outcomes = run_file(path)
        wrong = [outcome for outcome in outcomes if outcome.failure is not None]
        for outcome in outcomes if verbose else wrong:
            verdict = "passed" if outcome.failure is None else f"FAILED: {outcome.failure}"
            click.echo(f"{path}:{outcome.line}: {outcome.text}\n    {verdict}")
        click.echo(f"{path}: {len(outcomes) - len(wrong)} passed, {len(wrong)} failed")
        passed, failed = passed + len(outcomes) - len(wrong), failed + len(wrong)
    click.echo(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
