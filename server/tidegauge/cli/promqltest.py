"""`tidegauge promqltest`: run Prometheus's evaluation scripts against our engine."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from tidegauge.model.frame import SeriesFrame
from tidegauge.model.matchers import Matcher
from tidegauge.promql.engine import Engine, EngineOptions
from tidegauge.promql.reader import SelectHints
from tidegauge.promql.scripts.runner import LoadedSeries, Outcome, run_script
from tidegauge.storage.memory import MemoryStorage
from tidegauge.storage.protocol import ReadBudget, StoredBatch

MAX_SAMPLES = 10_000_000
DEADLINE_S = 60.0


class MemoryStore:
    """What a script has loaded, in memory; also the reader over it."""

    def __init__(self) -> None:
        self._storage = MemoryStorage()
        self._numbers = itertools.count()

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

    def reader(self) -> MemoryStore:
        """Return what reads it."""
        return self

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: SelectHints
    ) -> SeriesFrame:
        """Return the samples of the series that match, start and end included."""
        budget = ReadBudget(max_samples=MAX_SAMPLES, deadline_s=time.monotonic() + DEADLINE_S)
        return self._storage.select(matchers, start_ms, end_ms, budget)


def make_script_engine() -> Engine:
    """Return an engine with the settings that the scripts are written for."""
    options = EngineOptions(lookback_ms=300_000, subquery_step_ms=60_000, delayed_name_removal=True)
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
    name removal, experimental functions, extended range selectors, fill modifiers; the lookback
    is 5 minutes, the default subquery step 1 minute. Evals on native histograms or start
    timestamps fail: they are not supported yet.

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
