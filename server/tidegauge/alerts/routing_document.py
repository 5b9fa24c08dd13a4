"""Reads a routing document: receivers and routes, with Alertmanager's names.

Source: prometheus.io/docs/alerting/latest/configuration, "Route-related settings", "matcher".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import msgspec

from tidegauge.alerts.rules import (
    MAX_DURATION_MS,
    InvalidRule,
    check_channels,
    parse_rule_duration_ms,
)
from tidegauge.errors import InvalidInput
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.model.routing import Route, Routing
from tidegauge.storage.texts import is_storable

MAX_RECEIVERS = 200
MAX_ROUTES = 1000
MAX_DEPTH = 10
MAX_MATCHERS = 32
MAX_TEXT_CHARS = 1024
# In `group_by`: every label, so that each alert is a group of its own.
ALL_LABELS = "..."

T = TypeVar("T")

_DEFAULT = Route("")
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_MATCHER = re.compile(
    rf'\s*({_QUOTED}|[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!~|!=|=)\s*({_QUOTED}|[^"]*?)\s*', re.DOTALL
)
_ESCAPE = re.compile(r'\\([\\n"])')


class MatcherEntry(msgspec.Struct, forbid_unknown_fields=True):
    """A label that must fit: as it is, not, or as a regular expression."""

    name: str
    value: str
    operator: Literal["=", "!=", "=~", "!~"] = "="


class ReceiverEntry(msgspec.Struct, forbid_unknown_fields=True):
    """Channels, `{type, target, …}` each, under the name by which routes know them."""

    name: str
    channels: list[dict[str, Any]] = msgspec.field(default_factory=list)


class RouteEntry(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A route; what it leaves out but matchers and `continue` is that of its parent.

    Args:
        receiver: the name of whom it tells.
        group_by: labels that the alerts of one message share; `["..."]`: all.
        group_wait, group_interval, repeat_interval: `30s`, or seconds.
        matchers: all must fit: `severity="critical"`, or `{name, operator, value}`.
        goes_on: whether the routes behind it are looked at although it fits.
        routes: its children.
    """

    receiver: str | None = None
    group_by: list[str] | None = None
    group_wait: str | int | float | None = None
    group_interval: str | int | float | None = None
    repeat_interval: str | int | float | None = None
    matchers: list[str | MatcherEntry] = msgspec.field(default_factory=list)
    goes_on: bool = msgspec.field(default=False, name="continue")
    routes: list[RouteEntry] = msgspec.field(default_factory=list)


class RoutingDocument(msgspec.Struct, forbid_unknown_fields=True):
    """Receivers, and the route at which alerts enter; without one nobody is told by routes."""

    receivers: list[ReceiverEntry] = msgspec.field(default_factory=list)
    route: RouteEntry | None = None


def read_stored(document: Mapping[str, Any]) -> Routing:
    """Return the routing of a document as it is stored.

    Raises:
        InvalidInput: it is none.
    """
    try:
        return parse_routing(msgspec.convert(document, RoutingDocument))
    except msgspec.ValidationError as exc:
        raise InvalidInput(f"the routing document is not what is wanted: {exc}") from exc


def parse_routing(document: RoutingDocument) -> Routing:
    """Return the routing of a document.

    Raises:
        InvalidInput: names the field, and what is wrong with it.
    """
    receivers = _read_receivers(document.receivers)
    if document.route is None:
        return Routing(receivers)
    if document.route.matchers or document.route.goes_on:
        raise InvalidInput("route: the root takes every alert: no matchers, no continue")
    if document.route.receiver is None:
        raise InvalidInput("route.receiver: it is missing; it is told where no other route fits")
    return Routing(receivers, _Reading(receivers).read(document.route, _DEFAULT, "route", 1))


def parse_matcher(text: str) -> Matcher:
    """Return the matcher of a text of Alertmanager's: `severity="critical"`, `team=~db|web`.

    Raises:
        InvalidInput: it is none.
    """
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise InvalidInput(f'"{text[:200]}" is no matcher; severity="critical" is one')
    name, operator, value = found.groups()
    return Matcher(MatchType(operator), _unquote(name), _unquote(value))


@dataclass(slots=True)
class _Reading:
    """The reading of a tree of routes; it counts them."""

    receivers: Mapping[str, Sequence[Mapping[str, Any]]]
    count: int = 0

    def read(self, entry: RouteEntry, parent: Route, field: str, depth: int) -> Route:
        self.count += 1
        if self.count > MAX_ROUTES:
            raise InvalidInput(f"route: there are more than {MAX_ROUTES} routes")
        if depth > MAX_DEPTH:
            raise InvalidInput(f"{field}: routes are nested more than {MAX_DEPTH} deep")
        receiver = parent.receiver if entry.receiver is None else entry.receiver
        if receiver not in self.receivers:
            raise InvalidInput(f'{field}.receiver: there is no receiver "{receiver[:64]}"')
        route = Route(
            receiver=receiver,
            matchers=_read_matchers(entry.matchers, f"{field}.matchers"),
            group_by=parent.group_by
            if entry.group_by is None
            else _read_group_by(entry.group_by, f"{field}.group_by"),
            wait_ms=_read_ms(entry.group_wait, f"{field}.group_wait", parent.wait_ms),
            interval_ms=_read_ms(
                entry.group_interval, f"{field}.group_interval", parent.interval_ms
            ),
            repeat_ms=_read_ms(entry.repeat_interval, f"{field}.repeat_interval", parent.repeat_ms),
            goes_on=entry.goes_on,
        )
        children = tuple(
            self.read(child, route, f"{field}.routes[{number}]", depth + 1)
            for number, child in enumerate(entry.routes)
        )
        return replace(route, routes=children)


def _read_receivers(entries: Sequence[ReceiverEntry]) -> dict[str, tuple[dict[str, Any], ...]]:
    if len(entries) > MAX_RECEIVERS:
        raise InvalidInput(
            f"receivers: there are {len(entries)}, at most {MAX_RECEIVERS} are taken"
        )
    found: dict[str, tuple[dict[str, Any], ...]] = {}
    for number, entry in enumerate(entries):
        field = f"receivers[{number}]"
        _check_text(f"{field}.name", entry.name)
        if not entry.name or entry.name in found:
            raise InvalidInput(f'{field}.name: "{entry.name}" is empty, or there already')
        check_channels(f"{field}.channels", entry.channels)
        found[entry.name] = tuple(entry.channels)
    return found


def _read_matchers(entries: Sequence[str | MatcherEntry], field: str) -> tuple[Matcher, ...]:
    if len(entries) > MAX_MATCHERS:
        raise InvalidInput(f"{field}: there are {len(entries)}, at most {MAX_MATCHERS} are taken")
    found = []
    for number, entry in enumerate(entries):
        place = f"{field}[{number}]"
        for text in [entry] if isinstance(entry, str) else [entry.name, entry.value]:
            _check_text(place, text)
        try:
            found.append(
                parse_matcher(entry)
                if isinstance(entry, str)
                else Matcher(MatchType(entry.operator), entry.name, entry.value)
            )
        except InvalidInput as exc:
            raise InvalidRule(place, exc.message) from exc
    return tuple(found)


def _read_group_by(names: Sequence[str], field: str) -> frozenset[str] | None:
    if len(names) > MAX_MATCHERS:
        raise InvalidInput(f"{field}: there are {len(names)}, at most {MAX_MATCHERS} are taken")
    for name in names:
        _check_text(field, name)
    if ALL_LABELS in names and len(names) > 1:
        raise InvalidInput(f'{field}: "{ALL_LABELS}" stands for all labels, and by itself')
    return None if ALL_LABELS in names else frozenset(names)


def _read_ms(value: str | float | None, field: str, inherited_ms: T) -> T | int:
    if value is None:
        return inherited_ms
    length_ms = parse_rule_duration_ms(field, value)
    if not 0 <= length_ms <= MAX_DURATION_MS:
        raise InvalidInput(
            f"{field}: {length_ms / 1000:g} s is not from 0 s to "
            f"{MAX_DURATION_MS // 86_400_000} days"
        )
    return length_ms


def _check_text(field: str, text: str) -> None:
    if len(text) > MAX_TEXT_CHARS:
        raise InvalidInput(f"{field}: {len(text)} characters, at most {MAX_TEXT_CHARS} are taken")
    if not is_storable(text):
        raise InvalidInput(f"{field}: it holds what cannot be stored as text")


def _unquote(text: str) -> str:
    if text.startswith('"'):
        text = text[1:-1]
    return _ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], text)
