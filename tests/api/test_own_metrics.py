"""The product's own metrics are stored in itself, and end when it stops."""

from __future__ import annotations

import pytest
from tidegauge.config import Config, TraceConfig

from tests.support.servers import wait_until

QUERY = "/prometheus/api/v1/query"


@pytest.fixture
def config() -> Config:
    return Config(trace=TraceConfig(own_metrics_s=1))


def test_own_metrics_can_be_asked_for_like_any_other(client, push) -> None:
    push("cpu", 1, {}, 1_700_000_000_000)

    def found() -> list[dict[str, object]]:
        answer = client.get(
            QUERY, query_string={"query": "ingest_points_total{protocol='json'}", "nocache": "1"}
        )
        return answer.get_json()["data"]["result"]

    wait_until(lambda: bool(found()), timeout_s=30, what="own metrics are stored")
    (series,) = found()
    assert series["metric"]["job"] == "tidegauge"
    assert series["metric"]["process"].startswith("api-")
    assert series["value"][1] == "1"
