"""Where webhooks may go: public addresses only, at every hop, and no secret to strangers."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from tidegauge.alerts.notifiers.channels import check_channel, hide_secrets
from tidegauge.alerts.notifiers.connecting import is_public
from tidegauge.alerts.notifiers.protocol import NotDelivered
from tidegauge.alerts.notifiers.webhook import WebhookNotifier
from tidegauge.config import NotifyConfig, load_config
from tidegauge.errors import ConfigError, InvalidInput

from tests.support.receivers import Receiver, run_receiver
from tests.unit.alerts.notifications import make_notification

PRIVATE = [
    *("127.0.0.1", "127.8.9.10", "0.0.0.0", "10.0.0.1", "172.16.5.5", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    *("198.18.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1", "192.88.99.1"),
    *("::1", "::", "fe80::1", "fd00:ec2::254", "fc00::1", "ff02::1", "fec0::1", "::7f00:1"),
    *("::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:db8::1", "100::1", "2001::1"),
    *("::ffff:0:7f00:1", "4000::1", "200::1", "3fff::1", "fe80::1%eth0"),
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as receiver:
        yield receiver


def send(
    url: str, *, allow: str = "", leads_to: dict[str, list[str]] | None = None, **channel: Any
) -> str:
    def resolve(host: str, _port: int) -> list[str]:
        return (leads_to or {}).get(host, [host])

    config = NotifyConfig(webhook_allow_private=allow)
    notification = make_notification({"type": "webhook", "target": url, **channel})
    return WebhookNotifier(config, resolve=resolve).send(notification)


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public_are_known(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_known(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "0.0.0.0"])
def test_a_name_that_leads_to_a_private_address_is_not_asked(
    receiver: Receiver, address: str
) -> None:
    url = receiver.url.replace("127.0.0.1", "hook.example.org")

    with pytest.raises(NotDelivered, match="TIDEGAUGE_WEBHOOK_ALLOW_PRIVATE") as caught:
        send(url, leads_to={"hook.example.org": [address]})

    assert caught.value.permanent
    assert receiver.posted == []


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "localhost"])
def test_other_spellings_of_a_private_address_are_known(receiver: Receiver, host: str) -> None:
    config = NotifyConfig()
    url = receiver.url.replace("127.0.0.1", host)

    with pytest.raises(NotDelivered, match="is not public"):
        WebhookNotifier(config).send(make_notification({"target": url}))

    assert receiver.posted == []


def test_the_address_that_was_checked_is_the_one_that_is_asked(receiver: Receiver) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    config = NotifyConfig(webhook_allow_private="127.0.0.1/32")
    notifier = WebhookNotifier(config, resolve=lambda _host, _port: next(answers))
    url = receiver.url.replace("127.0.0.1", "rebinding.example")

    notifier.send(make_notification({"target": url}))
    with pytest.raises(NotDelivered, match=r"leads to 10\.0\.0\.1, which is not public"):
        notifier.send(make_notification({"target": url}))

    assert len(receiver.posted) == 1
    assert receiver.posted[0].headers["host"].startswith("rebinding.example:")


def test_of_several_addresses_only_those_allowed_are_asked(receiver: Receiver) -> None:
    url = receiver.url.replace("127.0.0.1", "two.example")

    send(url, allow="127.0.0.0/8", leads_to={"two.example": ["10.0.0.1", "127.0.0.1"]})

    assert len(receiver.posted) == 1


@pytest.mark.parametrize("allow", ["all", "::1/128"])
def test_an_ipv6_address_can_be_allowed(allow: str) -> None:
    with run_receiver(family=socket.AF_INET6) as receiver:
        send(receiver.url, allow=allow)

    assert receiver.posted[0].headers["host"] == receiver.url.removeprefix("http://")


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_is_posted_to_again(receiver: Receiver, status: int) -> None:
    receiver.answers["/old"] = (status, {"Location": "/new?x=1"}, b"")

    send(f"{receiver.url}/old", allow="all", headers={"X-Key": "s"}, secret="s")

    old, new = receiver.posted
    assert new.path == "/new?x=1"
    assert new.body == old.body
    assert new.headers["x-key"] == "s"


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "[::1]", "10.1.2.3", "metadata.example", "127.0.0.2"]
)
def test_a_redirect_leads_to_no_private_address(receiver: Receiver, address: str) -> None:
    receiver.answers["/"] = (307, {"Location": f"http://{address}/latest/meta-data"}, b"")
    leads_to = {"metadata.example": ["169.254.169.254"]}

    with pytest.raises(NotDelivered, match="is not public") as caught:
        send(receiver.url, allow="127.0.0.1/32", leads_to=leads_to)

    assert caught.value.permanent


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("ftp://127.0.0.1/", "not http or https"),
        ("gopher://127.0.0.1:6379/_x", "not http or https"),
        ("file:///etc/passwd", "not http or https"),
        ("http://:80/", "names no host"),
        ("http://127.0.0.1:99999/", "no URL"),
    ],
)
def test_a_redirect_leads_to_no_other_protocol(
    receiver: Receiver, location: str, said: str
) -> None:
    receiver.answers["/"] = (308, {"Location": location}, b"")

    with pytest.raises(NotDelivered, match=said):
        send(receiver.url, allow="all")


def test_a_redirect_to_another_host_gets_no_secret(receiver: Receiver) -> None:
    with run_receiver() as stranger:
        receiver.answers["/"] = (307, {"Location": f"{stranger.url}/x"}, b"")
        url = receiver.url.replace("//", "//ada:secret@")

        send(url, allow="all", headers={"X-Api-Key": "k"}, secret="s")

    first, second = receiver.posted[0].headers, stranger.posted[0].headers
    assert {"authorization", "x-api-key", "x-tidegauge-signature"} <= first.keys()
    assert (
        second.keys() & {"authorization", "x-api-key", "x-tidegauge-signature", "cookie"} == set()
    )
    assert second["idempotency-key"] == first["idempotency-key"]


def test_redirects_end(receiver: Receiver) -> None:
    receiver.answers["/"] = (307, {"Location": "/"}, b"")

    with pytest.raises(NotDelivered, match="more than 3 redirects"):
        send(receiver.url, allow="all")

    assert len(receiver.posted) == 4


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ({}, "type"),
        ({"type": "pigeon"}, 'no channel type "pigeon"; there are email, webhook'),
        ({"type": "email", "target": "nobody"}, "target"),
        ({"type": "email", "target": "a@b.c", "secret": "x"}, "secret"),
        ({"type": "webhook"}, "target: a URL is wanted"),
        ({"type": "webhook", "target": "gopher://x/"}, "not http or https"),
        ({"type": "webhook", "target": "//x/"}, "not http or https"),
        ({"type": "webhook", "target": "http:///x"}, "no host"),
        ({"type": "webhook", "target": "http://x\r\nHost: y/"}, "control"),
        ({"type": "webhook", "target": "http://x y/"}, "blanks"),
        ({"type": "webhook", "target": "http://x:y/"}, "no URL"),
        ({"type": "webhook", "target": "http://" + "x" * 2048}, "at most 2048"),
        ({"type": "webhook", "target": "http://x", "format": "xml"}, "format"),
        ({"type": "webhook", "target": "http://x", "headers": {"Host": "y"}}, "'Host' cannot"),
        ({"type": "webhook", "target": "http://x", "headers": {"a b": "y"}}, "cannot be set"),
        ({"type": "webhook", "target": "http://x", "headers": {"A": "y\r\nB: z"}}, "printable"),
        ({"type": "webhook", "target": "http://x", "headers": ["A"]}, "an object"),
        ({"type": "webhook", "target": "http://x", "secret": 5}, "secret: a text"),
        ({"type": "webhook", "target": "http://x", "colour": "red"}, "colour"),
    ],
)
def test_a_channel_that_cannot_work_is_refused(channel: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        check_channel(channel)


def test_the_log_shows_no_secret_of_a_channel() -> None:
    channel = {"type": "webhook", "target": "https://a:b@hooks.example.org:8443/T0/secret?k=v"}
    check_channel(channel)

    assert hide_secrets(channel)["target"] == "https://hooks.example.org:8443"
    assert hide_secrets({"type": "webhook", "target": "::"})["target"] == ""
    assert hide_secrets({"type": "email", "target": "a@b.c"})["target"] == "a@b.c"


def test_settings_name_networks() -> None:
    with pytest.raises(ConfigError, match="TIDEGAUGE_WEBHOOK_ALLOW_PRIVATE"):
        load_config({"TIDEGAUGE_WEBHOOK_ALLOW_PRIVATE": "everything"})
    with pytest.raises(ConfigError, match="TIDEGAUGE_SMTP_FROM"):
        load_config({"TIDEGAUGE_SMTP_FROM": "x\r\nBcc: a@b.c"})
