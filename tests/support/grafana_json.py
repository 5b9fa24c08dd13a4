"""What the JSON data source sends, as three releases of Grafana send it, and the strict reading.

Written by hand from grafana-contract §1.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

BASE = "/grafana/json"
NOW_MS = 1_700_000_000_000
FROM, TO = "2023-11-14T22:03:20.000Z", "2023-11-14T22:13:20.000Z"
RANGE = {"from": FROM, "to": TO, "raw": {"from": "now-10m", "to": "now"}}

RELEASES = ("9.4.7", "11.6.0", "13.1.0")


def headers(release: str) -> dict[str, str]:
    """Return what Grafana's proxy sends along."""
    return {
        "Content-Type": "application/json",
        "Accept": "application/json, text/plain, */*",
        "User-Agent": f"Grafana/{release}",
        "X-Grafana-Org-Id": "1",
        "X-Grafana-Referer": "http://localhost:3000/d/abc/fleet?orgId=1",
        "Accept-Encoding": "gzip",
    }


def query_body(release: str, *targets: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the body of `/query`."""
    body: dict[str, Any] = {
        "app": "dashboard",
        "requestId": "Q101",
        "timezone": "browser",
        "panelId": 2,
        "startTime": NOW_MS,
        "range": RANGE,
        "interval": "30s",
        "intervalMs": 30_000,
        "maxDataPoints": 550,
        "targets": list(targets),
        "scopedVars": {
            "__interval": {"text": "30s", "value": "30s"},
            "__interval_ms": {"text": "30000", "value": 30_000},
        },
    }
    if release.startswith("9."):
        body |= {"dashboardId": 7, "timeInfo": "", "rangeRaw": RANGE["raw"]}
    else:
        body |= {
            "dashboardUID": "abc",
            "filters": [],
            "rangeRaw": RANGE["raw"],
            "cacheTimeout": None,
        }
    if release.startswith("13."):
        body |= {"panelId": "panel-2", "panelPluginId": "timeseries", "windowMs": None}
        body["scopedVars"]["__sceneObject"] = {"value": {"_state": {}}, "text": "__sceneObject"}
    return body | more


def target(text: str, *, ref_id: str = "A", mode: str = "builder", **more: Any) -> dict[str, Any]:
    """Return one target."""
    source = {"type": "simpod-json-datasource", "uid": "tidegauge_json"}
    said = {"refId": ref_id, "target": text, "datasource": source, "hide": False}
    return said | ({"editorMode": mode} if mode else {}) | more


def check_frames(frames: Any, ref_ids: list[str]) -> None:
    """Hold an answer of `/query` to the strictest reading."""
    assert isinstance(frames, list)
    assert [ref_id for ref_id, _ in itertools.groupby(frame["refId"] for frame in frames)] == [
        ref_id for ref_id in ref_ids if any(frame["refId"] == ref_id for frame in frames)
    ]
    for frame in frames:
        _check_meta(frame.get("meta"))
        if "datapoints" in frame:
            _check_series(frame)
        elif frame.get("type") == "table":
            _check_table(frame)
        else:
            assert frame["fields"] == []
            assert frame["meta"]["notices"]


def _check_series(frame: dict[str, Any]) -> None:
    assert set(frame) <= {"target", "title", "refId", "tags", "datapoints", "unit", "meta"}
    assert isinstance(frame["target"], str)
    assert frame["target"]
    assert isinstance(frame["title"], str)
    assert isinstance(frame.get("unit", ""), str)
    assert all(isinstance(k, str) and isinstance(v, str) for k, v in frame["tags"].items())
    times = [point[1] for point in frame["datapoints"]]
    assert times == sorted(set(times))
    for value, time_ms in frame["datapoints"]:
        assert type(time_ms) is int
        assert value is None or (type(value) in (int, float) and math.isfinite(value))


def _check_table(frame: dict[str, Any]) -> None:
    kinds = {"time": int, "string": str, "number": (int, float), "boolean": bool}
    types = [kinds[column["type"]] for column in frame["columns"]]
    assert all(isinstance(column["text"], str) for column in frame["columns"])
    for row in frame["rows"]:
        assert len(row) == len(types)
        for cell, kind in zip(row, types, strict=True):
            assert cell is None or isinstance(cell, kind)


def _check_meta(meta: Any) -> None:
    if meta is None:
        return
    assert isinstance(meta["executedQueryString"], str)
    for notice in meta["notices"]:
        assert set(notice) == {"severity", "text"}
        assert notice["severity"] in ("info", "warning", "error")
        assert isinstance(notice["text"], str)
