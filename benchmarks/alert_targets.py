"""Who hears of alerts in a benchmark: ears that note the time, and targets that misbehave."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage

from tests.contracts.storage_kit import series
from tests.support.evaluators import Installation
from tests.support.mail import MailBox
from tests.support.receivers import Posted, Receiver, run_receiver, run_talker

STIR_EVERY_S = 2.0
HUGE_BYTES = 10_000_000

_NAME = re.compile(r"alertname\s*[=:]\s*(\S+)")
_ANSWERS = """
SELECT payload -> 'rule' ->> 'name', state, left(last_answer, 60), count(*)
FROM notifications JOIN alert_rules ON alert_rules.id = rule_id AND name LIKE 'bad %%'
GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC
"""


class Ears:
    """Notes when each rule is first heard of, by webhook and by mail.

    Args:
        receiver, box: where.
    """

    def __init__(self, receiver: Receiver, box: MailBox) -> None:
        self._status = ""
        self._heard: dict[str, dict[str, float]] = {"webhook": {}, "mail": {}}
        receiver.on_post = self._take_post
        box.on_mail = self._take_mail

    def begin(self, status: str) -> None:
        """Listen for this from now on: "firing" or "resolved"."""
        self._status = status
        for heard in self._heard.values():
            heard.clear()

    def heard_all(self, names: Sequence[str]) -> bool:
        """Return whether both have heard of all of these."""
        return all(set(names) <= heard.keys() for heard in self._heard.values())

    def times(self) -> dict[str, dict[str, float]]:
        """Return when, by the monotonic clock, by where and name."""
        return self._heard

    def _take_post(self, posted: Posted) -> None:
        now_s = time.monotonic()
        for alert in json.loads(posted.body)["alerts"]:
            if alert["status"] == self._status:
                self._heard["webhook"].setdefault(alert["labels"]["alertname"], now_s)

    def _take_mail(self, mail: EmailMessage) -> None:
        now_s = time.monotonic()
        body = mail.get_body(("plain",))
        if body is not None and self._status in str(mail["subject"]).lower():
            for name in _NAME.findall(body.get_content()):
                self._heard["mail"].setdefault(name, now_s)


@dataclass
class Stir:
    """Lets rules of ten series flap, whose targets misbehave, whenever it is called.

    Args:
        site: where.
        names: of the rules' metrics.
    """

    site: Installation
    names: Sequence[str]
    _turned_s: float = 0.0
    _bad: bool = False

    def __call__(self) -> None:
        """Turn all values, unless that was just done."""
        if time.monotonic() - self._turned_s < STIR_EVERY_S:
            return
        self._turned_s, self._bad = time.monotonic(), not self._bad
        now_ms, value = time.time_ns() // 1_000_000, 9.0 if self._bad else 1.0
        points = [
            (series(name, host=str(host)), now_ms, value)
            for name in self.names
            for host in range(10)
        ]
        self.site.kit.append(points, ids=[uuid.uuid4().bytes])

    def answers(self, site: Installation) -> list[str]:
        """Return what became of what they were to be told."""
        return [f"{name} {state} {n}×: {answer}" for name, state, answer, n in site.ask(_ANSWERS)]


@contextmanager
def open_bad_targets(site: Installation) -> Iterator[Stir]:
    """Lend rules whose webhooks hang, answer 500, lead to a private address, or send 10 MB."""
    with run_receiver() as bad, run_talker(_hang) as hanging:
        bad.answers = {
            "/500": (500, {}, b"no"),
            "/private": (307, {"Location": "http://10.0.0.1/hook"}, b""),
            "/huge": (200, {}, b"x" * HUGE_BYTES),
        }
        targets = {
            "bad_hangs": hanging,
            **{f"bad_{path.strip('/')}": bad.url + path for path in bad.answers},
        }
        for name, target in targets.items():
            channel = {"type": "webhook", "target": target}
            site.add_rule(name=name.replace("_", " "), query=name, hold_ms=0, channels=(channel,))
        yield Stir(site, list(targets))


def _hang(_connection: socket.socket, stop: threading.Event) -> None:
    stop.wait()
