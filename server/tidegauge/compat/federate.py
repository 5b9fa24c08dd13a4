"""`/federate`: the latest samples of what is asked for, to be scraped by another Prometheus.

Source: Prometheus 3.14 `web/federate.go`; the text exposition format 0.0.4, with quoted names for
who takes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from flask import Blueprint, Response, request

from tidegauge.model.floats import format_go_g
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.labels import METRIC_NAME, Labels, find_label
from tidegauge.model.stale import is_stale
from tidegauge.web.access import require
from tidegauge.web.context import services
from tidegauge.web.openapi import TEXTS, describe
from tidegauge.web.params import read_params

_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping="
_PLAIN_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_NOT_PLAIN = re.compile(r"^[0-9]|[^a-zA-Z0-9_:]")
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})

blueprint = Blueprint("federate", __name__)


@dataclass(frozen=True, slots=True)
class Latest:
    """The latest sample of one series."""

    labels: Labels
    time_ms: int
    value: float


@blueprint.get("/prometheus/federate")
@require("query:read")
@describe(query={"match[]": TEXTS}, answer="text/plain")
def federate() -> Response:
    """Show the latest sample, not older than the lookback, of every series that is selected."""
    held = services()
    selectors = held.parser.parse_selectors(read_params().all("match[]"))
    now_ms = held.clock_ms()
    start_ms = now_ms - held.config.query.lookback_s * 1000
    found: dict[Labels, Latest] = {}
    with held.raw.open("federation", selectors) as read:
        for matchers in selectors:
            frame = read(matchers, start_ms, now_ms)
            found.update((sample.labels, sample) for sample in find_latest(frame))
    wants_utf8 = "escaping=allow-utf-8" in request.headers.get("Accept", "").replace(" ", "")
    body = render_exposition(found.values(), wants_utf8=wants_utf8)
    escaping = "allow-utf-8" if wants_utf8 else "underscores"
    return Response(body, content_type=_TYPE + escaping)


def find_latest(frame: SeriesFrame) -> Iterator[Latest]:
    """Yield the last sample of each series that has one and has not ended."""
    stale = is_stale(np.ascontiguousarray(frame.values))
    for row, labels in enumerate(frame.labels):
        last = int(frame.offsets[row + 1]) - 1
        if last >= int(frame.offsets[row]) and not stale[last]:
            yield Latest(labels, int(frame.times_ms[last]), float(frame.values[last]))


def render_exposition(samples: Iterable[Latest], *, wants_utf8: bool) -> str:
    """Return samples in the text format, of unknown type, sorted by metric name.

    Args:
        wants_utf8: names may be quoted; else what no old parser takes becomes an underscore.
    """
    named = [(find_label(sample.labels, METRIC_NAME), sample) for sample in samples]
    lines: list[str] = []
    last_name = ""
    for name, sample in sorted(named, key=lambda pair: (pair[0], pair[1].labels)):
        if not name:
            continue
        if name != last_name:
            last_name = name
            lines.append(f"# TYPE {_spell(name, wants_utf8)} untyped")
        lines.append(_render_sample(name, sample, wants_utf8))
    return "".join(f"{line}\n" for line in lines)


def _render_sample(name: str, sample: Latest, wants_utf8: bool) -> str:
    pairs = [
        f'{_spell(label, wants_utf8)}="{value.translate(_ESCAPES)}"'
        for label, value in sample.labels
        if label != METRIC_NAME
    ]
    # Without it, whoever scrapes this would put its own instance there.
    if not find_label(sample.labels, "instance"):
        pairs.append('instance=""')
    spelt = _spell(name, wants_utf8)
    inside = ",".join([spelt, *pairs] if spelt.startswith('"') else pairs)
    head = "" if spelt.startswith('"') else spelt
    return f"{head}{{{inside}}} {format_go_g(sample.value)} {sample.time_ms}"


def _spell(name: str, wants_utf8: bool) -> str:
    if _PLAIN_NAME.fullmatch(name):
        return name
    if wants_utf8:
        return f'"{name.translate(_ESCAPES)}"'
    return _NOT_PLAIN.sub("_", name)
