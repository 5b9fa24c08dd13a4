"""Dead letters as people see them."""

from __future__ import annotations

import dataclasses

import pytest
from tidegauge.broker.protocol import DeadLetter
from tidegauge.errors import InvalidInput
from tidegauge.ingest.dead_letters import describe, parse_message_id, summarise
from tidegauge.model.batch import MetricMetadata

from tests.unit.ingest.fragile import make_message

UP = (("__name__", "up"), ("job", "a"))
LETTER = DeadLetter(
    make_message(7, UP, [(10, 1.5), (30, float("nan"))], [MetricMetadata("up", "gauge", "", "")]),
    "the database refuses the data",
    5000,
)


def test_a_summary_says_what_is_lost_with_it_and_why() -> None:
    assert summarise(LETTER) == {
        "id": "00" * 15 + "07",
        "died_ms": 5000,
        "reason": "the database refuses the data",
        "samples": 2,
        "bytes": len(LETTER.message.body),
        "request_id": "r7",
    }


def test_a_description_shows_series_samples_and_metadata() -> None:
    shown = describe(LETTER)

    assert (shown["from_ms"], shown["to_ms"]) == (10, 30)
    assert shown["new_series"] == [{"__name__": "up", "job": "a"}]
    assert shown["first_samples"] == [
        {"series_id": -1, "time": 10, "value": "1.5"},
        {"series_id": -1, "time": 30, "value": "nan"},
    ]
    assert shown["metadata"] == ["up"]


def test_a_letter_with_metadata_alone_has_no_times() -> None:
    letter = dataclasses.replace(
        LETTER, message=make_message(8, UP, [], [MetricMetadata("up", "gauge", "", "")])
    )

    shown = describe(letter)

    assert (shown["from_ms"], shown["to_ms"], shown["first_samples"]) == (None, None, [])


def test_a_damaged_letter_shows_the_damage_and_its_first_bytes() -> None:
    damaged = dataclasses.replace(LETTER.message, body=b"garbage")

    shown = describe(dataclasses.replace(LETTER, message=damaged))

    assert shown["head"] == b"garbage".hex()
    assert "7 bytes" in str(shown["damage"])


@pytest.mark.parametrize("text", ["", "7", "zz" * 16, "00" * 15, "00" * 17])
def test_what_is_no_message_id_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(InvalidInput, match="32 hexadecimal digits"):
        parse_message_id(text)


def test_a_message_id_is_read_back() -> None:
    assert parse_message_id("00" * 15 + "07") == LETTER.message.id
