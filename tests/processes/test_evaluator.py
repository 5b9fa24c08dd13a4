"""Evaluators as processes: killed, paused, stopped, restarted. Source: reliability.md, F10 to F12.

What people hear comes through a real mail server; what is stored is read with SQL.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.evaluators import Installation, role, wait_to_lead
from tests.support.mail import run_mail_server
from tests.support.servers import free_port, wait_until

SEED = 20_261_124
ROUNDS = int(os.environ.get("TIDEGAUGE_TEST_ROUNDS", "3"))
RULES = 5
HOSTS = ("a", "b", "c")

_WAITING = "SELECT FROM notifications WHERE state = 'pending' LIMIT 1"
_KEYS = "SELECT DISTINCT idempotency_key::text FROM notifications"

pytestmark = pytest.mark.timeout(300 + 60 * ROUNDS)


@pytest.fixture
def site(migrated_database_url: str, tmp_path: Path) -> Iterator[Installation]:
    port = free_port()
    with run_mail_server(port) as box:
        made = Installation(tmp_path, migrated_database_url, port, box)
        yield made
        made.close()


def test_an_alert_is_mailed_when_it_fires_and_when_it_is_over(site: Installation) -> None:
    site.add_rule(name="host is hot")
    site.start()

    site.send(9, "a")
    wait_until(lambda: len(site.box.mails) == 1, timeout_s=30, what="a mail")
    site.send(1, "a")
    wait_until(lambda: len(site.box.mails) == 2, timeout_s=30, what="another mail")

    subjects = [str(mail["subject"]).lower() for mail in site.box.mails]
    assert ["host is hot" in one for one in subjects] == [True, True]
    assert "firing" in subjects[0]
    assert "resolved" in subjects[1]
    assert site.changes() == {("host is hot", "a"): ["pending", "firing", "resolved"]}


def test_kill_9_of_the_leader_at_random_points(site: Installation, record_property: Any) -> None:
    rng = random.Random(SEED)
    for number in range(RULES):
        site.add_rule(name=str(number))
    site.start()
    wait_to_lead(site.parts[0])
    expected: list[str] = []

    for number in range(ROUNDS):
        standby = site.start()
        firing = number % 2 == 0
        expected += ["pending", "firing"] if firing else ["resolved"]
        site.send(9 if firing else 1, *HOSTS)
        # Somewhere in the middle of what follows from that.
        seen, most = _count_changes(site), rng.randrange(RULES * len(HOSTS) * 2)
        wait_until(
            lambda wanted=seen + (most if firing else most // 2): _count_changes(site) >= wanted,
            timeout_s=30,
            what="some alerts have changed",
            every_s=0.01,
        )
        site.parts[-2].kill()
        record_property(f"takeover_s_{number}", round(wait_to_lead(standby), 2))
        site.wait_for(*expected, alerts=RULES * len(HOSTS))

    told = site.told()
    assert set(told.values()) == {(ROUNDS + 1) // 2, ROUNDS // 2} - {0}
    wait_until(lambda: not site.ask(_WAITING), timeout_s=90, what="everybody is told")
    keys = Counter(str(mail["idempotency-key"]) for mail in site.box.mails)
    assert keys.keys() == {key for (key,) in site.ask(_KEYS)}
    # At least once, and a kill between sending and writing that down repeats what was under way.
    assert keys.total() - len(keys) <= ROUNDS * 8


def test_a_leader_that_was_paused_changes_nothing_when_it_comes_back(site: Installation) -> None:
    for number in range(RULES):
        site.add_rule(name=str(number), hold_ms=0)
    first = site.start()
    wait_to_lead(first)
    second = site.start()
    site.send(9, *HOSTS)
    site.wait_for("firing", alerts=RULES * len(HOSTS))

    os.kill(first.pid, signal.SIGSTOP)
    wait_to_lead(second)
    site.send(1, *HOSTS)
    site.wait_for("firing", "resolved", alerts=RULES * len(HOSTS))
    os.kill(first.pid, signal.SIGCONT)
    wait_until(lambda: role(first) == "standby", timeout_s=10, what="the first one stands by")
    site.send(9, *HOSTS)
    site.wait_for("firing", "resolved", "firing", alerts=RULES * len(HOSTS))

    assert role(second) == "leader"
    told = site.told()
    assert {status: count for (status, *_), count in told.items()} == {"firing": 2, "resolved": 1}


def test_a_restart_of_everything_goes_on_where_it_was(site: Installation) -> None:
    site.add_rule(name="fires", hold_ms=0)
    site.add_rule(name="waits", hold_ms=4000)
    first = site.start()
    site.send(9, "a")
    wait_until(
        lambda: {name for name, _ in site.changes()} == {"fires", "waits"},
        timeout_s=30,
        what="one fires, one is pending",
    )
    assert first.stop() == 0

    wait_to_lead(site.start())
    wait_until(
        lambda: site.changes().get(("waits", "a")) == ["pending", "firing"],
        timeout_s=30,
        what="what was pending fires",
    )

    assert site.changes()["fires", "a"] == ["firing"]
    assert {key: count for key, count in site.told().items() if count > 1} == {}


def test_a_standby_takes_over_at_once_from_one_that_stops_in_order(site: Installation) -> None:
    first, second = site.start(), site.start()
    wait_until(
        lambda: sorted(map(role, (first, second))) == ["leader", "standby"],
        timeout_s=10,
        what="one leads",
    )
    leader, other = (first, second) if role(first) == "leader" else (second, first)

    assert leader.stop() == 0
    wait_to_lead(other, timeout_s=4)

    metrics = requests.get(other.base + "/metrics", timeout=5).text
    assert "alert_evaluator_leading 1.0" in metrics


def test_the_database_may_go_away_and_come_back(site: Installation) -> None:
    site.add_rule(name="hot", hold_ms=0)
    part = site.start()
    wait_to_lead(part)

    for _ in itertools.repeat(None, 3):
        site.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'tidegauge evaluator'"
        )
    site.send(9, "a")

    site.wait_for("firing", alerts=1)
    assert part.runs


def _count_changes(site: Installation) -> int:
    return sum(map(len, site.changes().values()))
