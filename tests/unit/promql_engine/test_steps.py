"""What holds for every expression: steps do not know of each other, and the deadline is heeded."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tidegauge.errors import DeadlineExceeded, QueryFailed
from tidegauge.promql.parser import parse

EXPRESSIONS = [
    "x", "x offset 90s", "x @ 300", "x @ end() offset 1m", "-x", "x > 2", "2 < bool x", "x ^ 2 % 3",
    "x + on(i, g) y", "x / ignoring(g) group_left z", "x and on(i) y", "x or y", "x unless on(i) y",
    "x + on(i) group_left fill(7) z", "x > on(i) group_left z",
    "sum by (g) (x)", "avg without (i) (x)", "min(x)", "max by (i) (x)", "count(x)", "group(x)",
    "stddev(x)", "stdvar by (g) (x)", "topk(2, x)", "bottomk by (g) (1, x)", "limitk(2, x)",
    "limit_ratio(0.5, x)", "quantile(0.3, x)", "quantile by (g) (scalar(z) / 10, x)",
    'count_values("v", x)', "topk(scalar(z), x)",
    "rate(x[3m])", "increase(x[100s])", "delta(x[3m] offset 1m)", "irate(x[5m])", "deriv(x[4m])",
    "changes(x[5m])", "resets(x[5m])", "avg_over_time(x[3m])", "max_over_time(x[7m])",
    "quantile_over_time(0.4, x[5m])", "predict_linear(x[5m], 100)",
    "predict_linear(x[5m] @ 300, 9)",
    "last_over_time(x[2m])", "absent_over_time(x[1m])", 'absent(x{i="1"})',
    "stddev_over_time(x[6m])",
    "sum_over_time(x[5m:1m])", "max_over_time(rate(x[3m])[5m:30s])",
    "sum_over_time(x[4m:70s] @ 400)",
    "min_over_time((x > 1)[10m:2m] offset 1m)", "sum_over_time(sum_over_time(x[2m:1m])[4m:1m])",
    "timestamp(x)", "timestamp(x @ 300)", "timestamp(-x)", "scalar(z) + time()", "vector(time())",
    "hour(x * 3600)", "minute()", "clamp(x, 2, scalar(z))", "round(x, 0.5)", "sgn(x)", "abs(x)",
    'label_replace(x, "i", "$1$1", "i", "(.)")', 'label_join(x, "j", "-", "i", "g")',
    'histogram_quantile(0.7, label_replace(x, "le", "$1", "i", "(.)"))', "sort(x)",
    "increase(x[3m] anchored)", "rate(x[3m] smoothed)", "x smoothed",
]  # fmt: skip


def random_series(seed: int) -> dict[str, list[float | None]]:
    rng = np.random.default_rng(seed)

    def values() -> list[float | None]:
        numbers = rng.integers(0, 6, 14).astype(float)
        numbers[rng.random(14) < 0.1] = math.nan
        return [None if rng.random() < 0.25 else number for number in numbers.tolist()]

    series = {f'x{{i="{i}",g="{i % 2}"}}': values() for i in range(4)}
    series |= {f'y{{i="{i}",g="{i % 2}"}}': values() for i in range(1, 5)}
    return series | {"z": [float(1 + number % 4) for number in range(14)]}


def one_z_per_i(series: dict[str, list[float | None]], text: str) -> dict[str, list[float | None]]:
    if "group_left" not in text:
        return series
    joined = {name: values for name, values in series.items() if name != "z"}
    return joined | {f'z{{i="{i}"}}': series["z"] for i in range(3)}


@pytest.mark.parametrize("delayed", [False, True])
@pytest.mark.parametrize("text", EXPRESSIONS)
def test_a_range_query_gives_at_each_step_what_an_instant_query_gives(asker, text, delayed):
    for seed in range(3):
        series = one_z_per_i(random_series(seed), text)
        ask = asker(series, lookback_ms=100_000, delayed_name_removal=delayed)
        # start() and end() are the same for both kinds of query only where they are pinned.
        pinned = text.replace("@ end()", "@ 700")

        over_range = ask.range(pinned, 0, 700, 70)

        for step in range(11):
            at_step = {
                name: values[step]
                for name, values in over_range.items()
                if values[step] is not None
            }
            instant = ask.instant(pinned, step * 70)
            if not isinstance(instant, dict):
                instant = {"scalar": instant}
            assert at_step == pytest.approx(instant, nan_ok=True), (seed, step)


def test_range_results_are_sorted_and_hold_no_empty_series(asker):
    ask = asker({'x{i="2"}': [1, 2], 'x{i="1"}': [3, 1], 'x{i="3"}': [None, None]})

    assert list(ask.range('label_replace(x, "i", "0", "i", "2")', 0, 60, 60)) == [
        "x{i=0}",
        "x{i=1}",
    ]


def test_deadline_is_looked_at_while_evaluating(asker):
    ask = asker({"x": [1, 2]})
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise DeadlineExceeded("too late")

    with pytest.raises(DeadlineExceeded):
        ask.engine.evaluate(
            parse("sum(rate(x[5m])) + sum(x) + sum(x)"),
            reader=ask.reader,
            start_ms=0,
            end_ms=60_000,
            step_ms=60_000,
            check=check,
        )


def test_the_tree_is_not_changed(asker):
    text = "sum((x offset 1m)) + rate(x[step() + 1m] @ end())"
    expr = parse(text)
    ask = asker({"x": [1, 2]})
    ask.engine.evaluate(expr, reader=ask.reader, start_ms=0, end_ms=60_000, step_ms=60_000)

    assert expr == parse(text)


def test_vectors_of_too_many_points_are_refused_before_they_are_made(asker):
    ask = asker({'x{i="1"}': [1], 'x{i="2"}': [2]}, max_points=7)

    for text in ("x", "rate(x[5m])", "x @ 0", "sum_over_time(vector(1)[10m:1m])"):
        with pytest.raises(QueryFailed, match=r"points .* at most 7 are allowed"):
            ask.range(text, 0, 180, 60)


def test_results_are_laid_out_row_by_row(asker):
    ask = asker({'x{i="1"}': [1], 'x{i="2"}': [2]})

    for text in ("x @ 0", "scalar(x @ 0)", "sum by (i) (x @ 0)"):
        assert ask.result(text, 0, 180, 60).value.values.flags.c_contiguous


def test_only_what_is_selected_twice_is_kept(asker):
    ask = asker({'x{i="1"}': [1]})

    ask.range('sum(x) + count(x) + max(x{i="1"})', 0, 60, 60)

    assert len(ask.reader.asked) == 2


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("avg_over_time(x[10m])", 40),  # finite sums that overflow, each window by itself
        ("quantile_over_time(0.5, vector(1)[10000s:1s])", 40),
        ("avg(z)", 40),  # infinite sums, each step by itself
        ("quantile by (i) (0.5, z)", 40),
        ("sum(w)", 7),
    ],
)
def test_long_work_in_one_place_can_be_ended(asker, text: str, least: int) -> None:
    steps = 300
    series = {"x": [1.7e308] * steps}
    series |= {f'z{{i="{number}"}}': [math.inf] * steps for number in range(50)}
    series |= {f'w{{i="{number:04}"}}': [1.0] * 3 for number in range(1100)}
    ask = asker(series)
    checks = []

    ask.engine.evaluate(
        parse(text),
        reader=ask.reader,
        start_ms=0,
        end_ms=steps * 15_000,
        step_ms=15_000,
        check=lambda: checks.append(1),
    )

    assert len(checks) >= least
