"""`/api/v1/annotations` as a deployment script uses it."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from tidegauge.app import create_app
from tidegauge.auth.permissions import Role
from tidegauge.auth.principal import LOCAL, person
from tidegauge.config import Config
from tidegauge.services import Services

from tests.api.conftest import NOW_MS

API = "/api/v1/annotations"


@pytest.fixture
def add(client: FlaskClient) -> Any:
    """Add an annotation and return it."""

    def send(**body: object) -> dict[str, Any]:
        response = client.post(API, json=body)
        assert response.status_code == 201, response.get_data(as_text=True)
        return response.get_json()

    return send


def test_a_mark_without_a_time_is_set_now(client: FlaskClient, add: Any) -> None:
    added = add(text="v1.2 is out", tags=["web", "deploy"])

    assert added == {
        "id": 1,
        "time": NOW_MS,
        "time_end": None,
        "title": "",
        "text": "v1.2 is out",
        "tags": ["deploy", "web"],
        "dashboard_id": None,
        "panel_id": None,
        "owner_id": None,
        "created_at": added["created_at"],
    }
    assert client.get(f"{API}/1").get_json() == added
    assert client.get(API).get_json() == {"data": [added], "next": None}


def test_the_answer_says_where_it_is(client: FlaskClient) -> None:
    response = client.post(API, json={"text": "x"})

    assert response.headers["Location"] == f"{API}/1"


def test_times_are_written_as_everywhere(add: Any) -> None:
    added = add(text="x", time="now-1h", time_end="2023-11-14T22:13:20Z")

    assert (added["time"], added["time_end"]) == (NOW_MS - 3_600_000, NOW_MS)


def test_listings_are_filtered_and_paged(client: FlaskClient, add: Any) -> None:
    for number in range(5):
        tags = ["deploy"] if number % 2 else ["deploy", "db"]
        add(text=str(number), time=NOW_MS - number * 1000, tags=tags, dashboard_id=number + 1)

    def texts(**params: object) -> list[str]:
        found = client.get(API, query_string=params).get_json()
        return [one["text"] for one in found["data"]]

    assert texts(start=NOW_MS - 2000, end="now") == ["0", "1", "2"]
    assert texts(tag=["deploy", "db"]) == ["0", "2", "4"]
    assert texts(tag=["x", "db"], match="any") == ["0", "2", "4"]
    assert texts(dashboard_id=2) == ["1"]

    pages = []
    after = ""
    while after is not None:
        page = client.get(API, query_string={"limit": 2, "after": after}).get_json()
        pages.append([one["text"] for one in page["data"]])
        after = page["next"]
    assert pages == [["0", "1"], ["2", "3"], ["4"]]


def test_one_or_several_are_deleted(client: FlaskClient, add: Any) -> None:
    for number in range(4):
        add(text=str(number))

    assert client.delete(f"{API}/2").get_json() == {"deleted": [2]}
    assert client.delete(f"{API}?id=1&id=4").get_json() == {"deleted": [1, 4]}
    assert [one["id"] for one in client.get(API).get_json()["data"]] == [3]
    assert client.delete(f"{API}/2").status_code == 404
    assert client.delete(f"{API}?id=3&id=2").status_code == 404
    assert client.get(f"{API}/3").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": 1},
        {"text": "x", "tag": ["typo"]},
        {"text": "x", "time": "yesterday"},
        {"text": "x", "time": 1e300},
        {"text": "x", "time_end": 1},
        {"text": "x", "tags": "deploy"},
        {"text": "x", "dashboard_id": 2**63},
        {"text": "x\u0000"},
        [],
    ],
)
def test_what_is_no_mark_is_refused(client: FlaskClient, body: object) -> None:
    response = client.post(API, json=body)

    assert response.status_code == 400
    assert response.get_json()["code"] == "bad_data"


@pytest.mark.parametrize(
    "params",
    ["limit=x", "limit=1001", "match=some", "after=x", "after=1", "after=1.-1", "start=soon"],
)
def test_what_is_no_question_is_refused(client: FlaskClient, params: str) -> None:
    assert client.get(f"{API}?{params}").status_code == 400


@pytest.mark.parametrize(
    "params",
    ["start=-5", "end=99999999999999999", "dashboard_id=-1", "after=99999999999999999.1"],
)
def test_what_cannot_be_is_refused(client: FlaskClient, params: str) -> None:
    assert client.get(f"{API}?{params}").status_code == 400


@pytest.mark.parametrize("params", ["", "?id=", "?id=x", "?" + "id=1&" * 101])
def test_deleting_wants_ids(client: FlaskClient, params: str) -> None:
    assert client.delete(API + params).status_code == 400


@pytest.mark.parametrize("path", ["/0", "/2147483648", "/99999999999999999999"])
def test_an_id_that_cannot_be_is_not_there(client: FlaskClient, path: str) -> None:
    assert client.get(API + path).status_code == 404
    assert client.delete(API + path).status_code == 404


def test_a_mark_belongs_to_the_account_that_sent_it(services: Services) -> None:
    def as_person(user_id: int, role: Role) -> FlaskClient:
        return create_app(services, local=person(user_id, "x", role)).test_client()

    owner, other = as_person(1, "editor"), as_person(2, "editor")
    viewer, admin = as_person(3, "viewer"), as_person(4, "admin")

    for _ in range(2):
        assert owner.post(API, json={"text": "x"}).get_json()["owner_id"] == 1

    assert viewer.post(API, json={"text": "x"}).status_code == 403
    assert viewer.get(f"{API}/1").status_code == 200
    for somebody in (other, viewer):
        response = somebody.delete(f"{API}/1")
        assert (response.status_code, response.get_json()["code"]) == (403, "forbidden")
    assert owner.delete(f"{API}/1").status_code == 200
    assert admin.delete(f"{API}/2").status_code == 200


def test_a_program_on_the_machine_sets_marks_and_deletes_none(services: Services) -> None:
    client = create_app(services, local=LOCAL).test_client()

    assert client.post(API, json={"text": "x"}).get_json()["owner_id"] is None
    assert client.delete(f"{API}/1").status_code == 403


@pytest.mark.parametrize(("method", "setting"), [("POST", "INGEST"), ("GET", "QUERY")])
def test_marks_count_for_the_limits_of_requests(
    services: Services, config: Config, method: str, setting: str
) -> None:
    client = create_app(services, local=person(1, "ada", "editor")).test_client()
    limits = config.limits
    limit = limits.ingest_per_minute if setting == "INGEST" else limits.query_per_minute

    response = client.open(API, method=method, json={"text": "x"})

    assert response.headers["RateLimit-Limit"] == str(limit)
    assert response.headers["RateLimit-Remaining"] == str(limit - 1)
