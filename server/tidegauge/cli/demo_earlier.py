"""What an earlier run of the demo left behind, so that a new one goes on from there."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from tidegauge.cli.demo_fleet import FILLING_HOST, HOSTS, Labels

_FLEET = f'host=~"{"|".join(HOSTS)}",job=""'
_FILLING = f'host="{FILLING_HOST}",job=""'
# Within the lookback the selector alone is exact; beyond it each minute looks back for itself.
_NEWEST_S = (
    f"max(timestamp(disk_used_bytes{{{_FILLING}}})"
    f" or max_over_time(timestamp(disk_used_bytes{{{_FILLING}}})[2h:1m]))"
)
_DISK_SHARE = f"max(disk_used_bytes{{{_FILLING}}} / disk_size_bytes)"
_COUNTERS = f'{{__name__=~"cpu_seconds_total|network_.+_bytes_total|http_.+",{_FLEET}}}'


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """Where an earlier run of the demo ended.

    Args:
        newest_ms: the time of its newest samples, Unix ms.
        disk_share: how full the filling disk was then, from 0 to 1.
        counters: the value of every counter then.
    """

    newest_ms: int
    disk_share: float
    counters: dict[tuple[str, Labels], float]


def find_earlier_run(address: str) -> EarlierRun | None:
    """Return where a run within the last two hours ended, or None if there was none.

    Args:
        address: where Tidegauge answers.
    """
    try:
        newest_s = float(_ask(address, _NEWEST_S)[0]["value"][1])
        share = float(_ask(address, _DISK_SHARE, time_s=newest_s)[0]["value"][1])
        found = _ask(address, _COUNTERS, time_s=newest_s)
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return None
    counters = {}
    for series in found:
        labels = dict(series["metric"])
        name = labels.pop("__name__")
        counters[name, tuple(sorted(labels.items()))] = float(series["value"][1])
    return EarlierRun(round(newest_s * 1000), share, counters)


def _ask(address: str, query: str, *, time_s: float | None = None) -> list[dict[str, Any]]:
    place = urlsplit(address)
    path = "/prometheus/api/v1/query?query=" + quote(query)
    if time_s is not None:
        path += f"&time={time_s:.3f}"
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    try:
        connection.request("GET", path)
        found: list[dict[str, Any]] = json.loads(connection.getresponse().read())["data"]["result"]
    finally:
        connection.close()
    return found
