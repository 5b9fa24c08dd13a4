"""What follows from alerts that others post: events, messages, and when to look again."""

from __future__ import annotations

from dataclasses import replace

from tidegauge.alerts.external_settling import MUTED_LOOK_MS, REPEAT_MS, UNROUTED_LOOK_MS, settle
from tidegauge.alerts.state import RESOLVED_KEPT_MS
from tidegauge.model.alerts import AlertState
from tidegauge.model.external_alerts import ExternalAlert
from tidegauge.model.labels import Labels, find_label
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.model.routing import RoutedChannel
from tidegauge.model.silences import Silence
from tidegauge.storage.external_alerts import ExternalChange

NOW = 1_000_000
FAR = NOW + 100 * REPEAT_MS
ALERT = ExternalAlert(
    labels=(("alertname", "hot"), ("severity", "critical")),
    annotations={},
    generator_url="http://p/",
    starts_ms=NOW - 60_000,
    ends_ms=FAR,
    timed_out=False,
    updated_ms=NOW,
)
MAIL = RoutedChannel({"type": "email", "target": "a@b.c"}, "ops", "{}:{}")
HOOK = RoutedChannel({"type": "webhook", "target": "http://x/"}, "hook", "{}:{}", repeat_ms=60_000)
NAME_IS_HOT = Matcher(MatchType.EQUAL, "alertname", "hot")
SILENCE = Silence((NAME_IS_HOT,), 0, NOW + 1000, id=4)


def settle_at(
    before: ExternalAlert | None,
    after: ExternalAlert,
    *channels: RoutedChannel,
    now_ms: int = NOW,
    silences: tuple[Silence, ...] = (),
) -> ExternalChange:
    def choose(labels: Labels) -> tuple[RoutedChannel, ...]:
        assert find_label(labels, "alertname") == "hot"
        return channels

    change = settle(before, after, now_ms=now_ms, choose=choose, silences=silences)
    assert change is not None
    return change


def heard(change: ExternalChange) -> list[tuple[str, object]]:
    return [(one.route.receiver, one.payload["status"]) for one in change.messages]


def test_a_new_alert_is_an_event_and_is_told_to_all_that_routes_choose() -> None:
    change = settle_at(None, ALERT, MAIL, HOOK)

    assert heard(change) == [("ops", "firing"), ("hook", "firing")]
    assert change.event is not None
    event = change.event
    assert (event.rule_id, event.rule_name, event.severity) == (None, "hot", "critical")
    assert (event.previous, event.state) == (AlertState.INACTIVE, AlertState.FIRING)
    assert event.details == {"posted": True, "generator_url": "http://p/"}
    assert change.look_ms == NOW + 60_000


def test_a_repeated_post_tells_nobody_and_is_no_event() -> None:
    first = settle_at(None, ALERT, MAIL, HOOK).alert

    change = settle_at(first, replace(first, updated_ms=NOW + 5), MAIL, HOOK, now_ms=NOW + 5)

    assert (change.event, heard(change)) == (None, [])


def test_each_is_told_again_when_its_own_time_has_come() -> None:
    first = settle_at(None, ALERT, MAIL, HOOK).alert

    soon = settle_at(first, first, MAIL, HOOK, now_ms=NOW + 60_000)
    late = settle_at(soon.alert, soon.alert, MAIL, HOOK, now_ms=NOW + REPEAT_MS)

    assert (heard(soon), soon.event) == ([("hook", "repeat")], None)
    assert heard(late) == [("ops", "repeat"), ("hook", "repeat")]


def test_a_route_that_never_repeats_does_not() -> None:
    once = replace(MAIL, repeat_ms=0)
    first = settle_at(None, ALERT, once).alert

    change = settle_at(first, first, once, now_ms=NOW + 9 * REPEAT_MS)

    assert heard(change) == []
    assert change.look_ms == FAR


def test_a_channel_that_comes_back_from_json_is_the_same_one() -> None:
    nested = replace(MAIL, channel={"type": "webhook", "headers": {"bb": "1", "a": "2"}})
    as_read = replace(MAIL, channel={"headers": {"a": "2", "bb": "1"}, "type": "webhook"})
    first = settle_at(None, ALERT, as_read).alert

    assert heard(settle_at(first, first, nested)) == []


def test_a_silenced_alert_is_told_when_the_silence_is_over() -> None:
    muted = settle_at(None, ALERT, MAIL, silences=(SILENCE,))
    later = settle_at(muted.alert, muted.alert, MAIL, now_ms=SILENCE.ends_ms, silences=(SILENCE,))

    assert heard(muted) == []
    assert muted.event is not None
    assert muted.event.details["silence_id"] == 4
    assert muted.look_ms == NOW + MUTED_LOOK_MS
    assert (heard(later), later.event) == ([("ops", "firing")], None)


def test_who_was_told_hears_the_end_whatever_routes_and_silences_say_by_then() -> None:
    first = settle_at(None, ALERT, MAIL).alert
    ended = replace(first, ends_ms=NOW + 5, updated_ms=NOW + 5)

    change = settle_at(first, ended, HOOK, now_ms=NOW + 5, silences=(SILENCE,))

    assert heard(change) == [("ops", "resolved")]
    assert change.messages[0].payload["ends_at"] == NOW + 5
    assert change.event is not None
    assert (change.event.state, change.alert.state) == (AlertState.RESOLVED,) * 2
    assert "reason" not in change.event.details


def test_what_nobody_heard_of_ends_in_silence() -> None:
    muted = settle_at(None, ALERT, MAIL, silences=(SILENCE,)).alert

    change = settle_at(muted, replace(muted, ends_ms=NOW + 1), MAIL, now_ms=NOW + 1)

    assert heard(change) == []


def test_what_is_posted_no_more_ends_and_says_why() -> None:
    first = settle_at(None, replace(ALERT, ends_ms=NOW + 50), MAIL).alert

    change = settle_at(first, first, MAIL, now_ms=NOW + 50)

    assert heard(change) == [("ops", "resolved")]
    assert change.event is not None
    assert change.event.details["reason"] == "it was not posted again"
    assert change.look_ms == NOW + 50 + RESOLVED_KEPT_MS


def test_an_end_that_is_repeated_is_no_event_and_told_once() -> None:
    first = settle_at(None, ALERT, MAIL).alert
    over = settle_at(first, replace(first, ends_ms=NOW), MAIL).alert

    again = settle_at(over, replace(over, updated_ms=NOW + 60_000), MAIL, now_ms=NOW + 60_000)
    gone = settle_at(over, over, MAIL, now_ms=NOW + RESOLVED_KEPT_MS)

    assert (again.event, heard(again), again.forgotten) == (None, [], False)
    assert again.look_ms == NOW + 60_000 + RESOLVED_KEPT_MS
    assert gone.forgotten


def test_an_end_of_what_nobody_knows_is_nothing() -> None:
    assert settle(None, replace(ALERT, ends_ms=NOW), now_ms=NOW, choose=lambda _one: [MAIL]) is None


def test_what_fires_anew_is_told_anew() -> None:
    first = settle_at(None, ALERT, MAIL).alert
    over = settle_at(first, replace(first, ends_ms=NOW), MAIL).alert

    change = settle_at(over, replace(over, ends_ms=FAR), MAIL, now_ms=NOW + 1)

    assert heard(change) == [("ops", "firing")]
    assert change.event is not None
    assert change.event.previous is AlertState.RESOLVED


def test_what_nobody_is_told_of_is_looked_at_until_its_end() -> None:
    unrouted = settle_at(None, ALERT)
    ending = settle_at(None, replace(ALERT, ends_ms=NOW + 5), silences=(SILENCE,))

    assert unrouted.look_ms == NOW + UNROUTED_LOOK_MS
    assert ending.look_ms == NOW + 5


def test_who_is_added_to_the_routes_hears_that_it_fires() -> None:
    first = settle_at(None, ALERT, MAIL).alert

    change = settle_at(first, first, MAIL, HOOK, now_ms=NOW + 5)

    assert heard(change) == [("hook", "firing")]
