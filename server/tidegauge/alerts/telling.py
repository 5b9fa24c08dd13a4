"""Whom to tell of an alert, and when again. Pure."""

from __future__ import annotations

from tidegauge.model.alerts import AlertInstance, AlertRule
from tidegauge.model.labels import Labels
from tidegauge.model.routing import RoutedChannel, Routing, format_labels


def choose_channels(rule: AlertRule, labels: Labels, routing: Routing) -> tuple[RoutedChannel, ...]:
    """Return whom to tell of an alert of a rule: those that it names, or else whom routes choose.

    Args:
        rule: the rule.
        labels: the alert's, with those of the rule.
        routing: the routes.
    """
    return own_channels(rule) or routing.choose(labels)


def own_channels(rule: AlertRule) -> tuple[RoutedChannel, ...]:
    """Return those whom a rule names itself; its alerts are one group, which waits for nothing."""
    common = (("alertname", rule.name),)
    key = f'{{}}/{{rule="{rule.id}"}}:{format_labels(common)}'
    return tuple(
        RoutedChannel(channel=channel, group_key=key, group_labels=common)
        for channel in rule.channels
    )


def may_be_due_again(
    rule: AlertRule, alert: AlertInstance, routing: Routing, *, now_ms: int
) -> bool:
    """Return whether anybody could have to be told again; False spares finding out whom."""
    routed_ms = None if rule.channels else routing.shortest_repeat_ms
    repeats_ms = [one for one in (rule.repeat_ms, routed_ms) if one]
    return bool(repeats_ms) and now_ms - (alert.notified_ms or 0) >= min(repeats_ms)


def due_again(
    channels: tuple[RoutedChannel, ...], rule: AlertRule, alert: AlertInstance, *, now_ms: int
) -> tuple[RoutedChannel, ...]:
    """Return those of the channels that are to be told again of what still fires.

    The one that is told most often counts from when it was last told; the others, of whom that is
    not known, from when the alert fired.
    """
    repeats_ms = [_repeat_ms(one, rule) for one in channels]
    shortest_ms = min(filter(None, repeats_ms), default=0)
    notified_ms = alert.notified_ms or 0
    if not shortest_ms or now_ms - notified_ms < shortest_ms:
        return ()
    fired_ms = alert.fired_ms or 0
    return tuple(
        one
        for one, repeat_ms in zip(channels, repeats_ms, strict=True)
        if repeat_ms
        and (
            repeat_ms == shortest_ms
            or (now_ms - fired_ms) // repeat_ms > (notified_ms - fired_ms) // repeat_ms
        )
    )


def _repeat_ms(channel: RoutedChannel, rule: AlertRule) -> int:
    return rule.repeat_ms if channel.repeat_ms is None else channel.repeat_ms
