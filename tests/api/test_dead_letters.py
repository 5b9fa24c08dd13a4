"""Dead letters over HTTP: seen, sent again, thrown away."""

from __future__ import annotations

import pytest
from tidegauge.broker.errors import MessageRejected
from tidegauge.broker.protocol import Message
from tidegauge.ingest.codec import CODEC_VERSION

from tests.support.servers import wait_until

URL = "/api/v1/admin/dead-letters"


@pytest.fixture
def bury(services):
    """Publish a damaged message and one of an unknown codec; return their ids, oldest first."""

    def send(number: int, codec: int = CODEC_VERSION, body: bytes = b"damaged") -> str:
        message = Message(number.to_bytes(16, "big"), codec, 3, f"request-{number}", body)
        with pytest.raises(MessageRejected):
            services.queue.publisher.publish(message, timeout_s=20)
        return message.id.hex()

    return send


def test_dead_letters_are_listed_oldest_first_with_their_reasons(client, bury) -> None:
    ids = [bury(1), bury(2, codec=99)]

    body = client.get(URL).get_json()

    assert body["total"] == 2
    assert [one["id"] for one in body["data"]] == ids
    assert [one["request_id"] for one in body["data"]] == ["request-1", "request-2"]
    assert "shorter than its header" in body["data"][0]["reason"]
    assert "codec 99" in body["data"][1]["reason"]


def test_one_dead_letter_is_shown_with_what_is_wrong_in_it(client, bury) -> None:
    message_id = bury(1)

    shown = client.get(f"{URL}/{message_id}").get_json()["data"]

    assert shown["id"] == message_id
    assert shown["head"] == b"damaged".hex()
    assert "damage" in shown


@pytest.mark.parametrize(("message_id", "status"), [("00" * 16, 404), ("nonsense", 400)])
def test_a_letter_that_is_not_there_is_said_so(client, message_id: str, status: int) -> None:
    assert client.get(f"{URL}/{message_id}").status_code == status


def test_purging_by_id_leaves_the_others(client, bury) -> None:
    first, second = bury(1), bury(2)

    answer = client.post(f"{URL}/purge", json={"ids": [first]})

    assert answer.get_json() == {"purged": 1}
    assert [one["id"] for one in client.get(URL).get_json()["data"]] == [second]


def test_stats_count_the_dead_letters_there_are_now(client, bury) -> None:
    bury(1)
    second = bury(2)
    client.post(f"{URL}/purge", json={"ids": [second]})

    stats = client.get("/api/v1/admin/stats").get_json()["data"]

    assert stats["dead_letters"] == 1
    assert stats["ingestion"]["messages_dead_lettered"] == 2


def test_purging_all_leaves_none(client, bury) -> None:
    bury(1)
    bury(2)

    assert client.post(f"{URL}/purge", json={"all": True}).get_json() == {"purged": 2}
    assert client.get(URL).get_json() == {"data": [], "total": 0}


def test_replayed_letters_go_through_the_writer_again(client, bury) -> None:
    message_id = bury(1)

    answer = client.post(f"{URL}/replay", json={"all": True})

    assert answer.get_json() == {"replayed": 1}
    # It is as damaged as before, so it comes back as a new dead letter.
    wait_until(
        lambda: [one["id"] for one in client.get(URL).get_json()["data"]] == [message_id],
        timeout_s=20,
        what="it is a dead letter again",
    )


@pytest.mark.parametrize(
    "body", [{}, {"ids": [], "all": False}, {"ids": ["00" * 16], "all": True}, {"ids": ["x"]}, []]
)
def test_an_unclear_choice_is_refused(client, bury, body: object) -> None:
    bury(1)

    for action in ("replay", "purge"):
        assert client.post(f"{URL}/{action}", json=body).status_code == 400
    assert client.get(URL).get_json()["total"] == 1
