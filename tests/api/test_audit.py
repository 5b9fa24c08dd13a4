"""The log of changes tells of what is changed outside of the database, too."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner
from tidegauge.cli import main
from tidegauge.query.limits import Deadline

from tests.support.rabbitmq import RabbitMQ
from tests.support.town import Town

LETTERS = "/api/v1/admin/dead-letters"
LETTER = "0" * 32


@pytest.mark.parametrize("action", ["replay", "purge"])
@pytest.mark.parametrize(
    ("body", "told"),
    [({"all": True}, {"all": True}), ({"ids": [LETTER]}, {"count": 1, "ids": [LETTER]})],
)
def test_what_is_done_with_dead_letters_is_recorded(
    town: Town, action: str, body: dict[str, object], told: dict[str, object]
) -> None:
    answer = town.clients["admin"].post(f"{LETTERS}/{action}", json=body)

    entry = town.audit()[0]
    assert answer.status_code == 200
    assert (entry["action"], entry["actor_name"]) == (f"dead-letters.{action}", "admin")
    assert entry["details"] == told
    assert entry["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize("body", [{}, {"ids": ["x"]}, {"ids": [LETTER], "all": True}])
def test_what_is_refused_is_not_recorded(town: Town, body: dict[str, object]) -> None:
    before = town.audit()

    for who in ("admin", "owner"):
        assert town.clients[who].post(f"{LETTERS}/purge", json=body).status_code in (400, 403)

    assert town.audit() == before


def test_a_cancelled_query_is_recorded(town: Town) -> None:
    running = town.services.queries.own
    deadline = Deadline(timeout_s=60, monotonic=lambda: 0.0, named_by="")
    with running.track("instant", {"query": "up"}, deadline):
        (one,) = running.list()
        path = f"/api/v1/admin/queries/{one.id}"
        refused = town.clients["owner"].delete(path).status_code
        done = town.clients["admin"].delete(path).status_code

    told = [row for row in town.audit() if row["action"] == "query.cancel"]
    assert (refused, done) == (403, 204)
    assert [(row["target"], row["actor_name"]) for row in told] == [(f"query:{one.id}", "admin")]


@pytest.mark.parametrize("action", ["replay", "purge"])
def test_what_the_command_does_with_dead_letters_is_recorded(
    town: Town, rabbitmq: RabbitMQ, action: str
) -> None:
    none = {name: None for name in os.environ if name.startswith("TIDEGAUGE_")}
    env = {**none, "RABBITMQ_URL": rabbitmq.url, "DATABASE_URL": town.services.config.database.url}

    done = CliRunner().invoke(main, ["dlq", action, LETTER], env=env)

    entry = town.audit()[0]
    assert done.exit_code == 0, done.output
    assert (entry["action"], entry["actor"]) == (f"dead-letters.{action}", "command")
    assert entry["details"] == {"count": 1, "ids": [LETTER]}
