"""How many statements the hot paths send: a round trip more shows in every request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts.storage_kit import NOW_MS, Kit, named, postgres_kit, series
from tests.support.statements import note_statements

UP = [series("up", job=str(number)) for number in range(20)]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is sent from now on."""
    return note_statements(monkeypatch)


@pytest.fixture
def warm(migrated_database_url: str, sent: list[str]) -> Iterator[Kit]:
    """Storage that knows its series, its partition, and was asked once."""
    kit = postgres_kit(migrated_database_url)
    kit.append([(labels, NOW_MS, 1.0) for labels in UP])
    kit.read(named("up"))
    sent.clear()
    yield kit
    kit.close()


def test_a_flush_of_known_series_is_one_transaction_of_two_statements(
    warm: Kit, sent: list[str]
) -> None:
    batch = warm.batch(*([(labels, NOW_MS + 1, 2.0)] for labels in UP))
    sent.clear()

    warm.engine.append(batch)

    assert sent == ["BEGIN", "INSERT", "COPY", "COMMIT"]


def test_touching_series_that_were_touched_lately_asks_nothing(warm: Kit, sent: list[str]) -> None:
    batch = warm.batch([(labels, NOW_MS, 1.0) for labels in UP])
    warm.catalogue.touch_series(batch.series_ids, NOW_MS)
    sent.clear()

    warm.catalogue.touch_series(batch.series_ids, NOW_MS + 1000)

    assert sent == []


def test_a_warm_query_asks_for_the_catalogues_version_and_the_samples(
    warm: Kit, sent: list[str]
) -> None:
    found = warm.read(named("up"))

    assert len(found) == len(UP)
    assert sent == ["BEGIN", "SELECT", "COPY", "COMMIT"]


def test_finding_known_series_is_one_statement(warm: Kit, sent: list[str]) -> None:
    warm.catalogue.find_series(UP)

    assert sent == ["BEGIN", "SELECT", "COMMIT"]


def test_a_warm_count_of_a_metrics_series_asks_for_the_version_only(
    warm: Kit, sent: list[str]
) -> None:
    warm.catalogue.read_cardinality(["up"])
    sent.clear()

    assert warm.catalogue.read_cardinality(["up"])["up"].series == len(UP)

    assert sent == ["BEGIN", "SELECT", "COMMIT"]


def test_new_series_are_registered_in_one_transaction_after_the_look_up(
    warm: Kit, sent: list[str]
) -> None:
    warm.catalogue.register_series([series("down", job=str(number)) for number in range(100)])

    look_up = ["BEGIN", "SELECT", "COMMIT"]
    assert sent == [*look_up, "BEGIN", "SELECT", "INSERT", "INSERT", "UPDATE", "COMMIT"]
