"""What alerts went through, as marks on the time axis."""

from __future__ import annotations

from collections.abc import Sequence

from tidegauge.alerts.service import AlertService
from tidegauge.model.alerts import AlertState
from tidegauge.model.annotations import Annotation, AnnotationQuery
from tidegauge.storage.alert_events import AlertEvent

_EPOCH_MS, _FAR_MS = 0, 253_402_300_799_999


def list_marks(service: AlertService, wanted: AnnotationQuery) -> Sequence[Annotation]:
    """Return a mark for each time that an alert began or ceased to fire, the newest first.

    Args:
        service: the alerts.
        wanted: range, limit and tags; a tag is `label:value`, or the name of a rule.
    Raises:
        Unavailable.
    """
    events = service.read_events(
        start_ms=_EPOCH_MS if wanted.start_ms is None else wanted.start_ms,
        end_ms=_FAR_MS if wanted.end_ms is None else wanted.end_ms,
        limit=wanted.limit,
    )
    marks = [_make_mark(one) for one in events]
    return [one for one in marks if _fits(one.tags, wanted)]


def _make_mark(event: AlertEvent) -> Annotation:
    word = "firing" if event.state is AlertState.FIRING else "resolved"
    value = "" if event.value is None else f", value {event.value:g}"
    # Commas part tags; a value with one would become two of them.
    tags = [f"{name}:{text}".replace(",", " ") for name, text in event.labels]
    return Annotation(
        time_ms=event.at_ms,
        title=f"{event.rule_name} {word}",
        text=f"{event.severity}{value}",
        tags=tuple(sorted({word, event.rule_name.replace(",", " "), *tags})),
        id=event.id,
    )


def _fits(tags: tuple[str, ...], wanted: AnnotationQuery) -> bool:
    has = [tag in tags for tag in wanted.tags]
    return not has or (any(has) if wanted.any_tag else all(has))
