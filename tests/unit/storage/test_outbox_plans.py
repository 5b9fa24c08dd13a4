"""Looking for work among many notifications that are settled reads indexes, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from tidegauge.storage.outbox import MAX_ALERTS
from tidegauge.storage.outbox_statements import CLAIM, ENQUEUE, READ_STANDING
from tidegauge.storage.pool import Pool

MAIL = json.dumps({"type": "email", "target": "ops@example.org"})
_FILL = """
INSERT INTO notifications (event_id, rule_id, channel, payload, group_key, interval_ms, state,
    finished_at, standing)
SELECT n, 7, %(channel)s::jsonb, '{"status": "firing", "labels": {}}', 'g' || n %% 20, 1000,
    CASE WHEN n %% 100 = 0 THEN 'pending' ELSE 'sent' END,
    CASE WHEN n %% 100 = 0 THEN NULL ELSE now() END, n %% 50 = 1
FROM generate_series(1, 20000) AS n
"""


def walk(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from walk(part)


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (CLAIM, {"limit": 40, "claim_s": 45, "busy": [], "most": MAX_ALERTS, "most_bytes": 9**9}),
        (
            READ_STANDING,
            {"groups": ["6f1c2d5e-0000-4000-8000-0123456789ab"], "most": 400, "most_bytes": 9**9},
        ),
        (ENQUEUE, ([9], [7], [MAIL], ["{}"], [""], ["g1"], ["{}"], [0], [1000])),
    ],
)
def test_no_statement_reads_all_of_the_table(
    pool: Pool, statement: str, values: Mapping[str, Any] | Sequence[Any]
) -> None:
    with pool.transaction() as lent:
        lent.execute(_FILL, {"channel": MAIL})
        lent.execute("ANALYZE notifications")

        lent.execute(f"EXPLAIN (FORMAT JSON) {statement}", values)
        nodes = list(walk(lent.fetchall()[0][0][0]["Plan"]))

    read = {
        one.get("Index Name") or one["Node Type"]
        for one in nodes
        if one.get("Relation Name") == "notifications" and one["Node Type"] != "ModifyTable"
    }
    assert read
    assert "Seq Scan" not in read
