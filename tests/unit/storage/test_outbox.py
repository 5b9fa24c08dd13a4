"""The outbox: what is put in is claimed once, settled once, and back when a claim runs out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from tidegauge.storage.outbox import ClaimedNotification, NewNotification, Outbox, enqueue
from tidegauge.storage.pool import Pool

MAIL = {"type": "email", "target": "ops@example.org"}
HOOK = {"type": "webhook", "target": "https://example.org/hook", "headers": {"x": "é\u2028"}}


@pytest.fixture
def outbox(pool: Pool) -> Outbox:
    return Outbox(pool=pool)


@pytest.fixture
def put(pool: Pool) -> Callable[..., None]:
    """Put notifications in, by their (status, labels, channel)."""

    def put_in(*wanted: tuple[str, dict[str, str], dict[str, Any]], rule_id: int = 7) -> None:
        new = [
            NewNotification(9, rule_id, channel, {"status": status, "labels": labels})
            for status, labels, channel in wanted
        ]
        with pool.transaction() as lent:
            enqueue(lent, new)

    return put_in


def statuses(claimed: list[ClaimedNotification]) -> list[str]:
    return [one.payload["status"] for one in claimed]


def make_due(pool: Pool) -> None:
    with pool.transaction() as lent:
        lent.execute("UPDATE notifications SET next_attempt_at = now() - interval '1 s'")


def test_what_was_put_in_is_claimed_as_it_was(outbox: Outbox, pool: Pool) -> None:
    payload = {"status": "firing", "labels": {"a": "1"}, "value": 0.1, "starts_at": 2**53}
    with pool.transaction() as lent:
        enqueue(lent, [])
        enqueue(lent, [NewNotification(1 << 40, 7, HOOK, payload)])

    (claimed,) = outbox.claim_due(limit=5, claim_s=60)

    assert (claimed.event_id, claimed.rule_id, claimed.attempt) == (1 << 40, 7, 1)
    assert (claimed.channel, claimed.payload) == (HOOK, payload)
    assert len(claimed.idempotency_key) == 36


def test_a_transaction_that_fails_leaves_nothing(outbox: Outbox, pool: Pool) -> None:
    def change() -> None:
        with pool.transaction() as lent:
            enqueue(lent, [NewNotification(1, 7, MAIL, {})])
            raise RuntimeError("the change of state failed")

    with pytest.raises(RuntimeError):
        change()

    assert outbox.claim_due(limit=5, claim_s=60) == []


def test_none_is_claimed_twice_by_many_at_once(outbox: Outbox, put: Callable[..., None]) -> None:
    put(*(("firing", {"n": str(n)}, MAIL) for n in range(60)))

    with ThreadPoolExecutor(6) as threads:
        claims = list(threads.map(lambda _: outbox.claim_due(limit=10, claim_s=60), range(12)))

    ids = [one.id for claim in claims for one in claim]
    assert len(ids) == len(set(ids)) <= 60
    assert len(ids) + len(outbox.claim_due(limit=100, claim_s=60)) == 60


def test_a_claim_that_ran_out_goes_to_the_next_with_the_same_key(
    outbox: Outbox, put: Callable[..., None]
) -> None:
    put(("firing", {}, HOOK))
    (dead,) = outbox.claim_due(limit=5, claim_s=0)

    (heir,) = outbox.claim_due(limit=5, claim_s=60)

    assert (heir.id, heir.attempt) == (dead.id, 2)
    assert heir.idempotency_key == dead.idempotency_key
    assert not outbox.mark_for_retry(dead, after_s=0, answer="late")
    assert not outbox.mark_failed(dead, answer="late")
    assert outbox.claim_due(limit=5, claim_s=60) == []


def test_what_was_sent_under_a_claim_that_ran_out_is_not_sent_again(
    outbox: Outbox, put: Callable[..., None]
) -> None:
    put(("firing", {}, HOOK))
    (slow,) = outbox.claim_due(limit=5, claim_s=0)
    (heir,) = outbox.claim_due(limit=5, claim_s=60)

    assert outbox.mark_sent(slow, answer="200")

    assert not outbox.mark_for_retry(heir, after_s=0, answer="500")
    assert not outbox.mark_sent(heir, answer="200 too")
    assert outbox.read_log(7, before=None, limit=5)[0].last_answer == "200"


def test_a_retry_waits_and_counts_only_if_it_was_tried(
    outbox: Outbox, pool: Pool, put: Callable[..., None]
) -> None:
    put(("firing", {}, HOOK))
    (first,) = outbox.claim_due(limit=5, claim_s=60)
    assert outbox.mark_for_retry(first, after_s=30, answer="500")
    assert outbox.claim_due(limit=5, claim_s=60) == []

    make_due(pool)
    (second,) = outbox.claim_due(limit=5, claim_s=60)
    assert outbox.mark_for_retry(second, after_s=30, answer="not tried", counted=False)
    make_due(pool)
    (third,) = outbox.claim_due(limit=5, claim_s=60)

    assert (first.attempt, second.attempt, third.attempt) == (1, 2, 2)


def test_resolved_waits_for_firing_of_the_same_alert_and_target(
    outbox: Outbox, pool: Pool, put: Callable[..., None]
) -> None:
    put(
        ("firing", {"a": "1"}, MAIL),
        ("resolved", {"a": "1"}, MAIL),
        ("other target", {"a": "1"}, HOOK),
        ("other series", {"a": "2"}, MAIL),
    )
    put(("other rule", {"a": "1"}, MAIL), rule_id=8)

    claimed = outbox.claim_due(limit=9, claim_s=60)
    assert statuses(claimed) == ["firing", "other target", "other series", "other rule"]

    outbox.mark_for_retry(claimed[0], after_s=30, answer="500")
    assert outbox.claim_due(limit=9, claim_s=60) == []
    make_due(pool)
    outbox.mark_failed(*outbox.claim_due(limit=9, claim_s=60)[:1], answer="500")
    assert statuses(outbox.claim_due(limit=9, claim_s=60)) == ["resolved"]


def test_the_log_tells_what_came_of_each(outbox: Outbox, put: Callable[..., None]) -> None:
    put(*((status, {"n": status}, MAIL) for status in "abc"))
    first, second, _ = outbox.claim_due(limit=9, claim_s=60)
    outbox.mark_sent(first, answer="250 OK")
    outbox.mark_failed(second, answer="bad\0 answer \udcff" + "x" * 2000)

    newest, *page = outbox.read_log(7, before=None, limit=3)
    (oldest,) = outbox.read_log(7, before=page[0].id, limit=3)

    assert (newest.state, newest.finished_ms) == ("pending", None)
    assert (page[0].state, page[0].last_answer[:13]) == ("failed", "bad\ufffd answer ?")
    assert len(page[0].last_answer) == 1000
    assert (oldest.state, oldest.last_answer, oldest.attempts) == ("sent", "250 OK", 1)
    assert oldest == page[1]
    assert outbox.read_log(8, before=None, limit=3) == []


def test_a_claim_of_another_row_settles_nothing(outbox: Outbox, put: Callable[..., None]) -> None:
    put(("firing", {}, HOOK))
    (claimed,) = outbox.claim_due(limit=5, claim_s=60)

    assert not outbox.mark_sent(replace(claimed, id=claimed.id + 1), answer="200")
