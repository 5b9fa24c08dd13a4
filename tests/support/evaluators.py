"""An installation of evaluators: a database, a mail server, rules, and samples for these."""

from __future__ import annotations

import signal
import time
import uuid
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import requests
from tidegauge.config import DatabaseConfig
from tidegauge.storage.alert_rules import AlertRules
from tidegauge.storage.pool import Pool

from tests.contracts.storage_kit import Kit, postgres_kit, series
from tests.support.alerts import ENTRY, MAIL, make_rule
from tests.support.mail import MailBox
from tests.support.product import clean_environment
from tests.support.servers import wait_until
from tests.support.stack import Part

TAKEOVER_S = 10.0  # SPEC §7: within one interval
SOURCE = "proof.source"
"""The setting by which the database knows which evaluator a session is of."""

_CHANGES = "SELECT rule_name, labels ->> 'host', state FROM alert_events ORDER BY id"
_TOLD = "SELECT payload ->> 'status', rule_id, payload -> 'labels' ->> 'host' FROM notifications"


class Installation:
    """A database, a mail server, and evaluators.

    Args:
        folder: where logs lie.
        url: the database.
        mail_port: where mails go.
        box: what became of them.
        settings: more environment variables of the evaluators.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        mail_port: int,
        box: MailBox,
        settings: dict[str, str] | None = None,
    ) -> None:
        self.folder, self.url, self.box = folder, url, box
        self.kit: Kit = postgres_kit(url)
        self.pool = Pool.from_config(DatabaseConfig(), url=url)
        self.rules = AlertRules(pool=self.pool)
        self.settings = {
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(mail_port),
            "TIDEGAUGE_DB_POOL_SIZE": "4",
            **(settings or {}),
        }
        self.parts: list[Part] = []

    def start(self) -> Part:
        """Start one more evaluator."""
        part = self.add()
        part.start()
        return part

    def add(self) -> Part:
        """Return one more evaluator, which is not started yet."""
        name = f"evaluator-{len(self.parts)}"
        joint = "&" if "?" in self.url else "?"
        url = f"{self.url}{joint}options=-c%20{SOURCE}%3D{name}"
        env = clean_environment(DATABASE_URL=url, **self.settings)
        self.parts.append(Part.of_tidegauge(name, "evaluator", env, self.folder))
        return self.parts[-1]

    def add_rule(self, **fields: Any) -> int:
        """Store a rule about `heat`, and return its id."""
        given = {"interval_ms": 1000, "hold_ms": 2000, "channels": (MAIL,), **fields}
        return self.rules.add(make_rule(**given), ENTRY).rule.id

    def send(self, value: float, *hosts: str, metric: str = "heat") -> None:
        """Store one sample of now for each host."""
        self.send_each(dict.fromkeys(hosts, value), metric=metric)

    def send_each(self, values: dict[str, float], *, metric: str = "heat") -> None:
        """Store one sample of now for each host, each with its value."""
        now_ms = time.time_ns() // 1_000_000
        points = [(series(metric, host=host), now_ms, value) for host, value in values.items()]
        self.kit.append(points, ids=[uuid.uuid4().bytes])

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what the database answers."""
        with (
            closing(psycopg2.connect(self.url, connect_timeout=5)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, values or None)
            return cursor.fetchall()

    def change(self, statement: str) -> None:
        """Change something in the database."""
        with self.pool.transaction() as lent:
            lent.execute(statement)

    def changes(self) -> dict[tuple[str, str], list[str]]:
        """Return what each alert went through."""
        found: dict[tuple[str, str], list[str]] = {}
        for name, host, state in self.ask(_CHANGES):
            found.setdefault((name, host), []).append(state)
        return found

    def wait_for(self, *states: str, alerts: int, timeout_s: float = 30) -> None:
        """Wait until every alert has gone through exactly this."""
        wait_until(
            lambda: (
                [one for one in self.changes().values() if one == list(states)]
                == [list(states)] * alerts
            ),
            timeout_s=timeout_s,
            what=f"{alerts} alerts went through {states}, and not {self.changes()}",
            every_s=0.2,
        )

    def told(self) -> Counter[tuple[Any, ...]]:
        """Return how often anybody is told of what."""
        return Counter(self.ask(_TOLD))

    def close(self) -> None:
        """End everything."""
        for part in self.parts:
            if part.runs:
                assert part.process is not None
                part.process.send_signal(signal.SIGCONT)
                part.kill()
        self.pool.close()
        self.kit.close()


def role(part: Part) -> str:
    """Return "leader" or "standby"; "" where it does not answer."""
    try:
        body = requests.get(part.ready_url, timeout=2).json()
    except requests.RequestException:
        return ""
    return str(body["checks"]["rules"].get("role", ""))


def wait_to_lead(part: Part, timeout_s: float = TAKEOVER_S) -> float:
    """Wait until an evaluator leads, and return how long that took."""
    begin = time.monotonic()
    wait_until(lambda: role(part) == "leader", timeout_s=timeout_s, what=f"{part.name} leads")
    return time.monotonic() - begin
