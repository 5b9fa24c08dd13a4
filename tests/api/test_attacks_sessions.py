"""Attacks on sessions: guessed, fixed, kept beyond their end, used by pages of other sites."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from tidegauge.auth.actor import SYSTEM, Actor
from tidegauge.auth.identities import Identities
from tidegauge.auth.login import MOST_FAILURES, WrongPassword
from tidegauge.auth.secrets import digest, make_session_id
from tidegauge.cache.inprocess import InProcessCache
from tidegauge.services.commands import lend_storage
from tidegauge.services.people import open_people

from tests.support.statements import note_statements
from tests.support.town import PASSWORD, Town

ME = "/api/v1/auth/me"
NEW_PASSWORD = "staple correct horse"
FOREIGN: tuple[dict[str, str], ...] = (
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://localhost:81"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost@evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "", "Origin": "http://localhost"},
)


def make_person(town: Town, name: str, role: str = "viewer") -> int:
    people = town.services.people
    assert people is not None
    return people.accounts.create_user(name, PASSWORD, role, SYSTEM).id


@pytest.mark.parametrize(
    "change", [{"password": NEW_PASSWORD}, {"disabled": True}, {"role": "admin"}]
)
def test_a_log_in_that_was_under_way_when_the_account_changed(
    town: Town, change: dict[str, Any]
) -> None:
    people = town.services.people
    assert people is not None
    name = f"late-{next(iter(change))}"
    user = make_person(town, name)
    id_hash = digest(make_session_id())
    with lend_storage(town.services.config) as (storage, _cache, _tools):
        assert storage.people is not None
        users, credentials = storage.people.users, storage.people.credentials
        # What a log-in knows while it checks the password; then the account changes.
        checked = users.find_login(name)
        assert checked is not None
        people.accounts.change_user(user, SYSTEM, **change)

        is_added = credentials.add_session(
            id_hash,
            user,
            password_hash=checked.password_hash,
            lifetime_s=60,
            user_agent="",
            replaced=None,
            audit=SYSTEM.entry("session.create"),
        )
        found = credentials.find_session(id_hash)

    # Another role is read with each request: such a session has it.
    assert is_added == ("role" in change)
    assert (found.role if found is not None else None) == change.get("role")


def test_ones_own_password_cannot_be_guessed_from_an_open_browser(town: Town) -> None:
    make_person(town, "careless")
    client = town.sign_in("careless")

    def guess(old: str) -> int:
        body = {"old_password": old, "new_password": NEW_PASSWORD}
        return client.put("/api/v1/auth/password", json=body).status_code

    assert {guess(f"guess number {number}") for number in range(MOST_FAILURES)} == {401}
    assert guess(PASSWORD) == 401
    assert client.get(ME).status_code == 200
    told = [row["actor_name"] for row in town.audit() if row["action"] == "password.refused"]
    assert told == ["careless"] * (MOST_FAILURES + 1)


def test_a_name_that_nobody_has_costs_the_database_as_much_as_another(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = note_statements(monkeypatch)
    make_person(town, "known")
    make_person(town, "shut out")
    actor, told = Actor("stranger", ""), {}

    with open_people(town.services.config) as people:
        user = people.accounts.find_user("shut out")
        assert user is not None
        people.accounts.change_user(user.id, SYSTEM, disabled=True)
        for name in ("known", "nobody", "shut out"):
            sent.clear()
            with pytest.raises(WrongPassword):
                people.logins.login(
                    name, "not the password", actor=actor, user_agent="", old_session=""
                )
            told[name] = list(sent)

    assert told["known"] == told["nobody"] == told["shut out"]
    assert "UPDATE" in told["known"]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_no_page_of_another_site_changes_anything(town: Town, headers: dict[str, str]) -> None:
    client, before = town.clients["admin"], town.audit()
    tried = 0

    for rule in town.app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}):
            path = re.sub(r"<[^>]+>", "1", rule.rule)
            for body in ({"json": {"title": "x"}}, {"data": "{}", "content_type": "text/plain"}):
                status = client.open(path, method=method, headers=headers, **body).status_code
                assert status == 403, (method, path, status)
                tried += 1

    assert tried > 60
    assert client.get(ME).status_code == 200
    assert town.audit() == before


def test_pages_of_other_sites_may_not_read_what_is_answered(town: Town) -> None:
    for path in (ME, "/api/v1/users", "/api/v1/nothing", "/health/live"):
        for origin in ("https://evil.example", "null", "http://localhost"):
            answer = town.clients["admin"].get(path, headers={"Origin": origin})
            assert "Access-Control-Allow-Credentials" not in answer.headers
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("planted", ["A" * 43, "", "x", "A" * 5000, "é", '"quoted"', "a=b"])
def test_a_planted_cookie_is_nobody_and_becomes_nobody(town: Town, planted: str) -> None:
    client = town.app.test_client()
    headers = {"Cookie": f"tidegauge_session={planted}"}
    body = {"username": "viewer", "password": PASSWORD}

    assert client.get(ME, headers=headers).status_code == 401
    assert client.post("/api/v1/auth/login", json=body, headers=headers).status_code == 200
    assert town.app.test_client().get(ME, headers=headers).status_code == 401


def test_a_session_ends_no_session_of_anothers(town: Town) -> None:
    other = town.sign_in("other")
    cookie = other.get_cookie("tidegauge_session")
    assert cookie is not None

    town.clients["stranger"].post(
        "/api/v1/auth/logout", headers={"Cookie": "tidegauge_session=" + "A" * 43}
    )

    assert other.get(ME).status_code == 200


def test_a_clock_that_is_ahead_keeps_no_session_alive(town: Town) -> None:
    with lend_storage(town.services.config) as (storage, _cache, tools):
        assert storage.people is not None
        credentials = storage.people.credentials
        shared = InProcessCache(max_bytes=10_000, monotonic=time.monotonic, new_id=tools.new_id)
        ahead, right = (
            Identities(credentials, shared, clock_ms=clock, monotonic=lambda: 0.0)
            for clock in (lambda: tools.clock_ms() + 3_600_000, tools.clock_ms)
        )
        client = town.sign_in("viewer")
        cookie = client.get_cookie("tidegauge_session")
        assert cookie is not None
        known = ahead.find_session(cookie.value)

        # The town shares no cache with these two: they hear of the end from the table alone.
        client.post("/api/v1/auth/logout")

        assert known is not None
        assert right.find_session(cookie.value) is None
