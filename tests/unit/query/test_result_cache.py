"""Kept answers: what shares a key, how long they last, who evaluates, and whose answer it is."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import threading
import time
from collections.abc import Callable
from contextlib import closing

import numpy as np
import pytest
from tidegauge.cache.inprocess import InProcessCache
from tidegauge.cache.redis_cache import RedisCache
from tidegauge.config import CacheConfig
from tidegauge.errors import DeadlineExceeded, QueryFailed
from tidegauge.observability.logs import make_logger
from tidegauge.observability.meters import Meters
from tidegauge.promql.value import Annotations, Result, Scalar, Text, Vector
from tidegauge.query.freshness import NobodyKnows, WriteWatch
from tidegauge.query.limits import Deadline
from tidegauge.query.parsing import QueryParser
from tidegauge.query.result_cache import CLAIM_S, Question, ResultCache, name_key
from tidegauge.query.result_codec import Evaluation

from tests.support.needs import need_programs
from tests.support.redis import OwnRedis

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
PATIENCE_S = 20.0


class Clock:
    """A monotonic clock that moves when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        """Move."""
        self.now_s += seconds


def ask(text: str = "cpu", **changes) -> Question:
    question = Question(
        kind="range",
        form=QueryParser(max_depth=20).normalise(text),
        text=text,
        start_ms=NOW_MS - 2 * HOUR_MS,
        end_ms=NOW_MS - HOUR_MS,
        step_ms=60_000,
        lookback_ms=300_000,
        subquery_step_ms=60_000,
    )
    return dataclasses.replace(question, **changes)


def evaluation(value: float = 1.0, *, until_ms: int = NOW_MS - HOUR_MS, info: str = ""):
    notes = Annotations([], [info] if info else [])
    result = Result(Scalar(np.array([value])), np.array([until_ms]), notes, 1)
    return Evaluation(result, 1, until_ms)


def value_of(found) -> float:
    return float(found.evaluation.result.value.values[0])


def make_deadline(timeout_s: float = PATIENCE_S, monotonic=time.monotonic) -> Deadline:
    return Deadline(timeout_s=timeout_s, monotonic=monotonic, named_by="TIDEGAUGE_X")


class Evaluations:
    """Evaluates to 1, 2, 3, … and counts."""

    def __init__(self, **about) -> None:
        self.count, self._about = 0, about

    def __call__(self) -> Evaluation:
        """Evaluate."""
        self.count += 1
        return evaluation(float(self.count), **self._about)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meters() -> Meters:
    return Meters()


@pytest.fixture
def store(clock) -> InProcessCache:
    numbers = itertools.count(1)
    return InProcessCache(
        max_bytes=10_000_000, monotonic=clock, new_id=lambda: f"token-{next(numbers)}"
    )


@pytest.fixture
def build(store, meters, clock) -> Callable[..., ResultCache]:
    numbers = itertools.count(1)

    def start(**changes) -> ResultCache:
        parts = {
            "cache": store,
            "local": store,
            "config": CacheConfig(),
            "meter": meters.cache,
            "freshness": NobodyKnows(),
            "wait_place": contextlib.nullcontext,
            "clock_ms": lambda: NOW_MS,
            "new_id": lambda: f"id-{next(numbers)}",
            "wait": clock.advance,
        }
        return ResultCache(**{**parts, **changes})

    return start


def answer(cache: ResultCache, evaluate, question: Question | None = None):
    return cache.answer(question or ask(), deadline=make_deadline(), evaluate=evaluate)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sum(cpu)by(host)", "  sum by (host) ( cpu )\n"),
        ('cpu{a="1",b="2"}', "cpu{b='2', a=\"1\",}"),
        ("rate(cpu[300s])", "rate(cpu[5m])"),
        ("cpu # a comment", "cpu"),
        ("1e3 * cpu", "1000 * cpu"),
    ],
)
def test_spellings_of_one_query_share_a_key(one, other) -> None:
    assert ask(one).digest() == ask(other).digest()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('cpu{host="A"}', 'cpu{host="a"}'),
        ("cpu", "CPU"),
        ('cpu{host="a"}', 'cpu{host=~"a"}'),
        ("rate(cpu[5m])", "rate(cpu[6m])"),
        ("cpu", "cpu offset 1m"),
        ("a - b", "b - a"),
        ('label_replace(cpu, "a", "X", "b", "")', 'label_replace(cpu, "a", "x", "b", "")'),
    ],
)
def test_different_queries_do_not_share_a_key(one, other) -> None:
    assert ask(one).digest() != ask(other).digest()


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "instant"},
        {"start_ms": NOW_MS - 2 * HOUR_MS + 1},
        {"end_ms": NOW_MS - HOUR_MS + 1},
        {"step_ms": 60_001},
        {"lookback_ms": 1},
        {"subquery_step_ms": 1},
        {"resolution": "1m"},
        {"scope": "team"},
    ],
)
def test_whatever_the_answer_depends_on_is_in_the_key(change) -> None:
    assert ask().digest() != ask(**change).digest()


def test_the_second_time_is_a_hit(build, meters) -> None:
    cache, evaluate = build(), Evaluations()

    found = [answer(cache, evaluate) for _ in range(3)]

    assert [one.is_hit for one in found] == [False, True, True]
    assert [value_of(one) for one in found] == [1.0] * 3
    text = meters.render().decode()
    assert 'cache_hits_total{cache="query"} 2.0' in text
    assert 'cache_misses_total{cache="query"} 1.0' in text


@pytest.mark.parametrize(
    ("until_ms", "ttl_s"),
    [
        (NOW_MS - 300_001, 300),
        (NOW_MS - 300_000, 10),
        (NOW_MS, 10),
        (NOW_MS + HOUR_MS, 10),
    ],
)
def test_what_reaches_into_the_last_minutes_is_kept_shortly(build, clock, until_ms, ttl_s) -> None:
    cache, evaluate = build(), Evaluations(until_ms=until_ms)
    answer(cache, evaluate)

    clock.advance(ttl_s - 0.01)
    assert value_of(answer(cache, evaluate)) == 1.0
    clock.advance(0.01)

    assert value_of(answer(cache, evaluate)) == 2.0


def test_errors_are_not_kept(build) -> None:
    cache = build()

    def fail() -> Evaluation:
        raise QueryFailed("no")

    with pytest.raises(QueryFailed):
        answer(cache, fail)
    assert not answer(cache, Evaluations()).is_hit


def test_results_over_the_limit_are_not_kept_nor_what_is_rendered_of_them(build) -> None:
    cache = build(config=CacheConfig(max_result_bytes=1000))
    large = Vector([()], np.zeros((1, 200)), np.ones((1, 200), bool), np.zeros(1, bool))
    result = Result(large, np.arange(200), Annotations(), 200)

    found = [answer(cache, lambda: Evaluation(result, 1, 0)) for _ in range(2)]

    assert [one.is_hit for one in found] == [False, False]
    assert found[0].bodies.get("form", lambda: b"1") == b"1"
    assert found[0].bodies.get("form", lambda: b"2") == b"2"


def test_text_that_is_no_utf8_is_answered_and_not_kept(build) -> None:
    cache = build()
    result = Result(Text("\udcff"), np.array([0]), Annotations(), 0)

    found = [answer(cache, lambda: Evaluation(result, 0, 0)) for _ in range(2)]

    assert [one.is_hit for one in found] == [False, False]


def test_notes_point_into_the_text_so_another_spelling_gets_its_own(build) -> None:
    cache, evaluate = build(), Evaluations(info="(1:5)")

    answer(cache, evaluate, ask("cpu + 1"))
    again = answer(cache, evaluate, ask("cpu + 1"))
    other = answer(cache, evaluate, ask("cpu  +  1"))

    assert (again.is_hit, other.is_hit) == (True, False)


@pytest.mark.parametrize("value", [b"", b"foreign", b"TGR\x01" + bytes(100)])
def test_values_that_are_no_results_are_ignored_and_counted(build, store, meters, value) -> None:
    cache, evaluate = build(), Evaluations()
    store.set(name_key(ask().digest()), value, ttl_s=60)

    found = [answer(cache, evaluate) for _ in range(2)]

    assert [one.is_hit for one in found] == [False, True]
    assert 'cache_errors_total{operation="decode"}' in meters.render().decode()


def test_the_result_of_another_key_is_ignored(build, store) -> None:
    cache, evaluate = build(), Evaluations()
    answer(cache, evaluate)
    moved = store.get(name_key(ask().digest()))
    store.set(name_key(ask("mem").digest()), moved, ttl_s=60)

    assert value_of(answer(cache, evaluate, ask("mem"))) == 2.0


def test_late_data_in_the_range_overtakes_and_later_data_does_not(build) -> None:
    watch = WriteWatch()
    cache, evaluate = build(freshness=watch), Evaluations()
    answer(cache, evaluate)

    watch.note(NOW_MS - HOUR_MS + 1)
    assert value_of(answer(cache, evaluate)) == 1.0
    watch.note(NOW_MS - HOUR_MS)

    assert value_of(answer(cache, evaluate)) == 2.0


def test_data_that_comes_while_it_is_evaluated_overtakes_too(build) -> None:
    watch, evaluate = WriteWatch(), Evaluations()
    cache = build(freshness=watch)

    def evaluate_amid_writes() -> Evaluation:
        watch.note(NOW_MS - HOUR_MS)
        return evaluate()

    answer(cache, evaluate_amid_writes)

    assert value_of(answer(cache, evaluate)) == 2.0


def test_bodies_are_kept_beside_their_result_and_go_with_it(build, clock) -> None:
    cache, evaluate = build(), Evaluations()
    first = answer(cache, evaluate).bodies.get("json", lambda: b"first")

    again = answer(cache, evaluate).bodies.get("json", lambda: b"again")
    other = answer(cache, evaluate).bodies.get("text", lambda: b"other form")
    clock.advance(301)
    later = answer(cache, evaluate).bodies.get("json", lambda: b"later")

    assert (first, again, other, later) == (b"first", b"first", b"other form", b"later")


def test_another_process_that_has_begun_is_waited_for(build, store) -> None:
    waits: list[float] = []
    theirs, claim = build(), f"{name_key(ask().digest())}:claim"
    token = store.claim(claim, ttl_s=60)

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            store.release(claim, token)
            answer(theirs, lambda: evaluation(7.0))

    found = answer(build(wait=wait), Evaluations())

    assert (value_of(found), found.is_hit, len(waits)) == (7.0, True, 3)
    assert waits == sorted(waits)


def test_another_process_that_died_is_waited_for_no_longer_than_its_claim(
    build, store, clock
) -> None:
    before_s = clock.now_s
    store.claim(f"{name_key(ask().digest())}:claim", ttl_s=CLAIM_S)

    found = answer(build(), Evaluations())

    assert (value_of(found), found.is_hit) == (1.0, False)
    assert CLAIM_S <= clock.now_s - before_s < CLAIM_S + 0.2


def test_waiting_for_another_process_ends_with_ones_own_deadline(build, store, clock) -> None:
    store.claim(f"{name_key(ask().digest())}:claim", ttl_s=60)
    deadline = make_deadline(2.0, clock)

    with pytest.raises(DeadlineExceeded, match="another process"):
        build().answer(ask(), deadline=deadline, evaluate=Evaluations())

    assert deadline.remaining_s() == 0


def test_a_claim_is_given_back_also_after_an_error(build, store) -> None:
    def fail() -> Evaluation:
        raise QueryFailed("no")

    with pytest.raises(QueryFailed):
        answer(build(), fail)

    assert store.claim(f"{name_key(ask().digest())}:claim", ttl_s=1)


@pytest.mark.services
def test_two_processes_over_one_redis_evaluate_once(build, tmp_path) -> None:
    need_programs("redis-server")
    server = OwnRedis(tmp_path)
    server.start()
    numbers = itertools.count(1)
    stores = [
        RedisCache(
            server.url,
            timeout_s=5.0,
            max_connections=8,
            monotonic=time.monotonic,
            new_id=lambda: f"token-{next(numbers)}",
            on_error=lambda operation: None,
            log=make_logger(io.BytesIO(), level="info", service="t", clock_ms=int),
        )
        for _ in range(2)
    ]
    begun, waited = threading.Event(), threading.Event()
    evaluations: list[float] = []

    def evaluate() -> Evaluation:
        evaluations.append(5.0)
        begun.set()
        assert waited.wait(PATIENCE_S)
        return evaluation(5.0)

    def wait(seconds: float) -> None:
        waited.set()
        time.sleep(seconds)

    one, two = (build(cache=store, wait=wait) for store in stores)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(answer(one, evaluate)))]
    threads[0].start()
    assert begun.wait(PATIENCE_S)
    threads.append(threading.Thread(target=lambda: found.append(answer(two, evaluate))))
    threads[1].start()
    for thread in threads:
        thread.join(PATIENCE_S)

    with closing(server.client()) as client:
        keys = client.keys("cache:query:*")
    for store in stores:
        store.close()
    server.close()
    assert evaluations == [5.0]
    assert [value_of(one) for one in found] == [5.0, 5.0]
    assert sorted(one.is_hit for one in found) == [False, True]
    assert keys == [name_key(ask().digest()).encode()]
