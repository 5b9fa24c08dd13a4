"""Rules, states and events in PostgreSQL, and the lease that fences who writes them."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import pytest
from tidegauge.errors import NotFound, TidegaugeError
from tidegauge.model.alerts import AlertInstance, AlertState, Condition, Policy, Severity
from tidegauge.storage.alert_changes import AlertChanges
from tidegauge.storage.alert_events import AlertEvents
from tidegauge.storage.alert_lease import AlertLease, LeaseLost
from tidegauge.storage.alert_rules import AlertRules
from tidegauge.storage.outbox import Outbox
from tidegauge.storage.pool import Pool

from tests.support.alerts import ENTRY, MAIL, end, make_change, make_evaluated, make_rule
from tests.support.servers import wait_until

FIRING = AlertInstance(
    labels=(("host", "a'ü"), ("job", 'x"')),
    state=AlertState.FIRING,
    value=0.1,
    held_ms=2**40,
    false_ms=0,
    missing_ms=7,
    active_ms=1_700_000_000_123,
    fired_ms=1_700_000_000_456,
    notified_ms=1_700_000_000_789,
)


@pytest.fixture
def rules(pool: Pool) -> AlertRules:
    return AlertRules(pool=pool)


@pytest.fixture
def changes(pool: Pool) -> AlertChanges:
    return AlertChanges(pool=pool)


@pytest.fixture
def token(pool: Pool) -> int:
    """The token of a lease that holds."""
    held = AlertLease(pool=pool, holder="one", lease_s=60).take()
    assert held is not None
    return held.token


def count(pool: Pool, table: str) -> int:
    with pool.transaction() as lent:
        lent.execute(f"SELECT count(*) FROM {table}")
        return lent.fetchall()[0][0]


def test_a_rule_is_found_as_it_was_stored(rules: AlertRules) -> None:
    rule = make_rule(
        name="ü 'x' \" \\ %s",
        condition=Condition.LTE,
        threshold=math.inf,
        hold_ms=0,
        keep_firing_ms=1,
        interval_ms=2**40,
        repeat_ms=0,
        severity=Severity.CRITICAL,
        enabled=False,
        no_data=Policy.FIRE,
        on_error=Policy.RESOLVE,
        labels=(("team", "db"),),
        annotations={"summary": "{{ $value }}"},
        channels=(MAIL, {"type": "webhook", "target": "http://x", "headers": {"a": 1}}),
    )

    stored = rules.add(rule, ENTRY).rule

    assert stored == rules.read(stored.id).rule
    assert stored == replace(
        rule,
        id=stored.id,
        revision=stored.revision,
        created_ms=stored.created_ms,
        changed_ms=stored.changed_ms,
    )
    assert rules.read(stored.id).last is None


def test_every_change_of_a_rule_is_another_version(rules: AlertRules) -> None:
    versions = [rules.read_version()]
    rule = rules.add(make_rule(), ENTRY).rule
    versions.append(rules.read_version())
    changed = rules.replace(replace(rule, name="cold"), ENTRY, end=None).rule
    versions.append(rules.read_version())
    rules.delete(rule.id, ENTRY, end=end)
    versions.append(rules.read_version())

    assert len(set(versions[1:])) == 3
    assert versions[0] == versions[-1] == (0, 0)
    assert changed.revision > rule.revision


def test_what_is_not_there_is_not_changed(rules: AlertRules) -> None:
    for work in (
        lambda: rules.read(7),
        lambda: rules.replace(make_rule(id=7), ENTRY, end=None),
        lambda: rules.replace(make_rule(id=7), ENTRY, end=end),
        lambda: rules.delete(7, ENTRY, end=end),
    ):
        with pytest.raises(NotFound, match="no alert rule 7"):
            work()


def test_an_evaluation_is_stored_with_all_that_follows_from_it(
    rules: AlertRules, changes: AlertChanges, pool: Pool, token: int
) -> None:
    rule = rules.add(make_rule(), ENTRY).rule

    ids = changes.write(token, [make_evaluated(rule, make_change(rule, FIRING), missed=2)])
    changes.write(token, [make_evaluated(rule, missed=3, error="down")])

    number = ids[rule.id, FIRING.labels]
    assert changes.read_instances() == {rule.id: [replace(FIRING, event_id=number)]}
    last = rules.read(rule.id).last
    assert last is not None
    assert (last.missed, last.error, last.took_ms, last.series) == (5, "down", 2.5, 3)
    (told,) = Outbox(pool=pool).claim_due(limit=9, claim_s=60)
    assert (told.alerts[0]["event_id"], told.rule_id, told.channel) == (number, rule.id, MAIL)
    (event,) = AlertEvents(pool=pool).read_page(
        rule.id, before=None, start_ms=0, end_ms=None, limit=9
    )
    assert (event.id, event.labels, event.value) == (number, FIRING.labels, 0.1)


def test_each_event_gets_the_id_of_its_own_row(
    rules: AlertRules, changes: AlertChanges, pool: Pool, token: int
) -> None:
    rule = rules.add(make_rule(), ENTRY).rule
    many = [replace(FIRING, labels=(("host", str(number)),)) for number in range(50)]

    ids = changes.write(token, [make_evaluated(rule, *(make_change(rule, one) for one in many))])

    events = AlertEvents(pool=pool).read_page(
        rule.id, before=None, start_ms=None, end_ms=None, limit=99
    )
    assert {(rule.id, one.labels): one.id for one in events} == ids


def test_an_inactive_or_forgotten_label_set_is_not_kept(
    rules: AlertRules, changes: AlertChanges, token: int
) -> None:
    rule = rules.add(make_rule(), ENTRY).rule
    other = replace(FIRING, labels=())
    both = [make_change(rule, one) for one in (FIRING, other)]
    changes.write(token, [make_evaluated(rule, *both)])

    inactive = make_change(rule, replace(FIRING, state=AlertState.RESOLVED))
    changes.write(
        token,
        [make_evaluated(rule, end(FIRING), replace(inactive, instance=other, forgotten=True))],
    )

    assert changes.read_instances() == {}


def test_a_rule_that_was_changed_meanwhile_is_left_out(
    rules: AlertRules, changes: AlertChanges, pool: Pool, token: int
) -> None:
    old, gone, same = (rules.add(make_rule(name=name), ENTRY).rule for name in ("a", "b", "c"))
    rules.replace(old, ENTRY, end=None)
    rules.delete(gone.id, ENTRY, end=end)

    ids = changes.write(
        token, [make_evaluated(one, make_change(one, FIRING)) for one in (old, gone, same)]
    )

    assert list(ids) == [(same.id, FIRING.labels)]
    assert count(pool, "alert_events") == count(pool, "notifications") == 1


def test_the_end_of_a_rule_ends_its_alerts_and_keeps_what_they_went_through(
    rules: AlertRules, changes: AlertChanges, pool: Pool, token: int
) -> None:
    rule = rules.add(make_rule(), ENTRY).rule
    changes.write(token, [make_evaluated(rule, make_change(rule, FIRING))])

    rules.delete(rule.id, ENTRY, end=lambda one: replace(make_change(rule, one), forgotten=True))

    assert changes.read_instances() == {}
    assert count(pool, "alert_events") == count(pool, "notifications") == 2


def test_one_at_a_time_has_the_lease(pool: Pool) -> None:
    one = AlertLease(pool=pool, holder="one", lease_s=60)
    other = AlertLease(pool=pool, holder="other", lease_s=60)

    held = one.take()

    assert held is not None
    assert other.take() is None
    assert one.renew(held.token).token == held.token

    one.release(held.token)
    taken = other.take()
    assert taken is not None
    assert taken.token > held.token
    with pytest.raises(LeaseLost):
        one.renew(held.token)


def test_a_lease_that_ran_out_is_still_one_s_own_until_it_is_taken(pool: Pool) -> None:
    one = AlertLease(pool=pool, holder="one", lease_s=0)
    held = one.take()
    assert held is not None

    assert one.renew(held.token).token == held.token


def test_who_has_lost_the_lease_writes_nothing(
    rules: AlertRules, changes: AlertChanges, pool: Pool
) -> None:
    rule = rules.add(make_rule(), ENTRY).rule
    stale = AlertLease(pool=pool, holder="one", lease_s=0).take()
    assert stale is not None
    assert AlertLease(pool=pool, holder="other", lease_s=60).take() is not None

    with pytest.raises(LeaseLost):
        changes.write(stale.token, [make_evaluated(rule, make_change(rule, FIRING))])

    tables = ("alert_instances", "alert_events", "notifications", "alert_evaluations")
    assert [count(pool, table) for table in tables] == [0, 0, 0, 0]


def test_nobody_takes_the_lease_in_the_middle_of_a_write(pool: Pool, rules: AlertRules) -> None:
    from tidegauge.storage.alert_lease import hold_lease

    first = AlertLease(pool=pool, holder="one", lease_s=0).take()
    assert first is not None
    taken: list[object] = []

    def take() -> None:
        taken.append(AlertLease(pool=pool, holder="other", lease_s=60).take())

    thread = threading.Thread(target=take)
    with pool.transaction() as lent:
        hold_lease(lent, first.token)
        thread.start()
        wait_until(lambda: _waits_for_a_lock(pool), timeout_s=2, what="the other waits")
        assert taken == []
    thread.join(10)

    assert getattr(taken[0], "token", 0) > first.token


def _waits_for_a_lock(pool: Pool) -> bool:
    with pool.transaction() as lent:
        lent.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return bool(lent.fetchall()[0][0])


def test_events_are_paged_and_found_by_time(
    rules: AlertRules, changes: AlertChanges, pool: Pool, token: int
) -> None:
    rule = rules.add(make_rule(), ENTRY).rule
    pending = replace(FIRING, state=AlertState.PENDING, value=math.nan)
    for number, one in enumerate((FIRING, pending, FIRING)):
        change = make_change(rule, one, now_ms=number)
        changes.write(token, [make_evaluated(rule, change, at_ms=number)])
    events = AlertEvents(pool=pool)

    newest = events.read_page(rule.id, before=None, start_ms=None, end_ms=None, limit=2)
    older = events.read_page(rule.id, before=newest[-1].id, start_ms=None, end_ms=None, limit=2)
    within = events.read_page(rule.id, before=None, start_ms=1, end_ms=1, limit=9)

    assert [one.at_ms for one in [*newest, *older]] == [2, 1, 0]
    assert [str(one.value) for one in within] == ["nan"]
    assert [one.at_ms for one in events.read_range(start_ms=0, end_ms=1, limit=9)] == [0]


def test_a_write_of_what_cannot_be_stored_leaves_nothing(
    rules: AlertRules, changes: AlertChanges, pool: Pool, token: int
) -> None:
    rule = rules.add(make_rule(), ENTRY).rule
    bad = replace(FIRING, labels=(("host", "\0"),))

    with pytest.raises(TidegaugeError):
        changes.write(token, [make_evaluated(rule, *(make_change(rule, a) for a in (FIRING, bad)))])

    assert count(pool, "alert_events") == 0


def test_who_was_told_of_an_alert_is_told_of_its_end(
    rules: AlertRules, changes: AlertChanges, pool: Pool, token: int
) -> None:
    outbox = Outbox(pool=pool)
    rule = rules.add(make_rule(channels=(MAIL,)), ENTRY).rule
    ids = changes.write(token, [make_evaluated(rule, make_change(rule, FIRING))])
    outbox.mark_sent(*outbox.claim_due(limit=9, claim_s=60), answer="250")

    elsewhere = replace(rule, channels=({"type": "email", "target": "new@example.org"},))
    fired = replace(FIRING, event_id=ids[rule.id, FIRING.labels])
    ended = replace(fired, state=AlertState.RESOLVED, resolved_ms=fired.fired_ms)
    change = make_change(elsewhere, ended)
    payload = {"status": "resolved", "labels": dict(FIRING.labels)}
    changes.write(token, [make_evaluated(rule, replace(change, payload=payload))])

    (message,) = outbox.claim_due(limit=9, claim_s=60)
    assert message.channel == MAIL
    assert message.alerts[0]["status"] == "resolved"


def test_what_is_given_up_is_marked_at_its_event(
    rules: AlertRules, changes: AlertChanges, pool: Pool, token: int
) -> None:
    outbox = Outbox(pool=pool)
    rule = rules.add(make_rule(), ENTRY).rule
    other = replace(FIRING, labels=(("host", "b"),))
    told = [make_change(rule, FIRING), make_change(rule, other, told=False)]
    changes.write(token, [make_evaluated(rule, *told)])

    outbox.mark_failed(*outbox.claim_due(limit=9, claim_s=60), answer="550")

    events = AlertEvents(pool=pool).read_page(
        rule.id, before=None, start_ms=None, end_ms=None, limit=9
    )
    assert {one.labels: one.notification_failed for one in events} == {
        FIRING.labels: True,
        other.labels: False,
    }
