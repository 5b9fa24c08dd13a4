"""`/api/v1/alerts/<id>/acknowledge`: somebody takes on what fires. Source: SPEC §7."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from flask import Blueprint, Response

from tidegauge.alerts.acknowledging import Taken, Which
from tidegauge.model.labels import make_labels
from tidegauge.storage.acknowledgements import Acknowledgement
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.context import acknowledging
from tidegauge.web.errors import json_response
from tidegauge.web.identity import current_actor
from tidegauge.web.openapi import TEXT, describe
from tidegauge.web.params import read_params

blueprint = Blueprint("alert_acknowledgements", __name__, url_prefix="/api/v1/alerts")


class AcknowledgeBody(msgspec.Struct, forbid_unknown_fields=True):
    """Which firing alerts of the rule somebody takes on.

    Args:
        labels: those that have all of these; none: every one.
        fingerprint: the one with this fingerprint.
        comment: for others to read.
        keep_repeating: whether people are told again all the same.
    """

    labels: dict[str, str] = msgspec.field(default_factory=dict)
    fingerprint: str = ""
    comment: str = ""
    keep_repeating: bool = False


@blueprint.post("/<int:rule_id>/acknowledge")
@require("alert:acknowledge")
@describe(body=AcknowledgeBody)
def acknowledge(rule_id: int) -> Response:
    """Take on what fires: people are not told again until it is over."""
    body = read_json(AcknowledgeBody)
    taken = acknowledging().add(
        rule_id,
        Which(make_labels(body.labels), body.fingerprint),
        comment=body.comment,
        keep_repeating=body.keep_repeating,
        actor=current_actor(),
    )
    return _answer(taken)


@blueprint.delete("/<int:rule_id>/acknowledge")
@require("alert:acknowledge")
@describe(query={"fingerprint": TEXT})
def take_back(rule_id: int) -> Response:
    """Take acknowledgements back: of the alert with this fingerprint, or of all of the rule."""
    which = Which(fingerprint=read_params().first("fingerprint"))
    return _answer(acknowledging().take_back(rule_id, which, current_actor()))


def describe_acknowledgement(taken: Acknowledgement) -> dict[str, object]:
    """Return an acknowledgement as the API shows it."""
    return {
        "by": taken.made_by,
        "at": taken.made_ms,
        "comment": taken.comment,
        "keep_repeating": taken.keep_repeating,
    }


def _answer(alerts: Sequence[Taken]) -> Response:
    rows = [
        {
            "labels": dict(one.labels),
            "acknowledgement": None
            if one.acknowledgement is None
            else describe_acknowledgement(one.acknowledgement),
        }
        for one in alerts
    ]
    return json_response({"data": rows})
