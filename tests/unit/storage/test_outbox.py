"""The outbox: what is put in is claimed once, settled once, and back when a claim runs out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from tidegauge.model.alerts import AlertState
from tidegauge.model.routing import RoutedChannel
from tidegauge.storage.alert_events import AlertEvent, record_events
from tidegauge.storage.outbox import (
    ClaimedNotification,
    NewNotification,
    Outbox,
    enqueue,
    read_told,
)
from tidegauge.storage.pool import Pool

MAIL = {"type": "email", "target": "ops@example.org"}
HOOK = {"type": "webhook", "target": "https://example.org/hook", "headers": {"x": "é\u2028"}}


@pytest.fixture
def outbox(pool: Pool) -> Outbox:
    return Outbox(pool=pool)


@pytest.fixture
def put(pool: Pool) -> Callable[..., None]:
    """Put notifications in, by their (status, labels, channel); each label set is a group."""

    def put_in(
        *wanted: tuple[str, dict[str, str], dict[str, Any]],
        rule_id: int = 7,
        group: str = "",
        **times: int,
    ) -> None:
        new = [
            NewNotification(
                9,
                rule_id,
                channel,
                {"status": status, "labels": labels},
                group_key=group or f"{rule_id} {sorted(labels.items())}",
                **times,
            )
            for status, labels, channel in wanted
        ]
        with pool.transaction() as lent:
            enqueue(lent, new)

    return put_in


def statuses(claimed: list[ClaimedNotification]) -> list[str]:
    return [alert["status"] for one in claimed for alert in one.alerts]


def make_due(pool: Pool) -> None:
    with pool.transaction() as lent:
        lent.execute("UPDATE notifications SET next_attempt_at = now() - interval '1 s'")


def test_what_was_put_in_is_claimed_as_it_was(outbox: Outbox, pool: Pool) -> None:
    payload = {"status": "firing", "labels": {"a": "1"}, "value": 0.1, "starts_at": 2**53}
    with pool.transaction() as lent:
        enqueue(lent, [])
        enqueue(lent, [NewNotification(1 << 40, 7, HOOK, payload)])

    (claimed,) = outbox.claim_due(limit=5, claim_s=60)

    assert (claimed.rule_id, claimed.attempt, claimed.channel) == (7, 1, HOOK)
    assert (claimed.alerts, claimed.others) == ((payload,), ())
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

    assert not outbox.mark_sent(replace(claimed, ids=(claimed.id + 1,)), answer="200")


def claim(outbox: Outbox) -> list[ClaimedNotification]:
    return outbox.claim_due(limit=9, claim_s=60)


def pods(claimed: ClaimedNotification) -> list[str]:
    return [alert["labels"]["pod"] for alert in claimed.alerts]


def find_due_s(pool: Pool) -> list[int]:
    """Return in how many seconds each pending row is due, in the order of their ids."""
    with pool.transaction() as lent:
        lent.execute(
            "SELECT extract(epoch FROM next_attempt_at - now())::float8 FROM notifications"
            " WHERE state = 'pending' ORDER BY id"
        )
        return [round(row[0]) for row in lent.fetchall()]


def age(pool: Pool, seconds: int) -> None:
    """Let time pass."""
    with pool.transaction() as lent:
        lent.execute(
            "UPDATE notifications"
            " SET next_attempt_at = next_attempt_at - make_interval(secs => %s),"
            " finished_at = finished_at - make_interval(secs => %s)",
            (seconds, seconds),
        )


def test_what_is_due_of_a_group_and_channel_is_one_message(
    outbox: Outbox, put: Callable[..., None]
) -> None:
    put(*(("firing", {"pod": pod}, MAIL) for pod in "ab"), group="g")
    put(("firing", {"pod": "c"}, HOOK), ("firing", {"pod": "d"}, MAIL), group="g")
    put(("firing", {"pod": "e"}, MAIL), group="h")

    claimed = claim(outbox)

    assert sorted(map(pods, claimed)) == [["a", "b", "d"], ["c"], ["e"]]
    keys = {row.id: row.idempotency_key for row in outbox.read_log(7, before=None, limit=9)}
    for one in claimed:
        assert {keys[number] for number in one.ids} == {one.idempotency_key}
    assert len(set(keys.values())) == 3


def test_a_message_is_tried_again_as_it_was_and_what_came_meanwhile_waits(
    outbox: Outbox, pool: Pool, put: Callable[..., None]
) -> None:
    put(*(("firing", {"pod": pod}, MAIL) for pod in "ab"), group="g")
    (first,) = claim(outbox)
    put(("firing", {"pod": "c"}, MAIL), ("resolved", {"pod": "a"}, MAIL), group="g")
    assert claim(outbox) == []

    outbox.mark_for_retry(first, after_s=30, answer="500")
    assert claim(outbox) == []
    make_due(pool)
    (again,) = claim(outbox)
    outbox.mark_sent(again, answer="250")
    (following,) = claim(outbox)

    assert (again.ids, again.alerts) == (first.ids, first.alerts)
    assert again.idempotency_key == first.idempotency_key != following.idempotency_key
    assert statuses([following]) == ["firing", "resolved"]
    assert [one["labels"]["pod"] for one in following.others] == ["b"]


def test_a_message_that_was_not_tried_takes_along_what_came_meanwhile(
    outbox: Outbox, put: Callable[..., None]
) -> None:
    put(("firing", {"pod": "a"}, MAIL), group="g")
    (refused,) = claim(outbox)
    put(("firing", {"pod": "b"}, MAIL), group="g")
    outbox.mark_for_retry(refused, after_s=0, answer="given back", counted=False)

    (claimed,) = claim(outbox)

    assert (pods(claimed), claimed.attempt) == (["a", "b"], 1)


def test_a_quiet_group_waits_for_others_from_its_first_alert_on(
    outbox: Outbox, pool: Pool, put: Callable[..., None]
) -> None:
    put(("firing", {"pod": "a"}, MAIL), group="g", wait_ms=30_000)
    age(pool, 20)
    put(("firing", {"pod": "b"}, MAIL), group="g", wait_ms=30_000)

    assert find_due_s(pool) == [10, 10]
    age(pool, 10)
    (claimed,) = claim(outbox)
    assert pods(claimed) == ["a", "b"]


def test_messages_of_a_group_are_an_interval_apart(
    outbox: Outbox, pool: Pool, put: Callable[..., None]
) -> None:
    times = {"wait_ms": 30_000, "interval_ms": 300_000}
    put(("firing", {"pod": "a"}, MAIL), group="g", **times)
    age(pool, 30)
    (first,) = claim(outbox)
    put(("firing", {"pod": "b"}, MAIL), group="g", **times)
    outbox.mark_sent(first, answer="250")
    assert find_due_s(pool) == [300]

    age(pool, 100)
    put(("resolved", {"pod": "a"}, MAIL), group="g", **times)
    assert find_due_s(pool) == [200, 200]
    age(pool, 200)
    (second,) = claim(outbox)
    outbox.mark_sent(second, answer="250")
    assert statuses([second]) == ["firing", "resolved"]

    age(pool, 200)
    put(("firing", {"pod": "a"}, MAIL), group="g", **times)
    age(pool, 100)
    outbox.mark_sent(claim(outbox)[0], answer="250")
    age(pool, 301)
    put(("firing", {"pod": "c"}, MAIL), group="g", **times)
    assert find_due_s(pool) == [30]


def test_of_an_alert_that_flapped_within_an_interval_the_last_is_told(
    outbox: Outbox, pool: Pool, put: Callable[..., None]
) -> None:
    for status in ("firing", "resolved", "firing", "resolved"):
        put((status, {"pod": "a"}, MAIL), group="g", wait_ms=30_000, interval_ms=60_000)
    age(pool, 30)

    (claimed,) = claim(outbox)
    outbox.mark_sent(claimed, answer="250")

    assert (statuses([claimed]), len(claimed.ids)) == (["resolved"], 4)
    assert {row.state for row in outbox.read_log(7, before=None, limit=9)} == {"sent"}


def test_without_an_interval_each_change_of_an_alert_is_told_in_order(
    outbox: Outbox, put: Callable[..., None]
) -> None:
    put(*((status, {"pod": "a"}, MAIL) for status in ("firing", "repeat", "resolved", "firing")))

    told = []
    while claimed := claim(outbox):
        told += statuses(claimed)
        outbox.mark_sent(claimed[0], answer="250")

    assert told == ["repeat", "resolved", "firing"]


def test_a_message_holds_200_alerts_and_the_rest_follows_at_once(
    outbox: Outbox, pool: Pool, put: Callable[..., None]
) -> None:
    times = {"wait_ms": 0, "interval_ms": 300_000}
    put(*(("firing", {"pod": str(n)}, MAIL) for n in range(450)), group="g", **times)

    sizes = []
    while claimed := claim(outbox):
        sizes.append([(len(one.alerts), len(one.others), one.left_out) for one in claimed])
        outbox.mark_sent(claimed[0], answer="250")

    assert sizes == [[(200, 0, 0)], [(200, 0, 200)], [(50, 150, 250)]]


def test_others_are_those_the_channel_was_told_of_and_that_fire_on(
    outbox: Outbox, put: Callable[..., None]
) -> None:
    put(*(("firing", {"pod": pod}, MAIL) for pod in "abc"), group="g")
    outbox.mark_sent(claim(outbox)[0], answer="250")
    put(("resolved", {"pod": "a"}, MAIL), ("repeat", {"pod": "b"}, MAIL), group="g")
    (second,) = claim(outbox)
    outbox.mark_sent(second, answer="250")
    put(("firing", {"pod": "d"}, MAIL), group="g")
    (third,) = claim(outbox)
    outbox.mark_failed(third, answer="550")
    put(("resolved", {"pod": "b"}, MAIL), group="g")
    (fourth,) = claim(outbox)

    others = [
        [(one["status"], one["labels"]["pod"]) for one in claimed.others]
        for claimed in (second, third, fourth)
    ]
    assert others == [[("firing", "c")], [("firing", "c"), ("repeat", "b")], [("firing", "c")]]


def test_whoever_was_to_hear_of_an_event_is_known_once(outbox: Outbox, pool: Pool) -> None:
    routed = RoutedChannel(HOOK, "dba", "g", (("alertname", "x"),), 30_000, 300_000, 7)
    new = [
        NewNotification.to(one, event_id=event_id, rule_id=None, payload={"status": "firing"})
        for one, event_id in ((routed, 9), (RoutedChannel(MAIL), 9), (routed, 9), (routed, 10))
    ]
    with pool.transaction() as lent:
        enqueue(lent, new)
        told = read_told(lent, [9, 11])

    assert told == {9: [replace(routed, wait_ms=0, repeat_ms=None), RoutedChannel(MAIL)]}


def test_groups_are_claimed_by_one_only(outbox: Outbox, put: Callable[..., None]) -> None:
    for number in range(300):
        put(("firing", {"pod": str(number)}, MAIL), group=f"g{number % 30}")

    with ThreadPoolExecutor(6) as threads:
        claims = list(threads.map(lambda _: outbox.claim_due(limit=5, claim_s=60), range(12)))

    messages = [one for found in claims for one in found] + outbox.claim_due(limit=99, claim_s=60)
    assert len(messages) == 30
    assert {len(one.ids) for one in messages} == {10}


def test_a_message_holds_a_megabyte_and_what_is_larger_goes_by_itself(
    outbox: Outbox, pool: Pool
) -> None:
    sizes = [300_000, 600_000, 300_000, 2_000_000, 10]
    payloads = [
        {"status": "firing", "labels": {"pod": str(number)}, "annotations": {"a": "x" * size}}
        for number, size in enumerate(sizes)
    ]
    with pool.transaction() as lent:
        enqueue(lent, [NewNotification(9, 7, MAIL, one, group_key="g") for one in payloads])

    told = []
    while claimed := claim(outbox):
        outbox.mark_for_retry(claimed[0], after_s=0, answer="500")
        (again,) = claim(outbox)
        assert again.ids == claimed[0].ids
        outbox.mark_sent(again, answer="250")
        told.append((pods(again), len(again.others), again.left_out))

    assert told == [(["0", "1"], 0, 0), (["2"], 2, 0), (["3"], 2, 1), (["4"], 2, 2)]


def test_a_message_ages_from_its_first_attempt_on(
    outbox: Outbox, pool: Pool, put: Callable[..., None]
) -> None:
    put(("firing", {"pod": "a"}, MAIL), group="g", wait_ms=7_200_000)
    make_due(pool)
    (first,) = claim(outbox)
    outbox.mark_for_retry(first, after_s=0, answer="spared", counted=False)
    with pool.transaction() as lent:
        lent.execute("UPDATE notification_attempts SET at = at - interval '1 min'")

    (second,) = claim(outbox)

    assert first.age_s == 0
    assert 60 <= second.age_s < 120


def test_the_rest_of_a_message_that_grew_too_large_follows_at_once(
    outbox: Outbox, put: Callable[..., None], pool: Pool
) -> None:
    big = {"big": "x" * 400_000}
    put(
        *(("firing", {**big, "pod": str(n)}, HOOK) for n in range(5)),
        group="g",
        interval_ms=300_000,
    )
    told = []
    for _ in range(3):
        (one,) = claim(outbox)
        told += pods(one)
        assert outbox.mark_sent(one, answer="200")

    assert told == ["0", "1", "2", "3", "4"]


def test_an_alert_that_is_over_stands_no_more_though_its_labels_have_changed(
    outbox: Outbox, pool: Pool
) -> None:
    def tell(event: AlertEvent, status: str, labels: dict[str, str]) -> int:
        with pool.transaction() as lent:
            (event_id,) = record_events(lent, [event])
            payload = {"status": status, "labels": labels}
            enqueue(lent, [NewNotification(event_id, 7, HOOK, payload, group_key="g")])
        (one,) = claim(outbox)
        assert outbox.mark_sent(one, answer="200")
        return event_id

    began = AlertEvent(
        rule_id=None,
        rule_name="hot",
        severity="info",
        labels=(),
        previous=AlertState.INACTIVE,
        state=AlertState.FIRING,
        value=91.0,
        at_ms=0,
    )
    ended = replace(began, previous=AlertState.FIRING, state=AlertState.RESOLVED)

    number = tell(began, "firing", {"level": "91"})
    tell(replace(ended, fired_event_id=number), "resolved", {"level": "12"})

    with pool.transaction() as lent:
        lent.execute("SELECT count(*) FROM notifications WHERE standing")
        assert lent.fetchall() == [(0,)]
