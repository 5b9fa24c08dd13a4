"""Random series for the kernel tests, and the plain way to cut a window out of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tidegauge.model.frame import SeriesFrame
from tidegauge.promql.kernels.reference import Window

Values = Callable[[np.random.Generator, int], np.ndarray]


def _counter(rng: np.random.Generator, samples: int) -> np.ndarray:
    values = np.cumsum(rng.uniform(0, 5, samples))
    for reset in sorted(rng.integers(0, max(samples, 1), 3)):
        values[reset:] -= values[reset : reset + 1] - rng.uniform(0, 3)
    return values


VALUES: dict[str, Values] = {
    "counter": _counter,
    "gauge": lambda rng, samples: rng.normal(0, 1, samples),
    "constant": lambda rng, samples: np.full(samples, 0.1),
    "far from zero": lambda rng, samples: 1e9 + rng.normal(0, 1, samples),
    "cancelling": lambda rng, samples: rng.choice([-1.0, 1.0], samples),
    "overflowing": lambda rng, samples: rng.choice([1e308, -1e308, 1e300, 1.0], samples),
    "NaN and Inf": lambda rng, samples: rng.choice(
        [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, 2.0, 3.0, 1e-300],
        samples,
        p=[0.1, 0.03, 0.03, 0.1, 0.1, 0.2, 0.2, 0.2, 0.04],
    ),
    "all NaN": lambda rng, samples: np.full(samples, np.nan),
}


def _random_times(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Rising times with jitter and gaps, from before 1970 to after."""
    scrape_ms = int(rng.choice([1_000, 15_000]))
    gaps = scrape_ms * rng.choice([1, 1, 1, 20], samples) + rng.integers(-20, 20, samples)
    return rng.integers(-2_000_000, 1_000) + np.cumsum(np.maximum(1, gaps))


@pytest.fixture(scope="session")
def random_frame() -> Callable[..., SeriesFrame]:
    """Make a frame of random series of a kind in VALUES; every third one is short or empty."""

    def make(
        seed: int, kind: str, series: int = 5, samples: int = 120, stale: float = 0.0
    ) -> SeriesFrame:
        rng = np.random.default_rng(seed)
        times, values, offsets = [], [], [0]
        for index in range(series):
            count = samples if index % 3 else int(rng.integers(0, samples // 2)) * (index % 2)
            times.append(_random_times(rng, count).astype(np.int64))
            column = VALUES[kind](rng, count)
            marked = rng.random(count) < stale
            column.view(np.uint64)[marked] = 0x7FF0000000000002
            values.append(column)
            offsets.append(offsets[-1] + count)
        labels = [(("series", f"{index:04}"),) for index in range(series)]
        return SeriesFrame(
            labels, np.array(offsets, np.int64), np.concatenate(times), np.concatenate(values)
        )

    return make


@pytest.fixture(scope="session", params=sorted(VALUES))
def kind(request: pytest.FixtureRequest) -> str:
    """Every kind of values in turn."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def cut() -> Callable[..., Window]:
    """Cut the samples of one series with start < time <= end out of a frame."""

    def cut_window(
        frame: SeriesFrame,
        series: int,
        start_ms: int,
        end_ms: int,
        *,
        eval_ms: int = 0,
        params: tuple[float, ...] = (),
        before_ms: int = 0,
        after_ms: int = 0,
    ) -> Window:
        inside = slice(int(frame.offsets[series]), int(frame.offsets[series + 1]))
        times, values = frame.times_ms[inside], frame.values[inside]
        chosen = (times > start_ms - before_ms) & (times <= end_ms + after_ms)
        return Window(
            times[chosen].tolist(), values[chosen].tolist(), start_ms, end_ms, eval_ms, params
        )

    return cut_window
