"""Metadata in PostgreSQL: what senders repeat every minute costs nothing."""

from __future__ import annotations

from contextlib import closing

import psycopg2
from tidegauge.model.batch import MetricMetadata

from tests.contracts.storage_kit import Kit, series

SAID = [
    MetricMetadata("up", "gauge", "", "Whether the target is up."),
    MetricMetadata("requests_total", "counter", "requests", "Requests answered."),
]


def rows_of(url: str) -> list[tuple]:
    """Return the metrics; xmin tells who wrote a row, the sequence how many ids are used up."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, type, unit, description, xmin::text,"
            " pg_sequence_last_value(pg_get_serial_sequence('metric_definitions', 'id')::regclass)"
            " FROM metric_definitions ORDER BY name"
        )
        return cursor.fetchall()


def test_metadata_said_again_writes_no_row_and_uses_no_id(
    columnar: Kit, migrated_database_url: str
) -> None:
    columnar.catalogue.store_metadata(SAID)
    before = rows_of(migrated_database_url)

    for _ in range(20):
        columnar.catalogue.store_metadata(SAID)
        columnar.catalogue.store_metadata([MetricMetadata("up")])

    assert rows_of(migrated_database_url) == before
    assert before[0][-1] == len(SAID)


def test_one_changed_text_leaves_the_other_rows_alone(
    columnar: Kit, migrated_database_url: str
) -> None:
    columnar.catalogue.register_series([series("down")])
    columnar.catalogue.store_metadata(SAID)
    before = {row[0]: row[4] for row in rows_of(migrated_database_url)}
    changed = MetricMetadata("up", "", "", "Up, or not.")

    columnar.catalogue.store_metadata([*SAID, changed, MetricMetadata("down", "gauge")])

    after = {row[0]: row for row in rows_of(migrated_database_url)}
    assert after["up"][1:4] == ("gauge", "", "Up, or not.")
    assert after["down"][1:4] == ("gauge", "", "")
    assert after["requests_total"][4] == before["requests_total"]
