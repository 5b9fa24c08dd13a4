"""`/alertmanager/api/v2/silences` on a real database: the same silences, in another form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from tidegauge.app import create_app
from tidegauge.auth.principal import LOCAL
from tidegauge.config import Config, DatabaseConfig, TraceConfig
from tidegauge.services import Services

API = "/alertmanager/api/v2"
NOW = datetime.now(UTC)


@pytest.fixture
def config(migrated_database_url: str) -> Config:
    return Config(
        database=DatabaseConfig(url=migrated_database_url), trace=TraceConfig(own_metrics_s=0)
    )


def at(hours: float) -> str:
    moment = NOW + timedelta(hours=hours)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def body(**fields: Any) -> dict[str, Any]:
    matcher = {"name": "host", "value": "db-.*", "isRegex": True, "isEqual": False}
    given = {"matchers": [matcher], "startsAt": at(-1), "endsAt": at(2)}
    return {**given, "createdBy": "ada", "comment": "new disks", **fields}


def add(client: FlaskClient, **fields: Any) -> str:
    response = client.post(f"{API}/silences", json=body(**fields))
    assert response.status_code == 200, response.get_data(as_text=True)
    number = response.get_json()["silenceID"]
    assert isinstance(number, str)
    return number


def read(client: FlaskClient, number: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{API}/silence/{number}").get_json()
    return found


def state(client: FlaskClient, number: str) -> str:
    found: str = read(client, number)["status"]["state"]
    return found


# A matcher that a missing label fits, too, would silence everything.
HOST = [
    {"name": "host", "value": "db-.*", "isRegex": True, "isEqual": False},
    {"name": "job", "value": "node", "isRegex": False},
]


def test_a_silence_is_shown_in_alertmanagers_form(client: FlaskClient) -> None:
    number = add(client, matchers=HOST, endsAt=at(2))

    shown = read(client, number)

    for name in ("startsAt", "updatedAt"):
        began = datetime.fromisoformat(shown.pop(name))
        assert abs(began - datetime.now(UTC)) < timedelta(minutes=5)
    assert shown == {
        "id": number,
        "status": {"state": "active"},
        "comment": "new disks",
        "createdBy": "ada",
        "endsAt": at(2),
        "matchers": [
            {"isEqual": False, "isRegex": True, "name": "host", "value": "db-.*"},
            {"isEqual": True, "isRegex": False, "name": "job", "value": "node"},
        ],
        "annotations": {},
    }


def test_it_is_the_same_silence_as_in_our_own_api(client: FlaskClient, services: Services) -> None:
    number = add(client, matchers=HOST)

    own = client.get(f"/api/v1/silences/{number}").get_json()["data"]

    assert [one["operator"] for one in own["matchers"]] == ["!~", "="]
    assert services.people is not None
    (row,) = services.people.audit.read(before=None, target=f"silence:{number}", limit=9)
    assert row.entry.action == "silence.create"


def test_a_silence_ends_and_is_listed_last(client: FlaskClient) -> None:
    ended = add(client, matchers=HOST)
    late, soon = add(client, matchers=HOST, endsAt=at(9)), add(client, matchers=HOST)
    to_come = add(client, matchers=HOST, startsAt=at(1))

    response = client.delete(f"{API}/silence/{ended}")
    listed = [one["id"] for one in client.get(f"{API}/silences").get_json()]

    assert (response.status_code, response.data) == (200, b"")
    assert listed == [soon, late, to_come, ended]
    assert [state(client, one) for one in listed] == ["active", "active", "pending", "expired"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 2),
        ("?expired=false", 1),
        ("?active=false", 1),
        ("?active=false&expired=false", 0),
        ('?filter=job="node"', 2),
        ('?filter=job="node"&filter=host!~"db-.*"', 2),
        ('?filter=host=~"db-.*"', 0),
    ],
)
def test_silences_are_chosen_by_state_and_by_their_matchers(
    client: FlaskClient, query: str, count: int
) -> None:
    client.delete(f"{API}/silence/{add(client, matchers=HOST)}")
    add(client, matchers=HOST)

    assert len(client.get(f"{API}/silences{query}").get_json()) == count


def test_a_silence_is_extended_in_its_place(client: FlaskClient) -> None:
    number = add(client, matchers=HOST)

    again = add(
        client,
        matchers=HOST,
        id=number,
        startsAt=read(client, number)["startsAt"],
        endsAt=at(5),
        comment="more disks",
    )

    assert again == number
    shown = read(client, number)
    assert (shown["endsAt"], shown["comment"], shown["createdBy"]) == (at(5), "more disks", "ada")


@pytest.mark.parametrize("changed", [{"matchers": HOST[1:]}, {"startsAt": at(1)}])
def test_a_silence_that_would_become_another_ends_and_a_new_one_begins(
    client: FlaskClient, changed: dict[str, Any]
) -> None:
    number = add(client, matchers=HOST)
    begun = read(client, number)["startsAt"]

    again = add(client, **{"matchers": HOST, "startsAt": begun, "id": number, **changed})

    assert again != number
    assert state(client, number) == "expired"


def test_one_that_is_over_comes_back_as_a_new_one(client: FlaskClient) -> None:
    number = add(client, matchers=HOST)
    client.delete(f"{API}/silence/{number}")

    again = add(client, matchers=HOST, id=number)

    assert again != number
    assert state(client, again) == "active"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"id": "99"}, 404),
        ({"id": "9d6c3a1e-0000-4000-8000-000000000000"}, 404),
        ({"matchers": []}, 400),
        ({"matchers": HOST[:1]}, 400),
        ({"matchers": [{"name": "a", "value": "(", "isRegex": True}]}, 400),
        ({"matchers": [{"name": "a", "value": "b"}]}, 400),
        ({"endsAt": at(-2)}, 400),
        ({"endsAt": "0001-01-01T00:00:00Z"}, 400),
        ({"endsAt": "later"}, 400),
        ({"createdBy": "x" * 1025}, 400),
    ],
)
def test_a_wrong_silence_is_refused_with_a_text(
    client: FlaskClient, fields: dict[str, Any], status: int
) -> None:
    response = client.post(f"{API}/silences", json=body(**{"matchers": HOST, **fields}))

    assert response.status_code == status
    assert isinstance(response.get_json(), str)
    assert client.get(f"{API}/silences").get_json() == []


def test_what_is_not_there_is_404(client: FlaskClient) -> None:
    for number in ("7", "99999999999", "up", "-1"):
        path = f"{API}/silence/{number}"
        assert (client.get(path).status_code, client.delete(path).status_code) == (404, 404)


def test_a_program_on_this_machine_reads_silences_and_makes_none(services: Services) -> None:
    client = create_app(services, local=LOCAL).test_client()

    made = client.post(f"{API}/silences", json=body(matchers=HOST))

    assert (made.status_code, client.get(f"{API}/silences").status_code) == (403, 200)
