"""Answers as Grafana's JSON data source reads them: series with points, and tables.

Values are numbers or null: for a gap, and for NaN and the infinities, which JSON has not.
Source: grafana-contract §1; Grafana `processDataFrame.ts`.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import orjson

from tidegauge.model.labels import METRIC_NAME, Labels, find_label
from tidegauge.promql.quoting import quote
from tidegauge.promql.value import Text
from tidegauge.query.service import Answer, truncate_series
from tidegauge.web.rendering import dump_json
from tidegauge.web.series import Series, iterate_series, render_numbers

MAX_NOTICES = 10
MAX_NAME_CHARS = 1024
"""An alias may name a long label many times over."""

MAX_TABLE_ROWS = 100_000
"""More rows than a browser draws; a whole range vector is what has so many."""

MAX_TABLE_COLUMNS = 1000
MAX_TABLE_CELLS = 2_000_000

Frame = dict[str, object]

_PLAIN = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Look:
    """How an answer is to be shown.

    Args:
        ref_id: the target's.
        text: the PromQL that was asked.
        alias: the name of series, with `{{label}}` for a label's value; "" for the usual one.
        unit: Grafana's id, "" for none.
        limit: the most series; 0 for all.
        warnings: what people should know besides.
    """

    ref_id: str
    text: str
    alias: str = ""
    unit: str = ""
    limit: int = 0
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Rendered:
    """Frames as JSON.

    Args:
        frames: with commas between them; empty for none.
        keep: returns what was made of them before, or calls what it is given to make it.
    """

    frames: bytes
    keep: Callable[[Callable[[], bytes]], bytes] = lambda make: make()


def render(frames: Sequence[Frame]) -> Rendered:
    """Return frames as JSON."""
    return Rendered(dump_json(frames)[1:-1])


def render_kept(
    make: Callable[[Answer, Look], list[Frame]], answer: Answer, look: Look
) -> Rendered:
    """Return the frames of an answer as JSON, which is kept beside it for whoever asks the same."""
    said = repr((make.__name__, look)).encode("utf-8", "surrogatepass")
    form = f"grafana_json:{hashlib.sha256(said).hexdigest()}"
    frames = answer.bodies.get(form, lambda: render(make(answer, look)).frames)
    return Rendered(frames, lambda further: answer.bodies.get(f"{form}:gzip", further))


def make_series(answer: Answer, look: Look) -> list[Frame]:
    """Return a frame for each series of a range query."""
    shown, notices = _cut(answer, look)
    frames: list[Frame] = []
    for labels, times_ms, values in iterate_series(shown.result):
        name = name_series(labels, look)
        frame: Frame = {
            "target": name,
            "title": name,
            "refId": look.ref_id,
            "tags": dict(labels),
            "datapoints": _render_points(times_ms, values, answer.step_ms),
        }
        if look.unit:
            frame["unit"] = look.unit
        frames.append(frame)
    return _with_meta(frames, answer, look, notices)


def make_table(answer: Answer, look: Look) -> list[Frame]:
    """Return one table of an instant query: time, a column a label, value."""
    shown, notices = _cut(answer, look)
    value = shown.result.value
    if isinstance(value, Text):
        columns = [_column("Time", "time"), _column("Value", "string")]
        rows: list[list[object]] = [[int(shown.result.steps_ms[0]), value.value]]
    else:
        found = list(iterate_series(shown.result))
        every = sorted({name for labels, _, _ in found for name, _ in labels})
        names = every[:MAX_TABLE_COLUMNS]
        last = _column("Value", "number")
        if look.unit:
            last["unit"] = look.unit
        columns = [_column("Time", "time"), *(_column(name, "string") for name in names), last]
        rows = _list_rows(found, names, min(MAX_TABLE_ROWS, MAX_TABLE_CELLS // len(columns)))
        if len(every) > len(names):
            notices.append(_notice("warning", f"only the first {len(names)} labels are shown"))
        if sum(len(times_ms) for _, times_ms, _ in found) > len(rows):
            notices.append(_notice("warning", f"only the first {len(rows)} rows are shown"))
    frame: Frame = {"type": "table", "refId": look.ref_id, "columns": columns, "rows": rows}
    return _with_meta([frame], answer, look, notices)


def _list_rows(found: Sequence[Series], names: Sequence[str], most: int) -> list[list[object]]:
    rows: list[list[object]] = []
    for labels, times_ms, values in found:
        known = dict(labels)
        cells = [known.get(name, "") for name in names]
        left = slice(most - len(rows))
        for time_ms, number in zip(times_ms[left].tolist(), values[left].tolist(), strict=True):
            rows.append([time_ms, *cells, number if math.isfinite(number) else None])
        if len(rows) == most:
            break
    return rows


def name_series(labels: Labels, look: Look) -> str:
    """Return the name of a series: by its alias, else as PromQL has it."""
    known = dict(labels)
    if look.alias:
        return _PLACEHOLDER.sub(lambda found: known.get(found[1], ""), look.alias)[:MAX_NAME_CHARS]
    return print_labels(labels) or look.text


def print_labels(labels: Labels) -> str:
    """Return a label set as PromQL writes it: `up{job="a"}`."""
    shown = [
        f"{label if _PLAIN.fullmatch(label) else quote(label)}={quote(value)}"
        for label, value in labels
        if label != METRIC_NAME
    ]
    return find_label(labels, METRIC_NAME) + ("{" + ",".join(shown) + "}" if shown else "")


def _column(text: str, kind: str) -> dict[str, object]:
    return {"text": text, "type": kind}


def _render_points(times_ms: np.ndarray, values: np.ndarray, step_ms: int) -> orjson.Fragment:
    """Return `[[value, time], …]`, with a null at the first step of each gap."""
    gaps = np.flatnonzero(np.diff(times_ms) > step_ms) + 1
    if len(gaps):
        times_ms = np.insert(times_ms, gaps, times_ms[gaps - 1] + step_ms)
        values = np.insert(values, gaps, np.nan)
    pairs = zip(render_numbers(values), render_numbers(times_ms), strict=True)
    return orjson.Fragment(b"[%b]" % b",".join([b"[%b,%b]" % pair for pair in pairs]))


def _cut(answer: Answer, look: Look) -> tuple[Answer, list[dict[str, str]]]:
    notices = [_notice("warning", text) for text in look.warnings]
    result, truncated = truncate_series(answer.result, look.limit)
    if truncated:
        notices.append(
            _notice("warning", f'only the first {look.limit} series are shown (option "limit")')
        )
        answer = replace(answer, result=result)
    return answer, notices


def _notice(severity: str, text: str) -> dict[str, str]:
    return {"severity": severity, "text": text}


def _with_meta(
    frames: list[Frame], answer: Answer, look: Look, notices: list[dict[str, str]]
) -> list[Frame]:
    """Put what is to be known of an answer on its first frame; without any, on an empty one."""
    said = answer.result.annotations
    notices += [_notice("warning", text) for text in said.warnings]
    notices += [_notice("info", text) for text in said.infos]
    if len(notices) > MAX_NOTICES:
        more = _notice("info", f"and {len(notices) - MAX_NOTICES} more notices")
        notices = [*notices[:MAX_NOTICES], more]
    if not frames and notices:
        frames = [{"refId": look.ref_id, "fields": []}]
    if frames:
        frames[0]["meta"] = {
            "executedQueryString": look.text,
            "notices": notices,
            "custom": {
                "resolution": "raw",
                "step_ms": answer.step_ms,
                "samples_read": answer.result.samples_read,
            },
        }
    return frames
