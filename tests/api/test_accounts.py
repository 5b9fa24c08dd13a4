"""Accounts on a real PostgreSQL and Redis: log-in, sessions, tokens, and their end everywhere."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from tidegauge.app import create_app
from tidegauge.auth.actor import SYSTEM
from tidegauge.config import AccessConfig, CacheConfig, Config, DatabaseConfig, TraceConfig
from tidegauge.observability.logs import make_logger
from tidegauge.services import Services, build_services

pytestmark = pytest.mark.services

PASSWORD = "correct horse battery"
ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}
QUERY = "/prometheus/api/v1/query?query=1"


@pytest.fixture
def config(migrated_database_url: str, redis_server) -> Config:
    with redis_server.client() as redis:
        redis.flushall()
    return Config(
        access=AccessConfig(
            admin_password=PASSWORD,
            logins_per_minute=1000,
            grafana_secret="grafana-knows-this",
        ),
        cache=CacheConfig(url=redis_server.url),
        database=DatabaseConfig(url=migrated_database_url),
        trace=TraceConfig(own_metrics_s=0),
    )


@pytest.fixture
def log_stream() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def open_app(config: Config, log_stream: io.BytesIO) -> Iterator[Callable[..., Flask]]:
    """Make an application as another process would have it, with accounts for each role."""
    made: list[Services] = []

    def build(settings: Config = config) -> Flask:
        log = make_logger(log_stream, level="debug", service="api", clock_ms=lambda: 0)
        made.append(build_services(settings, log=log))
        return create_app(made[-1])

    yield build
    for services in made:
        services.close()


@pytest.fixture
def app(open_app: Callable[..., Flask]) -> Flask:
    app = open_app()
    accounts = app.extensions["tidegauge"].people.accounts
    accounts.create_first_admin(PASSWORD)
    for role in ("viewer", "editor"):
        accounts.create_user(role, PASSWORD, role, SYSTEM)
    return app


def sign_in(app: Flask, name: str, password: str = PASSWORD) -> FlaskClient:
    client = app.test_client()
    response = login(client, name, password)
    assert response.status_code == 200, response.get_data(as_text=True)
    return client


def login(client: FlaskClient, name: str, password: str = PASSWORD, **headers: str):
    body = {"username": name, "password": password}
    return client.post("/api/v1/auth/login", json=body, headers=headers)


def make_token(admin: FlaskClient, *scopes: str, user_id: int = 1, **more: object) -> dict:
    body = {"name": "robot", "scopes": list(scopes), "user_id": user_id, **more}
    response = admin.post("/api/v1/tokens", json=body)
    assert response.status_code == 201, response.get_data(as_text=True)
    return response.get_json()["data"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def id_of(admin: FlaskClient, name: str) -> int:
    rows = admin.get("/api/v1/users").get_json()["data"]
    return next(row["id"] for row in rows if row["username"] == name)


def test_a_person_signs_in_asks_and_signs_out(app: Flask) -> None:
    client = sign_in(app, "viewer")

    assert client.get("/api/v1/auth/me").get_json()["data"]["role"] == "viewer"
    assert client.get(QUERY).status_code == 200
    assert client.post("/api/v1/auth/logout").status_code == 204
    assert client.get("/api/v1/auth/me").status_code == 401


def test_the_cookie_is_random_hidden_from_scripts_and_bound_to_the_site(app: Flask) -> None:
    client = app.test_client()

    near = login(client, "viewer").headers["Set-Cookie"]
    far = login(client, "viewer", Host="metrics.example").headers["Set-Cookie"]

    assert re.match(r"tidegauge_session=[A-Za-z0-9_-]{43};", near)
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=86400"} <= set(near.split("; "))
    assert ("Secure" in near.split("; "), "Secure" in far.split("; ")) == (False, True)


def test_a_log_in_gives_a_new_session_and_ends_the_old_one(app: Flask) -> None:
    client = sign_in(app, "viewer")
    old = client.get_cookie("tidegauge_session")
    login(client, "viewer")

    other = app.test_client()
    other.set_cookie("tidegauge_session", old.value)

    assert client.get("/api/v1/auth/me").status_code == 200
    assert other.get("/api/v1/auth/me").status_code == 401


def test_a_session_fixed_by_somebody_else_is_never_taken_over(app: Flask) -> None:
    client = app.test_client()
    client.set_cookie("tidegauge_session", "A" * 43)

    login(client, "viewer")

    assert client.get_cookie("tidegauge_session").value != "A" * 43


@pytest.mark.parametrize(
    ("name", "password"),
    [("viewer", "wrong horse battery"), ("nobody", PASSWORD), ("", ""), ("viewer\0", "x")],
)
def test_who_does_not_know_the_password_learns_nothing_else(app: Flask, name, password) -> None:
    response = login(app.test_client(), name, password)

    assert response.status_code == 401
    assert response.get_json()["code"] == "wrong_password"
    assert "Set-Cookie" not in response.headers


def test_passwords_and_tokens_are_kept_as_hashes_and_never_logged(
    app: Flask, config: Config, log_stream: io.BytesIO, dump_database: Callable[[str], bytes]
) -> None:
    admin = sign_in(app, "admin")
    token = make_token(admin, "query")["token"]
    app.test_client().get(QUERY, headers=bearer(token))
    login(app.test_client(), "viewer", "a wrong password")
    session = admin.get_cookie("tidegauge_session").value

    everything = dump_database(config.database.url) + log_stream.getvalue()

    assert b"$argon2id$" in everything
    for secret in (PASSWORD, token, session, "a wrong password"):
        assert secret.encode() not in everything


def test_an_address_that_guesses_is_locked_out(open_app, config: Config, app: Flask) -> None:
    strict = open_app(
        replace(config, access=replace(config.access, logins_per_minute=5, lockout_s=60))
    )
    client = strict.test_client()

    answers = [login(client, "viewer", f"wrong horse {n}").status_code for n in range(6)]
    locked = login(client, "viewer")

    assert answers == [401] * 5 + [429]
    assert locked.status_code == 429
    assert locked.headers["Retry-After"] == "60"
    assert "TIDEGAUGE_LOGIN_LOCKOUT_SECONDS" in locked.get_json()["error"]


def test_an_account_that_is_guessed_at_is_locked_wherever_they_come_from(app: Flask) -> None:
    for n in range(10):
        login(app.test_client(), "viewer", f"wrong horse {n}")

    assert login(app.test_client(), "viewer").status_code == 401
    assert login(app.test_client(), "editor").status_code == 200


def test_a_page_of_another_site_cannot_use_a_session(app: Flask) -> None:
    admin = sign_in(app, "admin")
    body = {"username": "mallory", "password": PASSWORD, "role": "admin"}

    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
    ):
        refused = admin.post("/api/v1/users", json=body, headers=headers)
        assert refused.status_code == 403, headers
    own = admin.post("/api/v1/users", json=body, headers={"Origin": "http://localhost"})
    assert own.status_code == 201


def test_a_page_of_another_site_cannot_sign_somebody_in(app: Flask) -> None:
    response = login(app.test_client(), "viewer", Origin="https://evil.example")

    assert response.status_code == 403
    assert "Set-Cookie" not in response.headers


def test_a_token_does_what_its_scopes_and_its_owner_may(app: Flask) -> None:
    admin = sign_in(app, "admin")
    asks = make_token(admin, "query", user_id=id_of(admin, "viewer"))["token"]
    sends = make_token(admin, "ingest", user_id=id_of(admin, "viewer"))["token"]
    client = app.test_client()
    point = b'[{"name":"cpu","value":1}]'

    def ask(token: str) -> int:
        return client.get(QUERY, headers=bearer(token), environ_overrides=ELSEWHERE).status_code

    def send(token: str) -> int:
        return client.post(
            "/api/v1/metrics", data=point, headers=bearer(token), environ_overrides=ELSEWHERE
        ).status_code

    assert (ask(asks), send(asks)) == (200, 403)
    assert (ask(sends), send(sends)) == (403, 202)
    assert client.get("/api/v1/users", headers=bearer(asks)).status_code == 403


def test_a_token_works_as_a_basic_password_too(app: Flask) -> None:
    token = make_token(sign_in(app, "admin"), "query")["token"]

    response = app.test_client().get(QUERY, auth=("anybody", token), environ_overrides=ELSEWHERE)

    assert response.status_code == 200


def test_a_token_that_is_wrong_expired_or_revoked_is_refused(app: Flask) -> None:
    admin = sign_in(app, "admin")
    made = make_token(admin, "query", expires_in_days=1)
    client = app.test_client()

    assert client.get(QUERY, headers=bearer(made["token"] + "0")).status_code == 401
    assert client.get(QUERY, headers=bearer("tdg_" + "A" * 51)).status_code == 401
    assert admin.delete(f"/api/v1/tokens/{made['id']}").status_code == 204
    assert client.get(QUERY, headers=bearer(made["token"])).status_code == 401
    listed = admin.get("/api/v1/tokens").get_json()["data"][0]
    assert listed["revoked_at"] is not None
    assert "token" not in listed


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"scopes": ["root"]}, 'no scope "root"'),
        ({"scopes": []}, "needs a scope"),
        ({"expires_in_days": 0}, "1 to 3650 days"),
        ({"name": "<script>"}, "the token's name"),
        ({"colour": "red"}, "colour"),
        ({"user_id": 999}, "no user 999"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused(app: Flask, body, said) -> None:
    admin = sign_in(app, "admin")

    response = admin.post("/api/v1/tokens", json={"name": "robot", "scopes": ["query"], **body})

    assert response.status_code in (400, 404)
    assert said in response.get_json()["error"]


@pytest.mark.parametrize("number", ["99", "0", "2147483648", "99999999999999999999"])
def test_an_id_that_nobody_has_is_404(app: Flask, number: str) -> None:
    admin = sign_in(app, "admin")

    answers = (
        admin.get(f"/api/v1/users/{number}"),
        admin.patch(f"/api/v1/users/{number}", json={"role": "viewer"}),
        admin.delete(f"/api/v1/users/{number}"),
        admin.delete(f"/api/v1/tokens/{number}"),
    )

    assert [one.status_code for one in answers] == [404] * 4
    assert all("database" not in one.get_json()["error"] for one in answers)


def test_a_token_acts_for_no_account_that_cannot_be(app: Flask) -> None:
    admin = sign_in(app, "admin")
    body = {"name": "robot", "scopes": ["query"], "user_id": 2**63 - 1}

    response = admin.post("/api/v1/tokens", json=body)

    assert response.status_code == 404
    assert response.get_json()["error"] == f"there is no user {2**63 - 1}"


@pytest.mark.parametrize(
    "change",
    [
        {"role": "editor"},
        {"disabled": True},
        {"password": "another horse battery"},
    ],
)
def test_a_change_ends_sessions_and_tokens_in_every_process(
    open_app, app: Flask, wait: Callable[[Callable[[], bool]], None], change
) -> None:
    admin = sign_in(app, "admin")
    user_id = id_of(admin, "viewer")
    elsewhere = open_app().test_client()
    login(elsewhere, "viewer")
    token = make_token(admin, "query", user_id=user_id)["token"]
    assert elsewhere.get("/api/v1/auth/me").status_code == 200
    assert elsewhere.get(QUERY, headers=bearer(token)).status_code == 200

    assert admin.patch(f"/api/v1/users/{user_id}", json=change).status_code == 200

    wait(lambda: elsewhere.get("/api/v1/auth/me").status_code == 401)
    wait(lambda: elsewhere.get(QUERY, headers=bearer(token)).status_code == 401)


def test_signing_out_ends_the_session_in_every_process(open_app, app: Flask, wait) -> None:
    here = sign_in(app, "viewer")
    there = open_app().test_client()
    there.set_cookie("tidegauge_session", here.get_cookie("tidegauge_session").value)
    assert there.get("/api/v1/auth/me").status_code == 200

    here.post("/api/v1/auth/logout")

    wait(lambda: there.get("/api/v1/auth/me").status_code == 401)


def test_a_session_survives_the_loss_of_redis(open_app, app: Flask, redis_server) -> None:
    client = sign_in(app, "viewer")
    redis_server.kill()
    try:
        there = open_app().test_client()
        there.set_cookie("tidegauge_session", client.get_cookie("tidegauge_session").value)

        assert client.get("/api/v1/auth/me").status_code == 200
        assert there.get("/api/v1/auth/me").status_code == 200
        assert sign_in(app, "editor").get("/api/v1/auth/me").status_code == 200
    finally:
        redis_server.start()


@pytest.mark.parametrize("junk", [b"", b"{}", b"\xff", b'{"user_id":1,"role":"root"}', b"null"])
def test_what_somebody_else_put_into_redis_is_nobody(app: Flask, redis_server, junk) -> None:
    client = sign_in(app, "viewer")
    client.get("/api/v1/auth/me")
    with redis_server.client() as redis:
        for key in redis.keys("*session:*"):
            redis.set(key, junk)
    there = app.test_client()
    there.set_cookie("tidegauge_session", "B" * 43)

    assert client.get("/api/v1/auth/me").status_code == 200
    assert there.get("/api/v1/auth/me").status_code == 401


def test_one_changes_ones_own_password_with_the_old_one(app: Flask) -> None:
    client = sign_in(app, "viewer")
    new = "another horse battery"

    wrong = client.put("/api/v1/auth/password", json={"old_password": "no", "new_password": new})
    right = client.put(
        "/api/v1/auth/password", json={"old_password": PASSWORD, "new_password": new}
    )

    assert (wrong.status_code, right.status_code) == (401, 204)
    assert client.get("/api/v1/auth/me").status_code == 401
    assert login(client, "viewer").status_code == 401
    assert login(client, "viewer", new).status_code == 200


@pytest.mark.parametrize("password", ["short", "x" * 257, "long enough but name"])
def test_a_password_that_nobody_should_have_is_refused(app: Flask, password: str) -> None:
    admin = sign_in(app, "admin")
    body = {"username": "long enough but name", "password": password}

    response = admin.post("/api/v1/users", json=body)

    assert response.status_code == 400
    assert response.get_json()["code"] == "bad_password"
    assert password not in response.get_data(as_text=True)


def test_two_people_cannot_have_one_name(app: Flask) -> None:
    admin = sign_in(app, "admin")

    response = admin.post("/api/v1/users", json={"username": "Viewer", "password": PASSWORD})

    assert response.status_code == 409


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"disabled": True}, None])
def test_there_is_always_an_admin(app: Flask, change) -> None:
    admin = sign_in(app, "admin")
    path = f"/api/v1/users/{id_of(admin, 'admin')}"

    response = admin.delete(path) if change is None else admin.patch(path, json=change)

    assert response.status_code == 409
    assert "only admin" in response.get_json()["error"]


def test_a_deleted_person_is_gone_with_their_sessions(app: Flask, wait) -> None:
    admin = sign_in(app, "admin")
    client = sign_in(app, "viewer")

    assert admin.delete(f"/api/v1/users/{id_of(admin, 'viewer')}").status_code == 204

    wait(lambda: client.get("/api/v1/auth/me").status_code == 401)
    assert login(client, "viewer").status_code == 401


def test_changes_and_sign_ins_are_recorded_for_admins_only(app: Flask) -> None:
    admin = sign_in(app, "admin")
    user_id = id_of(admin, "viewer")
    login(app.test_client(), "viewer", "a wrong password")
    admin.patch(f"/api/v1/users/{user_id}", json={"role": "editor"})

    rows = admin.get(f"/api/v1/admin/audit?target=user:{user_id}").get_json()["data"]

    assert [row["action"] for row in rows] == ["user.update", "session.refused", "user.create"]
    assert rows[0]["actor_name"] == "admin"
    assert rows[0]["details"] == {"role": "editor"}
    assert sign_in(app, "editor").get("/api/v1/admin/audit").status_code == 403


def test_the_log_of_changes_turns_its_pages(app: Flask) -> None:
    admin = sign_in(app, "admin")
    whole = [row["id"] for row in admin.get("/api/v1/admin/audit").get_json()["data"]]

    first = admin.get("/api/v1/admin/audit?limit=2").get_json()
    second = admin.get(f"/api/v1/admin/audit?limit=2&after={first['next_after']}").get_json()

    assert [row["id"] for row in first["data"] + second["data"]] == whole[:4]


GRAFANA = {"X-Tidegauge-Grafana-Secret": "grafana-knows-this"}


class TestGrafana:
    """Whom Grafana names is believed only with the shared secret, within what the token may."""

    @pytest.fixture
    def token(self, app: Flask) -> str:
        return make_token(sign_in(app, "admin"), "query", "admin")["token"]

    def who(self, app: Flask, token: str, **headers: str) -> dict:
        answer = app.test_client().get("/api/v1/auth/me", headers={**bearer(token), **headers})
        return answer.get_json()["data"]

    def test_a_known_person_has_their_own_role(self, app: Flask, token: str) -> None:
        known = self.who(app, token, **GRAFANA, **{"X-Grafana-User": "viewer"})

        assert (known["username"], known["role"]) == ("viewer", "viewer")
        assert "user:read" not in known["permissions"]

    def test_an_unknown_person_may_what_a_viewer_may(self, app: Flask, token: str) -> None:
        unknown = self.who(app, token, **GRAFANA, **{"X-Grafana-User": "grace"})

        assert (unknown["username"], unknown["id"]) == ("grace", None)
        assert "user:read" not in unknown["permissions"]

    def test_names_that_are_alike_are_not_the_same_person(self, app: Flask, token: str) -> None:
        accounts = app.extensions["tidegauge"].people.accounts
        for name, role in (("strasse", "admin"), ("straße", "viewer")):
            accounts.create_user(name, PASSWORD, role, SYSTEM)

        for sent, name in (("strasse", "strasse"), ("straße", "straße"), ("STRASSE", "strasse")):
            known = self.who(app, token, **GRAFANA, **{"X-Grafana-User": sent})
            assert known["username"] == name

    def test_without_the_secret_the_name_is_nothing(self, app: Flask, token: str) -> None:
        for headers in ({}, {"X-Tidegauge-Grafana-Secret": "wrong"}):
            believed = self.who(app, token, **headers, **{"X-Grafana-User": "viewer"})
            assert believed["kind"] == "token"

    def test_a_name_alone_lets_nobody_in(self, app: Flask) -> None:
        headers = {**GRAFANA, "X-Grafana-User": "admin"}

        response = app.test_client().get("/api/v1/auth/me", headers=headers)

        assert response.status_code == 401

    def test_an_admin_gains_nothing_through_a_token_that_only_asks(self, app: Flask) -> None:
        asks = make_token(sign_in(app, "admin"), "query")["token"]

        known = self.who(app, asks, **GRAFANA, **{"X-Grafana-User": "admin"})

        assert known["username"] == "admin"
        assert "user:change" not in known["permissions"]


class TestWithoutDatabase:
    """While the database is away, whoever was known goes on being known, but not who has ended."""

    @pytest.fixture
    def away(self, open_app, config: Config, free_port: int) -> FlaskClient:
        """A client of another process, which shares Redis and reaches no database."""
        url = f"postgresql://nobody@127.0.0.1:{free_port}/none"
        database = DatabaseConfig(url=url, connect_timeout_s=1)
        return open_app(replace(config, database=database)).test_client()

    def test_a_session_and_a_token_go_on(self, app: Flask, away: FlaskClient) -> None:
        admin = sign_in(app, "admin")
        token = make_token(admin, "query")["token"]
        for headers in ({}, bearer(token)):
            assert admin.get("/api/v1/auth/me", headers=headers).status_code == 200
        away.set_cookie("tidegauge_session", admin.get_cookie("tidegauge_session").value)

        assert away.get("/api/v1/auth/me").get_json()["data"]["username"] == "admin"
        known = away.get("/api/v1/auth/me", headers=bearer(token)).get_json()["data"]
        assert known["kind"] == "token"

    def test_what_has_ended_stays_ended(self, app: Flask, away: FlaskClient) -> None:
        client = sign_in(app, "viewer")
        client.get("/api/v1/auth/me")
        cookie = client.get_cookie("tidegauge_session").value
        client.post("/api/v1/auth/logout")
        away.set_cookie("tidegauge_session", cookie)

        assert away.get("/api/v1/auth/me").status_code == 503

    def test_a_role_that_was_taken_away_is_not_believed_of_whom_grafana_names(
        self, app: Flask, away: FlaskClient, wait
    ) -> None:
        admin = sign_in(app, "admin")
        token = make_token(admin, "dashboards")["token"]
        headers = {**bearer(token), **GRAFANA, "X-Grafana-User": "editor"}
        for client in (app.test_client(), away):
            known = client.get("/api/v1/auth/me", headers=headers).get_json()["data"]
            assert known["role"] == "editor"

        admin.patch(f"/api/v1/users/{id_of(admin, 'editor')}", json={"role": "viewer"})

        wait(lambda: away.get("/api/v1/auth/me", headers=headers).status_code == 503)

    def test_who_is_not_known_hears_that_nobody_can_say(self, app, away: FlaskClient) -> None:
        away.set_cookie("tidegauge_session", "C" * 43)

        first, second = away.get("/api/v1/auth/me"), away.get("/api/v1/auth/me")

        assert (first.status_code, second.status_code) == (503, 503)
        assert first.headers["Retry-After"]
        assert login(away, "viewer").status_code == 503
