"""What follows when an alert that others post begins, goes on, or is over. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import orjson

from tidegauge.alerts.state import RESOLVED_KEPT_MS
from tidegauge.model.alerts import AlertState
from tidegauge.model.external_alerts import ExternalAlert, Told
from tidegauge.model.labels import Labels, find_label
from tidegauge.model.routing import RoutedChannel
from tidegauge.model.silences import Muting
from tidegauge.storage.alert_events import AlertEvent
from tidegauge.storage.external_alerts import ExternalChange, Message

REPEAT_MS = 4 * 3_600_000
"""How often a route that does not say it tells again of what still fires, as in Alertmanager."""

MUTED_LOOK_MS = 10_000
"""How soon the end of a silence is noticed."""

UNROUTED_LOOK_MS = 60_000
"""How soon it is noticed that a new route tells somebody of an alert of which nobody heard."""

NAMELESS = "alert without a name"

_SORTED = orjson.OPT_SORT_KEYS

Choose = Callable[[Labels], Sequence[RoutedChannel]]
"""Returns whom to tell of an alert with these labels."""


def settle(
    before: ExternalAlert | None,
    after: ExternalAlert,
    *,
    now_ms: int,
    choose: Choose,
    silences: Sequence[Muting] = (),
) -> ExternalChange | None:
    """Return what is to be stored of an alert; None: nobody knew it, and it is over.

    Args:
        before: how it stood; None: nobody knows it.
        after: how it stands; only its state, and who was told, are of the past.
        now_ms: when, Unix ms.
        choose: says whom to tell.
        silences: keep quiet which alerts fire.
    """
    if after.ends_ms > now_ms:
        return _go_on(before, replace(after, state=AlertState.FIRING), now_ms, choose, silences)
    if before is None:
        return None
    return _end(before, replace(after, state=AlertState.RESOLVED), now_ms)


def _go_on(
    before: ExternalAlert | None,
    after: ExternalAlert,
    now_ms: int,
    choose: Choose,
    silences: Sequence[Muting],
) -> ExternalChange:
    muted_by = next((one for one in silences if one.covers(after.labels, now_ms)), None)
    chosen = choose(after.labels) if muted_by is None else ()
    told = {_name(one.route): one for one in after.told}
    messages = []
    for route in chosen:
        earlier = told.get(_name(route))
        if earlier is None or _is_due_again(route, earlier, now_ms):
            status = "firing" if earlier is None else "repeat"
            messages.append(Message(route, _make_payload(after, status)))
            told[_name(route)] = Told(route, now_ms)
    heard = replace(after, told=tuple(told.values()))
    previous = AlertState.INACTIVE if before is None else before.state
    event = None
    if previous is not AlertState.FIRING:
        details = {} if muted_by is None else muted_by.details
        event = _make_event(heard, previous, now_ms, details)
    look_ms = now_ms + MUTED_LOOK_MS if muted_by else _next_look_ms(heard, chosen, now_ms)
    return ExternalChange(heard, min(look_ms, heard.ends_ms), event, messages)


def _end(before: ExternalAlert, after: ExternalAlert, now_ms: int) -> ExternalChange:
    # A sender repeats the end for a while, and each time is one to remember it from.
    forgotten_ms = max(after.ends_ms, after.updated_ms) + RESOLVED_KEPT_MS
    if before.state is AlertState.RESOLVED:
        return ExternalChange(after, forgotten_ms, forgotten=forgotten_ms <= now_ms)
    # Who heard that it fires hears that it is over, whatever silences and routes say by now.
    messages = [Message(one.route, _make_payload(after, "resolved")) for one in after.told]
    unsaid = before.updated_ms == after.updated_ms
    details = {"reason": "it was not posted again"} if unsaid else {}
    event = _make_event(after, before.state, now_ms, details)
    return ExternalChange(replace(after, told=()), forgotten_ms, event, messages)


def _is_due_again(route: RoutedChannel, told: Told, now_ms: int) -> bool:
    repeat_ms = _repeat_ms(route)
    return repeat_ms > 0 and now_ms - told.at_ms >= repeat_ms


def _next_look_ms(alert: ExternalAlert, chosen: Sequence[RoutedChannel], now_ms: int) -> int:
    times = [alert.ends_ms] if chosen else [now_ms + UNROUTED_LOOK_MS]
    repeats = {_name(route): _repeat_ms(route) for route in chosen}
    for one in alert.told:
        repeat_ms = repeats.get(_name(one.route), 0)
        if repeat_ms > 0:
            times.append(one.at_ms + repeat_ms)
    return min(times)


def _repeat_ms(route: RoutedChannel) -> int:
    return REPEAT_MS if route.repeat_ms is None else route.repeat_ms


def _name(route: RoutedChannel) -> tuple[str, str, bytes]:
    # What comes back from the database has its keys in another order.
    return route.receiver, route.group_key, orjson.dumps(route.channel, option=_SORTED)


def _alert_name(alert: ExternalAlert) -> str:
    return find_label(alert.labels, "alertname") or NAMELESS


def _make_payload(alert: ExternalAlert, status: str) -> dict[str, object]:
    return {
        "status": status,
        "rule": None,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "value": None,
        "generator_url": alert.generator_url,
        "starts_at": alert.starts_ms,
        "ends_at": alert.ends_ms if status == "resolved" else None,
    }


def _make_event(
    alert: ExternalAlert, previous: AlertState, now_ms: int, details: Mapping[str, object]
) -> AlertEvent:
    return AlertEvent(
        rule_id=None,
        rule_name=_alert_name(alert),
        severity=find_label(alert.labels, "severity"),
        labels=alert.labels,
        previous=previous,
        state=alert.state,
        value=None,
        at_ms=now_ms,
        details={"posted": True, "generator_url": alert.generator_url, **details},
        fired_event_id=alert.event_id if previous is AlertState.FIRING else None,
    )
