"""What a dashboard has to keep to, before it is stored."""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

from tidegauge.config import DashboardsConfig
from tidegauge.dashboards.dashboard_view import tags_of
from tidegauge.dashboards.errors import InvalidDashboard
from tidegauge.dashboards.grafana_json import Json, all_panels, integer, text, variables_of
from tidegauge.dashboards.grafana_queries import extract_queries, find_fault
from tidegauge.dashboards.grafana_variables import values_of
from tidegauge.dashboards.grid import Position, find_collisions
from tidegauge.dashboards.panel_view import position_of
from tidegauge.errors import PayloadTooLarge
from tidegauge.query.parsing import QueryParser

MAX_TITLE_CHARS = 200
MAX_DESCRIPTION_CHARS = 5000
MAX_TAGS = 50
MAX_TAG_CHARS = 64
MAX_VARIABLES = 100
MAX_QUERIES = 26
"""So many may one panel ask through Tidegauge's own API; Grafana names them by letters."""
MAX_COLLISIONS_TOLD = 3

_REFRESH = re.compile(r"(?:\d{1,6}(?:ms|s|m|h|d))?|auto", re.ASCII)
_MOMENT = re.compile(
    r"now(?:[+-]\d{1,6}[smhdwMyQ])*(?:/f?[smhdwMyQ])?"
    r"|\d{1,15}"
    r"|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)


def check_new(document: Json, config: DashboardsConfig, parser: QueryParser) -> None:
    """Check a dashboard that was made here.

    Raises:
        InvalidDashboard, PayloadTooLarge.
    """
    check_change({}, document, config, parser)


def check_change(old: Json, new: Json, config: DashboardsConfig, parser: QueryParser) -> None:
    """Check what a change makes of a dashboard; what was odd before it may stay so.

    Args:
        old, new: classic Grafana JSON.
    Raises:
        InvalidDashboard: the place and the reason.
        PayloadTooLarge: it is longer than it may be.
    """
    check_bounds(new, config)
    _check_time(old, new)
    _check_places(old, new)
    _check_queries(old, new, parser)


def check_bounds(document: Json, config: DashboardsConfig) -> None:
    """Check the sizes of a dashboard, wherever it came from.

    Raises:
        InvalidDashboard, PayloadTooLarge.
    """
    for path, held, most in (
        ("title", text(document.get("title")), MAX_TITLE_CHARS),
        ("description", text(document.get("description")), MAX_DESCRIPTION_CHARS),
        *((f"tags[{number}]", tag, MAX_TAG_CHARS) for number, tag in enumerate(tags_of(document))),
    ):
        if len(held) > most:
            raise InvalidDashboard(path, f"{len(held)} characters; {most} at most")
        if "\0" in held:
            raise InvalidDashboard(path, "a NUL character cannot be stored")
    if not text(document.get("title")).strip():
        raise InvalidDashboard("title", "a dashboard needs a title")
    panels = sum(1 for _ in all_panels(document))
    for what, count, limit, setting in (
        ("panels", panels, config.max_panels, "TIDEGAUGE_DASHBOARD_MAX_PANELS"),
        ("tags", len(tags_of(document)), MAX_TAGS, ""),
        ("variables", len(variables_of(document)), MAX_VARIABLES, ""),
    ):
        if count > limit:
            more = f"; {setting} allows more" if setting else ""
            raise InvalidDashboard(what, f"{count} of them; {limit} at most{more}")
    size = len(orjson.dumps(document))
    if size > config.max_bytes:
        raise PayloadTooLarge(
            f"the dashboard has {size} bytes, {config.max_bytes} at most; "
            "TIDEGAUGE_DASHBOARD_MAX_BYTES allows more"
        )


def _check_time(old: Json, new: Json) -> None:
    held = new.get("time")
    if held != old.get("time") and isinstance(held, dict):
        for key in ("from", "to"):
            if not _MOMENT.fullmatch(str(held.get(key, ""))):
                raise InvalidDashboard(
                    f"time.{key}",
                    f'"{str(held.get(key))[:64]}" is no time: now-6h, Unix ms or RFC 3339',
                )
    refresh = new.get("refresh")
    if refresh != old.get("refresh") and not _REFRESH.fullmatch(text(refresh)):
        raise InvalidDashboard(
            "refresh", f'"{text(refresh)[:64]}" is no duration such as 30s; empty: never'
        )


def _check_places(old: Json, new: Json) -> None:
    before, after = _places(old), _places(new)
    for number, place in after.items():
        fault = place.fault()
        if fault is not None and before.get(number) != place:
            raise InvalidDashboard(f"panel {number}: position", fault)
    collisions = find_collisions(after.items()) - find_collisions(before.items())
    if collisions:
        told = sorted(collisions)[:MAX_COLLISIONS_TOLD]
        pairs = ", ".join(f"{first} and {second}" for first, second in told)
        more = "" if len(collisions) == len(told) else f" and {len(collisions) - len(told)} more"
        raise InvalidDashboard("panels", f"panels lie on one another: {pairs}{more}")


def _places(document: Json) -> dict[int, Position]:
    """Return where panels lie; those of a collapsed row lie nowhere until it is opened."""
    return dict(_open_panels(document))


def _open_panels(document: Json) -> Iterator[tuple[int, Position]]:
    for path, panel in all_panels(document):
        if ".panels[" not in path.removeprefix("panels["):
            yield integer(panel.get("id")), position_of(panel)


def _check_queries(old: Json, new: Json, parser: QueryParser) -> None:
    known = {query.text for query in extract_queries(old)}
    values = values_of(new)
    for query in extract_queries(new):
        if query.text in known:
            continue
        known.add(query.text)
        reason = find_fault(query.text, values, parser)
        if reason is not None:
            raise InvalidDashboard(query.path, f"the query does not parse: {reason}")
