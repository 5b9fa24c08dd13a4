"""What becomes of values, gaps and very wide answers."""

from __future__ import annotations

import math

import numpy as np
import orjson
from tidegauge.compat.grafana_json_frames import Look, make_series, make_table, render
from tidegauge.model.labels import make_labels
from tidegauge.promql.value import Annotations, Result, Text, Value, Vector
from tidegauge.query.service import Answer

STEP_MS = 10


def answer(value: Value, steps: int) -> Answer:
    result = Result(value, np.arange(steps, dtype=np.int64) * STEP_MS, Annotations(), 0)
    return Answer(result, start_ms=0, end_ms=0, step_ms=STEP_MS, series_read=0, took_ms=0.0)


def vector(rows: list[list[float | None]], labels: list[dict[str, str]]) -> Vector:
    """Return a vector whose None are steps without a sample."""
    present = np.array([[cell is not None for cell in row] for row in rows])
    values = np.array([[math.nan if cell is None else cell for cell in row] for row in rows])
    dropped = np.zeros(len(rows), bool)
    return Vector([make_labels(one) for one in labels], values, present, dropped)


def test_gaps_and_what_is_no_number_are_null() -> None:
    row = [None, 1.5, math.nan, math.inf, None, None, -0.0, None, 1e300, None]

    (frame,) = orjson.loads(
        b"[%b]" % render(make_series(answer(vector([row], [{}]), 10), Look("A", "x"))).frames
    )

    assert frame["datapoints"] == [
        [1.5, 10], [None, 20], [None, 30], [None, 40], [0.0, 60], [None, 70], [1e300, 80],
    ]  # fmt: skip
    assert frame["target"] == frame["title"] == "x"


def test_a_series_that_is_nowhere_is_no_frame() -> None:
    assert make_series(answer(vector([[None, None]], [{"a": "b"}]), 2), Look("A", "x")) == []


def test_a_text_is_a_table() -> None:
    (frame,) = make_table(answer(Text("hello"), 1), Look("A", '"hello"'))

    assert frame["rows"] == [[0, "hello"]]


def test_a_very_wide_table_is_cut_and_says_so() -> None:
    labels = [{f"l{row}_{at}": "x" for at in range(60)} for row in range(2500)]

    (frame,) = make_table(answer(vector([[1.0]] * 2500, labels), 1), Look("A", "x"))

    columns, rows = frame["columns"], frame["rows"]
    assert isinstance(columns, list)
    assert isinstance(rows, list)
    assert (len(columns), len(rows)) == (1002, 1996)
    assert {len(row) for row in rows} == {1002}
    meta = orjson.loads(orjson.dumps(frame["meta"]))
    assert [notice["text"] for notice in meta["notices"]] == [
        "only the first 1000 labels are shown",
        "only the first 1996 rows are shown",
    ]
