"""Every alert that fires, whoever found it, with who is told of it and what keeps it quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tidegauge.alerts.external import ExternalAlertService, ReadRouting
from tidegauge.alerts.muting import Mutings
from tidegauge.alerts.payloads import alert_annotations, alert_labels
from tidegauge.alerts.service import AlertService
from tidegauge.alerts.telling import choose_channels
from tidegauge.model.alerts import AlertState
from tidegauge.model.labels import EMPTY_LABELS, Labels
from tidegauge.model.routing import RoutedChannel, Routing
from tidegauge.model.silences import Muting


@dataclass(frozen=True, slots=True)
class AlertGroup:
    """Alerts that a receiver hears of together.

    Args:
        receiver: its name; "" where nobody is told.
        labels: what the alerts have in common.
        key: tells groups of one receiver apart.
    """

    receiver: str
    labels: Labels
    key: str


@dataclass(frozen=True, slots=True)
class StandingAlert:
    """An alert that fires.

    Args:
        labels, annotations: its labels, and texts for people.
        generator_url: where it was found; "": nobody says.
        starts_ms: since when, Unix ms.
        updated_ms: when that was known last.
        ends_ms: when it is over, unless more is heard of it.
        silenced_by: the ids of the silences that keep it quiet.
        muted_by: those of the maintenance windows that do.
        groups: by which ways it is told.
    """

    labels: Labels
    annotations: Mapping[str, str]
    generator_url: str
    starts_ms: int
    updated_ms: int
    ends_ms: int
    silenced_by: tuple[int, ...]
    muted_by: tuple[int, ...]
    groups: tuple[AlertGroup, ...]

    @property
    def quiet(self) -> bool:
        """Whether nobody is told of it now."""
        return bool(self.silenced_by or self.muted_by)


class StandingAlerts:
    """The alerts that fire; safe to use from many threads.

    Args:
        rules: our own rules.
        external: the alerts that others post.
        silences: what keeps them quiet.
        read_routing: says who is told.
        timeout_ms: how long an alert of our own is taken to stand without more.
        clock_ms: Unix ms.
    """

    def __init__(
        self,
        *,
        rules: AlertService,
        external: ExternalAlertService,
        silences: Mutings,
        read_routing: ReadRouting,
        timeout_ms: int,
        clock_ms: Callable[[], int],
    ) -> None:
        self._rules, self._external, self._silences = rules, external, silences
        self._read_routing, self._timeout_ms = read_routing, timeout_ms
        self._clock_ms = clock_ms

    def list_all(self) -> list[StandingAlert]:
        """Return the alerts that fire, each label set once; our own come first.

        Raises:
            Unavailable.
        """
        now_ms, routing = self._clock_ms(), self._read_routing()
        silences = self._silences.read_standing(now_ms)
        found: dict[Labels, StandingAlert] = {}
        for alert in (*self._list_own(routing, silences), *self._list_posted(routing, silences)):
            found.setdefault(alert.labels, alert)
        return list(found.values())

    def _list_own(self, routing: Routing, silences: list[Muting]) -> Iterator[StandingAlert]:
        now_ms = self._clock_ms()
        for view in self._rules.list_all():
            rule, last = view.stored.rule, view.stored.last
            seen_ms = now_ms if last is None else last.at_ms
            for alert in view.standing:
                if alert.state is not AlertState.FIRING:
                    continue
                labels = alert_labels(rule, alert)
                yield StandingAlert(
                    labels=labels,
                    annotations=alert_annotations(rule, alert, now_ms=alert.active_ms),
                    generator_url="",
                    starts_ms=alert.active_ms,
                    updated_ms=seen_ms,
                    ends_ms=max(now_ms, seen_ms) + self._timeout_ms,
                    silenced_by=_find(silences, "silence_id", labels, now_ms),
                    muted_by=_find(silences, "maintenance_window_id", labels, now_ms),
                    groups=_make_groups(rule.id, choose_channels(rule, labels, routing))
                    or _find_unheard(routing, labels),
                )

    def _list_posted(self, routing: Routing, silences: list[Muting]) -> Iterator[StandingAlert]:
        now_ms = self._clock_ms()
        for alert in self._external.list_firing():
            yield StandingAlert(
                labels=alert.labels,
                annotations=alert.annotations,
                generator_url=alert.generator_url,
                starts_ms=alert.starts_ms,
                updated_ms=alert.updated_ms,
                ends_ms=alert.ends_ms,
                silenced_by=_find(silences, "silence_id", alert.labels, now_ms),
                muted_by=_find(silences, "maintenance_window_id", alert.labels, now_ms),
                groups=_make_groups(0, routing.choose(alert.labels))
                or _find_unheard(routing, alert.labels),
            )


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """What other people's Alertmanager clients work on, beside the silences.

    Args:
        external: takes in what they post.
        standing: what they list.
        read_routing: the routes they see.
    """

    external: ExternalAlertService
    standing: StandingAlerts
    read_routing: ReadRouting


def _make_groups(rule_id: int, chosen: Sequence[RoutedChannel]) -> tuple[AlertGroup, ...]:
    groups = [
        # A rule that names whom to tell is its own receiver.
        AlertGroup(one.receiver or f"rule {rule_id}", one.group_labels, one.group_key)
        for one in chosen
    ]
    return tuple(dict.fromkeys(groups))


def _find_unheard(routing: Routing, labels: Labels) -> tuple[AlertGroup, ...]:
    """Return the receivers without channels that an alert goes to."""
    steps = routing.explain(labels)
    return tuple(AlertGroup(one.receiver, EMPTY_LABELS, one.path) for one in steps if one.chosen)


def _find(mutings: list[Muting], kind: str, labels: Labels, now_ms: int) -> tuple[int, ...]:
    ids = (one.details.get(kind) for one in mutings if one.covers(labels, now_ms))
    return tuple(found for found in ids if isinstance(found, int))
