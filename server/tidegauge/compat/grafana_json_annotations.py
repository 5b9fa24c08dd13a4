"""Annotations as Grafana's JSON data source asks for them: by a query whose `refId` is `Anno`.

The target says which: `annotations` are the marks of the annotations API, `alerts` what alert rules
went through; anything else is PromQL, whose values above zero are events.
Source: grafana-contract §1; Grafana `standardAnnotationSupport.ts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from tidegauge.annotations.grafana_alerts import ALERT_TAG
from tidegauge.annotations.service import MAX_ID, MAX_PAGE, AnnotationService
from tidegauge.auth.principal import Principal
from tidegauge.compat.grafana_json_body import Grid
from tidegauge.compat.grafana_json_frames import Frame, Look, name_series
from tidegauge.compat.grafana_json_payload import OptionReader
from tidegauge.compat.grafana_json_variables import Variables
from tidegauge.model.annotations import Annotation, AnnotationQuery
from tidegauge.model.labels import drop_name
from tidegauge.query.service import Answer
from tidegauge.web.series import Series, iterate_series

ANNOTATIONS = "Anno"
"""The `refId` by which Grafana asks for annotations."""

_COLUMNS = (
    ("time", "time"),
    ("timeEnd", "time"),
    ("title", "string"),
    ("text", "string"),
    ("tags", "string"),
    ("id", "string"),
)


Source = Callable[[AnnotationService, AnnotationQuery, Principal], Sequence[Annotation]]


def _list_marks(
    service: AnnotationService, wanted: AnnotationQuery, principal: Principal
) -> Sequence[Annotation]:
    found, _ = service.read_page(wanted, principal)
    return found


def _list_alert_events(
    service: AnnotationService, wanted: AnnotationQuery, principal: Principal
) -> Sequence[Annotation]:
    """Return what our own rules went through, and what Grafana told of its own alerts."""
    found, _ = service.read_page(replace(wanted, tags=(ALERT_TAG, *wanted.tags)), principal)
    both = sorted([*found, *service.list_alerts(wanted)], key=lambda one: one.place)
    return both[-wanted.limit :]


SOURCES: dict[str, Source] = {
    "": _list_marks,
    "annotations": _list_marks,
    "alerts": _list_alert_events,
}
"""What a target may name; other targets are PromQL."""


def read_wanted(payload: Mapping[str, Any], variables: Variables, grid: Grid) -> AnnotationQuery:
    """Return which annotations a payload asks for: `tags`, `match`, `dashboard_id`, `limit`.

    Raises:
        InvalidOption.
    """
    reader = OptionReader(payload, variables)
    return AnnotationQuery(
        limit=min(reader.count("limit") or MAX_PAGE, MAX_PAGE),
        start_ms=grid.start_ms,
        end_ms=grid.end_ms,
        tags=reader.names("tags"),
        any_tag=reader.choice("match", ("all", "any")) == "any",
        dashboard_id=reader.count("dashboard_id", high=MAX_ID) or None,
        or_for_all=True,
    )


def make_annotation_table(annotations: Sequence[Annotation]) -> Frame:
    """Return annotations as a table, the oldest first, with the column names that Grafana knows."""
    rows = [
        [
            one.time_ms,
            one.time_end_ms,
            one.title or None,
            one.text or one.title,
            # Grafana would make one nameless tag of an empty text.
            ",".join(one.tags) or None,
            str(one.id) if one.id else None,
        ]
        for one in sorted(annotations, key=lambda one: one.place)
    ]
    columns = [{"text": text, "type": kind} for text, kind in _COLUMNS]
    return {"type": "table", "refId": ANNOTATIONS, "columns": columns, "rows": rows}


def find_events(answer: Answer, look: Look) -> list[Annotation]:
    """Return an event for each run of steps at which a series is above zero, at most 1,000."""
    every = (
        event
        for series in iterate_series(answer.result)
        for event in _iterate_events(series, look, answer.step_ms)
    )
    return list(islice(every, MAX_PAGE))


def find_by_tags(
    service: AnnotationService,
    asked: Mapping[str, Any],
    principal: Principal,
    *,
    start_ms: int,
    end_ms: int,
) -> list[dict[str, object]]:
    """Return marks as plugins before 0.5 want them.

    Args:
        asked: the `annotation` that was sent; its `query` has tags, with commas between them.
        principal: who may see them.
    Raises:
        InvalidInput.
    """
    said = asked.get("query")
    query = said if isinstance(said, str) else ""
    source = SOURCES.get(query.strip().lower())
    tags: tuple[str, ...] = ()
    if source is None:
        tags = tuple(dict.fromkeys(tag.strip() for tag in query.split(",") if tag.strip()))
        source = _list_marks
    wanted = AnnotationQuery(
        limit=MAX_PAGE, start_ms=start_ms, end_ms=end_ms, tags=tags, or_for_all=True
    )
    found = sorted(source(service, wanted, principal), key=lambda one: one.place)
    return [
        {
            "annotation": asked,
            "time": one.time_ms,
            **({"isRegion": True, "timeEnd": one.time_end_ms} if one.time_end_ms else {}),
            "title": one.title,
            "tags": list(one.tags),
            "text": one.text or one.title,
        }
        for one in found
    ]


def _iterate_events(series: Series, look: Look, step_ms: int) -> Iterator[Annotation]:
    labels, times_ms, values = series
    times_ms = times_ms[values > 0]
    if not len(times_ms):
        return
    starts = np.flatnonzero(np.diff(times_ms, prepend=times_ms[0] - 2 * step_ms) > step_ms)
    ends = np.append(starts[1:], len(times_ms)) - 1
    text = name_series(labels, look)
    # Commas part tags; a value with one would become two of them.
    tags = tuple(value.replace(",", " ") for _, value in drop_name(labels))
    for start, end in zip(times_ms[starts].tolist(), times_ms[ends].tolist(), strict=True):
        yield Annotation(start, end if end > start else None, text=text, tags=tags)
