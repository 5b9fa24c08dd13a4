"""Alertmanager's API, version 2, below `/alertmanager`: its status, and alerts both ways.

Source: Alertmanager `api/v2/openapi.yaml`, `api/v2/api.go`; grafana-contract §3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
from flask import Blueprint, Response

from tidegauge import __version__
from tidegauge.alerts.external import check_count
from tidegauge.alerts.standing import AlertGroup, StandingAlert
from tidegauge.compat.alertmanager_config import receiver_names, write_config
from tidegauge.compat.alertmanager_json import (
    NOBODY,
    read_time_ms,
    receivers_of,
    shape_alert,
    shape_group,
    write_time,
)
from tidegauge.compat.alertmanager_params import (
    read_flag,
    read_matchers,
    read_receiver,
)
from tidegauge.errors import InvalidInput
from tidegauge.model.external_alerts import PostedAlert
from tidegauge.model.labels import EMPTY_LABELS, make_labels
from tidegauge.model.matchers import Matcher
from tidegauge.model.silences import fit
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.context import alertmanager, services
from tidegauge.web.errors import json_response
from tidegauge.web.openapi import FLAG, TEXT, TEXTS, describe
from tidegauge.web.params import read_params

MAX_BODY_BYTES = 8 * 1024 * 1024

_WANTED = {
    "filter": TEXTS,
    "active": FLAG,
    "silenced": FLAG,
    "inhibited": FLAG,
    "receiver": TEXT,
    "receiver_matchers": TEXTS,
}

blueprint = Blueprint("alertmanager", __name__, url_prefix="/alertmanager/api/v2")


class PostableAlert(msgspec.Struct, rename="camel"):
    """An alert as Prometheus and Grafana send it.

    Args:
        labels: tell it from all others.
        annotations: texts for people.
        starts_at, ends_at: RFC 3339; without an end it is over some minutes after it came last.
        generator_url: where it was found.
    """

    labels: dict[str, str]
    annotations: dict[str, str] | None = None
    starts_at: str | None = None
    ends_at: str | None = None
    generator_url: str | None = msgspec.field(default=None, name="generatorURL")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which alerts are asked for.

    Args:
        matchers: all of them must fit.
        active: also those that nothing keeps quiet.
        silenced: also those that a silence does.
        fits_receiver: whether a receiver is asked for.
        any_receiver: False: none is, since ours have no labels.
    """

    matchers: tuple[Matcher, ...]
    active: bool
    silenced: bool
    fits_receiver: Callable[[str], bool]
    any_receiver: bool

    def takes(self, alert: StandingAlert) -> bool:
        """Return whether an alert is asked for, whoever is told of it."""
        shown = self.active or alert.quiet
        shown = shown and (self.silenced or not alert.silenced_by)
        return shown and self.any_receiver and fit(self.matchers, alert.labels)


@blueprint.get("/status")
@require("alert:read")
@describe()
def status() -> Response:
    """Tell the version, the start, and the routes as Alertmanager's configuration."""
    held = services()
    started_ms = held.clock_ms() - int(held.health.report().uptime_s * 1000)
    version = dict.fromkeys(("revision", "branch", "buildUser", "buildDate", "goVersion"), "")
    return json_response(
        {
            "cluster": {"status": "disabled", "peers": []},
            "versionInfo": {"version": __version__, **version},
            "config": {"original": write_config(alertmanager().read_routing())},
            "uptime": write_time(started_ms),
        }
    )


@blueprint.get("/receivers")
@require("alert:read")
@describe(query={"receiver_matchers": TEXTS})
def receivers() -> Response:
    """List the receivers that routes name."""
    if not fit(read_matchers(read_params(), "receiver_matchers"), EMPTY_LABELS):
        return json_response([])
    names = receiver_names(alertmanager().read_routing())
    return json_response([{"name": name, "labels": {}} for name in names])


@blueprint.get("/alerts")
@require("alert:read")
@describe(query={**_WANTED, "unprocessed": FLAG})
def list_alerts() -> Response:
    """List the alerts that fire, our own and those that others post."""
    wanted = _read_wanted()
    shaped = [
        shape_alert(one)
        for one in alertmanager().standing.list_all()
        if wanted.takes(one) and any(map(wanted.fits_receiver, receivers_of(one)))
    ]
    return json_response(sorted(shaped, key=_by_fingerprint))


@blueprint.post("/alerts")
@require("alert:post")
@describe(body=list[PostableAlert], answer="")
def post_alerts() -> Response:
    """Take in alerts that others found, into the same routes, silences and history."""
    body = read_json(list[PostableAlert], max_bytes=MAX_BODY_BYTES)
    check_count(len(body))
    faults: list[str] = []
    posted = list(_read_posted(body, faults))
    try:
        alertmanager().external.post(posted, now_ms=services().clock_ms())
    except InvalidInput as exc:
        faults.append(exc.message)
    if faults:
        raise InvalidInput("; ".join(faults))
    return Response(status=200)


@blueprint.get("/alerts/groups")
@require("alert:read")
@describe(query={**_WANTED, "muted": FLAG})
def list_groups() -> Response:
    """List the alerts that fire by who hears of them together."""
    wanted, with_muted = _read_wanted(), read_flag(read_params(), "muted")
    found: dict[AlertGroup, list[StandingAlert]] = {}
    for alert in alertmanager().standing.list_all():
        if wanted.takes(alert):
            for group in alert.groups or (AlertGroup(NOBODY, EMPTY_LABELS, ""),):
                if wanted.fits_receiver(group.receiver):
                    found.setdefault(group, []).append(alert)
    shaped = [
        shape_group(group, sorted(map(shape_alert, found[group]), key=_by_fingerprint))
        for group in sorted(found, key=lambda one: (one.labels, one.receiver, one.key))
        if with_muted or not all(one.quiet for one in found[group])
    ]
    return json_response(shaped)


def _read_wanted() -> Wanted:
    params = read_params()
    return Wanted(
        matchers=read_matchers(params, "filter"),
        active=read_flag(params, "active"),
        silenced=read_flag(params, "silenced"),
        fits_receiver=read_receiver(params),
        any_receiver=fit(read_matchers(params, "receiver_matchers"), EMPTY_LABELS),
    )


def _read_posted(body: list[PostableAlert], faults: list[str]) -> Iterator[PostedAlert]:
    """Yield the alerts of a body; say of those that cannot be read why."""
    for place, one in enumerate(body):
        try:
            yield PostedAlert(
                labels=make_labels(one.labels),
                annotations=one.annotations or {},
                generator_url=one.generator_url or "",
                starts_ms=read_time_ms("startsAt", one.starts_at),
                ends_ms=read_time_ms("endsAt", one.ends_at),
            )
        except InvalidInput as exc:
            faults.append(f"alert {place}: {exc.message}")


def _by_fingerprint(shaped: dict[str, object]) -> str:
    return str(shaped["fingerprint"])
