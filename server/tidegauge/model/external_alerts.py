"""Alerts that others found and posted, as Alertmanager keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tidegauge.model.alerts import AlertState
from tidegauge.model.labels import Labels
from tidegauge.model.routing import RoutedChannel


@dataclass(frozen=True, slots=True)
class PostedAlert:
    """What somebody posts of an alert.

    Args:
        labels: tell it from all others.
        annotations: texts for people.
        generator_url: where it was found; "": nobody says.
        starts_ms, ends_ms: Unix ms; None: the sender leaves that to us.
    """

    labels: Labels
    annotations: Mapping[str, str] = field(default_factory=dict)
    generator_url: str = ""
    starts_ms: int | None = None
    ends_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """Somebody who has heard that an alert fires.

    Args:
        route: whom, and by which way.
        at_ms: when last, Unix ms.
    """

    route: RoutedChannel
    at_ms: int


@dataclass(frozen=True, slots=True)
class ExternalAlert:
    """An alert that was posted.

    Args:
        labels, annotations, generator_url: as they were posted last.
        starts_ms: the earliest start that was posted, Unix ms.
        ends_ms: when it is over, unless it is posted again.
        timed_out: that end is a time limit of ours, since the sender named none.
        updated_ms: when it was posted last, by the database's clock.
        state: firing or resolved; inactive before anybody has looked.
        told: who has heard that it fires.
        event_id: the event of its last change; 0 before there is one.
    """

    labels: Labels
    annotations: Mapping[str, str]
    generator_url: str
    starts_ms: int
    ends_ms: int
    timed_out: bool
    updated_ms: int
    state: AlertState = AlertState.INACTIVE
    told: tuple[Told, ...] = ()
    event_id: int = 0


def absorb(
    before: ExternalAlert | None, posted: PostedAlert, *, now_ms: int, timeout_ms: int
) -> ExternalAlert:
    """Return an alert after it was posted once more, or for the first time.

    Where the times of both overlap the earlier start holds, and the end that somebody named over
    one that is a time limit; otherwise it is an alert anew.

    Args:
        before: how it stood; None: nobody knows it.
        posted: what has come.
        now_ms: when, Unix ms.
        timeout_ms: after so long an alert without an end of its own is over.
    Source: Alertmanager `provider/mem/mem.go` (Put), `alert/alert.go` (Merge).
    """
    named = posted.ends_ms
    ends_ms = now_ms + timeout_ms if named is None else named
    starts_ms = posted.starts_ms
    if starts_ms is None:
        starts_ms = now_ms if named is None else named
    fresh = ExternalAlert(
        labels=posted.labels,
        annotations=posted.annotations,
        generator_url=posted.generator_url,
        starts_ms=starts_ms,
        ends_ms=ends_ms,
        timed_out=named is None,
        updated_ms=now_ms,
    )
    if before is None:
        return fresh
    kept = replace(fresh, state=before.state, told=before.told, event_id=before.event_id)
    if before.starts_ms < ends_ms < before.ends_ms or (
        before.starts_ms < starts_ms < before.ends_ms
    ):
        return _merge(before, kept, now_ms)
    return kept


def _merge(before: ExternalAlert, after: ExternalAlert, now_ms: int) -> ExternalAlert:
    merged = replace(after, starts_ms=min(before.starts_ms, after.starts_ms))
    if before.ends_ms <= after.ends_ms:
        return merged
    over = after.ends_ms <= now_ms
    if before.ends_ms <= now_ms if over else not before.timed_out:
        return replace(merged, ends_ms=before.ends_ms, timed_out=before.timed_out)
    return merged
