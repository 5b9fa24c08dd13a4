"""The table of recording rules, and how the last evaluation of each went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from psycopg2.extensions import cursor

from tidegauge.errors import NotFound
from tidegauge.model.alerts import LastEvaluation, RuleOrigin
from tidegauge.model.recording import RecordingRule
from tidegauge.storage.accounts_rows import AuditEntry
from tidegauge.storage.audit import write_audit
from tidegauge.storage.moments import to_moment, to_ms
from tidegauge.storage.pool import Pool

_AT_MOST_S = 10.0

# In the order in which groups are evaluated.
_READ_ALL = """
SELECT rules.id, revision, record, query, labels, interval_ms, series_limit, query_offset_ms,
    file_name, group_name, place, position, evaluated_at, took_ms, series, missed, error
FROM recording_rules AS rules LEFT JOIN recording_evaluations ON rule_id = rules.id
ORDER BY file_name, group_name, position, rules.id
"""
_ADD = """
INSERT INTO recording_rules (record, query, labels, interval_ms, series_limit, query_offset_ms,
    file_name, group_name, place, position)
VALUES (%(record)s, %(query)s, %(labels)s, %(interval_ms)s, %(limit)s, %(query_offset_ms)s,
    %(file)s, %(group)s, %(place)s, %(position)s)
RETURNING id
"""
_REPLACE = """
UPDATE recording_rules SET revision = nextval('alert_rule_revisions'), record = %(record)s,
    query = %(query)s, labels = %(labels)s, interval_ms = %(interval_ms)s,
    series_limit = %(limit)s, query_offset_ms = %(query_offset_ms)s, position = %(position)s,
    changed_at = now()
WHERE id = %(id)s
"""
_DELETE = "DELETE FROM recording_rules WHERE id = %s"
# A rule that was deleted meanwhile has no row any more that its evaluation could refer to.
_LOCK = "SELECT id FROM recording_rules WHERE id = ANY(%s::integer[]) ORDER BY id FOR KEY SHARE"
_NOTE = """
INSERT INTO recording_evaluations (rule_id, evaluated_at, took_ms, series, missed, error)
SELECT * FROM unnest(%s::integer[], %s::timestamptz[], %s::float8[], %s::integer[],
    %s::bigint[], %s::text[]) AS new (rule_id)
ORDER BY new.rule_id
ON CONFLICT (rule_id) DO UPDATE SET
    evaluated_at = excluded.evaluated_at, took_ms = excluded.took_ms, series = excluded.series,
    missed = recording_evaluations.missed + excluded.missed, error = excluded.error
"""


@dataclass(frozen=True, slots=True)
class StoredRecording:
    """A rule, and how its last evaluation went; None: there was none yet."""

    rule: RecordingRule
    last: LastEvaluation | None


class RecordingRules:
    """The recording rules; safe to use from many threads.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def read_all(self) -> list[StoredRecording]:
        """Return every rule, those of a group together and in its order.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_READ_ALL)
            return [_read(row) for row in lent.fetchall()]

    def add(self, rule: RecordingRule, audit: AuditEntry) -> int:
        """Store a rule and return its id.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_ADD, _values(rule))
            (rule_id,) = lent.fetchall()[0]
            write_audit(lent, audit, target=f"recording:{rule_id}")
            return int(rule_id)

    def replace(self, rule: RecordingRule, audit: AuditEntry) -> None:
        """Store a rule over the one with its id.

        Raises:
            NotFound, Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_REPLACE, _values(rule))
            if lent.rowcount == 0:
                raise NotFound(f"there is no recording rule {rule.id}")
            write_audit(lent, audit)

    def delete(self, rule_id: int, audit: AuditEntry) -> None:
        """Delete a rule; what it has recorded stays.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_DELETE, (rule_id,))
            write_audit(lent, audit)


def note_recordings(lent: cursor, noted: Sequence[tuple[int, LastEvaluation]]) -> None:
    """Note evaluations, by rule, in the transaction at hand; `missed` is added up."""
    if not noted:
        return
    lent.execute(_LOCK, ([rule_id for rule_id, _ in noted],))
    there = {row[0] for row in lent.fetchall()}
    valid = [one for one in noted if one[0] in there]
    lent.execute(
        _NOTE,
        (
            [rule_id for rule_id, _ in valid],
            [to_moment(last.at_ms) for _, last in valid],
            [last.took_ms for _, last in valid],
            [last.series for _, last in valid],
            [last.missed for _, last in valid],
            [last.error for _, last in valid],
        ),
    )


def _read(row: Sequence[Any]) -> StoredRecording:
    rule = RecordingRule(
        id=row[0],
        revision=row[1],
        record=row[2],
        query=row[3],
        labels=row[4],
        interval_ms=row[5],
        limit=row[6],
        query_offset_ms=row[7],
        origin=RuleOrigin(row[8], row[9], row[10]),
        position=row[11],
    )
    if row[12] is None:
        return StoredRecording(rule, None)
    return StoredRecording(rule, LastEvaluation(to_ms(row[12]), row[13], row[14], row[15], row[16]))


def _values(rule: RecordingRule) -> dict[str, object]:
    return {
        "id": rule.id,
        "record": rule.record,
        "query": rule.query,
        "labels": orjson.dumps(dict(rule.labels)).decode(),
        "interval_ms": rule.interval_ms,
        "limit": rule.limit,
        "query_offset_ms": rule.query_offset_ms,
        "file": rule.origin.file,
        "group": rule.origin.group,
        "place": rule.origin.place,
        "position": rule.position,
    }
