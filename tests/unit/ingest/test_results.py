"""What rules give is taken in like any sample, and counts once however often it is sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from tidegauge.broker.protocol import Message, Publisher
from tidegauge.config import IngestConfig
from tidegauge.ingest.service import IngestService
from tidegauge.model.labels import Labels, make_labels

START_MS = 1_763_900_000_000


class Noting:
    """A publisher that notes the ids of what goes through it."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher, self.ids = publisher, list[bytes]()

    def publish(self, message: Message, *, timeout_s: float) -> None:
        self.ids.append(message.id)
        self._publisher.publish(message, timeout_s=timeout_s)


@pytest.fixture
def publisher(broker, writer) -> Iterator[Noting]:
    """A publisher whose queue is being written."""
    stop = threading.Event()
    loop = threading.Thread(target=writer.run, args=(stop,))
    loop.start()
    yield Noting(broker)
    stop.set()
    # Wakes the writer, which would otherwise wait a little for a further message.
    broker.close()
    loop.join(20)


@pytest.fixture
def service(publisher, storage) -> IngestService:
    return IngestService(
        publisher=publisher,
        catalogue=storage,
        config=IngestConfig(series_per_metric_prometheus=2, confirm_timeout_s=20),
    )


def take(service: IngestService, *hosts: str, value: float = 1.0, now_ms: int = START_MS) -> list:
    labels = [series(host) for host in hosts]
    times_ms = np.full(len(hosts), START_MS, np.int64)
    values = np.full(len(hosts), value)
    return list(service.ingest_results(labels, times_ms, values, now_ms=now_ms, timeout_s=20))


def series(host: str) -> Labels:
    return make_labels({"__name__": "heat:sum", "host": host})


def test_results_are_stored_at_their_own_time(service, storage) -> None:
    assert take(service, "a", "b", now_ms=START_MS + 900) == []

    assert storage.samples() == {series(host): [(START_MS, 1.0)] for host in ("a", "b")}


def test_the_same_results_make_the_same_message_and_others_another(service, publisher) -> None:
    take(service, "a")
    for now_ms in (START_MS, START_MS + 5000):
        take(service, "a", now_ms=now_ms)
    take(service, "a", value=2.0)

    # The first one carried the labels of the series, which was new.
    first, second, third, other = publisher.ids
    assert second == third
    assert len({first, second, other}) == 3


def test_what_is_refused_is_said_and_the_rest_is_stored(service, storage) -> None:
    take(service, "a", "b")

    (said,) = take(service, "a", "c", value=2.0)

    assert "heat:sum" in said
    assert storage.samples()[series("a")] == [(START_MS, 2.0)]
