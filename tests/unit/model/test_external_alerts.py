"""What becomes of an alert that is posted again, as Alertmanager merges it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tidegauge.model.alerts import AlertState
from tidegauge.model.external_alerts import ExternalAlert, PostedAlert, absorb

LABELS = (("alertname", "hot"),)
NOW, TIMEOUT = 1000, 300
STOOD = ExternalAlert(
    labels=LABELS,
    annotations={"summary": "old"},
    generator_url="",
    starts_ms=500,
    ends_ms=1400,
    timed_out=False,
    updated_ms=900,
    state=AlertState.FIRING,
    event_id=7,
)


def post(
    before: ExternalAlert | None, starts_ms: int | None = None, ends_ms: int | None = None
) -> ExternalAlert:
    posted = PostedAlert(LABELS, {"summary": "new"}, "http://p/", starts_ms, ends_ms)
    return absorb(before, posted, now_ms=NOW, timeout_ms=TIMEOUT)


@pytest.mark.parametrize(
    ("starts_ms", "ends_ms", "wanted"),
    [
        (None, None, (1000, 1300, True)),
        (400, None, (400, 1300, True)),
        (None, 2000, (2000, 2000, False)),
        (400, 2000, (400, 2000, False)),
    ],
)
def test_what_a_sender_leaves_out_is_filled_in(
    starts_ms: int | None, ends_ms: int | None, wanted: tuple[int, int, bool]
) -> None:
    made = post(None, starts_ms, ends_ms)

    assert (made.starts_ms, made.ends_ms, made.timed_out) == wanted
    assert (made.state, made.updated_ms) == (AlertState.INACTIVE, NOW)


@pytest.mark.parametrize(
    ("starts_ms", "ends_ms", "wanted"),
    [
        pytest.param(500, 1600, (500, 1600), id="the same alert, once more"),
        pytest.param(700, 1600, (500, 1600), id="the earlier start holds"),
        pytest.param(500, 1200, (500, 1400), id="the later end holds while it fires"),
        pytest.param(500, 950, (500, 950), id="an end that has come holds"),
        pytest.param(1450, 1600, (1450, 1600), id="a later alert is another one"),
        pytest.param(300, 400, (300, 400), id="an earlier alert replaces it too"),
    ],
)
def test_times_are_merged_where_they_overlap(
    starts_ms: int, ends_ms: int, wanted: tuple[int, int]
) -> None:
    made = post(STOOD, starts_ms, ends_ms)

    assert (made.starts_ms, made.ends_ms) == wanted


def test_a_time_limit_of_ours_gives_way_to_an_end_that_somebody_names() -> None:
    made = post(replace(STOOD, timed_out=True), 500, 1200)

    assert (made.ends_ms, made.timed_out) == (1200, False)


def test_of_two_ends_that_have_come_the_later_one_holds() -> None:
    made = post(replace(STOOD, ends_ms=990), 500, 950)

    assert made.ends_ms == 990


def test_texts_are_those_of_the_last_post_and_the_past_is_kept() -> None:
    made = post(STOOD, 500, 1600)

    assert (made.annotations, made.generator_url) == ({"summary": "new"}, "http://p/")
    assert (made.state, made.event_id, made.updated_ms) == (AlertState.FIRING, 7, NOW)
