"""Sets, lists and deletes annotations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tidegauge.annotations.grafana_alerts import (
    MAX_ALERTS,
    GrafanaAlert,
    find_same,
    identify,
    make_mark,
)
from tidegauge.auth.actor import Actor
from tidegauge.auth.principal import Principal
from tidegauge.auth.seen import seen_by
from tidegauge.errors import Forbidden, InvalidInput, NotFound
from tidegauge.model.annotations import Annotation, AnnotationQuery
from tidegauge.storage.accounts_rows import AuditEntry
from tidegauge.storage.protocol import AnnotationStore

MAX_TITLE_CHARS = 256
MAX_TEXT_CHARS = 8192
MAX_TAGS = 32
MAX_TAG_CHARS = 128
MAX_PAGE = 1000
MAX_TIME_MS = 253_402_300_799_999
"""The end of the year 9999: later times fit no calendar."""

MAX_ID = 2**31 - 1


class AnnotationService:
    """Sets, lists and deletes annotations; safe to use from many threads.

    Args:
        store: keeps them.
        list_alerts: lists what alerts went through as if these were annotations.
    """

    def __init__(
        self,
        *,
        store: AnnotationStore,
        list_alerts: Callable[[AnnotationQuery], Sequence[Annotation]] = lambda _wanted: (),
    ) -> None:
        self._store = store
        self.list_alerts = list_alerts

    def add(self, annotation: Annotation, principal: Principal) -> Annotation:
        """Store an annotation as the principal's own, and return it with its id.

        Raises:
            InvalidInput: a text is too long, or a time out of range. Unavailable.
        """
        _check_times(annotation)
        _check_texts(annotation)
        _check_number("dashboard_id", annotation.dashboard_id)
        _check_number("panel_id", annotation.panel_id)
        if annotation.panel_id is not None and annotation.dashboard_id is None:
            raise InvalidInput("panel_id: a panel is one of a dashboard; dashboard_id is missing")
        tags = tuple(sorted(set(annotation.tags)))
        return self._store.add(replace(annotation, tags=tags, owner_id=principal.user_id))

    def keep_grafana_alerts(self, alerts: Sequence[GrafanaAlert], principal: Principal) -> int:
        """Keep Grafana's alerts as marks, and return how many were news.

        Raises:
            InvalidInput: one of them makes no sense; those before it are kept. Unavailable.
        """
        if len(alerts) > MAX_ALERTS:
            raise InvalidInput(f"alerts: {len(alerts)} of them, at most {MAX_ALERTS} are taken")
        return sum(self._keep_grafana_alert(alert, principal) for alert in alerts)

    def _keep_grafana_alert(self, alert: GrafanaAlert, principal: Principal) -> bool:
        mark = replace(make_mark(alert), owner_id=principal.user_id)
        asked = AnnotationQuery(
            limit=MAX_PAGE, start_ms=mark.time_ms, end_ms=mark.time_ms, tags=identify(alert)
        )
        known = find_same(self._store.read_page(asked, seen_by(principal)), mark)
        if known is not None and (mark.time_end_ms is None or known.time_end_ms is not None):
            return False
        self.add(mark, principal)
        if known is not None:
            self._store.delete([known.id], [])
        return True

    def read_page(
        self, asked: AnnotationQuery, principal: Principal
    ) -> tuple[list[Annotation], bool]:
        """Return what is asked for and may be seen, newest first, and whether there is more.

        Raises:
            InvalidInput: too much is asked for. Unavailable.
        """
        if not 1 <= asked.limit <= MAX_PAGE:
            raise InvalidInput(f"limit: {asked.limit} is not from 1 to {MAX_PAGE}")
        if len(asked.tags) > MAX_TAGS:
            raise InvalidInput(f"tags: {len(asked.tags)} of them, at most {MAX_TAGS} are taken")
        for tag in asked.tags:
            _check_text("tags", tag, MAX_TAG_CHARS)
        before_ms = asked.before[0] if asked.before else None
        times = (("start", asked.start_ms), ("end", asked.end_ms), ("after", before_ms))
        for name, time_ms in times:
            if time_ms is not None:
                _check_time(name, time_ms)
        found = self._store.read_page(replace(asked, limit=asked.limit + 1), seen_by(principal))
        return found[: asked.limit], len(found) > asked.limit

    def read(self, annotation_id: int, principal: Principal) -> Annotation:
        """Return one annotation that may be seen.

        Raises:
            NotFound, Unavailable.
        """
        return self._find([annotation_id], principal)[0]

    def delete(self, ids: Sequence[int], principal: Principal, actor: Actor) -> None:
        """Delete annotations: all of these, or none.

        Args:
            actor: the principal, as the log of changes says it.
        Raises:
            NotFound: one of them does not exist.
            Forbidden: one of them belongs to somebody else.
            Unavailable.
        """
        found = self._find(ids, principal)
        for one in found:
            if not principal.may_touch("annotation", "delete", one.owner_id):
                raise Forbidden(
                    f"annotation {one.id} is not yours: its owner deletes it, or an admin"
                )
        others = [one for one in found if one.owner_id != principal.user_id]
        self._store.delete(ids, [_deletion(one, actor) for one in others])

    def _find(self, ids: Sequence[int], principal: Principal) -> list[Annotation]:
        # What is no id of ours is not there, either; the table could not even hold it.
        found = self._store.find([one for one in ids if 0 < one <= MAX_ID], seen_by(principal))
        missing = sorted(set(ids) - {one.id for one in found})
        if missing:
            raise NotFound(f"there is no annotation {missing[0]}")
        return found


def _deletion(annotation: Annotation, actor: Actor) -> AuditEntry:
    text = (annotation.title or annotation.text)[:MAX_TITLE_CHARS]
    details = {"owner_id": annotation.owner_id, "text": text}
    return actor.entry("annotation.delete", f"annotation:{annotation.id}", details)


def _check_times(annotation: Annotation) -> None:
    _check_time("time", annotation.time_ms)
    if annotation.time_end_ms is not None:
        _check_time("time_end", annotation.time_end_ms)
        if annotation.time_end_ms < annotation.time_ms:
            raise InvalidInput("time_end: it lies before time")


def _check_time(name: str, time_ms: int) -> None:
    if not 0 <= time_ms <= MAX_TIME_MS:
        raise InvalidInput(f"{name}: {time_ms} ms is not between the years 1970 and 9999")


def _check_texts(annotation: Annotation) -> None:
    if not annotation.title and not annotation.text:
        raise InvalidInput("text: it is empty, and so is title; one of them is wanted")
    _check_text("title", annotation.title, MAX_TITLE_CHARS)
    _check_text("text", annotation.text, MAX_TEXT_CHARS)
    if len(annotation.tags) > MAX_TAGS:
        raise InvalidInput(f"tags: {len(annotation.tags)} of them, at most {MAX_TAGS} are taken")
    for tag in annotation.tags:
        if not tag or "," in tag:
            raise InvalidInput(f'tags: "{tag[:64]}" is empty or has a comma in it')
        _check_text("tags", tag, MAX_TAG_CHARS)


def _check_text(name: str, text: str, most: int) -> None:
    if len(text) > most:
        raise InvalidInput(f"{name}: {len(text)} characters, at most {most} are taken")
    if "\0" in text:
        raise InvalidInput(f"{name}: it holds a NUL character, which cannot be stored")


def _check_number(name: str, number: int | None) -> None:
    if number is not None and not 0 < number <= MAX_ID:
        raise InvalidInput(f"{name}: {number} is not from 1 to {MAX_ID}")
