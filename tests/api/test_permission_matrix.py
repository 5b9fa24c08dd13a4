"""Every route with every role, every scope and every trick of spelling: no unexpected success."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from tidegauge.app import create_app
from tidegauge.auth.permissions import (
    ALL_PERMISSIONS,
    OPEN_TO_ALL,
    ROLES,
    SCOPES,
    permissions_of_token,
)
from tidegauge.auth.principal import LOCAL, STRANGER, Principal, person
from tidegauge.services import Services
from tidegauge.web.access import find_permission

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
REFUSED = {401, 403, 404, 405}
ASKED = re.compile(r'\.may\(\s*"([^"]+)"')
TOUCHED = re.compile(r'\.may_touch\(\s*"([^"]+)"')
PLACES = {"int": "1", "string": "up", "path": "up"}


def principals() -> Iterator[tuple[str, Principal]]:
    yield "stranger", STRANGER
    yield "local", LOCAL
    for role in ROLES:
        yield role, person(7, role, role)
    for scope in SCOPES:
        for role in ROLES:
            permissions = OPEN_TO_ALL | permissions_of_token((scope,), role)
            token = replace(LOCAL, kind="token", key="token:3", permissions=permissions)
            yield f"token {scope} of {role}", token


WHO = dict(principals())


def fill(rule: str) -> str:
    """Return a rule's path with its variables filled in."""
    return re.sub(
        r"<(?:(\w+)(?:\([^)]*\))?:)?\w+>", lambda found: PLACES[found[1] or "string"], rule
    )


def tricks(path: str) -> Iterator[str]:
    yield "/" + path
    yield path.replace("/", "//")
    yield path + "/"
    yield path + "."
    yield path + "/."
    yield path.replace("/", "%2f")
    yield path.replace("/", "%2f", 2).replace("%2f", "/", 1)
    yield path.upper()
    yield "/./" + path[1:]
    yield "/x/.." + path
    yield path + ";x=1"
    yield path + "%00"
    yield path + "%20"
    yield path + "%2e"


@pytest.mark.parametrize("who", WHO)
def test_each_route_lets_in_exactly_those_with_its_permission(services: Services, who: str) -> None:
    sender = WHO[who]
    app = create_app(services, local=sender)
    client = app.test_client()
    counts: Counter[str] = Counter()

    for rule in app.url_map.iter_rules():
        permission = find_permission(app.view_functions[rule.endpoint])
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            status = client.open(fill(rule.rule), method=method).status_code
            allowed = sender.may(permission or "")
            expected = status not in (401, 403) if allowed else status in (401, 403)
            assert expected, (who, method, rule.rule, permission, status)
            counts["allowed" if allowed else "refused"] += 1

    assert counts.total() > 40
    logging.info("%s: %s", who, dict(counts))


@pytest.mark.parametrize("who", ["stranger", "viewer", "token ingest of viewer", "local"])
def test_no_spelling_of_a_path_lets_in_who_may_not(services: Services, who: str) -> None:
    sender = WHO[who]
    app = create_app(services, local=sender)
    client = app.test_client()
    tried = 0

    may = {
        (fill(rule.rule), method)
        for rule in app.url_map.iter_rules()
        if sender.may(find_permission(app.view_functions[rule.endpoint]) or "")
        for method in rule.methods or ()
    }

    for plain in sorted({fill(rule.rule) for rule in app.url_map.iter_rules()}):
        for method in METHODS:
            if (plain, method) in may:
                continue
            for path in tricks(plain):
                status = client.open(path, method=method).status_code
                assert status in REFUSED, (who, method, path, status)
                tried += 1

    logging.info("%s: %d tricks refused", who, tried)
    assert tried > 500


@pytest.mark.parametrize("who", ["stranger", "viewer", "local"])
@pytest.mark.parametrize(
    "header",
    ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL"],
)
def test_headers_that_would_override_a_request_do_nothing(
    services: Services, who: str, header: str
) -> None:
    app = create_app(services, local=WHO[who])
    client = app.test_client()

    for path in ("/health/live", "/api/v1/users/1", "/api/v1/admin/stats"):
        for value in ("GET", "DELETE", "/health/live"):
            response = client.post(path, headers={header: value})
            assert response.status_code in REFUSED, (path, value)


def test_options_say_nothing_of_what_exists_to_a_stranger(services: Services) -> None:
    app: Flask = create_app(services, local=STRANGER)
    client = app.test_client()

    there = client.options("/api/v1/users")
    nowhere = client.options("/api/v1/nothing")

    assert (there.status_code, nowhere.status_code) == (401, 401)
    assert there.get_json()["error"] == nowhere.get_json()["error"]


def test_every_permission_of_the_table_lets_somebody_do_something(
    services: Services, repository: Path
) -> None:
    app = create_app(services)
    sources = [path.read_text(encoding="utf-8") for path in (repository / "server").rglob("*.py")]
    stated = {find_permission(view) or "" for view in app.view_functions.values()}
    asked = {name for text in sources for name in ASKED.findall(text)}
    things = {thing for text in sources for thing in TOUCHED.findall(text)}

    # Whose a thing is gets asked by `may_touch`, after the route has asked for `own`.
    anybodys = {
        f"{name.removesuffix(':own')}:any"
        for name in stated
        if name.endswith(":own") and name.partition(":")[0] in things
    }

    assert ALL_PERMISSIONS - stated - asked - anybodys == set()
