"""Faults that a relay makes: parts are shot at the exact moment, and PostgreSQL is slow."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import numpy as np
import psycopg2
import pytest
import requests

from tests.support.relay import (
    COMMIT,
    COMMITTED,
    CONFIRM,
    COPY_DATA,
    COPY_DONE,
    STATEMENT_ENDED,
    Forward,
    Sort,
)
from tests.support.senders import (
    BATCH,
    NOT_NOW,
    Sender,
    check_exactly_once,
    ingest_until,
    take_percentiles_s,
    value_of,
)
from tests.support.servers import wait_until
from tests.support.stack import SERVERS, Stack
from tests.support.wire import HEADERS, compress, write_request

pytestmark = pytest.mark.timeout(900)

OUTAGE_S = float(os.environ.get("TIDEGAUGE_TEST_OUTAGE_SECONDS", "3"))
HEAL_S = 10.0  # reliability.md, F5
TRAP_S = 30.0
POOL_SIZE = 8  # of the set's processes
PROCESSES = 4
QUERIES = 6
STATEMENT_S = 2.0  # reliability.md, F6
P99_RATIO = 20
"""An acknowledgement that waited for the database would be slower by far more."""
QUERY = "/prometheus/api/v1/query"
WRITE = "/prometheus/api/v1/write"
REQUESTS = 5
MakeSenders = Callable[..., list[Sender]]


def body_of(metric: str, first_ms: int, number: int) -> bytes:
    """Return the request of this number: a batch of samples, each with its own time."""
    begin = first_ms + number * BATCH
    points = [(at, value_of(at)) for at in range(begin, begin + BATCH)]
    return compress(write_request([({"__name__": metric, "sender": "one"}, points)]))


def stored(stack: Stack, metric: str) -> tuple[str, int]:
    """Return the checksum of a metric's samples, each counted once, and how many they are.

    The table of another run has the same checksum if it holds the same times and values.
    """
    rows = stack.read_stored(metric)
    samples = np.unique(np.column_stack((rows["time_ms"], rows["value"].view("<i8"))), axis=0)
    return hashlib.sha256(samples.tobytes()).hexdigest(), len(samples)


def wait_for_samples(stack: Stack, metric: str, count: int) -> None:
    wait_until(
        lambda: stored(stack, metric)[1] >= count, timeout_s=60, what=f"{count} samples are stored"
    )


@pytest.mark.parametrize("confirm", [1, 2, 3])
def test_kill_9_of_a_server_between_confirm_and_answer_and_a_retry_leave_the_same_table(
    stack: Stack, confirm: int
) -> None:
    unhurt, hit = f"unhurt_{confirm}", f"hit_{confirm}"
    first_ms = time.time_ns() // 1_000_000 - 100_000
    for number in range(REQUESTS):
        assert stack.send(body_of(unhurt, first_ms, number), HEADERS, WRITE).status_code == 204
    victim = stack.parts[SERVERS[confirm % 2]]
    address = victim.base + WRITE
    # The confirmation is not passed on: the request has no answer, and its message is durable.
    trap = stack.broker_relays[victim.name].set_trap(
        lambda _frame, _forward: victim.kill(), *[CONFIRM] * confirm
    )
    unanswered = []
    for number in range(REQUESTS):
        body = body_of(hit, first_ms, number)
        if answers_204(address, body, stack.headers):
            continue
        if not address.startswith(stack.base):
            unanswered.append(number)
            address = stack.base + WRITE  # From here on nginx finds the server that is left.
        wait_until(
            partial(answers_204, address, body, stack.headers),
            timeout_s=30,
            what="the same request again is taken",
        )
    trap.wait(TRAP_S)
    stack.restart(victim.name)

    assert unanswered == [confirm - 1]
    for metric in (unhurt, hit):
        wait_for_samples(stack, metric, REQUESTS * BATCH)
    assert stored(stack, hit) == stored(stack, unhurt)
    fresh = time.monotonic_ns()
    (answered,) = stack.ask(f'count_over_time({hit}{{fresh!="{fresh}"}}[1h])')
    assert answered["value"][1] == str(REQUESTS * BATCH)
    # A request that is sent again is a message of its own: its rows, and no others, may be double.
    rows = stack.read_stored(hit)
    again = (rows["time_ms"] - first_ms) // BATCH == confirm - 1
    assert np.count_nonzero(~again) == (REQUESTS - 1) * BATCH


def answers_204(url: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """Send a request; return False if there is no answer, or one that says "not now"."""
    try:
        answer = requests.post(url, data=body, headers={**HEADERS, **headers}, timeout=60)
    except requests.ConnectionError:
        return False
    assert answer.status_code in (204, NOT_NOW), answer.text
    return answer.status_code == 204


def half(message: bytes, forward: Forward) -> None:
    forward(message[: len(message) // 2])


def whole(message: bytes, forward: Forward) -> None:
    forward(message)


def nothing(message: bytes, forward: Forward) -> None:
    """Keep the message back."""


@pytest.mark.parametrize(
    ("sorts", "passed_on"),
    [
        ([COPY_DATA], half),
        ([COPY_DATA, COPY_DONE], whole),
        ([COPY_DATA, COMMIT], nothing),
        ([COPY_DATA, COMMIT], whole),
        ([COPY_DATA, COMMIT, COMMITTED], nothing),
    ],
    ids=["amid-the-copy", "copied", "before-commit", "at-commit", "committed-and-not-told"],
)
def test_postgresql_stopped_at_once_while_a_worker_writes_leaves_whole_messages_once(
    stack: Stack,
    make_senders: MakeSenders,
    sorts: list[Sort],
    passed_on: Callable[[bytes, Forward], None],
    record_property: Callable[[str, object], None],
) -> None:
    def shoot(message: bytes, forward: Forward) -> None:
        passed_on(message, forward)
        stack.shoot_postgres()

    senders = make_senders()
    ingest_until(senders, BATCH)
    trap = stack.database_relay.set_trap(shoot, *sorts)
    ingest_until(senders, BATCH)
    trap.wait(TRAP_S)
    stack.postgres.start()
    record_property("ready_s", stack.wait_ready(HEAL_S))
    ingest_until(senders, BATCH)
    check_exactly_once(stack, senders)
    assert len(stack.read_stored(senders[0].metric)) % BATCH == 0, "a part of a message is stored"


@pytest.mark.parametrize("fault", ["lock", "slow-statements"])
def test_a_slow_postgresql_delays_no_acknowledgement_and_piles_up_no_queries(
    stack: Stack,
    make_senders: MakeSenders,
    fault: str,
    record_property: Callable[[str, object], None],
) -> None:
    senders = make_senders()
    ingest_until(senders, BATCH)
    take_percentiles_s(
        senders, 99
    )  # Without the first requests, which make connections and series.
    ingest_until(senders, 20 * BATCH)
    (before_s,) = take_percentiles_s(senders, 99)
    with closing(psycopg2.connect(stack.postgres.url, connect_timeout=5)) as connection:
        cursor = connection.cursor()
        if fault == "lock":
            cursor.execute("LOCK TABLE arrivals IN ACCESS EXCLUSIVE MODE")
        else:
            stack.database_relay.slow_down(STATEMENT_ENDED, STATEMENT_S)
        try:
            statuses = ask_meanwhile(stack, senders)
            (meanwhile_s,) = take_percentiles_s(senders, 99)
            assert statuses == [503] * QUERIES
            # What is cancelled here may end a moment after its answer.
            wait_until(lambda: busy_servers(stack) == 0, timeout_s=5, what="no query is left")
        finally:
            stack.database_relay.speed_up()
            connection.rollback()
    record_property("p99_before_s", before_s)
    record_property("p99_meanwhile_s", meanwhile_s)
    stack.wait_ready()
    check_exactly_once(stack, senders)
    assert meanwhile_s < P99_RATIO * before_s


def ask_meanwhile(stack: Stack, senders: list[Sender]) -> list[int]:
    """Send samples and queries for as long as the outage lasts; return the queries' statuses."""
    for sender in senders:
        sender.resume()
    begin = time.monotonic()

    def ask(number: int) -> int:
        query = f'{senders[0].metric}{{fresh!="{begin} {number}"}}'
        return stack.get(QUERY, params={"query": query, "timeout": "2s"}).status_code

    with ThreadPoolExecutor(QUERIES) as pool:
        statuses = list(pool.map(ask, range(QUERIES)))
    threading.Event().wait(begin + OUTAGE_S - time.monotonic())
    assert count_connections(stack, "TRUE") <= PROCESSES * POOL_SIZE
    return statuses


def busy_servers(stack: Stack) -> int:
    """Return how many statements and transactions of servers there are in the database."""
    return count_connections(stack, "application_name = 'tidegauge' AND state <> 'idle'")


def count_connections(stack: Stack, condition: str) -> int:
    """Return how many connections of ours are in the database."""
    return stack.count(
        "SELECT count(*) FROM pg_stat_activity"
        f" WHERE application_name LIKE 'tidegauge%%' AND {condition}"
    )
