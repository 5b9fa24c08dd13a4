"""The channel types that are built in, and what each wants of a channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tidegauge.alerts.notifiers.email import Draw, EmailNotifier, draw_nothing
from tidegauge.alerts.notifiers.email_message import parse_recipients
from tidegauge.alerts.notifiers.protocol import Notifier
from tidegauge.alerts.notifiers.webhook import WebhookNotifier
from tidegauge.alerts.notifiers.webhook_target import parse_webhook
from tidegauge.config import NotifyConfig
from tidegauge.errors import InvalidInput

EMAIL, WEBHOOK = "email", "webhook"

_CHECKS: dict[str, Callable[[Mapping[str, Any]], object]] = {
    EMAIL: lambda channel: parse_recipients(_read_text(channel, "target")),
    WEBHOOK: parse_webhook,
}
_FIELDS = {
    EMAIL: frozenset({"type", "target"}),
    WEBHOOK: frozenset({"type", "target", "format", "headers", "secret"}),
}


def make_notifiers(config: NotifyConfig, *, draw: Draw = draw_nothing) -> dict[str, Notifier]:
    """Return the notifiers that are built in, by channel type.

    Args:
        config: the settings.
        draw: makes the charts of mails.
    """
    return {EMAIL: EmailNotifier(config, draw=draw), WEBHOOK: WebhookNotifier(config)}


def check_channel(channel: Mapping[str, Any]) -> None:
    """Return if a notification could go through this channel, as far as can be seen from here.

    Raises:
        InvalidInput: names the field.
    """
    kind = _read_text(channel, "type")
    if kind not in _CHECKS:
        raise InvalidInput(
            f'type: there is no channel type "{kind}"; there are {", ".join(_CHECKS)}'
        )
    unknown = sorted(set(channel) - _FIELDS[kind])
    if unknown:
        raise InvalidInput(f'{unknown[0]}: a channel of type "{kind}" has no such field')
    _CHECKS[kind](channel)


def hide_secrets(channel: Mapping[str, Any]) -> dict[str, str]:
    """Return type and target of a channel as the delivery log may show them."""
    kind, target = str(channel.get("type", "")), str(channel.get("target", ""))
    if kind == EMAIL:
        return {"type": kind, "target": target}
    try:
        return {"type": kind, "target": str(parse_webhook(channel).place)}
    except InvalidInput:
        return {"type": kind, "target": ""}


def _read_text(channel: Mapping[str, Any], name: str) -> str:
    text = channel.get(name)
    if not isinstance(text, str):
        raise InvalidInput(f"{name}: a text is wanted")
    return text
