"""Webhooks to a real server: what is posted, what its answers mean, and servers that misbehave."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tidegauge.alerts.notifiers.posting import MAX_ANSWER_BYTES
from tidegauge.alerts.notifiers.protocol import NotDelivered
from tidegauge.alerts.notifiers.webhook import WebhookNotifier
from tidegauge.config import NotifyConfig

from tests.support.mail import Certificate
from tests.support.receivers import Receiver, run_receiver, run_talker
from tests.unit.alerts.notifications import KEY, make_notification

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def make_notifier(**settings: Any) -> WebhookNotifier:
    config = NotifyConfig(**{"webhook_allow_private": "127.0.0.0/8", **settings})
    return WebhookNotifier(config, now=lambda: NOW)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as receiver:
        yield receiver


def send(url: str, settings: dict[str, Any] | None = None, **channel: Any) -> str:
    return make_notifier(**settings or {}).send(
        make_notification({"type": "webhook", "target": url, **channel})
    )


def test_alertmanagers_form_is_posted_by_default(receiver: Receiver) -> None:
    answer = send(f"{receiver.url}/hook?a=1&b=%20")

    (posted,) = receiver.posted
    body = json.loads(posted.body)
    assert answer == "200 OK: thanks"
    assert posted.path == "/hook?a=1&b=%20"
    assert posted.headers["content-type"] == "application/json"
    assert posted.headers["idempotency-key"] == KEY
    assert "x-tidegauge-signature" not in posted.headers
    assert (body["version"], body["status"]) == ("4", "firing")
    assert body["alerts"] == [
        {
            "status": "firing",
            "labels": {"alertname": "High latency", "pod": "a-1", "severity": "critical"},
            "annotations": {
                "summary": "Latency is 2.5 s",
                "runbook_url": "https://example.org/run?a=1&b",
            },
            "startsAt": "2026-01-02T03:04:05.000Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "",
            "fingerprint": body["alerts"][0]["fingerprint"],
        }
    ]


def test_our_own_form_holds_value_query_and_key(receiver: Receiver) -> None:
    send(receiver.url, format="tidegauge")

    body = json.loads(receiver.posted[0].body)
    assert body["idempotency_key"] == KEY
    assert body["value"] == 2.5
    assert body["rule"]["condition"] == "gt"
    assert body["starts_at"] == 1_767_323_045_000


def test_a_secret_signs_time_and_body(receiver: Receiver) -> None:
    send(receiver.url, {"webhook_secret": "of all"})
    send(receiver.url, {"webhook_secret": "of all"}, secret="of this one")

    for posted, secret in zip(receiver.posted, (b"of all", b"of this one"), strict=True):
        stamp = posted.headers["x-tidegauge-timestamp"].encode()
        wanted = hmac.new(secret, stamp + b"." + posted.body, hashlib.sha256).hexdigest()
        assert posted.headers["x-tidegauge-signature"] == f"sha256={wanted}"
        assert stamp == b"1767323045"


def test_headers_and_a_log_in_are_sent(receiver: Receiver) -> None:
    url = receiver.url.replace("//", "//ada:p%40ss@")

    send(url, headers={"X-Team": "sea"})
    send(url, headers={"Authorization": "Bearer token"})

    first, second = (posted.headers for posted in receiver.posted)
    assert first["authorization"] == "Basic YWRhOnBAc3M="
    assert first["x-team"] == "sea"
    assert second["authorization"] == "Bearer token"


def test_a_place_that_repeats_what_it_is_sent_tells_no_secret(receiver: Receiver) -> None:
    said = b'{"you sent": "Authorization: Bearer t0p-secret", "to": "/hooks/T0/k3y"}'
    receiver.answers["/hooks/T0/k3y"] = (400, {}, said)

    with pytest.raises(NotDelivered) as refused:
        send(f"{receiver.url}/hooks/T0/k3y", headers={"Authorization": "Bearer t0p-secret"})

    assert "t0p-secret" not in refused.value.message
    assert "k3y" not in refused.value.message
    assert "you sent" in refused.value.message


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        *((status, True) for status in (302, 304, 400, 401, 404, 410)),
        *((status, False) for status in (408, 425, 429, 500, 503)),
    ],
)
def test_a_status_says_whether_another_attempt_is_worth_it(
    receiver: Receiver, status: int, permanent: bool
) -> None:
    receiver.answers["/"] = (status, {"Content-Length": "0"}, b"")

    with pytest.raises(NotDelivered, match=str(status)) as caught:
        send(receiver.url)

    assert caught.value.permanent == permanent


@pytest.mark.parametrize(
    ("said", "wanted_s"),
    [
        ("120", 120.0),
        ("9" * 5000, 999_999_999.0),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60.0),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
def test_when_to_come_back_is_read(receiver: Receiver, said: str, wanted_s: float | None) -> None:
    receiver.answers["/"] = (429, {"Retry-After": said}, b"slow down\nplease")

    with pytest.raises(NotDelivered, match=r"429 Too Many Requests: slow down please$") as caught:
        send(receiver.url)

    assert caught.value.retry_after_s == wanted_s


def test_of_a_long_answer_only_the_beginning_is_read(receiver: Receiver) -> None:
    receiver.answers["/"] = (200, {}, b"x" * 10_000_000)
    notification = make_notification({"type": "webhook", "target": receiver.url})
    notifier = make_notifier()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        answer = notifier.send(notification)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert answer == "200 OK: " + "x" * 200
    assert peak - before < 20 * MAX_ANSWER_BYTES


def read_request(connection: socket.socket) -> None:
    data = b""
    while b'"version"' not in data:
        data += connection.recv(65536)


def dribble_status(connection: socket.socket, stop: threading.Event) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 ")
    while not stop.wait(0.05):
        connection.sendall(b"x")


def say_nothing(connection: socket.socket, stop: threading.Event) -> None:
    stop.wait(30)


def continue_for_ever(connection: socket.socket, stop: threading.Event) -> None:
    read_request(connection)
    while not stop.wait(0.001):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize("talk", [dribble_status, say_nothing, continue_for_ever])
def test_a_server_that_takes_for_ever_is_cut(talk: Any) -> None:
    with run_talker(talk) as url, pytest.raises(NotDelivered, match="no answer within 1 s") as cut:
        send(url, {"timeout_s": 1})

    assert not cut.value.permanent


@pytest.mark.parametrize("beginning", ["X-Slow: ", "Content-Length: 1000\r\n\r\n"])
def test_a_status_counts_although_the_rest_never_comes(beginning: str) -> None:
    def dribble(connection: socket.socket, stop: threading.Event) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + beginning.encode())
        while not stop.wait(0.05):
            connection.sendall(b"x")

    with run_talker(dribble) as url:
        assert send(url, {"timeout_s": 1}).startswith("200 OK")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500,
        b"HTTP/1.1 200 " + b"x" * 100_000,
    ],
)
def test_what_is_no_answer_is_an_attempt_that_failed(said: bytes) -> None:
    def talk(connection: socket.socket, _stop: threading.Event) -> None:
        read_request(connection)
        connection.sendall(said)

    with run_talker(talk) as url, pytest.raises(NotDelivered) as caught:
        send(url)

    assert not caught.value.permanent


def test_a_certificate_is_checked_for_the_name_that_was_asked(tmp_path: Path) -> None:
    certificate = Certificate.make(tmp_path)
    with run_receiver(tls=certificate.for_server()) as receiver:
        port = receiver.url.rpartition(":")[2]
        config = NotifyConfig(webhook_allow_private="all")

        def find(_host: str, _port: int) -> list[str]:
            return ["127.0.0.1"]

        def post(host: str, tls: Any) -> str:
            target = {"type": "webhook", "target": f"https://{host}:{port}"}
            return WebhookNotifier(config, resolve=find, tls=tls).send(make_notification(target))

        assert post("localhost", certificate.for_client()) == "200 OK: thanks"
        with pytest.raises(NotDelivered, match="Hostname mismatch"):
            post("elsewhere.example", certificate.for_client())
        with pytest.raises(NotDelivered, match="certificate verify failed"):
            post("localhost", None)

    assert [posted.headers["host"] for posted in receiver.posted] == [f"localhost:{port}"]
