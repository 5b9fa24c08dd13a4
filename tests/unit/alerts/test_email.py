"""Mail through a real server: encryption, accounts, refusals, and a server that hangs."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tidegauge.alerts.notifiers.chart import Chart, Curve, draw_chart
from tidegauge.alerts.notifiers.email import EmailNotifier
from tidegauge.alerts.notifiers.protocol import NotDelivered
from tidegauge.config import NotifyConfig

from tests.support.mail import Certificate, run_mail_server
from tests.unit.alerts.notifications import KEY, make_message, make_notification, make_payload

ONE = make_notification({"type": "email", "target": "ops@example.org"})
TWO = make_notification({"type": "email", "target": "ops@example.org, bob@example.org"})


def settings(port: int, **changes: object) -> NotifyConfig:
    return NotifyConfig(smtp_host="localhost", smtp_port=port, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate.make(tmp_path_factory.mktemp("tls"))


def test_a_plain_server_gets_text_and_html(free_port: int) -> None:
    with run_mail_server(free_port) as box:
        answer = EmailNotifier(settings(free_port)).send(TWO)

    (mail,) = box.mails
    assert answer == "accepted for 2 of 2"
    assert box.recipients == [["ops@example.org", "bob@example.org"]]
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert mail["Idempotency-Key"] == KEY
    assert str(mail["To"]) == "ops@example.org, bob@example.org"


def make_chart(alt: str) -> Chart:
    chart = draw_chart(Curve(0, 60_000, np.array([1.0, 2.0]), threshold=1.5))
    assert chart is not None
    return replace(chart, alt=alt)


def test_a_chart_arrives_inside_the_html_that_names_it(free_port: int) -> None:
    chart, asked = make_chart('from 1 to "2"'), []

    def draw(alerts: Sequence[Mapping[str, Any]], within_s: float) -> list[Chart | None]:
        asked.append((len(alerts), within_s))
        return [None, chart]

    message = make_message(make_payload(), make_payload(labels={"pod": "b"}))
    with run_mail_server(free_port) as box:
        EmailNotifier(settings(free_port), draw=draw).send(message)

    (mail,) = box.mails
    text, related = mail.iter_parts()
    html, picture = related.iter_parts()  # type: ignore[union-attr]
    assert [one.get_content_type() for one in (text, html, picture)] == [
        "text/plain",
        "text/html",
        "image/png",
    ]
    assert (asked, picture.get_content()) == ([(2, 2.0)], chart.png)
    (found,) = re.findall(r'<img src="cid:([^"]+)"', html.get_content())
    assert picture["Content-ID"] == f"<{found}>"
    assert picture.get_content_disposition() == "inline"
    assert 'width="600" height="180" alt="from 1 to &quot;2&quot;"' in html.get_content()


def test_what_is_not_ascii_arrives(free_port: int) -> None:
    labels = {"città": "Malmö 🚀"}
    with run_mail_server(free_port) as box:
        EmailNotifier(settings(free_port)).send(
            make_notification({"target": "jörg@example.org"}, labels=labels)
        )

    assert "Malmö 🚀" in str(box.mails[0]["Subject"])
    assert "città = Malmö 🚀" in box.mails[0].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert box.recipients == [["jörg@example.org"]]


def test_encryption_is_used_where_it_is_offered(free_port: int, certificate: Certificate) -> None:
    with run_mail_server(free_port, tls=certificate.for_server()) as box:
        EmailNotifier(settings(free_port)).send(ONE)
        EmailNotifier(settings(free_port, smtp_tls="off")).send(ONE)

    assert box.encrypted == [True, False]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_is_checked(free_port: int, certificate: Certificate, tls: str) -> None:
    first = tls == "tls"
    with run_mail_server(free_port, tls=certificate.for_server(), from_first_byte=first) as box:
        config = settings(free_port, smtp_tls=tls)
        with pytest.raises(NotDelivered, match="certificate verify failed"):
            EmailNotifier(config).send(ONE)
        EmailNotifier(config, tls=certificate.for_client()).send(ONE)

    assert box.encrypted == [not first] or first
    assert len(box.mails) == 1


def test_encryption_that_is_wanted_is_not_done_without(free_port: int) -> None:
    with (
        run_mail_server(free_port) as box,
        pytest.raises(NotDelivered, match="STARTTLS extension not supported"),
    ):
        EmailNotifier(settings(free_port, smtp_tls="starttls")).send(ONE)

    assert box.mails == []


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_a_password_goes_over_encryption_to_a_checked_server_only(
    free_port: int, certificate: Certificate
) -> None:
    account = {"smtp_user": "ada", "smtp_password": "right horse"}
    with run_mail_server(free_port, with_accounts=True) as plain:
        for tls in ("auto", "off"):
            with pytest.raises(NotDelivered, match="not sent without") as caught:
                EmailNotifier(settings(free_port, smtp_tls=tls, **account)).send(ONE)
            assert caught.value.permanent
    assert plain.logins == []

    with run_mail_server(free_port, tls=certificate.for_server(), with_accounts=True) as box:
        with pytest.raises(NotDelivered, match="certificate verify failed"):
            EmailNotifier(settings(free_port, **account)).send(ONE)
        assert box.logins == []
        known = certificate.for_client()
        EmailNotifier(settings(free_port, **account), tls=known).send(ONE)
        wrong = settings(free_port, smtp_user="ada", smtp_password="wrong")
        with pytest.raises(NotDelivered, match="535") as caught:
            EmailNotifier(wrong, tls=known).send(ONE)

    assert len(box.mails) == 1
    assert not caught.value.permanent


def test_refusals_for_now_and_for_good_are_told_apart(free_port: int) -> None:
    with run_mail_server(free_port) as box:
        notifier = EmailNotifier(settings(free_port))
        box.refused["bob@example.org"] = "550 no such person"
        assert notifier.send(TWO) == (
            "accepted for 1 of 2; refused: bob@example.org: 550 no such person"
        )

        box.refused["ops@example.org"] = "550 nobody"
        with pytest.raises(NotDelivered, match="550 nobody") as for_good:
            notifier.send(ONE)
        box.refused["ops@example.org"] = "451 later"
        with pytest.raises(NotDelivered, match="451 later") as for_now:
            notifier.send(ONE)
        box.refused.clear()
        box.data_answer = "554 spam"
        with pytest.raises(NotDelivered, match="554 spam") as spam:
            notifier.send(ONE)

    flags = [one.value.permanent for one in (for_good, for_now, spam)]
    assert flags == [True, False, True]


@pytest.mark.parametrize("host", ["", "127.0.0.1"])
def test_no_server_is_told(free_port: int, host: str) -> None:
    config = NotifyConfig(smtp_host=host, smtp_port=free_port)

    with pytest.raises(NotDelivered, match="SMTP_HOST" if not host else "refused") as caught:
        EmailNotifier(config).send(ONE)

    assert caught.value.permanent == (not host)


def test_an_address_that_is_none_fails_for_good() -> None:
    with pytest.raises(NotDelivered, match="target:") as caught:
        EmailNotifier(settings(1)).send(make_notification({"target": "nobody"}))

    assert caught.value.permanent


def test_a_server_that_says_a_byte_now_and_then_is_cut(tmp_path: Path) -> None:
    stop = threading.Event()

    def dribble(listener: socket.socket) -> None:
        with closing(listener.accept()[0]) as connection:
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"2")
                except OSError:
                    return

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=dribble, args=(listener,), daemon=True)
        thread.start()
        config = settings(listener.getsockname()[1], timeout_s=1)
        with pytest.raises(NotDelivered, match="no answer within 1 s"):
            EmailNotifier(config).send(ONE)
        stop.set()
        thread.join(30)

    assert not thread.is_alive()
