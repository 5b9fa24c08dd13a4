"""An application on a real PostgreSQL, and people before it, each with a browser signed in."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from tidegauge.app import create_app
from tidegauge.auth.actor import SYSTEM
from tidegauge.config import AccessConfig, Config, DatabaseConfig, LimitsConfig, TraceConfig
from tidegauge.observability.logs import make_logger
from tidegauge.services import Services, build_services

PASSWORD = "correct horse battery"
ROLES = {"owner": "editor", "other": "editor", "viewer": "viewer"}
"""Who lives there, beside `admin`, and in which role."""
GRAFANA_SECRET = "what-grafana-shows"
_UNLIMITED = 1_000_000


@dataclass(frozen=True)
class Town:
    """The application and its people.

    Args:
        clients: a browser by name: `admin`, `owner`, `other`, `viewer`, and `stranger`.
        ids: the account of each, but for the stranger.
    """

    app: Flask
    services: Services
    clients: Mapping[str, FlaskClient]
    ids: Mapping[str, int]
    log: io.BytesIO

    def make(self, who: str, path: str, **body: Any) -> dict[str, Any]:
        """Let somebody make a thing, and return what the answer says of it."""
        response = self.clients[who].post(path, json=body)
        assert response.status_code == 201, response.get_data(as_text=True)
        answer: dict[str, Any] = response.get_json()
        data: dict[str, Any] = answer.get("data", answer)
        return data

    def sign_in(self, name: str) -> FlaskClient:
        """Return one more browser, signed in."""
        client = self.app.test_client()
        body = {"username": name, "password": PASSWORD}
        response = client.post("/api/v1/auth/login", json=body)
        assert response.status_code == 200, response.get_data(as_text=True)
        return client

    def audit(self) -> list[dict[str, Any]]:
        """Return the newest entries of the audit log, newest first."""
        rows: list[dict[str, Any]] = (
            self.clients["admin"].get("/api/v1/admin/audit").get_json()["data"]
        )
        return rows


@contextlib.contextmanager
def open_town(database_url: str) -> Iterator[Town]:
    """Build the application over a migrated database, and let people move in."""
    config = Config(
        access=AccessConfig(logins_per_minute=1000, grafana_secret=GRAFANA_SECRET),
        database=DatabaseConfig(url=database_url),
        # Attacks are many requests; told to come later, they would prove nothing.
        limits=LimitsConfig(ingest_per_minute=_UNLIMITED, query_per_minute=_UNLIMITED),
        trace=TraceConfig(own_metrics_s=0),
    )
    log = io.BytesIO()
    services = build_services(
        config, log=make_logger(log, level="debug", service="api", clock_ms=lambda: 0)
    )
    try:
        people = services.people
        assert people is not None
        people.accounts.create_first_admin(PASSWORD)
        for name, role in ROLES.items():
            people.accounts.create_user(name, PASSWORD, role, SYSTEM)
        app = create_app(services)
        clients = {"stranger": app.test_client()}
        town = Town(app, services, clients, {}, log)
        for name in ("admin", *ROLES):
            clients[name] = town.sign_in(name)
        rows = people.accounts.list_users(after=0, limit=10)
        yield Town(app, services, clients, {row.name: row.id for row in rows}, log)
    finally:
        services.close()
