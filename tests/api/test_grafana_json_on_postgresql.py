"""Odd texts reach a real PostgreSQL through the Grafana JSON data source, and do no harm."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tidegauge.config import Config, DatabaseConfig, TraceConfig

from tests.support.grafana_json import BASE, RANGE

pytestmark = pytest.mark.services

texts = st.sampled_from(
    ["\0", "a\0b", "\x7f", "\u2028", "'", '"', "\\", "%s", "{x}", "__name__", "$1", "cpu", ""]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
operators = st.sampled_from(["=", "!=", "=~", "!~", "=|", "!=|", "<"])


@pytest.fixture
def config(migrated_database_url: str) -> Config:
    return Config(
        database=DatabaseConfig(url=migrated_database_url), trace=TraceConfig(own_metrics_s=0)
    )


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=texts, value=texts, operator=operators)
def test_no_text_is_an_internal_error(
    client: FlaskClient, name: str, value: str, operator: str
) -> None:
    filters = [{"key": name, "operator": operator, "value": value, "values": [value, "x"]}]
    builder = {"target": value, "editorMode": "builder"}
    marks = {"target": "annotations", "refId": "Anno", "payload": {"tags": [value]}}
    asked = [
        ("/query", {"targets": [builder], "range": RANGE, "filters": filters}),
        ("/query", {"targets": [marks], "range": RANGE}),
        ("/annotations", {"range": RANGE, "annotation": {"query": value}}),
        ("/tag-keys", {"filters": filters}),
        ("/tag-values", {"key": name, "filters": filters}),
        ("/tag-values", {"key": "host", "filters": filters}),
        ("/metrics", {"metric": value}),
        ("/metric-payload-options", {"name": "group_by", "metric": value}),
        ("/variable", {"payload": {"target": value}}),
        ("/variable", {"payload": {"label": name, "metric": value, "where": {name: [value]}}}),
        ("/variable", {"payload": {"target": f"label_values({name})"}}),
    ]
    for path, body in asked:
        response = client.post(f"{BASE}{path}", json=body)

        assert response.status_code in (200, 400), (path, body, response.get_json())
