"""The product's own instruments are stored in itself, and disturb nothing."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator

import pytest
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from tidegauge.config import IngestConfig
from tidegauge.ingest.own_metrics import OwnMetrics
from tidegauge.ingest.service import IngestService
from tidegauge.model.batch import MetricMetadata
from tidegauge.model.labels import Labels, make_labels
from tidegauge.model.stale import STALE_BITS

from tests.support.servers import wait_until

START_MS = 1_763_900_000_000


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now_ms(self) -> int:
        return START_MS + int(self.now_s * 1000)

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def service(broker, storage, writer) -> Iterator[IngestService]:
    """A service whose queue is being written."""
    stop = threading.Event()
    loop = threading.Thread(target=writer.run, args=(stop,))
    loop.start()
    yield IngestService(
        publisher=broker,
        catalogue=storage,
        config=IngestConfig(series_per_metric_prometheus=3, confirm_timeout_s=20),
    )
    stop.set()
    # Wakes the writer, which would otherwise wait a little for a further message.
    broker.close()
    loop.join(20)


@pytest.fixture
def failures() -> list[int]:
    return []


@pytest.fixture
def own(service, registry, clock, failures) -> OwnMetrics:
    return OwnMetrics(
        collect=registry.collect,
        send=service.ingest_own,
        instance="host",
        process="api-0",
        every_s=0.01,
        clock_ms=clock.now_ms,
        monotonic=clock.monotonic,
        log=structlog.get_logger(),
        on_failure=lambda: failures.append(1),
    )


def labels(name: str, **more: str) -> Labels:
    identity = {"job": "tidegauge", "instance": "host", "process": "api-0"}
    return make_labels({"__name__": name, **identity, **more})


def test_every_instrument_is_stored_with_who_says_it(own, registry, storage) -> None:
    Counter("points_total", "Points.", ["protocol"], registry=registry).labels("json").inc(5)
    Gauge("depth", "Depth.", registry=registry).set(3)

    assert own.send_once()

    assert storage.samples() == {
        labels("points_total", protocol="json"): [(START_MS, 5.0)],
        labels("depth"): [(START_MS, 3.0)],
    }
    assert storage.read_metadata("", 0) == {
        "points_total": MetricMetadata("points_total", "counter", "", "Points."),
        "depth": MetricMetadata("depth", "gauge", "", "Depth."),
    }


def test_the_second_round_adds_samples_and_no_series(own, registry, storage, clock) -> None:
    gauge = Gauge("depth", "Depth.", registry=registry)
    own.send_once()
    gauge.set(4)
    clock.now_s += 15

    own.send_once()

    assert storage.samples() == {labels("depth"): [(START_MS, 0.0), (START_MS + 15_000, 4.0)]}


def test_buckets_are_stored_for_quantiles(own, registry, storage) -> None:
    Histogram("latency", "Latency.", buckets=(1.0,), registry=registry).observe(0.5)

    own.send_once()

    assert set(storage.samples()) == {
        labels("latency_bucket", le="1.0"),
        labels("latency_bucket", le="+Inf"),
        labels("latency_count"),
        labels("latency_sum"),
    }


def test_series_end_with_stale_markers_when_the_process_stops(
    own, registry, storage, clock
) -> None:
    Gauge("depth", "Depth.", registry=registry).set(3)
    stop = threading.Event()
    loop = threading.Thread(target=own.run, args=(stop,))
    loop.start()
    wait_until(lambda: bool(storage.samples()), timeout_s=20, what="a first round")
    clock.now_s += 15
    stop.set()
    loop.join(20)

    (samples,) = storage.samples().values()
    assert samples[-1][0] == START_MS + 15_000
    assert struct.unpack("<Q", struct.pack("<d", samples[-1][1]))[0] == STALE_BITS


def test_nothing_sent_needs_no_end(own, storage) -> None:
    own.end()

    assert storage.samples() == {}


def test_a_failure_is_counted_each_time_and_logged_once_a_minute(
    own, registry, service, broker, clock, failures, logs
) -> None:
    Gauge("depth", "Depth.", registry=registry)
    broker.close()

    def warnings() -> int:
        return sum("own metrics are not stored" in entry["event"] for entry in logs)

    assert [own.send_once(), own.send_once()] == [False, False]
    assert (len(failures), warnings()) == (2, 1)

    clock.now_s += 60
    own.send_once()
    assert (len(failures), warnings()) == (3, 2)


def test_series_beyond_the_guards_limit_are_refused_and_the_others_stored(
    own, registry, storage, failures, logs
) -> None:
    counter = Counter("points_total", "Points.", ["n"], registry=registry)
    for number in range(5):
        counter.labels(str(number)).inc()

    assert not own.send_once()

    assert len(storage.samples()) == 3
    assert failures == [1]
