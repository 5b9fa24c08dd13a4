"""Texts that would be SQL if anybody let them: each is data, and comes back as it was sent."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any

import orjson
import psycopg2
import pytest
from flask.testing import FlaskClient

from tests.support.town import Town

INJECTIONS = (
    "' OR '1'='1",
    "'; DROP TABLE users; --",
    "x') UNION SELECT 1, password_hash FROM users --",
    "$$; SELECT pg_sleep(9); $$",
    "%(name)s %s %%",
    "\\'; DELETE FROM dashboards; -- \"",
    "{a,b}",
    "\\",
)
BROKEN = ("a\0b", "9" * 30, "9999999999:x")
PARAMETERS = (
    "after",
    "before",
    "dashboard_id",
    "end",
    "folder",
    "from",
    "id",
    "key",
    "limit",
    "match[]",
    "metric",
    "owner",
    "panel_id",
    "query",
    "search",
    "start",
    "tag",
    "target",
    "time",
    "to",
    "uid",
)
SCHEMA = """
SELECT table_name, column_name, data_type FROM information_schema.columns
WHERE table_schema = 'public' ORDER BY 1, 2
"""
PEOPLE = "SELECT id, name, role, password_hash FROM users ORDER BY id"


def read_rows(town: Town, statement: str) -> list[tuple[Any, ...]]:
    url = town.services.config.database.url
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def fill(rule: str, text: str) -> str:
    return re.sub(r"<[^>]+>", text, rule)


def paths_of(town: Town, method: str) -> list[str]:
    rules = town.app.url_map.iter_rules()
    return sorted({rule.rule for rule in rules if method in (rule.methods or ())})


@pytest.fixture
def admin(town: Town) -> FlaskClient:
    return town.clients["admin"]


@pytest.fixture
def unhurt(town: Town):
    """Fail if tables or people are other than before, or something went wrong inside."""
    columns, people = read_rows(town, SCHEMA), read_rows(town, PEOPLE)
    town.log.seek(0)
    town.log.truncate()
    yield
    assert b"unhandled exception" not in town.log.getvalue()
    # The first points of a time make tables of its own.
    assert set(columns) <= set(read_rows(town, SCHEMA))
    assert read_rows(town, PEOPLE) == people


@pytest.mark.usefixtures("unhurt")
@pytest.mark.parametrize("text", INJECTIONS)
def test_a_text_with_sql_in_it_is_kept_as_it_is(town: Town, admin: FlaskClient, text: str) -> None:
    tag = text.replace(",", " ")
    made = town.make("admin", "/api/v1/dashboards", title=text, description=text, tags=[text])
    mark = town.make("admin", "/api/v1/annotations", title=text, text=text, tags=[tag])
    folder = town.make("admin", "/api/v1/folders", title=text)

    found = admin.get("/api/v1/dashboards", query_string={"search": text, "tag": text})
    marks = admin.get("/api/v1/annotations", query_string={"tag": tag})
    folders = admin.get("/api/v1/folders")

    assert [(one["id"], one["title"]) for one in found.get_json()["data"]] == [(made["id"], text)]
    assert (made["description"], made["tags"]) == (text, [text])
    assert [(one["id"], one["text"]) for one in marks.get_json()["data"]] == [(mark["id"], text)]
    assert folder in folders.get_json()["data"]


@pytest.mark.usefixtures("unhurt")
@pytest.mark.parametrize("text", INJECTIONS)
def test_a_text_with_sql_in_it_finds_only_what_has_that_text(
    admin: FlaskClient, town: Town, text: str
) -> None:
    town.make("admin", "/api/v1/dashboards", title="plain", tags=["plain"])
    sought = text + " and nothing else"

    for path, name in (
        ("/api/v1/dashboards", "search"),
        ("/api/v1/dashboards", "tag"),
        ("/api/v1/annotations", "tag"),
        ("/api/v1/admin/audit", "target"),
        ("/api/v1/metrics", "search"),
        ("/prometheus/api/v1/metadata", "metric"),
    ):
        response = admin.get(path, query_string={name: sought})
        assert response.status_code == 200, (path, name)
        assert not response.get_json()["data"], (path, name)


@pytest.mark.usefixtures("unhurt")
@pytest.mark.parametrize("text", INJECTIONS)
def test_label_values_with_sql_in_them_are_labels(admin: FlaskClient, text: str) -> None:
    point = {"name": "attack_total", "value": 1, "tags": {"who": text}}
    selector = "attack_total{who=" + orjson.dumps(text).decode() + "}"

    sent = admin.post("/api/v1/metrics", json=[point])
    series = admin.get("/prometheus/api/v1/series", query_string={"match[]": selector})
    filtered = admin.post(
        "/grafana/json/tag-values",
        json={"key": "who", "filters": [{"key": "who", "operator": "=", "value": text}]},
    )

    assert sent.status_code == 202, sent.get_data(as_text=True)
    assert [one["who"] for one in series.get_json()["data"]] == [text]
    assert text in [one["text"] for one in filtered.get_json()]


@pytest.mark.usefixtures("unhurt")
def test_no_text_in_a_query_string_is_a_fault_of_ours(town: Town, admin: FlaskClient) -> None:
    tried = 0
    for path in paths_of(town, "GET"):
        for name in PARAMETERS:
            for text in (INJECTIONS[1], *BROKEN):
                response = admin.get(fill(path, "1"), query_string={name: text})
                assert response.status_code < 429, (path, name, text, response.data[:200])
                tried += 1
    assert tried > 2000


@pytest.mark.usefixtures("unhurt")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "POST"])
def test_no_text_in_a_path_is_a_fault_of_ours(town: Town, admin: FlaskClient, method: str) -> None:
    texts = ("%00", "a%00b", "9" * 25, "9999999999", "%27", "1-99999999999", "%ed%a0%80", "%FF")
    for path in paths_of(town, method):
        for text in texts if "<" in path else ():
            response = admin.open(fill(path, text), method=method, json={"title": "x"})
            assert response.status_code < 429, (path, text, response.data[:200])


def test_pages_turn_behind_the_longest_title(town: Town, admin: FlaskClient) -> None:
    titles = [letter * 200 for letter in "ıİß"]
    for title in titles:
        town.make("admin", "/api/v1/dashboards", title=title, tags=["long"])

    seen, after = [], ""
    for _ in range(len(titles) + 2):
        response = admin.get(
            "/api/v1/dashboards", query_string={"tag": "long", "limit": 1, "after": after}
        )
        assert response.status_code == 200, response.get_json()
        page = response.get_json()
        seen += [one["title"] for one in page["data"]]
        after = page["next"]
        if after is None:
            break

    assert sorted(seen) == sorted(titles)
