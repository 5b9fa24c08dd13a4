"""The native API's answers to queries, as JSON bytes.

A point is `{"time", "value"[, "tags"]}`, time in Unix ms; tags are there when there is more than
one series. NaN and the infinities, which JSON lacks, are the strings that ingestion takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tidegauge.promql.value import Result, Text
from tidegauge.query.service import Answer
from tidegauge.web.rendering import dump_json
from tidegauge.web.series import Series, iterate_series, render_numbers

_DATA = b'{"data":[%b'


@dataclass(frozen=True, slots=True)
class Rendered:
    """The body of an answer, in two parts.

    Args:
        data: the data, up to where they end; the same for all who get the same result.
        end: the rest, which says what this request took.
        form: tells the data from those in another form.
    """

    data: bytes
    end: bytes
    form: str


def render_answer(answer: Answer, *, as_series: bool) -> Rendered:
    """Return the body of an answer.

    Args:
        as_series: `{"tags", "points": [[time, value], …]}` a series instead of one list of points.
    """
    form = "native:series" if as_series else "native:points"
    value = answer.result.value
    if isinstance(value, Text):
        text = _render_text(value, answer.result, as_series=as_series)
        data, count, points = _DATA % text, 1, 1
    else:
        found = list(iterate_series(answer.result))
        count, points = len(found), sum(len(times_ms) for _, times_ms, _ in found)
        data = answer.bodies.get(form, lambda: _render_data(found, as_series=as_series))
    meta = dump_json(_describe(answer, count, points))
    return Rendered(data, b'],"meta":%b}' % meta, form)


def _render_data(found: Sequence[Series], *, as_series: bool) -> bytes:
    if as_series:
        return _DATA % b",".join(_render_series(series) for series in found)
    return _DATA % b",".join(_render_points(series, tagged=len(found) > 1) for series in found)


def _describe(answer: Answer, series: int, points: int) -> dict[str, object]:
    notes = answer.result.annotations
    return {
        "resolution": "raw",
        "start": answer.start_ms,
        "end": answer.end_ms,
        "step": answer.step_ms / 1000,
        "series": series,
        "points": points,
        "samples_read": answer.result.samples_read,
        "cache": answer.cache.value,
        "took_ms": round(answer.took_ms, 3),
        "warnings": notes.warnings,
        "infos": notes.infos,
    }


def _render_points(series: Series, *, tagged: bool) -> bytes:
    labels, times_ms, values = series
    end = b',"tags":%b}' % dump_json(dict(labels)) if tagged else b"}"
    pairs = zip(render_numbers(times_ms), _render_values(values), strict=True)
    return b",".join([b'{"time":%b,"value":%b%b' % (time, value, end) for time, value in pairs])


def _render_series(series: Series) -> bytes:
    labels, times_ms, values = series
    pairs = zip(render_numbers(times_ms), _render_values(values), strict=True)
    points = b",".join([b"[%b,%b]" % pair for pair in pairs])
    return b'{"tags":%b,"points":[%b]}' % (dump_json(dict(labels)), points)


def _render_text(value: Text, result: Result, *, as_series: bool) -> bytes:
    time_ms = int(result.steps_ms[0])
    if as_series:
        return dump_json({"tags": {}, "points": [[time_ms, value.value]]})
    return dump_json({"time": time_ms, "value": value.value})


def _render_values(values: np.ndarray) -> list[bytes]:
    texts = render_numbers(values)
    for place in np.flatnonzero(~np.isfinite(values)):
        value = values[place]
        texts[place] = b'"NaN"' if np.isnan(value) else b'"+Inf"' if value > 0 else b'"-Inf"'
    return texts
