"""A running evaluator keeps the rule files of a folder; a backtest ends when its client is gone."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import orjson
import psycopg2
import requests
from tidegauge.alerts.backtest.service import AT_ONCE

from tests.support.product import clean_environment
from tests.support.servers import wait_until
from tests.support.stack import Part

HEAD = "groups:\n- name: g\n  rules:\n"
HOT = "  - {alert: Hot, expr: heat > 5}\n"
RECORD = "  - {record: twice, expr: heat * 2}\n"
# A second of work and more for every few thousand evaluations, and no data.
SLOW = "quantile_over_time(0.5, vector(1)[2h:1s])"


def test_a_running_evaluator_keeps_the_files_of_a_folder(
    migrated_database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.yml").write_text(HEAD + HOT)
    env = clean_environment(
        DATABASE_URL=migrated_database_url,
        TIDEGAUGE_RULES_DIR=str(folder),
        TIDEGAUGE_RULES_SCAN_SECONDS="1",
        TIDEGAUGE_SHIPPED_RULES="off",
    )
    evaluator = Part.of_tidegauge("evaluator", "evaluator", env, tmp_path)

    def rules() -> dict[str, int]:
        with closing(psycopg2.connect(migrated_database_url)) as base, base.cursor() as cursor:
            cursor.execute(
                "SELECT name, id FROM alert_rules UNION SELECT record, id FROM recording_rules"
            )
            return dict(cursor.fetchall())

    try:
        evaluator.start()
        wait_until(lambda: rules().keys() == {"Hot"}, timeout_s=60, what="the file is loaded")
        before = rules()["Hot"]
        (folder / "a.yml").write_text(HEAD + HOT + RECORD)
        wait_until(
            lambda: rules().keys() == {"Hot", "twice"}, timeout_s=60, what="the change is loaded"
        )
        after = rules()["Hot"]
        (folder / "a.yml").unlink()
        wait_until(lambda: not rules(), timeout_s=60, what="the rules have ended")
    finally:
        if evaluator.runs:
            evaluator.stop()

    # What did not change in the file was not made anew.
    assert before == after


def test_a_backtest_ends_when_its_client_is_gone(
    migrated_database_url: str, tmp_path: Path
) -> None:
    env = clean_environment(DATABASE_URL=migrated_database_url, TIDEGAUGE_LOOPBACK="open")
    server = Part.of_tidegauge("serve", "serve", env, tmp_path)
    rule = {"name": "slow", "query": SLOW, "condition": "gt", "threshold": 5}

    def begin() -> requests.Response:
        return requests.post(
            f"{server.base}/api/v1/alerts/backtest",
            json={"rule": rule, "start": "now-10d"},
            stream=True,
            timeout=60,
        )

    def runs_again() -> bool:
        with begin() as response:
            return response.status_code == 200

    try:
        server.start()
        held = [begin() for _ in range(AT_ONCE)]
        first = [orjson.loads(next(one.iter_lines())) for one in held]
        refused = begin().status_code
        for one in held:
            one.close()
        wait_until(runs_again, timeout_s=50, what="there is a place again")
    finally:
        if server.runs:
            server.stop()

    assert [0 < one["progress"] < 1 for one in first] == [True] * AT_ONCE
    assert refused == 503
