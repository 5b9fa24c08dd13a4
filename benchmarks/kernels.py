"""Time the PromQL array kernels against their scalar references, and print a table.

    .venv/bin/python benchmarks/kernels.py [--series 1000] [--samples 5760] [--steps 1440] [NAME …]

The data are counters scraped every 15 s with jitter and two resets each; the steps are a minute
apart. A reference is timed on a few of the series and scaled up; the ratio says how many times
faster the kernel is. Absolute times hold for one machine only.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from tidegauge.model.frame import SeriesFrame
from tidegauge.promql.kernels.chunk import take_chunk
from tidegauge.promql.kernels.instant import select_instant
from tidegauge.promql.kernels.ranges import RANGE_FUNCTIONS, apply_range_function
from tidegauge.promql.kernels.reference import REFERENCES
from tidegauge.promql.kernels.scalar import evaluate_cells
from tidegauge.promql.kernels.windows import Windows, plan_edges

SCRAPE_MS, STEP_MS, MINUTE_MS = 15_000, 60_000, 60_000
PARAMS = {
    "quantile_over_time": (0.9,),
    "predict_linear": (600.0,),
    "double_exponential_smoothing": (0.5, 0.3),
}


def make_counters(series: int, samples: int) -> SeriesFrame:
    rng = np.random.default_rng(20_260_101)
    times = SCRAPE_MS * np.arange(samples) + rng.integers(0, SCRAPE_MS, (series, 1))
    times = times + rng.integers(-20, 20, (series, samples))
    values = np.cumsum(rng.uniform(0, 5, (series, samples)), axis=1)
    for row in values:
        for reset in sorted(rng.integers(1, samples, 2)):
            row[reset:] -= row[reset]
    offsets = samples * np.arange(series + 1, dtype=np.int64)
    labels = [(("series", f"{index:06}"),) for index in range(series)]
    return SeriesFrame(labels, offsets, times.astype(np.int64).ravel(), values.ravel())


def first_series(frame: SeriesFrame, series: int) -> SeriesFrame:
    end = int(frame.offsets[series])
    return SeriesFrame(
        frame.labels[:series],
        frame.offsets[: series + 1],
        frame.times_ms[:end],
        frame.values[:end],
    )


def best_ms(call: Callable[[], object], runs: int = 3) -> float:
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best * 1_000


def no_deadline() -> None:
    """Never stop."""


def compare(name: str, frame: SeriesFrame, windows: Windows, reference_series: int) -> None:
    params = tuple(np.full(windows.count, value) for value in PARAMS.get(name, ()))
    kernel_ms = best_ms(lambda: apply_range_function(name, frame, windows, params, no_deadline))
    few = first_series(frame, reference_series)
    plan = plan_edges(windows)
    chunk = take_chunk(few, 0, reference_series, plan, windows, params, no_deadline)
    scale = (len(frame.offsets) - 1) / reference_series
    reference_ms = scale * best_ms(lambda: evaluate_cells(REFERENCES[name], chunk), runs=1)
    label = f"{name}[{windows.range_ms / MINUTE_MS:g}m]"
    print(f"{label:42}{kernel_ms:12.2f}{reference_ms:14.0f}{reference_ms / kernel_ms:10.0f}×")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", nargs="*", default=sorted(RANGE_FUNCTIONS), metavar="NAME")
    parser.add_argument("--series", type=int, default=1_000)
    parser.add_argument("--samples", type=int, default=5_760)
    parser.add_argument("--steps", type=int, default=1_440)
    arguments = parser.parse_args()
    frame = make_counters(arguments.series, arguments.samples)
    ends_ms = STEP_MS * np.arange(1, arguments.steps + 1, dtype=np.int64)
    print(
        f"{arguments.series} series × {arguments.samples} samples × {arguments.steps} steps\n"
        f"{'':42}{'kernel ms':>12}{'reference ms':>14}{'ratio':>11}"
    )
    instant_ms = best_ms(lambda: select_instant(frame, ends_ms, 5 * MINUTE_MS))
    print(f"{'instant selector':42}{instant_ms:12.2f}{'-':>14}{'-':>11}")
    for minutes in (5, 60):
        for name in arguments.names:
            compare(name, frame, Windows(ends_ms, ends_ms, minutes * MINUTE_MS), 1)
    print("\na dashboard's panel: 10 series × 260 samples × 60 steps")
    panel = make_counters(10, 260)
    for name in ("rate", "sum_over_time", "max_over_time", "quantile_over_time"):
        if name in arguments.names:
            compare(name, panel, Windows(ends_ms[5:65], ends_ms[5:65], 5 * MINUTE_MS), 2)


if __name__ == "__main__":
    main()
