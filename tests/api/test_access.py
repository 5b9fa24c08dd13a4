"""Who is let in: every route states a permission, a stranger has none, and no spelling helps."""

from __future__ import annotations

import re
from base64 import b64encode
from urllib.parse import unquote

import pytest
from flask import Flask
from tidegauge.auth.permissions import OPEN_TO_ALL
from tidegauge.config import AccessConfig, Config
from tidegauge.web.access import find_permission

STRANGER = {"REMOTE_ADDR": "192.0.2.7"}
LOGIN = "/api/v1/auth/login"
QUERY = "/prometheus/api/v1/query?query=1%2B1&time=4"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def spell_paths(app: Flask) -> list[str]:
    """Return every route's path with its variables filled in, and tricky spellings of it."""
    plain = {re.sub(r"<[^>]+>", "up", rule.rule) for rule in app.url_map.iter_rules()}
    tricks = (
        lambda path: "/" + path,
        lambda path: path.replace("/", "//"),
        lambda path: path + "/",
        lambda path: path + ".",
        lambda path: path + "/.",
        lambda path: path.replace("/", "%2f", 2).replace("%2f", "/", 1),
        lambda path: path.upper(),
        lambda path: "/./" + path[1:],
        lambda path: "/x/.." + path,
        lambda path: path + ";x=1",
        lambda path: path + "%00",
        lambda path: path + "%20",
    )
    return sorted(plain | {trick(path) for path in plain for trick in tricks})


def test_every_route_states_a_permission(app: Flask) -> None:
    unstated = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if find_permission(app.view_functions[rule.endpoint]) is None
    ]

    assert unstated == []
    assert len(list(app.url_map.iter_rules())) > 15


def test_a_route_that_states_nothing_is_refused(app: Flask) -> None:
    app.add_url_rule("/api/v1/forgotten", "forgotten", lambda: "secret")

    response = app.test_client().get("/api/v1/forgotten")

    assert response.status_code == 403
    assert response.get_json()["code"] == "forbidden"
    assert b"secret" not in response.data


def test_only_health_probes_are_open_to_strangers(app: Flask) -> None:
    client = app.test_client()
    let_in = set()
    for path in spell_paths(app):
        for method in METHODS:
            response = client.open(path, method=method, environ_overrides=STRANGER)
            if response.status_code < 400:
                let_in.add(unquote(path).rstrip("/"))
            elif unquote(path).rstrip("/") == LOGIN:
                assert response.status_code in (400, 401, 405)  # Open to all; it says nothing.
            else:
                # Grafana swallows what a 401 says.
                refused = 403 if unquote(path).startswith("/grafana/json") else 401
                assert response.status_code in (refused, 404, 405), (method, path)

    assert let_in - {LOGIN} == {"/health/live", "/health/ready"}
    assert frozenset({"health:probe", "session:create"}) == OPEN_TO_ALL


def test_a_method_override_does_not_help_a_stranger(app: Flask) -> None:
    response = app.test_client().post(
        "/health/live", headers={"X-HTTP-Method-Override": "GET"}, environ_overrides=STRANGER
    )

    assert response.status_code == 401


def test_forwarding_headers_do_not_make_a_stranger_local(app: Flask) -> None:
    headers = {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1", "X-Real-IP": "::1"}

    response = app.test_client().get(QUERY, headers=headers, environ_overrides=STRANGER)

    assert response.status_code == 401


def test_a_stranger_is_told_why_in_the_shape_of_the_prefix(app: Flask) -> None:
    client = app.test_client()

    prometheus = client.get(QUERY, environ_overrides=STRANGER)
    native = client.get("/api/v1/metrics", environ_overrides=STRANGER)

    assert list(prometheus.get_json()) == ["status", "errorType", "error"]
    assert "API token" in prometheus.get_json()["error"]
    assert native.get_json()["code"] == "unauthenticated"
    assert native.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_let_in(app: Flask, address: str) -> None:
    response = app.test_client().get(QUERY, environ_overrides={"REMOTE_ADDR": address})

    assert response.status_code == 200


@pytest.mark.parametrize(
    "address", ["192.0.2.7", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "", "localhost", "127.1"]
)
def test_any_other_address_is_not(app: Flask, address: str) -> None:
    response = app.test_client().get(QUERY, environ_overrides={"REMOTE_ADDR": address})

    assert response.status_code == 401


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:3001", "localhost.", "127.0.0.1:3001", "[::1]:3001", "[::1]"]
)
def test_hosts_that_name_this_machine_are_let_in(app: Flask, host: str) -> None:
    assert app.test_client().get(QUERY, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "localhost:x",
        "a@localhost",
        "192.0.2.7",
        "[fe80::1]",
    ],
)
def test_a_page_that_rebinds_its_name_is_not_let_in(app: Flask, host: str) -> None:
    response = app.test_client().get(QUERY, headers={"Host": host})

    assert response.status_code == 401


def test_http_1_0_without_a_host_is_let_in(app: Flask) -> None:
    builder = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": None}
    environ = app.test_client()._request_from_builder_args((QUERY,), {}).environ
    environ.update(builder)
    del environ["HTTP_HOST"]

    with app.request_context(environ):
        response = app.full_dispatch_request()

    assert response.status_code == 200


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:1"])
def test_pages_of_this_machine_may_ask(app: Flask, origin: str) -> None:
    assert app.test_client().get(QUERY, headers={"Origin": origin}).status_code == 200


@pytest.mark.parametrize(
    ("site", "wanted", "status"),
    [
        ("cross-site", "image", 401),
        ("cross-site", "script", 401),
        ("cross-site", "iframe", 401),
        ("cross-site", "", 401),
        ("cross-site", "document", 200),
        ("same-origin", "empty", 200),
        ("none", "document", 200),
    ],
)
def test_pages_of_other_sites_embed_nothing_of_ours(
    app: Flask, site: str, wanted: str, status: int
) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": wanted}

    assert app.test_client().get(QUERY, headers=headers).status_code == status


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://[", "file://", "x"])
def test_other_pages_may_not(app: Flask, origin: str) -> None:
    body = b'[{"name":"cpu","value":1}]'

    response = app.test_client().post("/api/v1/metrics", data=body, headers={"Origin": origin})

    assert response.status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "//prometheus/api/v1/query",
        "/prometheus//api/v1/query",
        "/PROMETHEUS/api/v1/query",
        "/prometheus/api/v1/query.",
        "/prometheus/api/v1/./query",
        "/prometheus/api/v1/x/../query",
    ],
)
def test_other_spellings_of_a_path_are_404_and_never_a_redirect(app: Flask, path: str) -> None:
    environ = {"PATH_INFO": path, "QUERY_STRING": "query=1"}

    response = app.test_client().get("/", environ_overrides=environ)

    assert response.status_code == 404
    assert response.is_json
    assert "Location" not in response.headers


def test_without_an_access_token_any_credential_is_wrong(app: Flask) -> None:
    response = app.test_client().get(QUERY, headers={"Authorization": "Bearer guess"})

    assert response.status_code == 401


class TestToken:
    """The access token lets in whoever has it, from anywhere; a proxy speaks for others."""

    TOKEN = "a-long-enough-secret"

    @pytest.fixture
    def config(self) -> Config:
        return Config(access=AccessConfig(token=self.TOKEN, trusted_proxies="10.0.0.0/8"))

    def ask(self, client, headers: dict[str, str], address: str = "192.0.2.7"):
        return client.get(QUERY, headers=headers, environ_overrides={"REMOTE_ADDR": address})

    def test_as_bearer_and_as_password_it_lets_in(self, client) -> None:
        basic = b64encode(f"anybody:{self.TOKEN}".encode()).decode()

        for given in (f"Bearer {self.TOKEN}", f"bearer {self.TOKEN}", f"Basic {basic}"):
            assert self.ask(client, {"Authorization": given}).status_code == 200

    @pytest.mark.parametrize(
        "given",
        [
            "",
            "Bearer",
            "Bearer wrong",
            "Basic !!",
            "Basic ",
            "Digest a-long-enough-secret",
            "Basic \xe9",
            "Bearer \xe9",
        ],
    )
    def test_anything_else_does_not(self, client, given: str) -> None:
        assert self.ask(client, {"Authorization": given}).status_code == 401

    @pytest.mark.parametrize("given", ["Bearer wrong", "Bearer", "Basic !!", "Digest x", "wrong"])
    def test_a_wrong_one_is_refused_on_this_machine_too(self, client, given: str) -> None:
        response = self.ask(client, {"Authorization": given}, "127.0.0.1")

        assert response.status_code == 401
        assert "no API token of ours" in response.get_json()["error"]

    def test_probes_need_none_and_take_any(self, client) -> None:
        answer = client.get("/health/live", headers={"Authorization": "Bearer wrong"})

        assert answer.status_code == 200

    @pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
    def test_what_a_proxy_on_this_machine_forwards_needs_it(self, client, header: str) -> None:
        assert self.ask(client, {header: "127.0.0.1"}, "127.0.0.1").status_code == 401

        headers = {header: "127.0.0.1", "Authorization": f"Bearer {self.TOKEN}"}
        assert self.ask(client, headers, "127.0.0.1").status_code == 200

    def test_it_is_never_logged(self, client, log_stream) -> None:
        self.ask(client, {"Authorization": f"Bearer {self.TOKEN}"})
        self.ask(client, {"Authorization": f"Bearer {self.TOKEN}x"})

        assert self.TOKEN.encode() not in log_stream.getvalue()

    @pytest.mark.parametrize(
        ("address", "said", "expected"),
        [
            ("10.1.2.3", "198.51.100.9", "198.51.100.9"),
            ("10.1.2.3", "198.51.100.9, 10.9.9.9", "198.51.100.9"),
            ("10.1.2.3", "203.0.113.1, 198.51.100.9", "198.51.100.9"),
            ("192.0.2.7", "198.51.100.9", "192.0.2.7"),
            ("10.1.2.3", "", "10.1.2.3"),
            ("10.1.2.3", "198.51.100.9:4711", "10.1.2.3"),
            ("::ffff:10.1.2.3", "198.51.100.9", "198.51.100.9"),
        ],
    )
    def test_the_sender_is_whom_our_proxies_name(
        self, client, log_lines, address: str, said: str, expected: str
    ) -> None:
        self.ask(client, {"X-Forwarded-For": said} if said else {}, address)

        assert log_lines()[-1]["remote"] == expected
