"""The settings of how people and machines are told of alerts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parseaddr

from tidegauge.config.access import Network, parse_networks
from tidegauge.config.declare import setting

ANYWHERE = "all"


# Without the quoted forms of RFC 5321, which nobody has an address in.
_WORDS = r"[^\s@\"(),:;<>\[\]\\.]+(?:\.[^\s@\"(),:;<>\[\]\\.]+)*"
_ADDRESS = re.compile(f"{_WORDS}@{_WORDS}")


def parse_address(text: str) -> str:
    """Return the bare mail address in a text that may have a name before it.

    Raises:
        ValueError: there is none in it, or a line break.
    """
    address = parseaddr(text)[1]
    if not text.isprintable() or not _ADDRESS.fullmatch(address):
        raise ValueError(f"{text!r} is not a mail address")
    return address


def parse_allowed_networks(text: str) -> tuple[Network, ...]:
    """Return the private networks that may be reached; "all" is every one.

    Raises:
        ValueError: one of them is no network.
    """
    return parse_networks("0.0.0.0/0,::/0" if text == ANYWHERE else text)


@dataclass(frozen=True, slots=True)
class NotifyConfig:
    """How people and machines are told of alerts."""

    threads: int = setting(
        "TIDEGAUGE_NOTIFY_THREADS",
        8,
        "Targets that are told something at the same time.",
        low=1,
        high=128,
    )
    timeout_s: int = setting(
        "TIDEGAUGE_NOTIFY_TIMEOUT_SECONDS",
        10,
        "Longest time of one attempt, from looking up a name to the last byte of the answer.",
        low=1,
        high=30,
    )
    smtp_host: str = setting(
        "SMTP_HOST", "", "Mail server; empty: notifications by email fail, and say so."
    )
    smtp_port: int = setting("SMTP_PORT", 25, "Its port.", low=1, high=65535)
    smtp_user: str = setting("TIDEGAUGE_SMTP_USER", "", "Account there; empty: none.")
    smtp_password: str = setting(
        "TIDEGAUGE_SMTP_PASSWORD", "", "Its password; never sent unencrypted.", secret=True
    )
    smtp_from: str = setting(
        "TIDEGAUGE_SMTP_FROM",
        "Tidegauge <tidegauge@localhost>",
        "Sender of the mails.",
        check=parse_address,
    )
    smtp_tls: str = setting(
        "TIDEGAUGE_SMTP_TLS",
        "auto",
        "Encryption of mail. auto: STARTTLS where the server offers it, its certificate checked "
        "only if there is a password; starttls: always, checked; tls: from the first byte, "
        "checked; off: none.",
        choices=("auto", "starttls", "tls", "off"),
    )
    webhook_secret: str = setting(
        "TIDEGAUGE_WEBHOOK_SECRET",
        "",
        "Signs the bodies of webhooks (HMAC-SHA256, header X-Tidegauge-Signature), unless a "
        "channel has a `secret` of its own; empty: none is signed.",
        secret=True,
    )
    webhook_allow_private: str = setting(
        "TIDEGAUGE_WEBHOOK_ALLOW_PRIVATE",
        "",
        "Private, loopback and link-local networks (`10.1.0.0/16,127.0.0.1/32`) that webhooks may "
        "reach; all: every one; empty: none.",
        check=parse_allowed_networks,
    )
    heartbeat_url: str = setting(
        "TIDEGAUGE_HEARTBEAT_URL",
        "",
        "Posted to by the evaluator that leads while rules are evaluated and notifications are "
        "delivered; for a watcher elsewhere that raises an alarm when nothing comes. Private "
        "addresses need TIDEGAUGE_WEBHOOK_ALLOW_PRIVATE. Empty: none.",
        secret=True,
    )
    heartbeat_s: int = setting(
        "TIDEGAUGE_HEARTBEAT_SECONDS", 60, "How often it is posted to.", low=1, high=3600
    )
