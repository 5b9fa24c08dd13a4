"""Eight clients change one dashboard through two API processes: nothing is lost or shown late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from tidegauge.auth.actor import SYSTEM
from tidegauge.config import Config, DatabaseConfig
from tidegauge.services.people import open_people

from tests.support.product import Up

CLIENTS = 8
TURNS = 6
REFUSED = {409: "version_conflict", 412: "precondition_failed"}


class Client:
    """One client; each request makes a connection, so either process may answer it."""

    def __init__(self, base: str, token: str) -> None:
        self._url, self._token = f"{base}/api/v1/dashboards", token

    def ask(self, method: str, path: str = "", **more: Any) -> requests.Response:
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Connection": "close",
            **more.pop("headers", {}),
        }
        return requests.request(method, self._url + path, headers=headers, timeout=60, **more)

    def add_variable(self, number: int, name: str, *, by_header: bool) -> Counter[int]:
        """Add a variable to what is there, as often as another came first; count the answers."""
        answers: Counter[int] = Counter()
        while True:
            read = self.ask("GET", f"/{number}").json()["data"]
            wanted = [*read["variables"], {"name": name, "type": "textbox"}]
            body: dict[str, Any] = {"variables": wanted}
            headers = {"If-Match": f'"{read["version"]}"'} if by_header else {}
            if not by_header:
                body["version"] = read["version"]
            answer = self.ask("PUT", f"/{number}", json=body, headers=headers)
            answers[answer.status_code] += 1
            if answer.status_code == 200:
                self._check_shown(number, name, answer.json()["data"]["version"])
                return answers
            assert answer.json()["code"] == REFUSED[answer.status_code], answer.text
            assert int(answer.headers["ETag"].strip('"')) > read["version"]

    def _check_shown(self, number: int, name: str, version: int) -> None:
        for _ in range(2):
            seen = self.ask("GET", f"/{number}").json()["data"]
            assert seen["version"] >= version
            assert name in [one["name"] for one in seen["variables"]]


def make_token(product: Up) -> str:
    with open_people(Config(database=DatabaseConfig(url=product.database_url()))) as people:
        admin = people.accounts.find_user("admin")
        assert admin is not None
        made = people.accounts.create_token("tests", admin.id, ("dashboards",), None, SYSTEM)
    return made.secret


def test_eight_clients_lose_nothing_and_read_what_was_written(make_up: Callable[..., Up]) -> None:
    product = make_up(
        settings={
            "TIDEGAUGE_HTTP_WORKERS": "2",
            "TIDEGAUGE_DASHBOARD_VERSIONS_KEPT": "1000",
        }
    )
    product.start()
    client = Client(product.base, make_token(product))
    number = client.ask("POST", json={"title": "Busy"}).json()["data"]["id"]

    def work(which: int) -> Counter[int]:
        answers: Counter[int] = Counter()
        for turn in range(TURNS):
            name = f"c{which}_{turn}"
            answers += client.add_variable(number, name, by_header=which % 2 == 0)
            added = client.ask("POST", f"/{number}/panels", json={"type": "line", "title": name})
            assert added.status_code == 201, added.text
        return answers

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = sum(pool.map(work, range(CLIENTS)), Counter[int]())

    names = {f"c{which}_{turn}" for which in range(CLIENTS) for turn in range(TURNS)}
    read = client.ask("GET", f"/{number}").json()["data"]
    versions = client.ask("GET", f"/{number}/versions", params={"limit": 1000}).json()["data"]
    assert {one["name"] for one in read["variables"]} == names
    assert {one["title"] for one in read["panels"]} == names
    assert answers[200] == len(names)
    assert set(answers) <= {200, *REFUSED}
    assert [one["version"] for one in versions] == list(range(2 * len(names) + 1, 0, -1))
