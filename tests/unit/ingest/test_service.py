"""The IngestService, from a request's body to what is stored and answered."""

from __future__ import annotations

import struct
import threading
from collections import Counter
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from tidegauge.broker.protocol import Message
from tidegauge.config import IngestConfig
from tidegauge.errors import InvalidInput, PayloadTooLarge, Unavailable
from tidegauge.ingest.errors import UnsupportedMedia
from tidegauge.ingest.meter import SilentMeter
from tidegauge.ingest.outcomes import SamplesRejected
from tidegauge.ingest.service import IngestService, make_message_id
from tidegauge.model.batch import MetricMetadata
from tidegauge.model.stale import STALE_BITS

from tests.support.wire import compress, field, label_set, sample, varint, write_request

NOW_MS = 1_763_900_000_000
UP_A = {"__name__": "up", "job": "a"}
PROTOBUF = "application/x-protobuf"
CONFIG = IngestConfig(
    series_per_metric_json=3, series_per_metric_prometheus=5, confirm_timeout_s=20
)


class CountingMeter(SilentMeter):
    """Counts what it is told."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def points_accepted(self, protocol: str, count: int) -> None:
        self.counts[f"accepted {protocol}"] += count

    def points_rejected(self, code: str, count: int) -> None:
        self.counts[f"rejected {code}"] += count

    def not_stored(self, kind: str, count: int) -> None:
        self.counts[f"not stored {kind}"] += count

    def guard_bypassed(self, series: int) -> None:
        self.counts["bypassed"] += series


@pytest.fixture
def meter() -> CountingMeter:
    return CountingMeter()


@pytest.fixture
def service(broker, storage, writer, meter) -> Iterator[IngestService]:
    """A service whose queue is being written."""
    stop = threading.Event()
    loop = threading.Thread(target=writer.run, args=(stop,))
    loop.start()
    yield IngestService(publisher=broker, catalogue=storage, config=CONFIG, meter=meter)
    stop.set()
    # Wakes the writer, which would otherwise wait a little for a further message.
    broker.close()
    loop.join(20)
    assert not loop.is_alive()


def push(service: IngestService, body: bytes, *, content_type: str = PROTOBUF):
    return service.ingest_remote_write(compress(body), "snappy", content_type, "r", NOW_MS)


def push_json(service: IngestService, points: object):
    return service.ingest_json(msgspec.json.encode(points), "", "r", NOW_MS)


def points(count: int, *, name: str = "cpu", first: int = 0) -> list[dict[str, object]]:
    return [
        {"name": name, "value": number, "tags": {"host": f"h{number}"}, "timestamp": NOW_MS}
        for number in range(first, first + count)
    ]


def test_remote_write_is_stored_when_it_returns(service, storage) -> None:
    outcome = push(service, write_request([(UP_A, [(NOW_MS, 1.0), (NOW_MS + 1, 0.0)])]))

    assert (outcome.accepted, outcome.rejected) == (2, 0)
    assert storage.samples() == {
        (("__name__", "up"), ("job", "a")): [(NOW_MS, 1.0), (NOW_MS + 1, 0.0)]
    }


def test_known_series_are_not_looked_up_again(service, storage) -> None:
    for round_ms in range(2):
        push(service, write_request([(UP_A, [(NOW_MS + round_ms, 1.0)])]))
    storage.failures = {"find_series": 99, "register_series": 99}

    push(service, write_request([(UP_A, [(NOW_MS + 2, 1.0)])]))

    assert storage.failures == {"find_series": 99, "register_series": 99}
    assert [
        time_ms - NOW_MS for samples in storage.samples().values() for time_ms, _ in samples
    ] == [
        0,
        1,
        2,
    ]


@pytest.mark.parametrize("rounds", [1, 3])
def test_bit_patterns_of_values_survive(service, storage, rounds: int) -> None:
    bits = [STALE_BITS, 0x7FF8000000000001, 0xFFF8DEADBEEF0001, 1 << 63]
    stored: list[np.ndarray] = []
    keep = storage.append
    storage.append = lambda batch: stored.append(batch.values.view(np.uint64)) or keep(batch)

    for number in range(rounds):
        samples = b"".join(
            field(2, b"\x09" + struct.pack("<Q", one) + b"\x10" + varint(NOW_MS + 10 * number + at))
            for at, one in enumerate(bits)
        )
        push(service, field(1, label_set(UP_A) + samples))

    assert np.concatenate(stored).tolist() == bits * rounds


def test_bad_series_are_refused_and_good_ones_stored(service, storage, meter) -> None:
    body = write_request([({"job": "a"}, [(NOW_MS, 1.0)] * 2), (UP_A, [(NOW_MS, 1.0)])]) + field(
        1, field(1, field(1, b"__name__") + field(2, b"\xff")) + sample(1.0, NOW_MS)
    )

    with pytest.raises(SamplesRejected) as caught:
        push(service, body)

    outcome = caught.value.outcome
    assert (outcome.accepted, outcome.rejected) == (1, 3)
    assert [(one.index, one.code, one.samples) for one in outcome.errors] == [
        (0, "no_metric_name", 2),
        (2, "bad_label", 1),
    ]
    assert "UTF-8" in caught.value.message
    assert len(storage.samples()) == 1
    assert meter.counts["accepted remote_write"] == 1
    assert meter.counts["rejected no_metric_name"] == 2


def test_a_message_about_many_refusals_shows_the_first_few(service) -> None:
    body = write_request([({"job": str(n)}, [(NOW_MS, 1.0)]) for n in range(500)])

    with pytest.raises(SamplesRejected) as caught:
        push(service, body)

    assert "497 more" in caught.value.message
    assert len(caught.value.message) < 1000


def test_times_at_the_limits_are_taken_and_beyond_them_refused(service, storage) -> None:
    oldest, newest = NOW_MS - CONFIG.max_past_s * 1000, NOW_MS + CONFIG.max_future_s * 1000
    times = [oldest - 1, oldest, newest, newest + 1]

    with pytest.raises(SamplesRejected) as caught:
        push(service, write_request([(UP_A, [(time_ms, 1.0) for time_ms in times])]))

    assert (caught.value.outcome.accepted, caught.value.outcome.rejected) == (2, 2)
    assert list(storage.samples().values()) == [[(oldest, 1.0), (newest, 1.0)]]
    assert "TIDEGAUGE_INGEST_MAX_PAST_SECONDS" in caught.value.message


def test_a_series_with_only_times_beyond_the_limits_is_not_registered(service, storage) -> None:
    with pytest.raises(SamplesRejected):
        push(service, write_request([(UP_A, [(5, 1.0)])]))

    assert storage.read_series_count() == 0


def test_metadata_is_kept(service, storage) -> None:
    said = field(3, b"\x08\x01" + field(2, b"up") + field(4, b"Help.") + field(5, b"s"))

    push(service, said)

    assert storage.read_metadata("up", 0) == {"up": MetricMetadata("up", "counter", "s", "Help.")}


def test_exemplars_and_histograms_are_counted_as_not_stored(service, storage, meter) -> None:
    odd = label_set(UP_A) + field(3, b"e") * 2 + field(4, b"h")

    outcome = push(service, field(1, odd) + write_request([(UP_A, [(NOW_MS, 1.0)])]))

    assert (outcome.accepted, outcome.exemplars_not_stored, outcome.histograms_not_stored) == (
        1,
        2,
        1,
    )
    assert meter.counts["not stored exemplars"] == 2


def test_an_empty_request_is_nothing_to_do(service, storage) -> None:
    assert push(service, b"").accepted == 0
    assert storage.appends == []


@pytest.mark.parametrize("cut", [1, 10, 30])
def test_truncated_remote_write_is_invalid_and_nothing_is_stored(service, storage, cut) -> None:
    with pytest.raises(InvalidInput):
        push(service, write_request([(UP_A, [(NOW_MS, 1.0)])])[:-cut])

    assert storage.samples() == {}


@pytest.mark.parametrize(
    "content_type",
    ["", PROTOBUF, f"{PROTOBUF};proto=prometheus.WriteRequest", "Application/X-Protobuf ; a=b"],
)
def test_content_types_of_remote_write_1(service, content_type: str) -> None:
    body = write_request([(UP_A, [(NOW_MS, 1.0)])])

    assert push(service, body, content_type=content_type).accepted == 1


@pytest.mark.parametrize(
    "content_type", [f"{PROTOBUF};proto=io.prometheus.write.v2.Request", "application/json"]
)
def test_other_content_types_are_unsupported(service, content_type: str) -> None:
    with pytest.raises(UnsupportedMedia, match=r"remote write 1\.0"):
        push(service, b"", content_type=content_type)


def test_remote_write_in_another_encoding_is_unsupported(service) -> None:
    with pytest.raises(UnsupportedMedia):
        service.ingest_remote_write(b"", "gzip", PROTOBUF, "r", NOW_MS)


def test_a_body_over_the_limit_is_too_large(broker, storage) -> None:
    config = IngestConfig(max_body_bytes=1024)
    service = IngestService(publisher=broker, catalogue=storage, config=config)

    with pytest.raises(PayloadTooLarge):
        push(service, bytes(1025))
    with pytest.raises(PayloadTooLarge):
        service.ingest_json(b" " * 1025, "", "r", NOW_MS)


def test_json_points_are_stored_and_bad_ones_reported(service, storage) -> None:
    outcome = push_json(service, [*points(1), {"name": "9", "value": 1}, {"name": "m"}])

    assert (outcome.accepted, outcome.rejected) == (1, 2)
    assert [(one["index"], one["code"]) for one in outcome.errors] == [
        (1, "bad_name"),
        (2, "missing_field"),
    ]
    assert list(storage.samples().values()) == [[(NOW_MS, 0.0)]]


def test_json_times_beyond_the_limits_are_refused_by_point(service) -> None:
    late = {"name": "m", "value": 1, "timestamp": NOW_MS + CONFIG.max_future_s * 1000 + 1}

    outcome = push_json(service, [late, *points(1), late])

    assert outcome.accepted == 1
    assert [(one["index"], one["code"]) for one in outcome.errors] == [
        (0, "time_out_of_range"),
        (2, "time_out_of_range"),
    ]


def test_over_the_json_limit_new_series_are_refused_and_existing_ones_accepted(
    service, storage
) -> None:
    assert push_json(service, points(3)).rejected == 0

    outcome = push_json(service, points(5))

    assert (outcome.accepted, outcome.rejected) == (3, 2)
    assert {one["code"] for one in outcome.errors} == {"cardinality_limit"}
    assert "TIDEGAUGE_SERIES_PER_METRIC_JSON" in str(outcome.errors[0]["error"])
    assert storage.read_series_count() == 3


def test_a_storm_of_new_series_leaves_existing_ones_alone(service, storage) -> None:
    push(service, write_request([(UP_A, [(NOW_MS, 1.0)])]))
    storm = [({"__name__": "up", "job": str(n)}, [(NOW_MS, 1.0)]) for n in range(1000)]

    with pytest.raises(SamplesRejected) as caught:
        push(service, write_request([*storm, (UP_A, [(NOW_MS + 1, 1.0)])]))

    assert storage.read_series_count() == 5
    assert caught.value.outcome.accepted == 5
    assert len(storage.samples()[(("__name__", "up"), ("job", "a"))]) == 2


def test_while_the_database_is_away_new_series_travel_with_their_labels(
    service, storage, meter
) -> None:
    storage.failures["find_series"] = 1

    outcome = push_json(service, points(5))

    assert outcome.accepted == 5
    assert meter.counts["bypassed"] == 5
    assert storage.read_series_count() == 5


def test_the_same_series_twice_in_a_request_is_one_series(service, storage) -> None:
    push_json(service, points(1) + points(1))

    assert list(storage.samples().values()) == [[(NOW_MS, 0.0)]]


def test_what_is_not_confirmed_in_time_is_unavailable(broker, storage) -> None:
    config = IngestConfig(confirm_timeout_s=0)
    service = IngestService(publisher=broker, catalogue=storage, config=config)

    with pytest.raises(Unavailable):
        push_json(service, points(1))


class Kept:
    """A Publisher that keeps what it is given, takes a second for each, and fails at the end."""

    def __init__(self, *, fails_at: int = 999) -> None:
        self.messages: list[Message] = []
        self.timeouts_s: list[float] = []
        self._fails_at = fails_at

    def now_s(self) -> float:
        return float(len(self.messages))

    def publish(self, message: Message, *, timeout_s: float) -> None:
        if len(self.messages) == self._fails_at:
            raise Unavailable("the queue is away")
        self.messages.append(message)
        self.timeouts_s.append(timeout_s)


def make_split_service(kept: Kept, storage) -> IngestService:
    return IngestService(
        publisher=kept,
        catalogue=storage,
        config=IngestConfig(confirm_timeout_s=20),
        max_message_bytes=16_384,
        monotonic=kept.now_s,
    )


def test_a_large_request_is_several_messages_that_share_its_time(storage) -> None:
    kept = Kept()

    outcome = push_json(make_split_service(kept, storage), points(1) * 2000)

    assert outcome.accepted == sum(one.count for one in kept.messages) == 2000
    assert max(len(one.body) for one in kept.messages) <= 16_384
    assert len({one.id for one in kept.messages}) == len(kept.messages) == 3
    assert kept.timeouts_s == [20, 19, 18]


def test_a_request_of_which_one_message_fails_is_unavailable(storage) -> None:
    with pytest.raises(Unavailable, match="the queue is away"):
        push_json(make_split_service(Kept(fails_at=2), storage), points(1) * 2000)


def test_message_ids_have_16_bytes_and_follow_time() -> None:
    ids = [make_message_id(NOW_MS + step, bytes([9 - step] * 10)) for step in range(5)]

    assert {len(one) for one in ids} == {16}
    assert ids == sorted(ids)
