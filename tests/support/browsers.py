"""People's browsers and programs before two servers and the nginx in front of them."""

from __future__ import annotations

from typing import Any, ClassVar

import requests
from tidegauge.auth.actor import SYSTEM
from tidegauge.config import load_config
from tidegauge.services.people import open_people

from tests.support.stack import SERVERS, Stack

PASSWORD = "correct horse battery"
NGINX = 2
"""Where a browser sends to; 0 and 1 are the servers themselves."""


def settle_people(servers: Stack) -> None:
    """Make the accounts `admin`, `editor` and `viewer`."""
    with open_people(load_config(servers.environment())) as people:
        people.accounts.create_first_admin(PASSWORD)
        for role in ("editor", "viewer"):
            people.accounts.create_user(role, PASSWORD, role, SYSTEM)


class Browser:
    """Somebody's browser: one session, sent to whichever server.

    Args:
        servers: who answers.
        name, password: who signs in.
    """

    issued: ClassVar[set[str]] = set()
    """Every session id and token that there was."""

    def __init__(self, servers: Stack, name: str, password: str = PASSWORD) -> None:
        self._bases = [*(servers.parts[part].base for part in SERVERS), servers.base]
        self.cookies: dict[str, str] = {}
        body = {"username": name, "password": password}
        answer = self.send("POST", "/api/v1/auth/login", at=NGINX, json=body)
        assert answer.status_code == 200, answer.text
        self.cookies = answer.cookies.get_dict()
        self.issued.update(self.cookies.values())

    def send(self, method: str, path: str, *, at: int, **options: Any) -> requests.Response:
        """Send a request to one of the servers, or to nginx."""
        url = self._bases[at] + path
        return requests.request(method, url, cookies=self.cookies, timeout=30, **options)

    def is_known(self, at: int) -> bool:
        """Return whether the session holds."""
        return _is_known(self.send("GET", "/api/v1/auth/me", at=at))

    def make_token(self, user_id: int, *scopes: str) -> str:
        """Make a token, as an admin."""
        body = {"name": "robot", "scopes": scopes, "user_id": user_id}
        token: str = self.send("POST", "/api/v1/tokens", at=0, json=body).json()["data"]["token"]
        self.issued.add(token)
        return token


class Robot:
    """A program with a token before one server.

    Args:
        base: the server's address.
        token: what it shows.
    """

    def __init__(self, base: str, token: str) -> None:
        self._url, self._headers = f"{base}/api/v1/auth/me", {"Authorization": f"Bearer {token}"}

    def is_known(self) -> bool:
        """Return whether the token holds."""
        return _is_known(requests.get(self._url, headers=self._headers, timeout=30))


def _is_known(answer: requests.Response) -> bool:
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200
