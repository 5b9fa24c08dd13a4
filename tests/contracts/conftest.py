"""The implementations that each contract suite is run against."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts.storage_kit import Kit, memory_kit, postgres_kit


@pytest.fixture(params=["memory", "columnar"])
def storage(request: pytest.FixtureRequest) -> Iterator[Kit]:
    """An empty storage of each kind."""
    if request.param == "memory":
        yield memory_kit()
        return
    kit = postgres_kit(request.getfixturevalue("migrated_database_url"))
    yield kit
    kit.close()


@pytest.fixture
def columnar(migrated_database_url: str) -> Iterator[Kit]:
    """An empty storage in PostgreSQL."""
    kit = postgres_kit(migrated_database_url)
    yield kit
    kit.close()
