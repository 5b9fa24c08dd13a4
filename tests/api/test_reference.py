"""The OpenAPI document and its page: they tell every route, and nothing runs in them."""

from __future__ import annotations

import pytest
from flask import Flask
from tidegauge.web.access import find_permission


@pytest.fixture
def document(client) -> dict:
    return client.get("/api/v1/openapi.json").get_json()


def test_every_route_is_told_with_its_permission(app: Flask, document: dict) -> None:
    told = {
        (path, method.upper()): operation["x-permission"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }

    served = {
        (rule.rule.replace("<int:", "<").replace("<", "{").replace(">", "}"), method): (
            find_permission(app.view_functions[rule.endpoint])
        )
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert told == served
    assert document["openapi"] == "3.1.0"


def test_every_operation_says_what_it_does(document: dict) -> None:
    silent = [
        path
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if len(operation["summary"]) < 5
    ]

    assert silent == []


def test_bodies_are_told_with_their_fields(document: dict) -> None:
    body = document["paths"]["/api/v1/tokens"]["post"]["requestBody"]["content"]
    name = body["application/json"]["schema"]["$ref"].rpartition("/")[2]

    schema = document["components"]["schemas"][name]

    assert set(schema["properties"]) == {"name", "scopes", "user_id", "expires_in_days"}
    assert schema["required"] == ["name", "scopes"]


def test_references_lead_somewhere(document: dict) -> None:
    def references(value: object):
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}

    assert set(references(document)) <= known


def test_the_page_shows_every_route_and_runs_nothing(client, document: dict) -> None:
    response = client.get("/api/v1/docs")
    html = response.get_data(as_text=True)

    assert [path for path in document["paths"] if f"<code>{path}</code>" not in html] == []
    assert "<script" not in html
    assert " style=" not in html
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert "unsafe" not in policy


def test_the_style_of_the_page_is_ours(client) -> None:
    response = client.get("/api/v1/docs.css")

    assert response.status_code == 200
    assert response.mimetype == "text/css"
