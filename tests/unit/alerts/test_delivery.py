"""Delivery: what is tried when, what is given up, and that no target is in another's way."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from tidegauge.alerts.delivery import GIVE_UP_AFTER_S
from tidegauge.config import DatabaseConfig
from tidegauge.errors import Unavailable
from tidegauge.storage.pool import Pool

from tests.unit.alerts.delivery_kit import Kit


@pytest.fixture(autouse=True)
def logs() -> Iterator[list]:
    with capture_logs() as entries:
        yield entries


@pytest.fixture
def kit(migrated_database_url: str) -> Iterator[Kit]:
    pool = Pool.from_config(DatabaseConfig(), url=migrated_database_url)
    kit = Kit(pool)
    yield kit
    kit.delivery.close()
    pool.close()


def test_what_is_due_is_sent_once(kit: Kit) -> None:
    kit.put("a", "b", "a")

    assert kit.delivery.deliver_due() == 3
    assert kit.delivery.deliver_due() == 0

    assert sorted(kit.notifier.targets()) == ["a", "a", "b"]
    assert {(row.state, row.last_answer, row.attempts) for row in kit.log()} == {
        ("sent", "taken", 1)
    }


def test_a_failure_is_tried_again_after_30_60_and_120_seconds_and_then_given_up(
    kit: Kit, logs: list
) -> None:
    kit.put("a")
    kit.refuse("a", "500 oops")

    for wanted_s in (30, 60, 120):
        kit.delivery.deliver_due()
        (delay_s,) = kit.delays_s()
        assert wanted_s - 5 < delay_s < wanted_s * 1.1 + 1
        kit.make_due()
    kit.delivery.deliver_due()
    kit.make_due()

    assert kit.delivery.deliver_due() == 0
    (row,) = kit.log()
    assert (row.state, row.attempts, row.last_answer) == ("failed", 4, "500 oops")
    assert len({one.idempotency_key for one in kit.notifier.sent}) == 1
    assert [one["event"] for one in logs][-1] == "notification failed"
    assert kit.outcomes == [("test", "retry")] * 3 + [("test", "failed")]


@pytest.mark.parametrize(
    ("asked_s", "least_s", "most_s"), [(1, 25, 34), (300, 295, 331), (1e9, 595, 661)]
)
def test_retry_after_is_honoured_within_bounds(
    kit: Kit, asked_s: float, least_s: float, most_s: float
) -> None:
    kit.put("a")
    kit.refuse("a", retry_after_s=asked_s)

    kit.delivery.deliver_due()

    (delay_s,) = kit.delays_s()
    assert least_s < delay_s < most_s


def test_what_no_attempt_can_change_is_given_up_at_once(kit: Kit) -> None:
    kit.put("a")
    kit.refuse("a", "404 not here", permanent=True)

    kit.delivery.deliver_due()

    assert [(row.state, row.attempts) for row in kit.log()] == [("failed", 1)]


def test_an_unknown_channel_type_fails_and_names_those_there_are(kit: Kit) -> None:
    kit.put("a", kind="pigeon")

    kit.delivery.deliver_due()

    (row,) = kit.log()
    assert row.state == "failed"
    assert kit.outcomes == [("unknown", "failed")]
    assert row.last_answer == 'there is no channel type "pigeon"; there are test'


def test_a_notifier_that_is_broken_is_an_attempt_that_failed(kit: Kit, logs: list) -> None:
    kit.put("a", "b")
    kit.notifier.orders["a"] = lambda: {}["key"]

    kit.delivery.deliver_due()

    broken, fine = kit.log()
    assert (broken.state, broken.last_answer) == ("pending", "KeyError: 'key'")
    assert fine.state == "sent"
    assert any(one["event"] == "a notifier failed" for one in logs)


def test_five_failures_close_a_target_off_and_a_trial_opens_it_again(kit: Kit) -> None:
    kit.put(*["a"] * 8, "b")
    kit.refuse("a")

    kit.delivery.deliver_due()
    assert kit.notifier.targets().count("a") == 5
    assert sorted(row.attempts for row in kit.log()) == [0, 0, 0, 1, 1, 1, 1, 1, 1]

    kit.make_due()
    kit.delivery.deliver_due()
    assert kit.notifier.targets().count("a") == 5

    kit.clock.now_s += 61
    kit.make_due()
    kit.delivery.deliver_due()
    assert kit.notifier.targets().count("a") == 6

    del kit.notifier.orders["a"]
    kit.clock.now_s += 61
    kit.make_due()
    kit.delivery.deliver_due()
    assert [row.state for row in kit.log()] == ["sent"] * 9


def test_a_success_in_between_begins_the_count_anew(kit: Kit) -> None:
    kit.put(*["a"] * 4)
    kit.refuse("a")
    kit.delivery.deliver_due()
    del kit.notifier.orders["a"]
    kit.put("a")
    kit.delivery.deliver_due()

    kit.refuse("a")
    kit.put(*["a"] * 4)
    kit.delivery.deliver_due()
    kit.put("a")
    kit.delivery.deliver_due()

    assert len(kit.notifier.sent) == 10


def test_what_a_breaker_keeps_back_for_an_hour_is_given_up(kit: Kit) -> None:
    kit.put(*["a"] * 6)
    kit.refuse("a")
    kit.delivery.deliver_due()
    kit.make_due(age_s=GIVE_UP_AFTER_S + 1)

    kit.delivery.deliver_due()

    assert {row.state for row in kit.log()} == {"failed"}
    assert "is not tried for" in kit.log()[-1].last_answer


def test_a_target_that_hangs_holds_up_no_other(kit: Kit) -> None:
    hanging, let_go = threading.Event(), threading.Event()

    def hang() -> None:
        hanging.set()
        assert let_go.wait(30)

    kit.notifier.orders["slow"] = hang
    kit.put("slow", "slow", "slow")
    round_of_the_slow = threading.Thread(target=kit.delivery.deliver_due)
    round_of_the_slow.start()
    assert hanging.wait(30)

    kit.put("quick", "slow", "quick")
    assert kit.delivery.deliver_due() == 2
    assert kit.notifier.targets().count("slow") == 1

    let_go.set()
    round_of_the_slow.join(30)
    kit.delivery.deliver_due()
    assert {row.state for row in kit.log()} == {"sent"}


def test_nothing_is_begun_that_could_outlast_its_claim(kit: Kit) -> None:
    kit.put(*["a"] * 6)

    def take_20_seconds() -> None:
        kit.clock.now_s += 20

    kit.notifier.orders["a"] = take_20_seconds

    assert kit.delivery.deliver_due() == 6
    assert len(kit.notifier.sent) == 2
    assert [row.attempts for row in kit.log()] == [1, 1, 0, 0, 0, 0]

    kit.delivery.deliver_due()
    kit.delivery.deliver_due()
    assert {row.state for row in kit.log()} == {"sent"}


def test_a_stop_finishes_what_is_begun_and_gives_the_rest_back(kit: Kit) -> None:
    begun, let_go, stop = threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        assert let_go.wait(30)

    kit.notifier.orders["a"] = hang
    kit.put("a", "a", "a")
    loop = threading.Thread(target=kit.delivery.run, args=(stop,))
    loop.start()
    assert begun.wait(30)

    stop.set()
    while not kit.delivery.stopping:
        loop.join(0.01)
    let_go.set()
    loop.join(30)

    assert not loop.is_alive()
    assert [(row.state, row.attempts) for row in kit.log()] == [
        ("sent", 1),
        ("pending", 0),
        ("pending", 0),
    ]


def test_an_outcome_is_written_again_when_the_database_was_away(kit: Kit) -> None:
    kit.put("a")
    kit.outbox.faults = [Unavailable("restarting"), Unavailable("restarting")]

    kit.delivery.deliver_due()

    assert [row.state for row in kit.log()] == ["sent"]
    assert len(kit.notifier.sent) == 1
