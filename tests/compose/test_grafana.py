"""What Grafana is provisioned with: data sources, dashboards, and every query in them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tidegauge.auth.principal import LOCAL
from tidegauge.observability.meters import Meters
from tidegauge.promql.parser import parse

from tests.support.dashboards import (
    DASHBOARDS,
    PanelQuery,
    ask,
    names_in,
    panels_of,
    queries_of,
    read_dashboard,
)
from tests.support.product import Up

REPOSITORY = Path(__file__).resolve().parents[2]
OWN = [path for path in DASHBOARDS if path.stem in ("tidegauge-itself", "what-comes-in")]
QUERIES = sorted({query for path in OWN for query in queries_of(path, {"$instance": ".*"})})
# What is asked of all series there are, whoever sends them.
OF_ALL = ('{__name__=~".+"}', '{job=~".+"}')


def registered_names() -> set[str]:
    """Return the names of every sample that the instruments may give."""
    names = set()
    for family in text_string_to_metric_families(Meters().render().decode()):
        names.add(family.name)
        if family.type == "counter":
            names.add(family.name.removesuffix("_total") + "_total")
        if family.type == "histogram":
            names |= {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
    return names


@pytest.fixture(scope="module")
def sources() -> dict[str, dict[str, Any]]:
    """The provisioned data sources by uid."""
    path = REPOSITORY / "grafana/provisioning/datasources/tidegauge.yaml"
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert read["apiVersion"] == 1
    return {source["uid"]: source for source in read["datasources"]}


def test_data_sources_are_of_the_three_types_behind_nginx(
    sources: dict[str, dict[str, Any]],
) -> None:
    assert {uid: (source["type"], source["url"]) for uid, source in sources.items()} == {
        "tidegauge_prom": ("prometheus", "http://nginx:3000/prometheus"),
        "tidegauge_json": ("simpod-json-datasource", "http://nginx:3000/grafana/json"),
        "tidegauge_am": ("alertmanager", "http://nginx:3000/alertmanager"),
    }
    assert [uid for uid, source in sources.items() if source.get("isDefault")] == ["tidegauge_prom"]
    assert {source["access"] for source in sources.values()} == {"proxy"}


def test_every_data_source_sends_the_access_token(
    sources: dict[str, dict[str, Any]], services: dict[str, dict[str, Any]]
) -> None:
    for source in sources.values():
        assert source["jsonData"]["httpHeaderName1"] == "Authorization"
        assert source["secureJsonData"] == {"httpHeaderValue1": "Bearer $TIDEGAUGE_ACCESS_TOKEN"}
    tokens = {
        services[name]["environment"]["TIDEGAUGE_ACCESS_TOKEN"]
        for name in ("grafana", "api-1", "api-2")
    }
    assert len(tokens) == 1


def test_the_prometheus_source_asks_as_tidegauge_answers(
    sources: dict[str, dict[str, Any]],
) -> None:
    options = sources["tidegauge_prom"]["jsonData"]

    assert options["httpMethod"] == "POST"
    assert options["prometheusType"] == "Prometheus"
    assert options["timeInterval"] == "15s"
    # Grafana would write its recording rules to us as if to any Prometheus.
    assert options["allowAsRecordingRulesTarget"] is False
    assert options["alertmanagerUid"] in sources
    assert sources["tidegauge_am"]["jsonData"]["implementation"] == "prometheus"


def test_uids_are_safe_in_the_addresses_of_grafanas_proxy(
    sources: dict[str, dict[str, Any]],
) -> None:
    assert [uid for uid in sources if not re.fullmatch(r"[A-Za-z0-9_]+", uid)] == []


def test_grafanas_own_alerts_come_back_with_the_access_token() -> None:
    path = REPOSITORY / "grafana/provisioning/alerting/tidegauge.yaml"
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    ((receiver,),) = [point["receivers"] for point in read["contactPoints"]]

    assert (read["apiVersion"], receiver["type"]) == (1, "webhook")
    assert receiver["settings"]["url"] == "http://nginx:3000/api/v1/alerts/grafana"
    assert receiver["settings"]["authorization_credentials"] == "$TIDEGAUGE_ACCESS_TOKEN"
    assert LOCAL.may("annotation:create"), "the access token may what local programs may"


def test_the_plugin_of_the_json_source_is_installed_at_a_fixed_version(
    services: dict[str, dict[str, Any]],
) -> None:
    wanted = services["grafana"]["environment"]["GF_PLUGINS_PREINSTALL_SYNC"]

    assert re.fullmatch(r"simpod-json-datasource@\d+\.\d+\.\d+", wanted)


def test_the_provider_reads_the_folder_that_is_mounted(
    services: dict[str, dict[str, Any]],
) -> None:
    path = REPOSITORY / "grafana/provisioning/dashboards/tidegauge.yaml"
    (provider,) = yaml.safe_load(path.read_text(encoding="utf-8"))["providers"]
    grafana = services["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

    assert provider["type"] == "file"
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    assert home.startswith(provider["options"]["path"] + "/")
    assert home.rpartition("/")[2] in [path.name for path in DASHBOARDS]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_are_what_file_provisioning_takes(
    path: Path, sources: dict[str, dict[str, Any]]
) -> None:
    dashboard = read_dashboard(path)
    panels = list(panels_of(dashboard))
    named = [
        part["datasource"]["uid"]
        for panel in panels
        for part in [panel, *panel.get("targets", [])]
        if "datasource" in part
    ]

    assert dashboard["id"] is None
    assert re.fullmatch(r"[a-z0-9-]{1,40}", dashboard["uid"])
    assert dashboard["schemaVersion"] == 39
    assert "__inputs" not in dashboard
    assert "${DS_" not in path.read_text(encoding="utf-8")
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert set(named) <= set(sources)
    assert all(panel["title"] for panel in panels)
    assert [p["title"] for p in panels if p["type"] != "row" and not p.get("description")] == []


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_lie_inside_the_grid_and_not_on_each_other(path: Path) -> None:
    dashboard = read_dashboard(path)
    cells: set[tuple[int, int]] = set()

    for panel in panels_of(dashboard):
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        own = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not own & cells, panel["title"]
        cells |= own


def test_dashboards_have_uids_of_their_own() -> None:
    uids = [read_dashboard(path)["uid"] for path in DASHBOARDS]

    assert len(uids) == 4
    assert len(set(uids)) == len(uids)


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_parses_and_leaves_no_variable_behind(query: PanelQuery) -> None:
    assert "$" not in query.expr
    parse(query.expr)


def test_every_metric_that_is_asked_for_is_an_instrument_of_ours() -> None:
    asked = {name for query in QUERIES for name in names_in(parse(query.expr))}

    assert len(asked) > 15
    assert asked - registered_names() == set()


def test_every_query_of_own_metrics_asks_for_those_of_tidegauge_only() -> None:
    selectors = [
        selector for query in QUERIES for selector in re.findall(r"\w*\{[^}]*\}", query.expr)
    ]

    assert selectors
    others = [selector for selector in selectors if 'job="tidegauge"' not in selector]
    assert set(others) == set(OF_ALL)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A product that holds its own instruments, as it would store them itself."""
    up = Up(tmp_path_factory.mktemp("up"))
    up.start()
    try:
        for _ in range(3):
            store_own_metrics(up)
        yield up
    finally:
        up.end()


def store_own_metrics(up: Up) -> None:
    """Take the exposition of the product and store it, labelled as its own."""
    exposition = requests.get(up.base + "/metrics", timeout=30).text
    points = [
        {
            "name": sample.name,
            "value": sample.value,
            "tags": {**sample.labels, "job": "tidegauge", "instance": "test"},
        }
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    ]
    answer = requests.post(up.base + "/api/v1/metrics", json=points, timeout=30)
    assert (answer.status_code, answer.json()["rejected"]) == (202, 0), answer.text


@pytest.mark.services
def test_every_query_is_answered_by_the_product(product: Up) -> None:
    failed = {}
    empty = set()
    for query in QUERIES:
        answer = ask(product.base, query, time.time())
        if answer.status_code != 200:
            failed[query] = answer.text
        elif not answer.json()["data"]["result"]:
            empty.add(query)

    assert failed == {}
    # Instruments that count without labels are there from the start.
    stored = {name for name in registered_names() if name.startswith(("process_", "db_", "queue_"))}
    assert [query for query in empty if names_in(parse(query.expr)) <= stored] == []
