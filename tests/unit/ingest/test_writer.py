"""The batch writer: all or nothing, once, and never acknowledged before it is stored."""

from __future__ import annotations

import dataclasses
import threading

import pytest
from tidegauge.broker.errors import MessageRejected
from tidegauge.config import TraceConfig
from tidegauge.errors import Unavailable
from tidegauge.model.batch import MetricMetadata

from tests.support.spans import Traced
from tests.unit.ingest.fragile import POISON_VALUE, Publishing, make_message

UP = (("__name__", "up"), ("job", "a"))
DOWN = (("__name__", "down"),)
CALLS = ["register_series", "store_metadata", "append"]
SAID = (MetricMetadata("up", "gauge", "", "Up."),)


class Waits:
    """Notes the waits before retries; says when to give up."""

    def __init__(self, *, stop_after: int = 99) -> None:
        self.seconds: list[float] = []
        self._stop_after = stop_after

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return len(self.seconds) > self._stop_after


def test_a_message_is_stored_and_then_confirmed(writer, broker, storage) -> None:
    publishing = Publishing(broker, make_message(1, UP, [(10, 1.0), (20, 2.0)]))

    assert writer.write_once(0.0) == 1

    assert publishing.outcome() is None
    assert storage.samples() == {UP: [(10, 1.0), (20, 2.0)]}


def test_nothing_to_take_is_no_work(writer) -> None:
    assert writer.write_once(0.0) == 0


def test_all_that_waits_is_written_at_once(writer, broker, storage) -> None:
    publishings = [
        Publishing(broker, make_message(number, UP, [(number, 1.0)])) for number in range(5)
    ]

    assert writer.write_once(0.0) == 5

    assert storage.appends == [5]
    assert [one.outcome() for one in publishings] == [None] * 5
    assert len(storage.samples()[UP]) == 5


def test_known_and_new_series_of_several_messages_find_their_ids(writer, broker, storage) -> None:
    for number, labels in enumerate([UP, DOWN, UP]):
        Publishing(broker, make_message(number, labels, [(number, float(number))]))

    writer.write_once(0.0)

    assert storage.samples() == {UP: [(0, 0.0), (2, 2.0)], DOWN: [(1, 1.0)]}


def test_the_last_message_to_arrive_wins_at_the_same_time(writer, broker, storage) -> None:
    for number, value in enumerate([1.0, 3.0, 2.0]):
        Publishing(broker, make_message(number, UP, [(10, value)]))

    writer.write_once(0.0)

    assert storage.samples() == {UP: [(10, 2.0)]}


def test_a_message_delivered_a_hundred_times_counts_once(writer, broker, storage) -> None:
    message = make_message(1, UP, [(10, 1.0)])
    Publishing(broker, message)
    writer.write_once(0.0)
    Publishing(broker, make_message(2, UP, [(10, 5.0)]))
    writer.write_once(0.0)

    for _ in range(100):
        Publishing(broker, message)
    writer.write_once(0.0)

    assert storage.samples() == {UP: [(10, 5.0)]}


def test_metadata_is_kept_even_without_samples(writer, broker, storage) -> None:
    publishing = Publishing(broker, make_message(1, UP, [], SAID))

    writer.write_once(0.0)

    assert publishing.outcome() is None
    assert storage.read_metadata("up", 0) == {"up": SAID[0]}
    assert storage.appends == []


def test_series_are_noted_as_seen(writer, broker, storage) -> None:
    storage.register_series([UP])
    Publishing(broker, make_message(1, UP, [(10, 1.0)]))
    touched: list[tuple[list[int], int]] = []
    storage.touch_series = lambda ids, seen_ms: touched.append((ids.tolist(), seen_ms))

    writer.write_once(0.0)

    assert touched == [([1], 5000)]


def test_stored_samples_are_confirmed_although_their_series_cannot_be_noted_as_seen(
    writer, broker, storage, logs
) -> None:
    storage.failures["touch_series"] = 1
    publishing = Publishing(broker, make_message(1, UP, [(10, 1.0)]))
    waits = Waits()

    writer.write_once(0.0, wait=waits)

    assert publishing.outcome() is None
    assert waits.seconds == []
    assert storage.samples() == {UP: [(10, 1.0)]}
    assert any("not noted as seen" in entry["event"] for entry in logs)


def test_stored_samples_are_confirmed_before_their_series_are_noted_as_seen(
    writer, broker, storage
) -> None:
    publishing = Publishing(broker, make_message(1, UP, [(10, 1.0)]))
    heard: list[object] = []
    storage.touch_series = lambda _ids, _seen_ms: heard.append(publishing.outcome())

    writer.write_once(0.0)

    assert heard == [None]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("done_before_it_failed", [False, True])
@pytest.mark.parametrize("failures", [1, 2, 3])
def test_while_storage_is_away_the_batch_waits_and_is_then_stored_once(
    writer, broker, storage, call: str, done_before_it_failed: bool, failures: int
) -> None:
    storage.failures[call] = failures
    if done_before_it_failed:
        storage.fail_after.add(call)
    publishing = Publishing(broker, make_message(1, UP, [(10, 1.0)], SAID))
    waits = Waits()

    writer.write_once(0.0, wait=waits)

    assert publishing.outcome() is None
    assert waits.seconds == [1.0, 2.0, 4.0][:failures]
    assert storage.samples() == {UP: [(10, 1.0)]}
    assert storage.read_metadata("up", 0) == {"up": SAID[0]}


@pytest.mark.parametrize("call", CALLS)
def test_when_storage_stays_away_publishers_are_told_and_the_next_batch_is_tried(
    writer, broker, storage, call: str
) -> None:
    storage.failures[call] = 4
    publishing = Publishing(broker, make_message(1, UP, [(10, 1.0)], SAID))
    waits = Waits()

    writer.write_once(0.0, wait=waits)

    assert isinstance(publishing.outcome(), Unavailable)
    assert waits.seconds == [1.0, 2.0, 4.0]
    assert broker.depth() == 0
    again = Publishing(broker, make_message(2, UP, [(10, 1.0)], SAID))
    writer.write_once(0.0, wait=waits)
    assert again.outcome() is None
    assert storage.samples() == {UP: [(10, 1.0)]}


def test_a_stop_ends_the_waiting_and_nothing_is_acknowledged(writer, broker, storage) -> None:
    storage.failures["append"] = 9
    publishing = Publishing(broker, make_message(1, UP, [(10, 1.0)]))
    waits = Waits(stop_after=1)

    writer.write_once(0.0, wait=waits)

    assert isinstance(publishing.outcome(), Unavailable)
    assert waits.seconds == [1.0, 2.0]
    assert storage.samples() == {}


@pytest.mark.parametrize("poisonous", [{0}, {7}, {3, 4}, {12}, {0, 5, 6, 12}])
def test_a_message_that_storage_refuses_is_dead_lettered_alone(
    writer, broker, storage, poisonous: set[int]
) -> None:
    publishings = [
        Publishing(
            broker,
            make_message(number, UP, [(number, POISON_VALUE if number in poisonous else 1.0)]),
        )
        for number in range(13)
    ]

    writer.write_once(0.0)

    outcomes = [one.outcome() for one in publishings]
    assert {number for number, error in enumerate(outcomes) if error} == poisonous
    assert all(isinstance(outcomes[number], MessageRejected) for number in poisonous)
    assert {time_ms for time_ms, _ in storage.samples()[UP]} == set(range(13)) - poisonous
    assert [one.message.request_id for one in broker.read_oldest(limit=100)] == [
        f"r{number}" for number in sorted(poisonous)
    ]
    assert all("refuses value 666" in one.reason for one in broker.read_oldest(limit=100))


@pytest.mark.parametrize(
    "damage",
    [
        lambda one: dataclasses.replace(one, body=one.body[:-1]),
        lambda one: dataclasses.replace(one, body=b""),
        lambda one: dataclasses.replace(one, codec=99),
    ],
)
def test_a_message_that_cannot_be_decoded_is_dead_lettered_alone(
    writer, broker, storage, damage
) -> None:
    bad = Publishing(broker, damage(make_message(1, UP, [(10, 1.0)])))
    good = Publishing(broker, make_message(2, DOWN, [(20, 2.0)]))

    writer.write_once(0.0)

    assert isinstance(bad.outcome(), MessageRejected)
    assert good.outcome() is None
    assert storage.samples() == {DOWN: [(20, 2.0)]}


def test_poison_is_isolated_even_while_storage_comes_and_goes(writer, broker, storage) -> None:
    publishings = [
        Publishing(broker, make_message(number, UP, [(number, value)]))
        for number, value in enumerate([1.0, POISON_VALUE, 2.0, 3.0])
    ]
    storage.failures["append"] = 2

    writer.write_once(0.0, wait=Waits())

    assert [type(one.outcome()) for one in publishings] == [
        type(None),
        MessageRejected,
        type(None),
        type(None),
    ]
    assert storage.samples() == {UP: [(0, 1.0), (2, 2.0), (3, 3.0)]}


def test_after_an_unforeseen_fault_nobody_waits_and_nothing_is_acknowledged(
    writer, broker, storage
) -> None:
    def break_down(_labels: object) -> None:
        raise ZeroDivisionError

    storage.register_series = break_down
    publishing = Publishing(broker, make_message(1, UP, [(10, 1.0)]))

    with pytest.raises(ZeroDivisionError):
        writer.write_once(0.0)

    assert isinstance(publishing.outcome(), Unavailable)
    assert broker.depth() == 0


def test_the_loop_writes_until_it_is_stopped_and_leaves_nobody_waiting(
    writer, broker, storage
) -> None:
    stop = threading.Event()
    loop = threading.Thread(target=writer.run, args=(stop,))
    loop.start()
    first = [Publishing(broker, make_message(number, UP, [(number, 1.0)])) for number in range(20)]
    assert [one.outcome() for one in first] == [None] * 20

    stop.set()
    broker.close()
    loop.join(20)

    assert not loop.is_alive()
    assert len(storage.samples()[UP]) == 20


def test_what_was_published_before_the_stop_is_still_written(writer, broker, storage) -> None:
    publishing = Publishing(broker, make_message(1, UP, [(10, 1.0)]))
    stop = threading.Event()
    stop.set()

    writer.run(stop)

    assert publishing.outcome() is None
    assert storage.samples() == {UP: [(10, 1.0)]}


def test_log_lines_of_a_batch_name_requests_and_messages_up_to_a_bound(
    writer, broker, storage, logs
) -> None:
    storage.failures["append"] = 4
    for number in range(1, 13):
        Publishing(broker, make_message(number, UP, [(number, 1.0)]))

    writer.write_once(0.0, wait=Waits())

    named = [entry for entry in logs if "request_ids" in entry]
    assert {entry["log_level"] for entry in named} == {"debug", "warning", "error"}
    for entry in named:
        assert entry["messages"] == 12
        assert entry["request_ids"] == [f"r{number}" for number in range(1, 11)]
        assert entry["message_ids"][0] == f"{1:032x}"


def test_the_span_of_a_write_links_the_requests_it_stores(writer, broker) -> None:
    traced = Traced(TraceConfig(exporter="console"))
    sender = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    message = dataclasses.replace(make_message(1, UP, [(10, 1.0)]), trace=sender)
    try:
        Publishing(broker, message)
        Publishing(broker, make_message(2, UP, [(20, 1.0)]))
        writer.write_once(0.0)
    finally:
        traced.tracing.close()

    write, consume = traced.lines()
    assert (write["name"], consume["name"]) == ("ingest.write", "queue.consume")
    assert write["links"] == consume["links"] == ["4bf92f3577b34da6a3ce929d0e0e4736"]
    assert write["attributes"] == {"samples": 2}
    assert write["parent_id"] == consume["span_id"]
