"""The table of annotations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tidegauge.model.annotations import Annotation, AnnotationQuery
from tidegauge.storage.accounts_rows import AuditEntry
from tidegauge.storage.audit import write_audit
from tidegauge.storage.dashboard_rows import Seen
from tidegauge.storage.moments import to_moment, to_ms
from tidegauge.storage.pool import Pool

# Somebody waits for a panel, and can do without its marks.
_AT_MOST_S = 10.0

_ADD = """
INSERT INTO annotations
    (starts_at, ends_at, title, text, tags, dashboard_id, panel_id, owner_id)
VALUES (
    %(starts_at)s, %(ends_at)s, %(title)s, %(text)s, %(tags)s, %(dashboard_id)s, %(panel_id)s,
    %(owner_id)s
)
RETURNING starts_at, ends_at, title, text, tags, dashboard_id, panel_id, owner_id, id, created_at
"""
_READ_PAGE = """
SELECT starts_at, ends_at, title, text, tags, dashboard_id, panel_id, owner_id, id, created_at
FROM annotations
WHERE (%(end)s::timestamptz IS NULL OR starts_at <= %(end)s)
    AND (%(start)s::timestamptz IS NULL OR coalesce(ends_at, starts_at) >= %(start)s)
    AND (%(before)s::timestamptz IS NULL
        OR (starts_at, id) < (%(before)s, %(before_id)s::bigint))
    AND (%(all_tags)s::text[] IS NULL OR tags @> %(all_tags)s::text[])
    AND (%(any_tags)s::text[] IS NULL OR tags && %(any_tags)s::text[])
    AND CASE
        WHEN dashboard_id IS NULL THEN %(or_for_all)s OR %(dashboard_id)s::bigint IS NULL
        WHEN %(dashboard_id)s::bigint IS NULL THEN NOT %(or_for_all)s
        ELSE dashboard_id = %(dashboard_id)s::bigint
    END
    AND (%(panel_id)s::bigint IS NULL OR panel_id = %(panel_id)s::bigint)
    AND (%(everything)s OR owner_id = %(user_id)s OR NOT EXISTS (
        SELECT FROM dashboards AS held
        WHERE held.id = annotations.dashboard_id
            AND NOT held.is_public AND held.owner_id IS DISTINCT FROM %(user_id)s
    ))
ORDER BY starts_at DESC, id DESC LIMIT %(limit)s
"""
_FIND = """
SELECT starts_at, ends_at, title, text, tags, dashboard_id, panel_id, owner_id, id, created_at
FROM annotations
WHERE id = ANY(%(ids)s::bigint[])
    AND (%(everything)s OR owner_id = %(user_id)s OR NOT EXISTS (
        SELECT FROM dashboards AS held
        WHERE held.id = annotations.dashboard_id
            AND NOT held.is_public AND held.owner_id IS DISTINCT FROM %(user_id)s
    ))
ORDER BY id
"""
_DELETE = "DELETE FROM annotations WHERE id = ANY(%s::bigint[])"


class PostgresAnnotations:
    """Annotations in PostgreSQL; safe to use from many threads. See `protocol.AnnotationStore`.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def add(self, annotation: Annotation) -> Annotation:
        """Store one and return it with its id."""
        values = {
            "starts_at": to_moment(annotation.time_ms),
            "ends_at": to_moment(annotation.time_end_ms),
            "title": annotation.title,
            "text": annotation.text,
            "tags": list(annotation.tags),
            "dashboard_id": annotation.dashboard_id,
            "panel_id": annotation.panel_id,
            "owner_id": annotation.owner_id,
        }
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_ADD, values)
            return _read(lent.fetchall()[0])

    def read_page(self, asked: AnnotationQuery, seen: Seen) -> list[Annotation]:
        """Return what is asked for and may be seen, newest first."""
        tags = list(asked.tags) or None
        before_ms, before_id = asked.before or (None, None)
        values = {
            "start": to_moment(asked.start_ms),
            "end": to_moment(asked.end_ms),
            "all_tags": None if asked.any_tag else tags,
            "any_tags": tags if asked.any_tag else None,
            "dashboard_id": asked.dashboard_id,
            "or_for_all": asked.or_for_all,
            "panel_id": asked.panel_id,
            "before": to_moment(before_ms),
            "before_id": before_id,
            "limit": asked.limit,
            "everything": seen.everything,
            "user_id": seen.user_id,
        }
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_READ_PAGE, values)
            return [_read(row) for row in lent.fetchall()]

    def find(self, ids: Sequence[int], seen: Seen) -> list[Annotation]:
        """Return those that there are and that may be seen."""
        values = {"ids": list(ids), "everything": seen.everything, "user_id": seen.user_id}
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_FIND, values)
            return [_read(row) for row in lent.fetchall()]

    def delete(self, ids: Sequence[int], audit: Sequence[AuditEntry]) -> None:
        """Delete these and record it; those that are gone already are no fault."""
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_DELETE, (list(ids),))
            for entry in audit:
                write_audit(lent, entry)


def _read(row: Sequence[Any]) -> Annotation:
    starts_at, ends_at, title, text, tags, dashboard_id, panel_id, owner_id, number, made_at = row
    return Annotation(
        time_ms=to_ms(starts_at),
        time_end_ms=to_ms(ends_at),
        title=title,
        text=text,
        tags=tuple(tags),
        dashboard_id=dashboard_id,
        panel_id=panel_id,
        owner_id=owner_id,
        id=number,
        created_ms=to_ms(made_at),
    )
