"""The whole way: a rule made by the API, samples sent in, a mail and a webhook that arrive."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import requests

from tests.support.mail import run_mail_server
from tests.support.product import Up
from tests.support.receivers import run_receiver
from tests.support.servers import free_port, wait_until

PASSWORD = "a long password 7"
# The interval, its jitter, and the time to hand a message over.
TOLD_S = 30.0


def test_a_rule_made_by_the_api_tells_by_mail_and_webhook(make_up: Callable[..., Up]) -> None:
    port = free_port()
    with run_mail_server(port) as box, run_receiver() as hooks:
        up = make_up(
            settings={
                "SMTP_HOST": "127.0.0.1",
                "SMTP_PORT": str(port),
                "TIDEGAUGE_WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8",
                "TIDEGAUGE_ADMIN_PASSWORD": PASSWORD,
            }
        )
        up.start()
        session = requests.Session()
        body = {"username": "admin", "password": PASSWORD}
        assert session.post(f"{up.base}/api/v1/auth/login", json=body, timeout=10).ok
        rule = {
            "name": "host is hot",
            "query": "heat",
            "condition": "gt",
            "threshold": 5,
            "duration": 0,
            "interval": 1,
            "severity": "critical",
            "notification": [
                {"type": "email", "target": "ops@example.org"},
                {"type": "webhook", "target": f"{hooks.url}/hook"},
            ],
        }
        made = session.post(f"{up.base}/api/v1/alerts", json=rule, timeout=10)
        assert made.status_code == 201, made.text
        path = f"{up.base}{made.headers['Location']}"

        up.send_json("heat", 9, tags={"host": "a"})
        wait_until(
            lambda: len(box.mails) == len(hooks.posted) == 1, timeout_s=TOLD_S, what="both hear"
        )
        up.send_json("heat", 1, tags={"host": "a"})
        wait_until(
            lambda: len(box.mails) == len(hooks.posted) == 2, timeout_s=TOLD_S, what="both hear"
        )

        history = session.get(f"{path}/history", timeout=10).json()["data"]
        shown = session.get(f"{up.base}/prometheus/api/v1/rules", timeout=10).json()
        assert session.delete(path, timeout=10).status_code == 200

    assert [one["state"] for one in history] == ["resolved", "firing"]
    assert shown["data"]["groups"][0]["rules"][0]["name"] == "host is hot"
    assert [box.recipients[0], box.recipients[1]] == [["ops@example.org"]] * 2
    statuses = [orjson.loads(one.body)["status"] for one in hooks.posted]
    assert statuses == ["firing", "resolved"]
    assert all("host is hot" in str(mail["subject"]) for mail in box.mails)
    kinds = [part.get_content_type() for part in box.mails[0].walk() if not part.is_multipart()]
    assert kinds == ["text/plain", "text/html", "image/png"]
