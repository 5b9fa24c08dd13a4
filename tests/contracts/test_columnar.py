"""What the columnar engine promises beyond the contract: SQL, partitions, refusals, processes."""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing

import numpy as np
import psycopg2
import pytest
from tidegauge.errors import InvalidInput, LimitExceeded, Unavailable
from tidegauge.model.labels import Labels, make_labels
from tidegauge.storage import catalogue_registry, catalogue_selection
from tidegauge.storage.fingerprints import FingerprintCollision
from tidegauge.storage.protocol import ReadBudget, StoredBatch

from tests.contracts.storage_kit import NOW_MS, Kit, named, plenty, postgres_kit, re, series

UP_A = series("up", job="a")
UP_B = series("up", job="b")
HOUR_MS = 3_600_000

Sql = Callable[..., list[tuple]]


@pytest.fixture
def run_sql(migrated_database_url: str) -> Iterator[Sql]:
    with closing(psycopg2.connect(migrated_database_url)) as connection:
        connection.autocommit = True

        def run(statement: str, *parameters: object) -> list[tuple]:
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return cursor.fetchall() if cursor.description else []

        yield run


def partitions(run_sql: Sql) -> list[str]:
    rows = run_sql(
        "SELECT inhrelid::regclass::text FROM pg_inherits"
        " WHERE inhparent = 'arrivals'::regclass ORDER BY 1"
    )
    return [row[0] for row in rows]


def test_a_person_with_psql_sees_the_samples(columnar: Kit, run_sql: Sql) -> None:
    values = [0.1, -2.5e-308, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, 0.0]
    columnar.append([(UP_A, NOW_MS + place, value) for place, value in enumerate(values)])
    columnar.append([(UP_B, -1500, math.nan)])

    rows = run_sql(
        "SELECT extract(epoch FROM time) * 1000, tags, value FROM metrics_raw ORDER BY time"
    )

    assert [(int(row[0]), row[2]) for row in rows[1:]] == [
        (NOW_MS + place, value) for place, value in enumerate(values)
    ]
    assert (int(rows[0][0]), rows[0][1], math.isnan(rows[0][2])) == (-1500, {"job": "b"}, True)


def test_one_row_for_each_metric_and_flush(columnar: Kit, run_sql: Sql) -> None:
    columnar.append([(UP_A, 1, 1.0), (series("load"), 2, 1.0), (UP_B, 3, 1.0)], [(UP_A, 4, 1.0)])

    rows = run_sql("SELECT sample_count, min_time_ms, max_time_ms FROM arrivals ORDER BY id")

    assert sorted(rows) == [(1, 2, 2), (3, 1, 4)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"series_ids": np.array([-1], np.int32)},
        {"series_ids": np.array([0], np.int32)},
        {"metric_ids": np.array([-3], np.int32)},
        {"times_ms": np.array([2**60], np.int64)},
        {"times_ms": np.array([1, 2], np.int64)},
        {"message_index": np.array([1], np.int32)},
        {"message_index": np.array([-1], np.int32)},
        {"message_ids": [b"short"]},
    ],
    ids=repr,
)
def test_an_impossible_batch_is_refused_whole(columnar: Kit, run_sql: Sql, wrong: dict) -> None:
    batch = dataclasses.replace(columnar.batch([(UP_A, 10, 1.0)]), **wrong)

    with pytest.raises(InvalidInput):
        columnar.engine.append(batch)

    assert run_sql("SELECT count(*) FROM ingest_ledger") == [(0,)]


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_the_database_cannot_hold_is_refused(columnar: Kit, text: str) -> None:
    with pytest.raises(InvalidInput):
        columnar.catalogue.register_series([make_labels({"__name__": "m", "a": text})])
    with pytest.raises(InvalidInput):
        columnar.catalogue.find_series([make_labels({"__name__": text})])
    assert columnar.catalogue.read_series_count() == 0


def test_a_look_up_does_not_wait_for_a_locked_table_as_long_as_a_write_may(
    migrated_database_url: str,
) -> None:
    kit = postgres_kit(migrated_database_url, statement_timeout_s=3600)
    with closing(psycopg2.connect(migrated_database_url)) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE series IN ACCESS EXCLUSIVE MODE")

        with pytest.raises(Unavailable, match="too long"):
            kit.catalogue.find_series([UP_A])
    kit.close()


def test_two_label_sets_with_one_fingerprint_are_never_mixed(
    columnar: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    columnar.catalogue.register_series([UP_A])
    real = catalogue_registry.fingerprint
    monkeypatch.setattr(
        catalogue_registry, "fingerprint", lambda labels: real(UP_A if labels == UP_B else labels)
    )

    with pytest.raises(FingerprintCollision):
        columnar.catalogue.register_series([UP_B])
    with pytest.raises(FingerprintCollision):
        columnar.catalogue.find_series([UP_B])


def test_partitions_are_made_ahead_and_on_any_jump_of_the_clock(
    columnar: Kit, run_sql: Sql
) -> None:
    start = NOW_MS - NOW_MS % HOUR_MS
    written = []
    for shift in (0, HOUR_MS // 2 + 1, 5 * HOUR_MS, -48 * HOUR_MS, 1000 * HOUR_MS, 2 * HOUR_MS):
        columnar.clock.now_ms = start + shift
        columnar.append([(UP_A, columnar.clock.now_ms, 1.0)])
        written.append(columnar.clock.now_ms)

    assert "arrivals_20231114_230000" in partitions(run_sql)  # ahead of 22:30:00
    assert [at for at, _ in columnar.read(named("up"))[UP_A]] == sorted(written)
    first = columnar.read(named("up"), start_ms=start, end_ms=start)
    assert first == {UP_A: [(start, 1.0)]}


def test_a_change_of_the_partition_width_fits_in_between(
    migrated_database_url: str, run_sql: Sql
) -> None:
    for width_s, shift in ((60, 0), (3600, 1200), (86_400, -7200), (60, 9000), (3600, 9000)):
        kit = postgres_kit(migrated_database_url, arrivals_partition_s=width_s)
        kit.clock.now_ms = NOW_MS + shift * 1000
        kit.engine.append(
            dataclasses.replace(
                kit.batch([(UP_A, NOW_MS + shift * 1000, 1.0)]),
                message_ids=[abs(shift).to_bytes(8) + width_s.to_bytes(8)],
            )
        )
        found = kit.read(named("up"))
        kit.close()

    assert len(found[UP_A]) == 4  # 9000 came twice
    assert len(partitions(run_sql)) >= 4


def test_a_partition_that_was_dropped_is_made_again(columnar: Kit, run_sql: Sql) -> None:
    columnar.append([(UP_A, 10, 1.0)])
    for name in partitions(run_sql):
        run_sql(f"DROP TABLE {name}")

    columnar.append([(UP_A, 20, 2.0)])

    assert columnar.read(named("up")) == {UP_A: [(20, 2.0)]}


def test_making_partitions_waits_for_no_reader_and_no_reader_for_it(
    columnar: Kit, migrated_database_url: str, run_sql: Sql
) -> None:
    columnar.append([(UP_A, 10, 1.0)])
    with closing(psycopg2.connect(migrated_database_url)) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM arrivals")  # holds its locks until the end
        columnar.clock.now_ms += 10 * HOUR_MS
        columnar.append([(UP_A, 20, 2.0)])

        assert len(columnar.read(named("up"))[UP_A]) == 2


def test_samples_are_stored_while_the_next_partition_cannot_be_made_yet(
    columnar: Kit, migrated_database_url: str, run_sql: Sql
) -> None:
    columnar.clock.now_ms = NOW_MS - NOW_MS % HOUR_MS
    columnar.append([(UP_A, 10, 1.0)])
    with closing(psycopg2.connect(migrated_database_url)) as analyzer, analyzer.cursor() as cursor:
        cursor.execute("LOCK TABLE arrivals IN SHARE UPDATE EXCLUSIVE MODE")  # as ANALYZE does
        columnar.clock.now_ms += 40 * 60_000
        columnar.append([(UP_A, 20, 2.0)])
        columnar.append([(UP_A, 30, 3.0)])
        assert len(partitions(run_sql)) == 1

    columnar.clock.now_ms += 5 * 60_000
    columnar.append([(UP_A, 40, 4.0)])

    assert len(columnar.read(named("up"))[UP_A]) == 4
    assert len(partitions(run_sql)) == 2


def test_a_partition_that_cannot_be_kept_is_unavailable(columnar: Kit, run_sql: Sql) -> None:
    columnar.append([(UP_A, 10, 1.0)])
    run_sql("ALTER TABLE arrivals ADD CHECK (sample_count > 1) NOT VALID")

    with pytest.raises(Unavailable):
        columnar.append([(UP_A, 20, 2.0)])


def test_threads_make_one_partition_at_the_same_moment(
    migrated_database_url: str, run_sql: Sql
) -> None:
    kits = [postgres_kit(migrated_database_url) for _ in range(4)]
    batches = [
        kit.batch([(UP_A, place, 1.0)], ids=[bytes([place] * 16)]) for place, kit in enumerate(kits)
    ]
    with ThreadPoolExecutor(4) as threads:
        found = list(
            threads.map(
                lambda pair: pair[0].engine.append(pair[1]), zip(kits, batches, strict=True)
            )
        )

    assert [len(new) for new in found] == [1] * 4
    assert len(kits[0].read(named("up"))[UP_A]) == 4
    for kit in kits:
        kit.close()


def test_the_same_messages_from_many_threads_are_stored_once(columnar: Kit) -> None:
    ids = [columnar.new_id() for _ in range(40)]
    forward = columnar.batch(*[[(UP_A, place, 1.0)] for place in range(40)], ids=ids)
    backward = dataclasses.replace(
        columnar.batch(*[[(UP_A, 39 - place, 1.0)] for place in range(40)], ids=ids[::-1])
    )
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(columnar.engine.append, [forward, backward] * 6))

    assert sum(len(new) for new in found) == 40
    assert len(columnar.read(named("up"))[UP_A]) == 40


def register_many(url: str, shift: int) -> dict[Labels, object]:
    kit = postgres_kit(url)
    wanted = [series(f"m{i % 20}", i=str(i)) for i in range(2000)]
    mine = wanted[shift:] + wanted[:shift]
    found: dict[Labels, object] = {}
    for start in range(0, 2000, 250):
        found |= kit.catalogue.register_series(mine[start : start + 400])
    kit.close()
    return found


def test_processes_that_register_the_same_series_agree(migrated_database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as processes:
        asked = [processes.submit(register_many, migrated_database_url, n) for n in (0, 900)]
        first, second = (one.result(timeout=60) for one in asked)

    assert first == second
    assert len(set(map(str, first.values()))) == 2000


def test_what_another_process_registers_is_seen_at_once(
    columnar: Kit, migrated_database_url: str
) -> None:
    columnar.append([(UP_A, 10, 1.0)])
    assert list(columnar.read(named("up"))) == [UP_A]
    other = postgres_kit(migrated_database_url)

    other.append([(UP_B, 10, 1.0)], ids=[b"o" * 16])

    asked = {"limit": 0, "budget": plenty()}
    assert list(columnar.read(named("up"))) == [UP_A, UP_B]
    assert columnar.catalogue.list_label_values("job", [], 1, None, **asked) == ["a", "b"]
    other.close()


def test_too_many_series_name_the_setting(columnar: Kit) -> None:
    columnar.append([(series("m", i=str(i)), 1, 1.0) for i in range(20)])
    few = ReadBudget(max_samples=1000, deadline_s=time.monotonic() + 30, max_series=19)

    with pytest.raises(LimitExceeded, match="TIDEGAUGE_QUERY_MAX_SERIES"):
        columnar.engine.select([named("m")], 0, 10, few)
    with pytest.raises(LimitExceeded, match="TIDEGAUGE_QUERY_MAX_SERIES"):
        columnar.catalogue.list_label_values("i", [], None, None, limit=0, budget=few)
    assert len(columnar.read(named("m"))) == 20


def test_selections_larger_than_one_statement_are_complete(
    columnar: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue_selection, "_ROWS_PER_STATEMENT", 7)
    monkeypatch.setattr(catalogue_selection, "_TABLE_ENTRIES", 1)
    monkeypatch.setattr(catalogue_selection, "_TABLE_ENTRIES_PER_SERIES", 1)
    columnar.append([(series(f"m{i % 3}", i=str(i)), i, float(i)) for i in range(50)])

    assert len(columnar.read(re("__name__", "m.*"))) == 50
    found = columnar.read(named("m1"), re("i", "1.*"))
    assert found == {series("m1", i=str(i)): [(i, float(i))] for i in (1, 10, 13, 16, 19)}


def test_selections_that_are_forgotten_are_read_again(
    columnar: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue_selection, "_MOST_SERIES_REMEMBERED", 3)
    columnar.append([(series(f"m{i}"), 1, 1.0) for i in range(6)])

    for _ in range(2):
        assert [len(columnar.read(named(f"m{i}"))) for i in range(6)] == [1] * 6
        assert len(columnar.read(re("__name__", "m."))) == 6


def test_a_big_read_is_decoded_in_parts_and_stops_at_its_budget(columnar: Kit) -> None:
    count = 400_000
    key = columnar.catalogue.register_series([UP_A])[UP_A]
    times_ms = np.random.default_rng(seed=3).permutation(count).astype(np.int64)
    columnar.engine.append(
        StoredBatch(
            [columnar.new_id()],
            np.zeros(count, np.int32),
            np.full(count, key.series_id, np.int32),
            np.full(count, key.metric_id, np.int32),
            times_ms,
            times_ms / 2,
        )
    )

    frame = columnar.frame(named("up"))
    assert np.array_equal(frame.times_ms, np.arange(count))
    assert np.array_equal(frame.values, np.arange(count) / 2)
    with pytest.raises(LimitExceeded):
        columnar.engine.select([named("up")], 0, count, plenty(1000))
    assert len(columnar.frame(named("up"), start_ms=count - 5).values) == 5


@pytest.mark.parametrize("far", [2**62, 2**63, 10**30])
def test_any_number_will_do_for_from_the_beginning(columnar: Kit, far: int) -> None:
    columnar.append([(UP_A, 10, 1.0)])
    asked = {"limit": 0, "budget": plenty()}

    assert columnar.read(named("up"), start_ms=-far, end_ms=far) == {UP_A: [(10, 1.0)]}
    assert columnar.read(named("up"), start_ms=far, end_ms=far) == {}
    assert columnar.catalogue.list_series([], -far, far, **asked) == [UP_A]
    assert columnar.catalogue.list_label_values("job", [], far, far, **asked) == []


def test_a_database_that_was_never_migrated_is_told(database_url: str) -> None:
    kit = postgres_kit(database_url)

    with pytest.raises(Unavailable):
        kit.catalogue.register_series([UP_A])
    with pytest.raises(Unavailable):
        kit.frame(named("up"))
    kit.close()
