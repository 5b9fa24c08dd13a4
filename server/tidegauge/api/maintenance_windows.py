"""`/api/v1/maintenance-windows`: alerts of which nobody is told, by plan. Source: SPEC §7."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal, get_args

import msgspec
from flask import Blueprint, Response

from tidegauge.alerts.recurrence import find_zone
from tidegauge.api.matchers import MatcherBody, describe_matchers, read_matchers
from tidegauge.api.silences import describe_preview
from tidegauge.errors import InvalidInput
from tidegauge.model.maintenance import MaintenanceWindow, Occurrence, Once, Recurrence, Schedule
from tidegauge.promql.durations import NS_PER_MS, format_duration
from tidegauge.query.times import parse_duration_ms
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.context import maintenance, muting_preview, services
from tidegauge.web.errors import created_response, json_response
from tidegauge.web.identity import current_actor
from tidegauge.web.openapi import describe
from tidegauge.web.pages import PAGE, read_page

PREVIEWED = 10

_Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_WEEKDAYS: tuple[str, ...] = get_args(_Weekday)
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LOCAL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?", re.ASCII)

blueprint = Blueprint("maintenance_windows", __name__, url_prefix="/api/v1/maintenance-windows")


class RecurrenceBody(msgspec.Struct, forbid_unknown_fields=True):
    """A time of day on certain days; a day must fit each list that is not empty.

    Args:
        start: when it begins, `02:30`.
        duration: how long it lasts: `2h`, or seconds.
        weekdays: on which.
        days_of_month: on which; -1 is the last day.
        months: in which, from 1.
        first_day, last_day: from when on, and until when it may begin: `2026-12-24`.
    """

    start: str
    duration: str | int | float
    weekdays: list[_Weekday] = msgspec.field(default_factory=list)
    days_of_month: list[int] = msgspec.field(default_factory=list)
    months: list[int] = msgspec.field(default_factory=list)
    first_day: str | None = None
    last_day: str | None = None


class OnceBody(msgspec.Struct, forbid_unknown_fields=True, rename={"begin": "from"}):
    """From a day or a time until another: `2026-12-24`, or `2026-12-24T22:00`.

    Args:
        begin: a day begins at midnight.
        until: a day ends at midnight.
    """

    begin: str
    until: str


class WindowBody(msgspec.Struct, forbid_unknown_fields=True):
    """A maintenance window: `recurrence` or `once` says when it is open.

    Args:
        name: what people call it.
        matchers: labels of the alerts; all must fit.
        time_zone: the IANA name of the zone whose clocks are meant.
        recurrence, once: when it is open, again and again or once.
        enabled: whether it is, at all.
        comment: why.
    """

    name: str
    matchers: list[MatcherBody]
    time_zone: str
    recurrence: RecurrenceBody | None = None
    once: OnceBody | None = None
    enabled: bool = True
    comment: str = ""


@blueprint.get("")
@require("alert:read")
@describe(query=PAGE)
def list_windows() -> Response:
    """List maintenance windows in the order of their ids, those that are over too."""
    page = read_page()
    found = maintenance().list_page(after=page.after, limit=page.limit)
    return json_response(page.body([_describe_window(one) for one in found]))


@blueprint.post("")
@require("silence:change")
@describe(body=WindowBody, status=201)
def add_window() -> Response:
    """Tell nobody of some alerts at certain times."""
    made = maintenance().add(_read_window(), current_actor())
    return created_response(
        {"data": _describe_window(made)}, f"/api/v1/maintenance-windows/{made.id}"
    )


@blueprint.post("/preview")
@require("alert:read", counted_as="query:read")
@describe(body=WindowBody)
def preview_window() -> Response:
    """Say what a maintenance window would mute, and when it would be open next."""
    window = _read_window()
    maintenance().check(window)
    zone = find_zone(window.zone)
    following = [
        {**_describe_occurrence(one), "local": _show(one, zone), "utc": _show(one, UTC)}
        for one in maintenance().list_next(window, PREVIEWED)
    ]
    muted = describe_preview(muting_preview().of_window(window))
    return json_response({"data": {**muted, "occurrences": following}})


@blueprint.get("/<int:window_id>")
@require("alert:read")
@describe()
def read_window(window_id: int) -> Response:
    """Show one maintenance window."""
    return json_response({"data": _describe_window(maintenance().read(window_id))})


@blueprint.put("/<int:window_id>")
@require("silence:change")
@describe(body=WindowBody)
def change_window(window_id: int) -> Response:
    """Put a maintenance window in the place of another."""
    changed = maintenance().change(window_id, _read_window(), current_actor())
    return json_response({"data": _describe_window(changed)})


@blueprint.delete("/<int:window_id>")
@require("silence:change")
@describe()
def delete_window(window_id: int) -> Response:
    """Delete a maintenance window; what it muted and still fires is told."""
    maintenance().delete(window_id, current_actor())
    return json_response({"deleted": [window_id]})


def _read_window() -> MaintenanceWindow:
    body = read_json(WindowBody)
    return MaintenanceWindow(
        name=body.name,
        matchers=read_matchers(body.matchers),
        zone=body.time_zone,
        schedule=_read_schedule(body),
        enabled=body.enabled,
        comment=body.comment,
    )


def _read_schedule(body: WindowBody) -> Schedule:
    if (body.recurrence is None) is (body.once is None):
        raise InvalidInput("either recurrence or once is wanted: when the window is open")
    if body.once is not None:
        return Once(
            _read_local("once.from", body.once.begin, whole_day=timedelta()),
            _read_local("once.until", body.once.until, whole_day=timedelta(days=1)),
        )
    assert body.recurrence is not None
    said = body.recurrence
    start = _TIME.fullmatch(said.start)
    if start is None:
        raise InvalidInput(
            f'recurrence.start: "{said.start[:64]}" is no time of day; "02:30" would be one'
        )
    return Recurrence(
        start=time(int(start[1]), int(start[2])),
        duration_ms=parse_duration_ms(str(said.duration)),
        weekdays=_in_order(_WEEKDAYS.index(one) for one in said.weekdays),
        days_of_month=_in_order(said.days_of_month),
        months=_in_order(said.months),
        first_day=_read_day("recurrence.first_day", said.first_day),
        last_day=_read_day("recurrence.last_day", said.last_day),
    )


def _read_day(field: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise InvalidInput(f'{field}: "{text[:64]}" is no day; "2026-12-24" would be one')


def _read_local(field: str, text: str, *, whole_day: timedelta) -> datetime:
    try:
        if _DATE.fullmatch(text):
            return datetime.fromisoformat(text) + whole_day
        if _LOCAL.fullmatch(text):
            return datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        pass
    raise InvalidInput(
        f'{field}: "{text[:64]}" is neither a day, as "2026-12-24", nor a time without a zone, '
        'as "2026-12-24T22:00"'
    )


def _describe_window(window: MaintenanceWindow) -> dict[str, object]:
    following = maintenance().list_next(window, 1) if window.enabled else []
    now_ms = services().clock_ms()
    return {
        "id": window.id,
        "name": window.name,
        "matchers": describe_matchers(window.matchers),
        "time_zone": window.zone,
        **_describe_schedule(window.schedule),
        "enabled": window.enabled,
        "comment": window.comment,
        "created_by": window.created_by,
        "created_at": window.created_ms,
        "changed_at": window.changed_ms,
        "active": any(one.holds(now_ms) for one in following),
        "next": _describe_occurrence(following[0]) if following else None,
    }


def _describe_schedule(schedule: Schedule) -> dict[str, object]:
    if isinstance(schedule, Once):
        said = {
            "from": f"{schedule.begin:%Y-%m-%dT%H:%M:%S}",
            "until": f"{schedule.end:%Y-%m-%dT%H:%M:%S}",
        }
        return {"recurrence": None, "once": said}
    first, last = schedule.first_day, schedule.last_day
    return {
        "recurrence": {
            "start": f"{schedule.start:%H:%M}",
            "duration": format_duration(schedule.duration_ms * NS_PER_MS),
            "weekdays": [_WEEKDAYS[one] for one in schedule.weekdays],
            "days_of_month": list(schedule.days_of_month),
            "months": list(schedule.months),
            "first_day": None if first is None else first.isoformat(),
            "last_day": None if last is None else last.isoformat(),
        },
        "once": None,
    }


def _describe_occurrence(one: Occurrence) -> dict[str, object]:
    return {"starts_at": one.starts_ms, "ends_at": one.ends_ms}


def _show(one: Occurrence, zone: tzinfo) -> list[str]:
    return [
        datetime.fromtimestamp(time_ms / 1000, zone).isoformat(timespec="minutes")
        for time_ms in (one.starts_ms, one.ends_ms)
    ]


def _in_order(numbers: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(set(numbers)))
