"""The table of label sets that are pending, firing, or were resolved lately."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import orjson
from psycopg2.extensions import cursor

from tidegauge.model.alerts import AlertInstance, AlertState
from tidegauge.model.labels import Labels, make_labels
from tidegauge.storage.moments import to_moment, to_ms

_COLUMNS = """
SELECT rule_id, labels, state, value, held_ms, false_ms, missing_ms, active_at, fired_at,
    resolved_at, notified_at, event_id
FROM alert_instances
"""
_READ_ALL = _COLUMNS + "ORDER BY rule_id, fingerprint"
_READ_SOME = _COLUMNS + "WHERE rule_id = ANY(%s::integer[]) ORDER BY rule_id, fingerprint"
# Rows go in by key, so that two writers cannot wait for each other.
_PUT = """
INSERT INTO alert_instances (rule_id, fingerprint, labels, state, value, held_ms, false_ms,
    missing_ms, active_at, fired_at, resolved_at, notified_at, event_id)
SELECT * FROM unnest(%s::integer[], %s::bytea[], %s::jsonb[], %s::text[], %s::float8[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[],
    %s::timestamptz[], %s::timestamptz[], %s::bigint[]) AS new (rule_id, fingerprint)
ORDER BY new.rule_id, new.fingerprint
ON CONFLICT (rule_id, fingerprint) DO UPDATE SET
    state = excluded.state, value = excluded.value, held_ms = excluded.held_ms,
    false_ms = excluded.false_ms, missing_ms = excluded.missing_ms,
    active_at = excluded.active_at, fired_at = excluded.fired_at,
    resolved_at = excluded.resolved_at, notified_at = excluded.notified_at,
    event_id = excluded.event_id
"""
_DELETE = """
DELETE FROM alert_instances USING unnest(%s::integer[], %s::bytea[]) AS gone (rule_id, fingerprint)
WHERE alert_instances.rule_id = gone.rule_id AND alert_instances.fingerprint = gone.fingerprint
"""

Key = tuple[int, Labels]
"""A rule and one of its label sets."""


def read_instances(
    lent: cursor, rule_ids: Sequence[int] | None = None
) -> dict[int, list[AlertInstance]]:
    """Return the label sets of these rules, or of all, that are not inactive, by rule."""
    if rule_ids is None:
        lent.execute(_READ_ALL)
    else:
        lent.execute(_READ_SOME, (list(rule_ids),))
    found: dict[int, list[AlertInstance]] = {}
    for row in lent.fetchall():
        instance = AlertInstance(
            labels=make_labels(row[1]),
            state=AlertState(row[2]),
            value=row[3],
            held_ms=row[4],
            false_ms=row[5],
            missing_ms=row[6],
            active_ms=to_ms(row[7]),
            fired_ms=to_ms(row[8]),
            resolved_ms=to_ms(row[9]),
            notified_ms=to_ms(row[10]),
            event_id=row[11],
        )
        found.setdefault(row[0], []).append(instance)
    return found


def put_instances(lent: cursor, rows: Sequence[tuple[int, AlertInstance]]) -> None:
    """Store label sets, by rule, in the transaction at hand, over what there is of them."""
    if not rows:
        return
    every = [one for _, one in rows]
    lent.execute(
        _PUT,
        (
            [rule_id for rule_id, _ in rows],
            [fingerprint_of(one.labels) for one in every],
            [orjson.dumps(dict(one.labels)).decode() for one in every],
            [one.state.value for one in every],
            [one.value for one in every],
            [one.held_ms for one in every],
            [one.false_ms for one in every],
            [one.missing_ms for one in every],
            [to_moment(one.active_ms) for one in every],
            [to_moment(one.fired_ms) for one in every],
            [to_moment(one.resolved_ms) for one in every],
            [to_moment(one.notified_ms) for one in every],
            [one.event_id for one in every],
        ),
    )


def delete_instances(lent: cursor, keys: Sequence[Key]) -> None:
    """Forget label sets in the transaction at hand."""
    if keys:
        lent.execute(
            _DELETE,
            ([rule_id for rule_id, _ in keys], [fingerprint_of(labels) for _, labels in keys]),
        )


def fingerprint_of(labels: Labels) -> bytes:
    """Return the 16 bytes that stand for a label set."""
    return blake2b(orjson.dumps(labels), digest_size=16).digest()
