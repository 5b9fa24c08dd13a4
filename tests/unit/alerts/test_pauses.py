"""A process that stands still in the middle of an attempt: its claim runs out, another sends."""

from __future__ import annotations

from pathlib import Path

import pytest
from tidegauge.alerts.notifiers.email import EmailNotifier
from tidegauge.alerts.notifiers.protocol import NotDelivered
from tidegauge.alerts.notifiers.webhook import WebhookNotifier
from tidegauge.config import NotifyConfig

from tests.support.mail import Certificate, run_mail_server
from tests.support.receivers import run_receiver
from tests.unit.alerts.delivery_kit import Clock
from tests.unit.alerts.notifications import make_notification

ATTEMPT_S, PAUSE_S = 10, 60


class PausedClock(Clock):
    """Goes 60 s further when something happens."""

    def pause(self, *_event: object) -> None:
        self.now_s += PAUSE_S


def test_a_webhook_is_not_posted_after_a_pause_while_it_connects(tmp_path: Path) -> None:
    clock, certificate = PausedClock(), Certificate.make(tmp_path)
    tls = certificate.for_server()
    # The handshake is the last that happens before the request is written.
    tls.sni_callback = clock.pause
    config = NotifyConfig(webhook_allow_private="127.0.0.0/8", timeout_s=ATTEMPT_S)
    notifier = WebhookNotifier(config, tls=certificate.for_client(), monotonic=clock)

    with run_receiver(tls=tls) as receiver:
        target = receiver.url.replace("127.0.0.1", "localhost")
        with pytest.raises(NotDelivered, match="no answer within 10 s"):
            notifier.send(make_notification({"type": "webhook", "target": target}))

    assert clock.now_s == 1000 + PAUSE_S
    assert receiver.posted == []


def test_a_mail_is_not_handed_over_after_a_pause_amid_the_conversation(free_port: int) -> None:
    clock = PausedClock()
    config = NotifyConfig(smtp_host="127.0.0.1", smtp_port=free_port, timeout_s=ATTEMPT_S)
    notifier = EmailNotifier(config, monotonic=clock)

    with run_mail_server(free_port) as box:
        box.on_recipient = clock.pause
        with pytest.raises(NotDelivered, match="no answer within 10 s"):
            notifier.send(make_notification({"type": "email", "target": "ops@example.org"}))

    assert clock.now_s == 1000 + PAUSE_S
    assert box.mails == []


def test_a_mail_that_was_handed_over_before_a_pause_counts_as_that(free_port: int) -> None:
    clock = PausedClock()
    config = NotifyConfig(smtp_host="127.0.0.1", smtp_port=free_port, timeout_s=ATTEMPT_S)
    notifier = EmailNotifier(config, monotonic=clock)

    with run_mail_server(free_port) as box:
        box.on_mail = clock.pause
        answer = notifier.send(make_notification({"type": "email", "target": "ops@example.org"}))

    assert answer == "accepted for 1 of 1"
    assert len(box.mails) == 1
