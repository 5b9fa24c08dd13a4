"""What Grafana 9.4, 11 and 13 send, replayed against the product and read strictly.

The requests stand in `grafana/*.http`, written by hand from the sources of Grafana
(grafana-contract §2). Behind the arrow of a title stands what is wanted: the kind of answer, then
the exact result, or `with` a kind of notes and these; or an error's status and type. A result that
may hold anything is not empty.
"""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support import wire
from tests.support.http_files import RecordedRequest, read_requests, send_raw
from tests.support.pair import make_series
from tests.support.product import Up
from tests.support.strict_prometheus import check_error, check_success

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]

TOKEN = "grafana-shows-this-token"
FILES = sorted(Path(__file__).with_name("grafana").glob("*.http"))
RECORDED = [(path.stem, request) for path in FILES for request in read_requests(path)]
# These may be empty: there is nothing to hint at, and nothing is firing.
MAY_BE_EMPTY = {"exemplars", "rules", "alerts"}

_PLACE = re.compile(r"\{\{END([+-]\d+)?(ms)?\}\}")
_SUCCESS = re.compile(r"(\w+)(?: with (warnings|infos))?(?: (.+))?")


@dataclasses.dataclass(frozen=True)
class Grafanas:
    """The product that they ask, with samples up to end_s."""

    base: str
    end_s: int

    def fill_in(self, text: str) -> str:
        """Return the text with the times of the data and the token in their places."""

        def moment(found: re.Match[str]) -> str:
            shift, unit = found.groups()
            scale = 1000 if unit else 1
            return str(self.end_s * scale + int(shift or 0))

        return _PLACE.sub(moment, text).replace("{{TOKEN}}", TOKEN)

    def resolve(self, request: RecordedRequest) -> RecordedRequest:
        """Return the request as it is sent now."""
        headers = {name: self.fill_in(value) for name, value in request.headers.items()}
        return dataclasses.replace(
            request,
            wanted=self.fill_in(request.wanted),
            target=self.fill_in(request.target),
            body=self.fill_in(request.body),
            headers=headers,
        )


@pytest.fixture(scope="module")
def grafanas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grafanas]:
    up = Up(tmp_path_factory.mktemp("up"), settings={"TIDEGAUGE_ACCESS_TOKEN": TOKEN})
    up.start()
    try:
        end_s = int(time.time()) // 60 * 60 - 60
        points = [((end_s - back) * 1000, 1.0) for back in (60, 30, 0)]
        named = {"__name__": "http.requests", "status.code": "200"}
        body = wire.write_request([*make_series(end_s), (named, points)]) + wire.metadata(
            "http_requests_total", kind=1, help="Requests."
        )
        sent = requests.post(
            f"{up.base}/prometheus/api/v1/write",
            wire.compress(body),
            headers=wire.HEADERS,
            timeout=30,
        )
        assert sent.status_code == 204, sent.text
        yield Grafanas(up.base, end_s)
    finally:
        up.end()


@pytest.mark.parametrize(("version", "request_"), RECORDED, ids=str)
def test_each_request_gets_what_grafana_expects(
    grafanas: Grafanas, version: str, request_: RecordedRequest
) -> None:
    request = grafanas.resolve(request_)

    answer = send_raw(grafanas.base, request)

    if request.wanted.startswith("error "):
        _, status, kind = request.wanted.split(" ")
        check_error(answer, int(status), kind)
        return
    found = _SUCCESS.fullmatch(request.wanted)
    assert found is not None, request.wanted
    kind, noted, exact = found.groups()
    result, notes = check_success(answer, kind)
    assert list(notes) == ([noted] if noted else [])
    if noted and exact:
        assert notes[noted] == json.loads(exact)
    elif exact:
        assert result == json.loads(exact)
    else:
        assert result or kind in MAY_BE_EMPTY


@pytest.mark.parametrize("version", ["9.4", "11", "13"])
def test_the_records_cover_what_a_version_does(version: str) -> None:
    titles = [request.title for name, request in RECORDED if name == version]

    assert len(titles) == len(set(titles))
    assert {"save and test", "panel", "alerting"} <= {title.partition(":")[0] for title in titles}


def test_a_form_and_its_query_string_answer_alike(grafanas: Grafanas) -> None:
    """Grafana asks by GET what a 400 or 405 kept it from asking by POST."""
    posts = [
        grafanas.resolve(request)
        for _, request in RECORDED
        if request.method == "POST" and not request.wanted.startswith("error 405")
    ]

    different = []
    for request in posts:
        joint = "&" if "?" in request.target else "?"
        got = dataclasses.replace(
            request, method="GET", target=f"{request.target}{joint}{request.body}", body=""
        )
        # What stands in the URL and in the form too is what only a POST can say.
        if "query=wrong" in request.target:
            continue
        by_post, by_get = send_raw(grafanas.base, request), send_raw(grafanas.base, got)
        if (by_post.status, by_post.body) != (by_get.status, by_get.body):
            different.append(request.title)

    assert len(posts) > 25
    assert different == []
