"""A queue, a storage that can fail, the writer between them, and the log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from tidegauge.broker.inprocess import InProcessBroker
from tidegauge.ingest.writer import BatchWriter

from tests.unit.ingest.fragile import FragileStorage


@pytest.fixture
def storage() -> FragileStorage:
    return FragileStorage()


@pytest.fixture
def broker() -> Iterator[InProcessBroker]:
    broker = InProcessBroker(max_messages=1000, max_bytes=10**7)
    yield broker
    broker.close()


@pytest.fixture
def writer(broker: InProcessBroker, storage: FragileStorage) -> BatchWriter:
    return BatchWriter(consumer=broker, catalogue=storage, engine=storage, clock_ms=lambda: 5000)


@pytest.fixture(autouse=True)
def logs() -> Iterator[list]:
    with capture_logs() as entries:
        yield entries
