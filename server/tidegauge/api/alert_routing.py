"""`/api/v1/alerts/routing`: whom alerts are told to, by their labels. Source: SPEC §7."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response

from tidegauge.alerts.notifiers.channels import hide_secrets
from tidegauge.alerts.routing_document import MAX_TEXT_CHARS, RoutingDocument
from tidegauge.errors import InvalidInput
from tidegauge.model.labels import make_labels
from tidegauge.model.routing import RoutedChannel
from tidegauge.storage.alert_routes import StoredRouting
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.context import routing
from tidegauge.web.errors import json_response
from tidegauge.web.identity import current_actor, current_principal
from tidegauge.web.openapi import describe

CHANGE = "routing:change"
MAX_LABELS = 128

blueprint = Blueprint("alert_routing", __name__, url_prefix="/api/v1/alerts/routing")


class RoutingBody(RoutingDocument, kw_only=True):
    """Receivers and routes, and the revision that was changed."""

    revision: int


class PreviewBody(msgspec.Struct, forbid_unknown_fields=True):
    """The labels of an alert."""

    labels: dict[str, str]


@blueprint.get("")
@require("alert:read")
@describe()
def read_routing() -> Response:
    """Show receivers and routes; what channels hold of secrets only to who may change them."""
    return _answer(routing().read())


@blueprint.put("")
@require(CHANGE)
@describe(body=RoutingBody)
def replace_routing() -> Response:
    """Put other receivers and routes in the place of those of a revision."""
    body = read_json(RoutingBody)
    document = RoutingDocument(receivers=body.receivers, route=body.route)
    return _answer(routing().replace(document, current_actor(), revision=body.revision))


@blueprint.post("/preview")
@require("alert:read")
@describe(body=PreviewBody)
def preview_routing() -> Response:
    """Say which routes an alert with these labels would take, and who would be told."""
    labels = read_json(PreviewBody).labels
    if len(labels) > MAX_LABELS:
        raise InvalidInput(f"labels: there are {len(labels)}, at most {MAX_LABELS} are taken")
    for name, text in labels.items():
        if len(text) > MAX_TEXT_CHARS:
            raise InvalidInput(
                f"labels.{name[:64]}: {len(text)} characters, at most {MAX_TEXT_CHARS} are taken"
            )
    found = routing().preview(make_labels(labels))
    return json_response(
        {
            "data": {
                "routes": [
                    {
                        "path": one.path,
                        "receiver": one.receiver,
                        "matched": one.matched,
                        "chosen": one.chosen,
                        "reason": one.reason,
                    }
                    for one in found.steps
                ],
                "receivers": [one.receiver for one in found.steps if one.chosen],
                "channels": [_describe_channel(one) for one in found.chosen],
            }
        }
    )


def _answer(stored: StoredRouting) -> Response:
    receivers = stored.document.get("receivers", [])
    shown = receivers if current_principal().may(CHANGE) else [_hide(one) for one in receivers]
    return json_response(
        {
            "data": {
                "receivers": shown,
                "route": stored.document.get("route"),
                "revision": stored.revision,
                "changed_by": stored.changed_by,
                "changed_at": stored.changed_ms,
            }
        }
    )


def _hide(receiver: dict[str, Any]) -> dict[str, object]:
    # A target may hold a password, or be one.
    return {"name": receiver["name"], "channels": [hide_secrets(c) for c in receiver["channels"]]}


def _describe_channel(routed: RoutedChannel) -> dict[str, object]:
    return {
        "receiver": routed.receiver,
        "channel": hide_secrets(routed.channel),
        "group_key": routed.group_key,
        "group_labels": dict(routed.group_labels),
        "group_wait_ms": routed.wait_ms,
        "group_interval_ms": routed.interval_ms,
        "repeat_interval_ms": routed.repeat_ms,
    }
