"""schemathesis sends a real server what the OpenAPI document allows, and holds it to its word."""

from __future__ import annotations

import io
import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tidegauge.app import create_app
from tidegauge.auth.actor import SYSTEM
from tidegauge.auth.permissions import SCOPES
from tidegauge.config import AccessConfig, Config, DatabaseConfig, TraceConfig
from tidegauge.observability.logs import make_logger
from tidegauge.services import build_services

from tests.support.people import ALMIGHTY

pytestmark = pytest.mark.services

EXAMPLES = 10
CHECKS = [
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
]


@pytest.fixture(scope="module")
def api(postgres, migrated_template) -> Iterator[Any]:
    """The document of a running application, on a database of its own."""
    name = postgres.create_database(migrated_template)
    config = Config(
        access=AccessConfig(logins_per_minute=100_000),
        database=DatabaseConfig(url=postgres.url_of(name)),
        trace=TraceConfig(own_metrics_s=0),
    )
    with psycopg2.connect(config.database.url) as connection, connection.cursor() as cursor:
        # So that no made-up number is the id of whoever asks.
        cursor.execute("ALTER TABLE users ALTER id RESTART WITH 1234567890")
    connection.close()
    services = build_services(
        config, log=make_logger(io.BytesIO(), level="error", service="api", clock_ms=lambda: 0)
    )
    assert services.people is not None
    accounts = services.people.accounts
    accounts.create_first_admin()
    token = accounts.create_token(
        "tests", accounts.list_users(after=0, limit=1)[0].id, SCOPES, None, SYSTEM
    )
    app = create_app(services, local=ALMIGHTY)
    schema = schemathesis.openapi.from_dict(app.test_client().get("/api/v1/openapi.json").json)
    schema.app = app
    schema.bearer = token.secret
    yield schema
    services.close()
    postgres.drop_database(name)


def test_every_endpoint_answers_as_its_description_says(api: Any) -> None:
    headers = {"Authorization": f"Bearer {api.bearer}", "Accept-Encoding": "identity"}
    answers: Counter[int] = Counter()
    tried = 0

    for found in api.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            response = case.call(headers=headers)
            answers[response.status_code] += 1
            # 503 is an honest answer to what nobody can serve now, and documented.
            if response.status_code != 503:
                case.validate_response(response, checks=CHECKS)

        check()
        tried += 1

    logging.info("schemathesis: %d operations, answers %s", tried, dict(answers))
    assert tried > 30
    assert 500 not in answers
