"""Hostile and repeated messages through the whole set: refused with a reason, neighbours stored."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pika
import pytest

from benchmarks.resources import memory_bytes
from tests.support.product import clean_environment
from tests.support.senders import (
    BATCH,
    Sender,
    check_exactly_once,
    ingest_until,
    take_percentiles_s,
)
from tests.support.servers import wait_until
from tests.support.stack import SERVERS, WORKERS, Stack
from tests.support.wire import HEADERS, compress, varint, write_request

pytestmark = pytest.mark.timeout(600)

WRITE = "/prometheus/api/v1/write"
QUEUE = "metrics.ingest"
SERIES = int(os.environ.get("TIDEGAUGE_TEST_NEW_SERIES", "100000"))
FLOOD_BATCH = 5000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def stored_rows(stack: Stack, metric: str, rows: int) -> int:
    """Wait until so many rows are stored, and return how many there are."""
    wait_until(
        lambda: len(stack.read_stored(metric)) >= rows, timeout_s=90, what=f"{rows} of {metric}"
    )
    return len(stack.read_stored(metric))


@contextmanager
def channel_of(stack: Stack) -> Iterator[Any]:
    connection = pika.BlockingConnection(pika.URLParameters(stack.rabbitmq.url))
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        yield channel
    finally:
        connection.close()


def take_message(channel: Any) -> tuple[Any, bytes]:
    """Take one message off the queue."""
    taken: list[tuple[Any, bytes]] = []

    def take() -> bool:
        method, properties, body = channel.basic_get(QUEUE, auto_ack=True)
        if method is not None:
            taken.append((properties, body))
        return bool(taken)

    wait_until(take, timeout_s=30, what="a message is in the queue")
    return taken[0]


def test_a_message_delivered_100_times_out_of_order_is_stored_once(stack: Stack) -> None:
    for name in WORKERS:
        stack.parts[name].stop()
    at_ms, messages = now_ms(), []
    with channel_of(stack) as channel:
        for number in range(5):
            series = [({"__name__": "repeated", "n": str(number)}, [(at_ms, float(number))])]
            answer = stack.send(compress(write_request(series)), HEADERS, WRITE)
            assert answer.status_code == 204, answer.text
            messages.append(take_message(channel))
        copies = messages * 100
        random.Random(9).shuffle(copies)
        for properties, body in copies:
            channel.basic_publish("", QUEUE, body, properties)
        for name in WORKERS:
            stack.restart(name)
        wait_until(
            lambda: channel.queue_declare(QUEUE, passive=True).method.message_count == 0,
            timeout_s=60,
            what="the queue runs dry",
        )
    stored_rows(stack, "repeated", 5)
    for name in WORKERS:  # An orderly stop finishes what is at hand: nothing is under way after it.
        stack.parts[name].stop()
    assert len(stack.read_stored("repeated")) == 5
    for name in WORKERS:
        stack.restart(name)


def test_a_poison_message_is_a_dead_letter_with_its_reason_and_neighbours_are_stored(
    stack: Stack,
) -> None:
    for name in WORKERS:
        stack.parts[name].stop()
    at_ms = now_ms()
    with channel_of(stack) as channel:
        series = [({"__name__": "neighbour"}, [(at_ms, 1.0)])]
        stack.send(compress(write_request(series)), HEADERS, WRITE)
        properties, body = take_message(channel)
        channel.basic_publish("", QUEUE, body, properties)
        poison = pika.BasicProperties(
            message_id=bytes(15).hex() + "77", headers=properties.headers, delivery_mode=2
        )
        channel.basic_publish("", QUEUE, b"\xffgarbage", poison)
        series = [({"__name__": "neighbour"}, [(at_ms + 1, 2.0)])]
        stack.send(compress(write_request(series)), HEADERS, WRITE)
    for name in WORKERS:
        stack.restart(name)

    assert stored_rows(stack, "neighbour", 2) == 2
    wait_until(lambda: "77" in dead_letters(stack), timeout_s=60, what="the poison is put aside")
    assert poison.message_id in dead_letters(stack)


def dead_letters(stack: Stack) -> str:
    """Return what `tidegauge dlq list` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "tidegauge", "dlq", "list", "--json"],
        env=clean_environment(RABBITMQ_URL=stack.rabbitmq.url),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("bomb", ["snappy", "gzip"])
def test_a_bomb_is_refused_without_its_memory(stack: Stack, bomb: str) -> None:
    zipped = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    if bomb == "snappy":
        body, path, headers = varint(2_500_000_000) + bytes(45), WRITE, HEADERS
    else:
        body, path, headers = gzip.compress(bytes(300_000_000), 9), "/api/v1/metrics", zipped
    good = compress(write_request([({"__name__": "warm"}, [(now_ms(), 1.0)])]))
    for _ in range(20):
        assert stack.send(good, HEADERS, WRITE).status_code == 204
    before = [memory_bytes(stack.parts[name].pid) for name in SERVERS]
    for _ in range(6):
        assert stack.send(body, headers, path).status_code in (400, 413)
    after = [memory_bytes(stack.parts[name].pid) for name in SERVERS]
    assert all(now - then < 10 * 2**20 for then, now in zip(before, after, strict=True))


@pytest.mark.parametrize(
    "bad",
    [
        {"__name__": "bad", "nul": "a\x00b"},
        {"__name__": ""},
        {"__name__": "bad", "": "empty name"},
        {"__name__": "bad", "large": "x" * 1_000_000},
        {"__name__": "bad", **{f"l{number}": "v" for number in range(10_000)}},
    ],
    ids=["nul", "no-metric-name", "empty-label-name", "large-value", "many-labels"],
)
def test_a_bad_series_is_refused_by_name_and_its_good_neighbour_is_stored(
    stack: Stack, bad: dict[str, str], request: pytest.FixtureRequest
) -> None:
    metric = "good_" + request.node.callspec.id.replace("-", "_")
    at_ms = now_ms()
    series = [({"__name__": metric}, [(at_ms, 1.0)]), (bad, [(at_ms, 2.0)])]
    answer = stack.send(compress(write_request(series)), HEADERS, WRITE)
    assert answer.status_code == 400, answer.text
    if "large" in bad:
        assert "large" in answer.text
    assert len(answer.text) < 4096
    assert stored_rows(stack, metric, 1) == 1


def test_garbage_is_400_with_a_reason(stack: Stack) -> None:
    for body in (b"", b"\xff" * 64, compress(b"\x0a\xff\xff\xff\xff\x0f"), compress(b"\xff" * 40)):
        answer = stack.send(body, HEADERS, WRITE)
        assert answer.status_code in (204, 400)
        assert body == b"" or (answer.status_code == 400 and answer.text)


def test_servers_and_workers_that_meet_the_same_new_series_do_not_collide(stack: Stack) -> None:
    at_ms, answers = now_ms(), []

    def send(sender: int) -> None:
        for group in range(10):
            series = [
                ({"__name__": "same_new", "n": str(group * 50 + n)}, [(at_ms + sender, 1.0)])
                for n in range(50)
            ]
            answers.append(stack.send(compress(write_request(series)), HEADERS, WRITE).status_code)

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert answers == [204] * 40
    assert stored_rows(stack, "same_new", 2000) == 2000
    assert len(set(stack.read_stored("same_new")["series"])) == 500


def test_a_flood_of_new_series_meets_the_limit_and_spares_existing_ones(
    stack: Stack,
    make_senders: Callable[..., list[Sender]],
    record_property: Callable[[str, object], None],
) -> None:
    at_ms, senders = now_ms(), make_senders()
    one = compress(write_request([({"__name__": "flooded", "n": "0"}, [(at_ms, 1.0)])]))
    assert stack.send(one, HEADERS, WRITE).status_code == 204
    stored_rows(stack, "flooded", 1)
    ingest_until(senders, 20 * BATCH)
    record_state(stack, senders, record_property, "before")
    for sender in senders:
        sender.resume()
    begin = time.monotonic()
    statuses = Counter(flood(stack, first, at_ms) for first in range(0, SERIES, FLOOD_BATCH))
    record_property("flood_s", time.monotonic() - begin)
    record_state(stack, senders, record_property, "after")

    assert statuses[400] > 0
    assert set(statuses) <= {204, 400, 503}
    check_exactly_once(stack, senders)
    again = compress(write_request([({"__name__": "flooded", "n": "0"}, [(at_ms + 2, 3.0)])]))
    assert stack.send(again, HEADERS, WRITE).status_code == 204
    wait_until(
        lambda: at_ms + 2 in stack.read_stored("flooded")["time_ms"],
        timeout_s=60,
        what="the existing series goes on",
    )


def flood(stack: Stack, first: int, at_ms: int) -> int:
    """Send a request of new series of one metric, and return its status."""
    series = [
        ({"__name__": "flooded", "n": str(number)}, [(at_ms + 1, 1.0)])
        for number in range(first, first + FLOOD_BATCH)
    ]
    answer = stack.send(compress(write_request(series)), HEADERS, WRITE)
    assert answer.status_code != 400 or "flooded" in answer.text, answer.text[:500]
    return answer.status_code


def record_state(
    stack: Stack, senders: list[Sender], record: Callable[[str, object], None], when: str
) -> None:
    """Record the memory of each process, and how fast and often senders were acknowledged."""
    for name in (*SERVERS, *WORKERS):
        record(f"{name}_mib_{when}", round(memory_bytes(stack.parts[name].pid) / 2**20))
    for sender in senders:
        sender.pause()
        record(f"{sender.name}_statuses_{when}", dict(sender.statuses))
    record(f"acks_p50_p99_s_{when}", take_percentiles_s(senders, 50, 99))
