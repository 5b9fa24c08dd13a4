"""Whom to tell of an alert, by its labels: a tree of routes, as Alertmanager has it.

An alert enters at the root and goes down to the first child that fits, and past it to the next ones
where that one says `continue`. Where no child fits, the route itself tells its receiver.
Source: prometheus.io/docs/alerting/latest/configuration, "Route-related settings".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegauge.model.labels import EMPTY_LABELS, Labels, find_label
from tidegauge.model.matchers import Matcher

# Choices remembered. Alerts are looked at again with every evaluation, and there are more of them
# than of this only where something else is wrong.
MEMO_CHOICES = 20_000

Channel = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RoutedChannel:
    """One of those who are told of an alert, and together with which others.

    Args:
        channel: `{type, target, …}`.
        receiver: the name under which routes know it; "": it is a rule's own.
        group_key: what alerts of one message have in common, as text; Alertmanager's form.
        group_labels: the labels that are the same in all of them.
        wait_ms: how long the first of a quiet group waits for others.
        interval_ms: how long the next message of the group waits after the last.
        repeat_ms: how often it is told again of what still fires; 0: never; None: as the rule says.
    """

    channel: Channel
    receiver: str = ""
    group_key: str = ""
    group_labels: Labels = EMPTY_LABELS
    wait_ms: int = 0
    interval_ms: int = 0
    repeat_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A node of the tree; what it did not say itself is that of its parent.

    Args:
        receiver: the name of whom it tells.
        matchers: all of them must fit.
        group_by: names of the labels that one message has in common; None: all.
        wait_ms, interval_ms, repeat_ms: see `RoutedChannel`.
        goes_on: whether the routes behind it are looked at although it fits.
        routes: its children.
    """

    receiver: str
    matchers: tuple[Matcher, ...] = ()
    group_by: frozenset[str] | None = frozenset({"alertname"})
    wait_ms: int = 0
    interval_ms: int = 0
    repeat_ms: int | None = None
    goes_on: bool = False
    routes: tuple[Route, ...] = ()

    def find_misfit(self, labels: Labels) -> Matcher | None:
        """Return the first matcher that does not fit; None: they all do."""
        for one in self.matchers:
            if not one.matches(find_label(labels, one.name)):
                return one
        return None


@dataclass(frozen=True, slots=True)
class RouteStep:
    """A route that was looked at for an alert.

    Args:
        path: its matchers and those above it: `{}/{severity="critical"}`.
        receiver: whom it tells.
        matched: whether its matchers fit.
        chosen: whether its receiver is told.
        reason: why it does not fit, or why another is told in its place.
    """

    path: str
    receiver: str
    matched: bool
    chosen: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Routing:
    """The routes and the receivers they name; safe to use from many threads.

    Args:
        receivers: channels by the receiver's name.
        root: where alerts enter; None: nobody is told by routes.
        shortest_repeat_ms: after how long, at the soonest, any route tells again; None: none says.
    """

    receivers: Mapping[str, tuple[Channel, ...]] = field(default_factory=dict)
    root: Route | None = None
    shortest_repeat_ms: int | None = field(init=False, compare=False)
    _chosen: dict[Labels, tuple[RoutedChannel, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        routes = [] if self.root is None else _walk(self.root)
        shortest_ms = min((one.repeat_ms for one in routes if one.repeat_ms), default=None)
        object.__setattr__(self, "shortest_repeat_ms", shortest_ms)

    def choose(self, labels: Labels) -> tuple[RoutedChannel, ...]:
        """Return whom to tell of an alert with these labels, each once per group."""
        known = self._chosen.get(labels)
        if known is None:
            known = self._choose(labels)
            if len(self._chosen) < MEMO_CHOICES:
                self._chosen[labels] = known
        return known

    def explain(self, labels: Labels) -> list[RouteStep]:
        """Return the routes that are looked at for these labels, from the root down."""
        return [] if self.root is None else _explain(self.root, "", labels)

    def _choose(self, labels: Labels) -> tuple[RoutedChannel, ...]:
        if self.root is None:
            return ()
        chosen: list[RoutedChannel] = []
        for route, path in _find(self.root, "", labels):
            common = _group_labels(route, labels)
            for channel in self.receivers[route.receiver]:
                one = RoutedChannel(
                    channel=channel,
                    receiver=route.receiver,
                    group_key=f"{path}:{format_labels(common)}",
                    group_labels=common,
                    wait_ms=route.wait_ms,
                    interval_ms=route.interval_ms,
                    repeat_ms=route.repeat_ms,
                )
                # Two routes with the same matchers are one group: nobody is told the same twice.
                if all((one.channel, one.group_key) != (it.channel, it.group_key) for it in chosen):
                    chosen.append(one)
        return tuple(chosen)


def format_labels(labels: Labels) -> str:
    """Return labels as Alertmanager writes them: `{a="b", c="d"}`."""
    return "{" + ", ".join(f"{name}={_quote(value)}" for name, value in labels) + "}"


def format_matcher(matcher: Matcher) -> str:
    """Return a matcher as Alertmanager writes it: `a=~"b|c"`."""
    return f"{matcher.name}{matcher.type.value}{_quote(matcher.value)}"


def _walk(route: Route) -> Iterator[Route]:
    yield route
    for child in route.routes:
        yield from _walk(child)


def _find(route: Route, above: str, labels: Labels) -> list[tuple[Route, str]]:
    if route.find_misfit(labels) is not None:
        return []
    path = _extend(above, route)
    found: list[tuple[Route, str]] = []
    for child in route.routes:
        below = _find(child, path, labels)
        found += below
        if below and not child.goes_on:
            break
    return found or [(route, path)]


def _explain(route: Route, above: str, labels: Labels) -> list[RouteStep]:
    path, misfit = _extend(above, route), route.find_misfit(labels)
    if misfit is not None:
        has = find_label(labels, misfit.name)
        reason = f"{misfit.name} is {_quote(has)}, which does not fit {format_matcher(misfit)}"
        return [RouteStep(path, route.receiver, False, False, reason)]
    below: list[RouteStep] = []
    taken = 0
    for child in route.routes:
        steps = _explain(child, path, labels)
        below += steps
        if steps[0].matched:
            taken += 1
            if not child.goes_on:
                break
    reason = f"{taken} of its routes fit and are told in its place" if taken else ""
    return [RouteStep(path, route.receiver, True, taken == 0, reason), *below]


def _extend(above: str, route: Route) -> str:
    own = "{" + ",".join(format_matcher(one) for one in route.matchers) + "}"
    return f"{above}/{own}" if above else own


def _group_labels(route: Route, labels: Labels) -> Labels:
    if route.group_by is None:
        return labels
    return tuple(pair for pair in labels if pair[0] in route.group_by)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
