"""Requests that no client sends, byte by byte, at a real server and at the nginx before it."""

from __future__ import annotations

import re
import socket

import pytest

from tests.support.browsers import Browser
from tests.support.stack import SERVERS, TOKEN, Stack

pytestmark = pytest.mark.timeout(120)

USERS = "/api/v1/users"
TARGETS = (
    USERS,
    f"/{USERS}",
    "/api//v1//users",
    "/api%2fv1%2fusers",
    "/%61pi/v1/users",
    "/API/V1/USERS",
    "/api/v1/users/.",
    "/api/v1/./users",
    "/api/v1/users/",
    "/api/v1/users.",
    "/api/v1/users%20",
    "/api/v1/users%00",
    "/api/v1/users%0d%0aX-Split:%20yes",
    "/api/v1/users;a=b",
    "/api/v1/users?x=/health/live",
    "/health/live/../../api/v1/users",
    "/health/live/%2e%2e/%2e%2e/api/v1/users",
    "/health/live/..%2f..%2fapi/v1/users",
    "/health/live/..;/..;/api/v1/users",
    "\\api\\v1\\users",
    "http://127.0.0.1/api/v1/users",
    "http://localhost:1/api/v1/users",
    "http://elsewhere.example/api/v1/users",
    "http:///api/v1/users",
    "/http://127.0.0.1/api/v1/users",
    "*",
    "api/v1/users",
    "127.0.0.1:80",
)
METHODS = ("GET", "HEAD", "POST", "OPTIONS", "TRACE", "CONNECT", "get", "GE%54", "DELETE")
HIDDEN = "GET /health/live HTTP/1.1\r\nHost: x\r\nX-Request-ID: smuggled\r\n\r\n"
LAST = "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
LIVE = "POST /health/live HTTP/1.1\r\nHost: x\r\n"
CHUNKS = f"0\r\n\r\n{HIDDEN}"
SMUGGLERS = {
    "a length and chunks": f"Content-Length: {len(CHUNKS)}\r\nTransfer-Encoding: chunked\r\n",
    "chunks and a length": f"Transfer-Encoding: chunked\r\nContent-Length: {len(CHUNKS)}\r\n",
    "two lengths": f"Content-Length: 0\r\nContent-Length: {len(CHUNKS)}\r\n",
    "two lengths in one": f"Content-Length: 0, {len(CHUNKS)}\r\n",
    "a signed length": f"Content-Length: +{len(CHUNKS)}\r\n",
    "a length in hexadecimal": "Content-Length: 0x5\r\n",
    "an unknown coding": f"Content-Length: {len(CHUNKS)}\r\nTransfer-Encoding: xchunked\r\n",
    "chunks that are not last": "Transfer-Encoding: chunked, identity\r\n",
    "two codings": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "a blank before the colon": f"Content-Length: {len(CHUNKS)}\r\nTransfer-Encoding : chunked\r\n",
    "a folded line": f"Content-Length: {len(CHUNKS)}\r\nTransfer-Encoding:\r\n chunked\r\n",
    "a bare line feed": f"Content-Length: {len(CHUNKS)}\r\nX: y\nTransfer-Encoding: chunked\r\n",
    "an underscore": f"Content_Length: 0\r\nContent-Length: {len(CHUNKS)}\r\n",
}


@pytest.fixture(params=["server", "nginx"])
def port(request: pytest.FixtureRequest, servers: Stack) -> int:
    if request.param == "nginx":
        return servers.port
    return int(servers.parts[SERVERS[0]].base.rpartition(":")[2])


def send(port: int, request: str) -> bytes:
    """Send these bytes, and return all that comes back before the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request.encode("latin-1"))
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def statuses(received: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"(?:^|\n|\})HTTP/1\.[01] (\d{3})", received)]


def ask(port: int, method: str, target: str, *headers: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *headers, "Connection: close"]
    return send(port, "\r\n".join(lines) + "\r\n\r\n")


@pytest.mark.parametrize("method", METHODS)
def test_no_target_shows_people_to_a_stranger_or_a_viewer(
    servers: Stack, port: int, method: str
) -> None:
    cookie = "; ".join(f"{k}={v}" for k, v in Browser(servers, "viewer").cookies.items())

    told = 0
    for target in TARGETS:
        for headers in (["Host: 127.0.0.1"], ["Host: 127.0.0.1", f"Cookie: {cookie}"]):
            received = ask(port, method, target, *headers)
            found = statuses(received)
            # nginx closes the connection without a word where a request is beyond repair.
            assert all(status >= 400 and status != 500 for status in found), (target, received)
            told += len(found)
            assert b'"username"' not in received
            assert b"\nX-Split" not in received
    assert told > len(TARGETS)


def test_the_targets_do_reach_what_is_there(servers: Stack, port: int) -> None:
    cookie = "; ".join(f"{k}={v}" for k, v in Browser(servers, "admin").cookies.items())

    received = ask(port, "GET", USERS, "Host: 127.0.0.1", f"Cookie: {cookie}")

    assert (statuses(received), b'"username"' in received) == ([200], True)


@pytest.mark.parametrize("trick", SMUGGLERS)
def test_no_request_hides_in_the_body_of_another(port: int, trick: str) -> None:
    received = send(port, f"{LIVE}{SMUGGLERS[trick]}\r\n{CHUNKS}{LAST}")

    assert statuses(received), "it hears something"
    assert b"smuggled" not in received, received


@pytest.mark.parametrize(
    "headers",
    [
        ("Authorization: Bearer {token}", "Authorization: Bearer wrong"),
        ("Authorization: Bearer wrong", "Authorization: Bearer {token}"),
        ("Authorization: Basic wrong", "Authorization: Bearer {token}"),
        ("Authorization : Bearer {token}",),
        ("Authorization:\r\n Bearer {token}",),
        ("HTTP_AUTHORIZATION: Bearer {token}",),
        ("Proxy-Authorization: Bearer {token}",),
        ("X-Authorization: Bearer {token}",),
        ("Cookie: tidegauge_session={token}",),
    ],
)
def test_two_credentials_or_odd_ones_are_none(port: int, headers: tuple[str, ...]) -> None:
    filled = [header.format(token=TOKEN) for header in headers]

    received = ask(port, "GET", "/api/v1/auth/me", "Host: 127.0.0.1", *filled)

    assert statuses(received) in ([400], [401]), received


def test_two_cookies_are_at_most_one_person(servers: Stack, port: int) -> None:
    viewer, admin = (
        Browser(servers, name).cookies["tidegauge_session"] for name in ("viewer", "admin")
    )
    cookies = (f"Cookie: tidegauge_session={viewer}", f"Cookie: tidegauge_session={admin}")

    received = ask(port, "GET", USERS, "Host: 127.0.0.1", *cookies)

    assert statuses(received) in ([401], [403], [400]), received


@pytest.mark.parametrize(
    "hosts",
    [
        (),
        ("Host: 127.0.0.1", "Host: elsewhere.example"),
        ("Host: elsewhere.example", "Host: 127.0.0.1"),
        ("Host: 127.0.0.1@elsewhere.example",),
        ("Host: a b",),
    ],
)
def test_an_odd_host_leads_nowhere(port: int, hosts: tuple[str, ...]) -> None:
    headers = (f"Authorization: Bearer {TOKEN}", "X-Forwarded-Host: elsewhere.example")

    received = ask(port, "GET", "/api/v1/nothing", *hosts, *headers)

    assert statuses(received) in ([400], [404]), received
    assert b"Location" not in received
    assert b"elsewhere" not in received
