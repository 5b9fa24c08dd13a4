"""Scripts in texts that people and machines send: stored, given back as data, never run."""

from __future__ import annotations

import re

import orjson
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.town import Town

SCRIPTS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg/onload=alert(1)>'",
    "javascript:alert(1)//",
    "[x](javascript:alert(1)) <a href=data:text/html,<b>x</b>>",
    "{{7*7}}${7*7}<%= 7*7 %>{% raw %}",
    "</title></script><iframe srcdoc='<script>alert(1)</script>'>",
    "\u2028</style><math><mi//xlink:href='data:x,<script>'>",
)
POLICIES = {
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'",
}
KINDS = {
    "/api/v1/alerts/export": "application/yaml",
    "/api/v1/docs": "text/html",
    "/api/v1/docs.css": "text/css",
    "/metrics": "text/plain",
    "/prometheus/federate": "text/plain",
}
"""What is no JSON."""


def check_harmless(path: str, response: TestResponse) -> None:
    """Fail if a browser could take an answer for anything that runs."""
    headers = response.headers
    assert headers["X-Content-Type-Options"] == "nosniff", path
    assert headers["Content-Security-Policy"] in POLICIES, path
    assert headers["X-Frame-Options"] == "DENY", path
    assert headers["Cache-Control"] == "no-store", path
    if not response.data:
        return
    wanted = KINDS.get(path, "") if response.status_code == 200 else ""
    assert response.mimetype == (wanted or "application/json"), (path, response.mimetype)
    if response.mimetype == "application/json":
        orjson.loads(response.data)
    if response.mimetype == "text/html":
        assert not any(text.encode() in response.data for text in SCRIPTS)
        assert not re.search(rb"<script|<style|\son\w+\s*=|\sstyle\s*=|javascript:", response.data)


@pytest.fixture(scope="module")
def admin(town: Town) -> FlaskClient:
    """An admin's browser, after every text that is kept anywhere was a script."""
    client = town.clients["admin"]
    for number, text in enumerate(SCRIPTS):
        place = {"x": 0, "y": 0, "w": 12, "h": 8}
        panel = {"type": "stat", "title": text, "description": text, "position": place}
        variable = {"name": "v", "label": text, "type": "textbox", "query": text}
        town.make(
            "admin",
            "/api/v1/dashboards",
            title=text,
            description=text,
            tags=[text[:64]],
            message=text,
            panels=[{**panel, "query": "up", "legend": text, "unit": text[:64]}],
            variables=[variable],
        )
        markdown = {"id": 1, "type": "text", "options": {"mode": "html", "content": text}}
        sent = {"title": text, "links": [{"url": text}], "panels": [markdown]}
        town.make("admin", "/api/v1/dashboards/import", dashboard=sent)
        town.make("admin", "/api/v1/folders", title=text)
        mark = {"title": text, "text": text, "tags": [text.replace(",", " ")]}
        town.make("admin", "/api/v1/annotations", **mark)
        point = {"name": f"script_{number}", "value": 1, "tags": {"text": text}}
        assert client.post("/api/v1/metrics", json=[point]).status_code == 202
    return client


def paths_of(town: Town) -> list[str]:
    rules = {rule.rule for rule in town.app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    return sorted(rules)


@pytest.mark.parametrize("accept", ["text/html,application/xhtml+xml", "image/svg+xml", "*/*"])
def test_no_answer_can_be_taken_for_a_page(town: Town, admin: FlaskClient, accept: str) -> None:
    for rule in paths_of(town):
        path = re.sub(r"<[^>]+>", "1", rule)
        check_harmless(path, admin.get(path, headers={"Accept": accept}))
    for path in ("/api/v1/dashboards/2/versions/1", "/api/v1/panels/1-1", "/api/v1/metrics"):
        response = admin.get(path, headers={"Accept": accept})
        assert response.status_code == 200, path
        check_harmless(path, response)


@pytest.mark.parametrize("text", SCRIPTS)
def test_what_a_request_says_comes_back_as_data_only(
    town: Town, admin: FlaskClient, text: str
) -> None:
    for rule in paths_of(town):
        path = re.sub(r"<[^>]+>", "1", rule)
        for client in (admin, town.clients["stranger"]):
            names = ("query", "limit", "time", "match[]", "after", "start", "callback", "jsonp")
            check_harmless(path, client.get(path, query_string=dict.fromkeys(names, text)))
        if "<" in rule:
            odd = re.sub(r"<[^>]+>", lambda _: text.replace("/", "%2f"), rule)
            check_harmless(odd, admin.get(odd))
    for headers in ({"X-Request-ID": text}, {"Host": text}, {"X-Forwarded-Host": text}):
        try:
            response = admin.get(f"/{text}", headers=headers)
        except UnicodeEncodeError:
            continue  # No header can hold it.
        check_harmless("/", response)
        assert text not in str(response.headers)
    check_harmless("/", admin.post("/api/v1/dashboards", data=text, content_type="text/html"))
    check_harmless("/", admin.post("/grafana/json/query", json={"targets": [{"target": text}]}))


def test_texts_come_back_as_they_were_sent(admin: FlaskClient) -> None:
    rows = admin.get("/api/v1/dashboards?limit=1000").get_json()["data"]
    marks = admin.get("/api/v1/annotations").get_json()["data"]
    labels = admin.get("/prometheus/api/v1/label/text/values").get_json()["data"]

    assert {row["title"] for row in rows} == set(SCRIPTS)
    assert {mark["text"] for mark in marks} == set(SCRIPTS)
    assert set(labels) == set(SCRIPTS)
