"""Faults in the real set: what was acknowledged is stored, and stored once."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections.abc import Callable

import pytest

from tests.support.senders import (
    BATCH,
    Sender,
    check_exactly_once,
    ingest_until,
    settle_paused,
)
from tests.support.servers import wait_until
from tests.support.stack import SERVERS, WORKERS, Stack

SEED = 20_261_124
ROUNDS = int(os.environ.get("TIDEGAUGE_TEST_ROUNDS", "12"))
WORKER_RECOVERY_S = 5.0  # reliability.md, F1
HEAL_S = 10.0  # reliability.md, F5; of RabbitMQ (F3) likewise
OUTAGE_S = float(os.environ.get("TIDEGAUGE_TEST_OUTAGE_SECONDS", "5"))
MakeSenders = Callable[..., list[Sender]]

pytestmark = pytest.mark.timeout(900 + 10 * ROUNDS)


def test_kill_9_of_a_worker_at_random_points(
    stack: Stack,
    make_senders: MakeSenders,
    record_property: Callable[[str, object], None],
) -> None:
    rng, senders = random.Random(SEED), make_senders()
    for number in range(ROUNDS):
        victim = rng.choice(WORKERS)
        ingest_until(senders, rng.randrange(1, 20) * BATCH)
        stack.parts[victim].kill()
        begin = time.monotonic()
        for sender in senders:
            sender.pause()
        stack.restart(victim, begin + WORKER_RECOVERY_S - time.monotonic())
        acknowledged = sum(len(sender.acknowledged) for sender in senders)
        wait_until(
            lambda wanted=acknowledged: stored_samples(stack, senders[0].metric) >= wanted,
            timeout_s=begin + WORKER_RECOVERY_S - time.monotonic(),
            what="all that was acknowledged is stored",
        )
        record_property(f"recovery_s_{number}", time.monotonic() - begin)
    check_exactly_once(stack, senders)


def stored_samples(stack: Stack, metric: str) -> int:
    """Return how many samples of a metric are stored, repeated ones too."""
    return stack.count(
        "SELECT coalesce(sum(sample_count), 0) FROM arrivals"
        " JOIN metric_definitions ON metric_definitions.id = metric_id WHERE name = %s",
        metric,
    )


def test_all_workers_killed_leaves_the_backlog_to_the_next(
    stack: Stack, make_senders: MakeSenders
) -> None:
    senders = make_senders()
    ingest_until(senders, BATCH)
    for name in WORKERS:
        stack.parts[name].kill()
    ingest_until(senders, 20 * BATCH)
    for name in WORKERS:
        stack.restart(name)
    check_exactly_once(stack, senders)


def test_orderly_stop_of_a_worker_loses_nothing(stack: Stack, make_senders: MakeSenders) -> None:
    senders = make_senders()
    for name in WORKERS:
        ingest_until(senders, 5 * BATCH)
        assert stack.parts[name].stop() == 0
        stack.restart(name)
    check_exactly_once(stack, senders)


def test_kill_9_of_a_server_and_the_same_request_again_changes_no_answer(
    stack: Stack, make_senders: MakeSenders
) -> None:
    rng, senders = random.Random(SEED + 1), make_senders(repeat=True)
    for _ in range(max(2, ROUNDS // 4)):
        victim = rng.choice(SERVERS)
        ingest_until(senders, rng.randrange(1, 10) * BATCH)
        stack.parts[victim].kill()
        ingest_until(senders, BATCH)
        stack.restart(victim)
    found = settle_paused(stack, senders, may_double=True)

    # A repeated request is a message of its own, so its rows may be there twice; what a query
    # answers is one sample for each time, with the one value it was sent with.
    assert found.lost == 0
    series = stack.ask(f'{senders[0].metric}{{fresh!="{time.monotonic_ns()}"}}[2h]')
    answered = {one["metric"]["sender"]: one["values"] for one in series}
    for sender in senders:
        times = [round(float(at) * 1000) for at, _ in answered[sender.name]]
        assert times == sorted(set(sender.acknowledged))
        assert all(
            float(value) == at % 1_000_003
            for at, (_, value) in zip(times, answered[sender.name], strict=True)
        )


@pytest.mark.parametrize("outage_s", [0.0, OUTAGE_S])
def test_rabbitmq_outage_answers_503_with_retry_after_and_heals(
    stack: Stack, make_senders: MakeSenders, outage_s: float
) -> None:
    senders = make_senders()
    ingest_until(senders, BATCH)
    stack.rabbitmq.stop()
    threading.Event().wait(outage_s)
    if outage_s:
        wait_until(
            lambda: all(sender.statuses[503] for sender in senders),
            timeout_s=30,
            what="every sender is told to come again",
        )
        assert stack.get("/health").status_code == 200
    stack.rabbitmq.start()
    stack.wait_ready(HEAL_S)
    ingest_until(senders, BATCH)
    check_exactly_once(stack, senders)
    assert [sender.without_retry_after for sender in senders] == [0, 0, 0]
    assert {status for sender in senders for status in sender.statuses} <= {202, 204, 503}


def test_alarm_of_rabbitmq_makes_servers_unready_and_ends_by_itself(
    stack: Stack, make_senders: MakeSenders
) -> None:
    senders = make_senders()
    ingest_until(senders, BATCH)
    stack.rabbitmq.set_alarm(True)
    try:
        wait_until(
            lambda: stack.get("/health/ready").status_code == 503,
            timeout_s=60,
            what="not ready while RabbitMQ takes nothing",
        )
        assert stack.get("/health").status_code == 200
        before = server_memory_bytes(stack)
        wait_until(
            lambda: all(sender.statuses[503] >= 2 for sender in senders),
            timeout_s=60,
            what="requests are refused",
        )
        assert server_memory_bytes(stack) - before < 50 * 2**20
    finally:
        stack.rabbitmq.set_alarm(False)
    stack.wait_ready()
    ingest_until(senders, BATCH)
    check_exactly_once(stack, senders)


def server_memory_bytes(stack: Stack) -> int:
    """Return the memory of both servers."""
    from benchmarks.resources import memory_bytes

    return sum(memory_bytes(stack.parts[name].pid) for name in SERVERS)


def test_immediate_restarts_of_postgresql_leave_whole_messages_once(
    stack: Stack,
    make_senders: MakeSenders,
    record_property: Callable[[str, object], None],
) -> None:
    rng, senders = random.Random(SEED + 2), make_senders()
    for number in range(max(2, ROUNDS // 4)):
        ingest_until(senders, rng.randrange(1, 20) * BATCH)
        stack.shoot_postgres()
        ingest_until(senders, BATCH)  # The queue takes it in the meantime.
        stack.postgres.start()
        record_property(f"ready_s_{number}", stack.wait_ready(HEAL_S))
    check_exactly_once(stack, senders)
    rows = stack.read_stored(senders[0].metric)
    assert len(rows) % BATCH == 0, "a part of a message is stored"


@pytest.mark.parametrize("fault", ["killed", "flushed"])
def test_loss_of_redis_changes_no_answer(
    stack: Stack, make_senders: MakeSenders, fault: str
) -> None:
    senders = make_senders()
    ingest_until(senders, 5 * BATCH)
    if fault == "flushed":
        with stack.redis.client() as client:
            assert client.flushall()
        check_exactly_once(stack, senders)
        return
    stack.redis.kill()
    try:
        ingest_until(senders, 5 * BATCH)
        check_exactly_once(stack, senders)
    finally:
        stack.redis.start()
    ingest_until(senders, BATCH)
    check_exactly_once(stack, senders)


def test_wrong_data_in_redis_changes_no_answer(stack: Stack, make_senders: MakeSenders) -> None:
    senders = make_senders()
    ingest_until(senders, 5 * BATCH)
    check_exactly_once(stack, senders)
    query = f'count_over_time({senders[0].metric}{{kept!="no"}}[2h])'
    right = {one["metric"]["sender"]: one["value"][1] for one in stack.ask(query)}
    with stack.redis.client() as client:
        assert client.keys("*"), "nothing is cached in Redis: this test would prove nothing"
        for key, value in itertools.product(client.keys("*"), (b"\x00garbage", b'{"a":1}')):
            client.delete(key)
            client.set(key, value)
    assert {one["metric"]["sender"]: one["value"][1] for one in stack.ask(query)} == right
