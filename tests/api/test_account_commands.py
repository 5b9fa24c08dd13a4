"""`tidegauge user` and `tidegauge token`, on a real PostgreSQL."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import psycopg2
import pytest
from click.testing import CliRunner, Result
from tidegauge.cli import main

pytestmark = pytest.mark.services

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str) -> Run:
    """Run a command on a database that `tidegauge migrate` prepares first."""
    none = {name: None for name in os.environ if name.startswith("TIDEGAUGE_")}
    env = {**none, "DATABASE_URL": database_url}

    def run_command(*arguments: str, stdin: str = "", **more: str) -> Result:
        return CliRunner().invoke(main, arguments, env={**env, **more}, input=stdin)

    return run_command


def test_the_first_migration_makes_an_admin_and_says_so_once(run: Run) -> None:
    first, second = run("migrate"), run("migrate")

    assert re.search(r'account "admin" with the password \S{24} \(shown once\)', first.output)
    assert "password" not in second.output
    assert "admin" in run("user", "list").output


def test_a_given_password_of_the_first_admin_is_not_shown(run: Run) -> None:
    result = run("migrate", TIDEGAUGE_ADMIN_PASSWORD="correct horse battery")

    assert result.exit_code == 0
    assert "horse" not in result.output


def test_people_are_made_changed_and_deleted(run: Run, database_url: str) -> None:
    run("migrate")

    made = run("user", "create", "ada", "--role", "editor")
    given = run("user", "create", "bob", "--password-stdin", stdin="correct horse battery\n")
    changed = run("user", "role", "ADA", "admin")
    renewed = run("user", "password", "bob")
    gone = run("user", "delete", "admin")

    assert re.fullmatch(r'made "ada", editor; password \S{24} \(shown once\)\n', made.output)
    assert given.output == 'made "bob", viewer\n'
    assert changed.output == '"ADA" is admin now\n'
    assert "new password; password" in renewed.output
    assert gone.output == 'deleted "admin"\n'
    with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_log WHERE actor = 'command'")
        assert cursor.fetchone() == (5,)
    connection.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("user", "role", "nobody", "viewer"), 'there is no user "nobody"'),
        (("user", "role", "admin", "viewer"), '"admin" is the only admin'),
        (("user", "create", "admin"), 'there is a user "admin" already'),
        (("token", "create", "x", "--user", "nobody", "--scope", "query"), 'no user "nobody"'),
        (("token", "revoke", "7"), "there is no token 7"),
    ],
)
def test_what_cannot_be_done_is_one_message(run: Run, arguments, said: str) -> None:
    run("migrate")

    result = run(*arguments)

    assert result.exit_code == 2
    assert said in result.output


def test_tokens_are_made_listed_and_revoked(run: Run) -> None:
    run("migrate")

    made = run("token", "create", "prometheus", "--scope", "ingest", "--days", "30")
    listed = run("token", "list")
    run("token", "revoke", "1")

    assert re.fullmatch(r"tdg_[\w-]{43}[0-9a-f]{8}\n", made.output)
    assert "prometheus (admin)" in listed.output
    assert made.output.strip() not in listed.output
    assert "revoked" in run("token", "list").output


def test_without_a_database_the_commands_say_what_to_set(run: Run) -> None:
    result = run("user", "list", DATABASE_URL="")

    assert result.exit_code == 2
    assert "DATABASE_URL is not set" in result.output
