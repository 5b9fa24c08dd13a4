"""The table of alert rules, and how the last evaluation of each went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from psycopg2.extensions import cursor

from tidegauge.errors import NotFound
from tidegauge.model.alerts import (
    AlertInstance,
    AlertRule,
    Condition,
    LastEvaluation,
    Policy,
    RuleOrigin,
    Severity,
)
from tidegauge.model.labels import make_labels
from tidegauge.storage.accounts_rows import AuditEntry
from tidegauge.storage.alert_changes import Change, write_changes
from tidegauge.storage.alert_instances import read_instances
from tidegauge.storage.audit import write_audit
from tidegauge.storage.moments import to_ms
from tidegauge.storage.pool import Pool

_AT_MOST_S = 10.0

_COLUMNS = """
SELECT rules.id, revision, name, query, condition, threshold, hold_ms, keep_firing_ms, interval_ms,
    repeat_ms, severity, enabled, no_data, on_error, labels, annotations, channels, owner_id,
    created_at, changed_at, evaluated_at, took_ms, series, missed, error, file_name, group_name,
    place, alert_limit, query_offset_ms, position
FROM alert_rules AS rules LEFT JOIN alert_evaluations ON rule_id = rules.id
"""
_READ_ALL = _COLUMNS + "ORDER BY rules.id"
_READ_PAGE = _COLUMNS + "WHERE rules.id > %(after)s ORDER BY rules.id LIMIT %(limit)s"
_FIND = _COLUMNS + "WHERE rules.id = %s"
_LOCK = "SELECT 1 FROM alert_rules WHERE id = %s FOR UPDATE"
_ADD = """
INSERT INTO alert_rules (name, query, condition, threshold, hold_ms, keep_firing_ms, interval_ms,
    repeat_ms, severity, enabled, no_data, on_error, labels, annotations, channels, owner_id,
    file_name, group_name, place, alert_limit, query_offset_ms, position)
VALUES (%(name)s, %(query)s, %(condition)s, %(threshold)s, %(hold_ms)s, %(keep_firing_ms)s,
    %(interval_ms)s, %(repeat_ms)s, %(severity)s, %(enabled)s, %(no_data)s, %(on_error)s,
    %(labels)s, %(annotations)s, %(channels)s, %(owner_id)s, %(file)s, %(group)s, %(place)s,
    %(limit)s, %(query_offset_ms)s, %(position)s)
RETURNING id
"""
_REPLACE = """
UPDATE alert_rules SET revision = nextval('alert_rule_revisions'), name = %(name)s,
    query = %(query)s, condition = %(condition)s, threshold = %(threshold)s, hold_ms = %(hold_ms)s,
    keep_firing_ms = %(keep_firing_ms)s, interval_ms = %(interval_ms)s, repeat_ms = %(repeat_ms)s,
    severity = %(severity)s, enabled = %(enabled)s, no_data = %(no_data)s,
    on_error = %(on_error)s, labels = %(labels)s, annotations = %(annotations)s,
    channels = %(channels)s, alert_limit = %(limit)s, query_offset_ms = %(query_offset_ms)s,
    position = %(position)s, changed_at = now()
WHERE id = %(id)s
"""
_DELETE = "DELETE FROM alert_rules WHERE id = %s"
# Changes commit in another order than they took their revisions, so the highest would not do.
_READ_VERSION = """
SELECT count(*), coalesce(sum(revision), 0)::bigint
FROM (SELECT revision FROM alert_rules UNION ALL SELECT revision FROM recording_rules) AS both_kinds
"""

End = Callable[[AlertInstance], Change]
"""Says what the end of a rule means for one of its label sets."""


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule, and how its last evaluation went; None: there was none yet."""

    rule: AlertRule
    last: LastEvaluation | None


class AlertRules:
    """The alert rules; safe to use from many threads.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def read_version(self) -> tuple[int, int]:
        """Return what differs whenever any rule of either kind was made, changed or deleted.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_READ_VERSION)
            count, revisions = lent.fetchall()[0]
            return count, revisions

    def read_all(self) -> list[StoredRule]:
        """Return every rule, by id.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_READ_ALL)
            return [_read(row) for row in lent.fetchall()]

    def read_page(self, *, after: int, limit: int) -> list[StoredRule]:
        """Return rules in the order of their ids, from the first behind `after`.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_READ_PAGE, {"after": after, "limit": limit})
            return [_read(row) for row in lent.fetchall()]

    def read(self, rule_id: int) -> StoredRule:
        """Return one rule.

        Raises:
            NotFound, Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            return _read_one(lent, rule_id)

    def read_instances(self, rule_ids: Sequence[int]) -> dict[int, list[AlertInstance]]:
        """Return the label sets of these rules that are not inactive, by rule.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            return read_instances(lent, rule_ids)

    def add(self, rule: AlertRule, audit: AuditEntry) -> StoredRule:
        """Store a rule and return it with its id.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_ADD, _values(rule))
            (rule_id,) = lent.fetchall()[0]
            write_audit(lent, audit, target=f"alert:{rule_id}")
            return _read_one(lent, rule_id)

    def replace(self, rule: AlertRule, audit: AuditEntry, *, end: End | None) -> StoredRule:
        """Store a rule over the one with its id.

        Args:
            end: ends its alerts, since they have nothing to do with the new rule; None: they go on.
        Raises:
            NotFound, Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            if end is not None:
                _end_instances(lent, rule.id, end)
            lent.execute(_REPLACE, _values(rule))
            if lent.rowcount == 0:
                raise NotFound(f"there is no alert rule {rule.id}")
            write_audit(lent, audit)
            return _read_one(lent, rule.id)

    def delete(self, rule_id: int, audit: AuditEntry, *, end: End) -> None:
        """Delete a rule; what it went through stays.

        Args:
            end: ends its alerts.
        Raises:
            NotFound, Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            _end_instances(lent, rule_id, end)
            lent.execute(_DELETE, (rule_id,))
            write_audit(lent, audit)


def _end_instances(lent: cursor, rule_id: int, end: End) -> None:
    # An evaluation at hand is waited for, and a later one finds another revision.
    lent.execute(_LOCK, (rule_id,))
    rule = _read_one(lent, rule_id).rule
    standing = read_instances(lent, [rule_id]).get(rule_id, [])
    write_changes(lent, [(rule, end(one)) for one in standing])


def _read_one(lent: cursor, rule_id: int) -> StoredRule:
    lent.execute(_FIND, (rule_id,))
    rows = lent.fetchall()
    if not rows:
        raise NotFound(f"there is no alert rule {rule_id}")
    return _read(rows[0])


def _read(row: Sequence[Any]) -> StoredRule:
    rule = AlertRule(
        id=row[0],
        revision=row[1],
        name=row[2],
        query=row[3],
        condition=Condition(row[4]),
        threshold=row[5],
        hold_ms=row[6],
        keep_firing_ms=row[7],
        interval_ms=row[8],
        repeat_ms=row[9],
        severity=Severity(row[10]),
        enabled=row[11],
        no_data=Policy(row[12]),
        on_error=Policy(row[13]),
        labels=make_labels(row[14]),
        annotations=row[15],
        channels=tuple(row[16]),
        owner_id=row[17],
        origin=None if row[25] is None else RuleOrigin(row[25], row[26], row[27]),
        limit=row[28],
        query_offset_ms=row[29],
        position=row[30],
        created_ms=to_ms(row[18]),
        changed_ms=to_ms(row[19]),
    )
    if row[20] is None:
        return StoredRule(rule, None)
    return StoredRule(rule, LastEvaluation(to_ms(row[20]), row[21], row[22], row[23], row[24]))


def _values(rule: AlertRule) -> dict[str, object]:
    origin = rule.origin
    return {
        "id": rule.id,
        "name": rule.name,
        "query": rule.query,
        "condition": rule.condition.value,
        "threshold": rule.threshold,
        "hold_ms": rule.hold_ms,
        "keep_firing_ms": rule.keep_firing_ms,
        "interval_ms": rule.interval_ms,
        "repeat_ms": rule.repeat_ms,
        "severity": rule.severity.value,
        "enabled": rule.enabled,
        "no_data": rule.no_data.value,
        "on_error": rule.on_error.value,
        "labels": orjson.dumps(dict(rule.labels)).decode(),
        "annotations": orjson.dumps(dict(rule.annotations)).decode(),
        "channels": orjson.dumps([dict(one) for one in rule.channels]).decode(),
        "owner_id": rule.owner_id,
        "file": None if origin is None else origin.file,
        "group": None if origin is None else origin.group,
        "place": None if origin is None else origin.place,
        "limit": rule.limit,
        "query_offset_ms": rule.query_offset_ms,
        "position": rule.position,
    }
