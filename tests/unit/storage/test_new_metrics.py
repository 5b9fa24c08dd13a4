"""New metrics are added beside those that are known already."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tidegauge.config import DatabaseConfig
from tidegauge.model.batch import MetricMetadata
from tidegauge.storage.opening import open_storage
from tidegauge.storage.protocol import Catalogue


@pytest.fixture
def catalogue(migrated_database_url: str) -> Iterator[Catalogue]:
    opened = open_storage(
        DatabaseConfig(),
        url=migrated_database_url,
        clock_ms=lambda: 1_700_000_000_000,
        monotonic=time.monotonic,
    )
    yield opened.catalogue
    opened.close()


def test_a_metric_is_added_after_another_one(catalogue: Catalogue) -> None:
    first, second = (("__name__", "first"),), (("__name__", "second"),)
    catalogue.register_series([first])

    found = catalogue.register_series([first, second])

    assert found[first].metric_id != found[second].metric_id


def test_a_metric_is_added_after_the_metadata_of_another_one(catalogue: Catalogue) -> None:
    catalogue.store_metadata([MetricMetadata("latency_seconds", "histogram")])
    bucket = (("__name__", "latency_seconds_bucket"), ("le", "1"))

    assert set(catalogue.register_series([bucket])) == {bucket}
