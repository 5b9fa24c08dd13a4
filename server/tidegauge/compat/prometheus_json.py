"""Query results as the Prometheus API writes them: JSON bytes, fast enough for big panels.

All values of a series are rendered by one call into orjson and joined with the rendered
timestamps; only those that Go spells differently are touched one by one.
Source: grafana-contract §2.3, promql.md §5 item 9; Prometheus `web/api/v1/json_codec.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress

import numpy as np
import orjson

from tidegauge.model.floats import format_go_f, format_go_json
from tidegauge.model.labels import Labels
from tidegauge.promql.value import Matrix, Result, Scalar, Text, Vector
from tidegauge.web.rendering import dump_json

_HEAD = b'{"status":"success","data":{"resultType":"%b","result":%b%b}'
_SERIES = b'{"metric":%b,"values":[%b]}'
_SAMPLE = b'{"metric":%b,"value":%b%b"]}'

# orjson agrees with Go's 'f' format for zero and between these; outside it has exponents.
_PLAIN_FROM, _PLAIN_BELOW = 1e-5, 1e16


def render_result(
    result: Result,
    *,
    is_range: bool,
    warnings: Sequence[str] = (),
    infos: Sequence[str] = (),
    stats: Mapping[str, object] | None = None,
) -> bytes:
    """Return the body of a successful answer.

    Args:
        is_range: it was a range query, whose answer is always a matrix.
        stats: what the query took; None leaves it out.
    """
    value = result.value
    if isinstance(value, Matrix):
        kind, rows = b"matrix", _array(_matrix_rows(value))
    elif isinstance(value, Vector):
        if is_range:
            kind, rows = b"matrix", _array(_range_rows(value, result.steps_ms))
        else:
            kind, rows = b"vector", _array(_instant_rows(value, result.steps_ms))
    elif isinstance(value, Scalar):
        if is_range:
            kind, rows = b"matrix", _array([_scalar_series(value, result.steps_ms)])
        else:
            # A lone scalar never has an exponent: Prometheus prints it by another path.
            text = format_go_f(float(value.values[0])).encode()
            kind, rows = b"scalar", b'%b%b"]' % (_openings(result.steps_ms)[0], text)
    else:
        kind, rows = b"string", _text_point(value, result.steps_ms)
    body = _HEAD % (kind, rows, b"" if stats is None else b',"stats":' + dump_json(stats))
    if warnings:
        body += b',"warnings":' + dump_json(list(warnings))
    if infos:
        body += b',"infos":' + dump_json(list(infos))
    return body + b"}"


def render_values(values: np.ndarray) -> list[bytes]:
    """Return each float as the Prometheus API spells it.

    Args:
        values: float64, shape (n,).
    """
    values = np.ascontiguousarray(values)
    if not len(values):
        return []
    # The comma behind the last one lets it lose its ".0" like the others.
    listed = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1] + b","
    texts = listed.replace(b".0,", b",").split(b",")
    del texts[-1]
    sizes = np.abs(values)
    # NaN fails both comparisons, so it counts as odd too.
    odd = ~((sizes >= _PLAIN_FROM) & (sizes < _PLAIN_BELOW) | (sizes == 0))
    for place in np.flatnonzero(odd).tolist():
        texts[place] = format_go_json(float(values[place])).encode()
    return texts


def _array(rows: Iterator[bytes] | Sequence[bytes]) -> bytes:
    return b"[%b]" % b",".join(rows)


def _render_time(time_ms: int) -> bytes:
    seconds, fraction = divmod(abs(time_ms), 1000)
    text = f"{seconds}.{fraction:03}".rstrip("0") if fraction else str(seconds)
    return (f"-{text}" if time_ms < 0 else text).encode()


def _openings(times_ms: np.ndarray) -> list[bytes]:
    """Return what stands before each value: `[1435781430.781,"`."""
    return [b'[%b,"' % _render_time(time_ms) for time_ms in times_ms.tolist()]


def _render_labels(labels: Labels) -> bytes:
    return dump_json(dict(labels))


def _join_points(openings: Sequence[bytes], values: list[bytes]) -> bytes:
    """Return `[time,"value"],…` of openings and values of one length, not empty."""
    parts = [b'"],'] * (3 * len(values))
    parts[0::3] = openings
    parts[1::3] = values
    parts[-1] = b'"]'
    return b"".join(parts)


def _range_rows(vector: Vector, steps_ms: np.ndarray) -> Iterator[bytes]:
    openings = _openings(steps_ms)
    for row, labels in enumerate(vector.labels):
        present, values = vector.present[row], vector.values[row]
        if present.all():
            points = _join_points(openings, render_values(values))
        elif present.any():
            chosen = list(compress(openings, present.tolist()))
            points = _join_points(chosen, render_values(values[present]))
        else:
            continue
        yield _SERIES % (_render_labels(labels), points)


def _instant_rows(vector: Vector, steps_ms: np.ndarray) -> Iterator[bytes]:
    opening = _openings(steps_ms)[0]
    shown = vector.present[:, 0]
    texts = iter(render_values(vector.values[shown, 0]))
    for labels in compress(vector.labels, shown.tolist()):
        yield _SAMPLE % (_render_labels(labels), opening, next(texts))


def _matrix_rows(matrix: Matrix) -> Iterator[bytes]:
    frame = matrix.frame
    for row, labels in enumerate(frame.labels):
        part = slice(int(frame.offsets[row]), int(frame.offsets[row + 1]))
        if part.stop > part.start:
            points = _join_points(
                _openings(frame.times_ms[part]), render_values(frame.values[part])
            )
            yield _SERIES % (_render_labels(labels), points)


def _scalar_series(scalar: Scalar, steps_ms: np.ndarray) -> bytes:
    return _SERIES % (b"{}", _join_points(_openings(steps_ms), render_values(scalar.values)))


def _text_point(text: Text, steps_ms: np.ndarray) -> bytes:
    return b"[%b,%b]" % (_render_time(int(steps_ms[0])), dump_json(text.value))
