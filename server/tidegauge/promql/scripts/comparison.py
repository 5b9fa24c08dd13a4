"""A result against an expectation, with the tolerances of Prometheus's own runner.

Every function returns what is wrong, in words, or None.
Source: promql.md §3; Prometheus `util/almost`, `promql/promqltest/README.md`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tidegauge.model.floats import format_go_f
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.histogram import Buckets, Histogram
from tidegauge.model.labels import METRIC_NAME, Labels
from tidegauge.model.stale import STALE_BITS
from tidegauge.promql.native.texts import format_histogram
from tidegauge.promql.scripts.commands import Eval, Expected, Grid, Wording
from tidegauge.promql.scripts.notation import HistogramPoint, Point, SeriesLine
from tidegauge.promql.value import Annotations, Matrix, Result, Scalar, Text, Vector

RELATIVE_ERROR = 1e-6
_SMALLEST_NORMAL = 2.0**-1022
_LARGEST = 1.7976931348623157e308
_SHOWN_POINTS = 12


@dataclass(frozen=True, slots=True)
class _Series:
    """A series of a result: its labels, and its points as Unix ms and values."""

    labels: Labels
    times_ms: list[int]
    values: list[float | Histogram]


def almost_equal(one: float, other: float) -> bool:
    """Return whether two values count as the same: 1e-6 of their sum apart, zero only as zero."""
    if _is_stale(one) or _is_stale(other):
        return _is_stale(one) and _is_stale(other)
    if one == other or (math.isnan(one) and math.isnan(other)):
        return True
    sizes, apart = abs(one) + abs(other), abs(one - other)
    if one == 0 or other == 0 or sizes < _SMALLEST_NORMAL:
        return apart < RELATIVE_ERROR * _SMALLEST_NORMAL
    return apart / min(sizes, _LARGEST) < RELATIVE_ERROR


def find_result_mismatch(command: Eval, result: Result) -> str | None:
    """Compare what a query gave with what the script expects of it."""
    value = result.value
    if isinstance(value, Text):
        wanted = command.text or ""
        return None if value.value == wanted else f"expected string {wanted!r}, got {value.value!r}"
    if command.text is not None:
        return f"expected string {command.text!r}, got {type(value).__name__.lower()}"
    if command.is_range:
        return _compare_matrix(command, _grid_series(result), command.grid)
    if isinstance(value, Scalar):
        return _compare_scalar(command, float(value.values[0]))
    if isinstance(value, Matrix):
        if command.range_vector is None:
            return "the result is a range vector: use expect range vector"
        return _compare_matrix(command, _frame_series(value), command.range_vector)
    if command.range_vector is not None:
        return "expected a range vector, got an instant vector"
    return _compare_vector(command, _step_series(value, result, 0))


def find_step_mismatch(command: Eval, result: Result, step: int) -> str | None:
    """Compare one step of a range query with the expectation of an instant query."""
    if isinstance(result.value, Scalar):
        return _compare_scalar(command, float(result.value.values[step]))
    assert isinstance(result.value, Vector)
    if Expected.ORDERED in command.expects:
        return None  # The series of a range query are always sorted by labels.
    return _find_disorder(_grid_series(result)) or _compare_vector(
        command, _step_series(result.value, result, step)
    )


def find_annotation_mismatch(command: Eval, notes: Annotations) -> str | None:
    """Compare warnings and infos with the `expect` lines."""
    kinds = (
        ("warning", notes.warnings, Expected.WARN, Expected.NO_WARN),
        ("info", notes.infos, Expected.INFO, Expected.NO_INFO),
    )
    for name, texts, wanted, unwanted in kinds:
        if unwanted in command.expects and texts:
            return f"unexpected {name}: {texts}"
        if wanted in command.expects:
            fault = _compare_texts(name, command.expects[wanted], texts)
            if fault is not None:
                return fault
    return None


def find_failure_mismatch(command: Eval, message: str) -> str | None:
    """Compare the error of a query with what the script expects."""
    wanted = command.expects.get(Expected.FAIL)
    if not wanted:
        return f"failed: {message}"
    if wanted[0].fits(message):
        return None
    return f"expected it to fail with {wanted[0]}, it failed with {message!r}"


def _compare_texts(name: str, wanted: Sequence[Wording], texts: Sequence[str]) -> str | None:
    for wording in wanted:
        if not any(wording.fits(text) for text in texts):
            return f"expected {name} {wording}, got {list(texts) or 'none'}"
    for text in texts:
        if not any(wording.fits(text) for wording in wanted):
            return f"unexpected {name} {text!r}"
    return None


def _compare_scalar(command: Eval, value: float) -> str | None:
    if command.scalar is None:
        return f"expected a vector, got the scalar {format_go_f(value)}"
    if almost_equal(command.scalar, value):
        return None
    return f"expected scalar {format_go_f(command.scalar)}, got {format_go_f(value)}"


def _compare_vector(command: Eval, found: Sequence[_Series]) -> str | None:
    def compare(wanted: SeriesLine, series: _Series, place: int) -> str | None:
        if Expected.ORDERED in command.expects and command.series[place] is not wanted:
            order = ", ".join(_show_labels(one.labels) for one in found)
            return f"expected another order, got {order}"
        point = wanted.points[0]
        if _fits(point, series.values[0]):
            return None
        shown = f"{_show_labels(series.labels)}: expected {_show_point(point)}"
        return f"{shown}, got {_show_point(series.values[0])}"

    return _compare_series(command, found, compare)


def _compare_matrix(command: Eval, found: Sequence[_Series], grid: Grid) -> str | None:
    if Expected.ORDERED in command.expects:
        return "a range vector has no order to expect"

    def compare(wanted: SeriesLine, series: _Series, place: int) -> str | None:
        name = _show_labels(series.labels)
        times_ms = [grid.start_ms + at * grid.step_ms for at in range(len(wanted.points))]
        if times_ms[-1] > grid.end_ms:
            return f"{name}: {len(times_ms)} points are expected, the range has fewer steps"
        points = [
            (time_ms, point)
            for time_ms, point in zip(times_ms, wanted.points, strict=True)
            if point is not None
        ]
        if [time_ms for time_ms, _ in points] == series.times_ms and all(
            _fits(point, value) for (_, point), value in zip(points, series.values, strict=True)
        ):
            return None
        return f"{name}: expected {_show(points)}, got " + _show(
            list(zip(series.times_ms, series.values, strict=True))
        )

    return _find_disorder(found) or _compare_series(command, found, compare)


def _compare_series(
    command: Eval,
    found: Sequence[_Series],
    compare: Callable[[SeriesLine, _Series, int], str | None],
) -> str | None:
    if command.scalar is not None:
        return f"expected scalar {format_go_f(command.scalar)}, got a vector"
    expected = {series.labels: series for series in command.series}
    seen: set[Labels] = set()
    for place, series in enumerate(found):
        wanted = expected.get(series.labels)
        if wanted is None:
            points = _show(list(zip(series.times_ms, series.values, strict=True)))
            return f"unexpected series {_show_labels(series.labels)} with {points}"
        if series.labels in seen:
            return f"series {_show_labels(series.labels)} is in the result twice"
        seen.add(series.labels)
        fault = compare(wanted, series, place)
        if fault is not None:
            return fault
    missing = [one for one in command.series if one.labels not in seen]
    return f"expected series {_show_labels(missing[0].labels)} is missing" if missing else None


def _find_disorder(found: Sequence[_Series]) -> str | None:
    for one, following in pairwise(found):
        if one.labels > following.labels:
            names = f"{_show_labels(one.labels)} before {_show_labels(following.labels)}"
            return f"the series of the result are not sorted by labels: {names}"
    return None


def _step_series(vector: Vector, result: Result, step: int) -> list[_Series]:
    time_ms = int(result.steps_ms[step])
    return [
        _Series(vector.labels[row], [time_ms], [sample_at(vector, row, step)])
        for row in np.flatnonzero(vector.present[:, step]).tolist()
    ]


def _grid_series(result: Result) -> list[_Series]:
    value = result.value
    if isinstance(value, Scalar):
        return [_Series((), result.steps_ms.tolist(), value.values.tolist())]
    assert isinstance(value, Vector)
    found = []
    for row, labels in enumerate(value.labels):
        steps = np.flatnonzero(value.present[row]).tolist()
        samples = [sample_at(value, row, step) for step in steps]
        if steps:
            found.append(_Series(labels, result.steps_ms[steps].tolist(), samples))
    return found


def _frame_series(matrix: Matrix) -> list[_Series]:
    frame = matrix.frame
    parts = [
        slice(int(start), int(end))
        for start, end in zip(frame.offsets[:-1], frame.offsets[1:], strict=True)
    ]
    rows = (
        _Series(labels, frame.times_ms[part].tolist(), _samples_of(frame, part))
        for labels, part in zip(frame.labels, parts, strict=True)
    )
    return [series for series in rows if series.times_ms]


def sample_at(vector: Vector, row: int, step: int) -> float | Histogram:
    """Return the sample of a series at a step."""
    found = None if vector.histograms is None else vector.histograms[row, step]
    return float(vector.values[row, step]) if found is None else found


def _samples_of(frame: SeriesFrame, part: slice) -> list[float | Histogram]:
    values: list[float | Histogram] = frame.values[part].tolist()
    if frame.histograms is None:
        return values
    pairs = zip(values, frame.histograms[part].tolist(), strict=True)
    return [value if one is None else one for value, one in pairs]


def _fits(point: Point, sample: float | Histogram) -> bool:
    if isinstance(point, HistogramPoint):
        return isinstance(sample, Histogram) and is_same_histogram(point, sample)
    return isinstance(point, float) and isinstance(sample, float) and almost_equal(point, sample)


def is_same_histogram(point: HistogramPoint, found: Histogram) -> bool:
    """Compare as Prometheus's runner does; a hint counts only where it was written."""
    wanted, found = point.histogram.compact(), found.compact()
    if point.has_hint and wanted.hint is not found.hint:
        return False
    numbers = ((one.count, one.sum, one.zero_count) for one in (wanted, found))
    return (
        wanted.schema == found.schema
        and wanted.zero_threshold == found.zero_threshold
        and (not wanted.is_custom or wanted.bounds == found.bounds)
        and all(almost_equal(*pair) for pair in zip(*numbers, strict=True))
        and _same_buckets(wanted.positive, found.positive)
        and _same_buckets(wanted.negative, found.negative)
    )


def _same_buckets(wanted: Buckets, found: Buckets) -> bool:
    return np.array_equal(wanted.index, found.index) and all(
        almost_equal(*pair)
        for pair in zip(wanted.counts.tolist(), found.counts.tolist(), strict=True)
    )


def _is_stale(value: float) -> bool:
    return value != value and struct.pack("<d", value) == struct.pack("<Q", STALE_BITS)


def _show_labels(labels: Labels) -> str:
    name = "".join(value for label, value in labels if label == METRIC_NAME)
    rest = ", ".join(f'{label}="{value}"' for label, value in labels if label != METRIC_NAME)
    return f"{name}{{{rest}}}"


def _show_point(point: Point | Histogram) -> str:
    if point is None:
        return "a gap"
    if isinstance(point, float):
        return "stale" if _is_stale(point) else format_go_f(point)
    found = point.histogram if isinstance(point, HistogramPoint) else point
    return f"{format_histogram(found)} ({found.hint.name.lower()})"


def _show(points: Sequence[tuple[int, Point | Histogram]]) -> str:
    shown = [f"{_show_point(value)}@{time_ms / 1000:g}s" for time_ms, value in points]
    more = [f"and {len(shown) - _SHOWN_POINTS} more"] if len(shown) > _SHOWN_POINTS else []
    return "[" + " ".join(shown[:_SHOWN_POINTS] + more) + "]"
