"""Data and queries by which Tidegauge is held against a live Prometheus."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Mapping

from tidegauge.model.stale import STALE_NAN

Series = tuple[dict[str, str], list[tuple[int, float]]]

STEP_MS, STEPS = 15_000, 161
# Off every edge of a window: Prometheus 2 has windows closed on the left, 3 open ones.
OFF_MS = 137

_EXPOSED = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


def make_synthetic(end_s: int, seed: int = 11) -> list[Series]:
    """Return counters, gauges and classic histograms, with gaps, resets, stale ends and NaN."""
    chance = random.Random(seed)
    times_ms = [end_s * 1000 - OFF_MS - (STEPS - 1 - at) * STEP_MS for at in range(STEPS)]
    return [
        *_make_counters(chance, times_ms),
        *_make_gauges(chance, times_ms),
        *_make_buckets(chance, times_ms),
    ]


def _make_counters(chance: random.Random, times_ms: list[int]) -> Iterator[Series]:
    for job, instance, code in itertools.product(("api", "web"), "ab", ("200", "500")):
        value, points = 0.0, []
        for time_ms in times_ms:
            value = 0.0 if chance.random() < 0.02 else value + chance.expovariate(0.1)
            if chance.random() > 0.1:
                points.append((time_ms, value))
        labels = {"__name__": "d_requests_total", "job": job, "instance": instance, "code": code}
        yield labels, points


def _make_gauges(chance: random.Random, times_ms: list[int]) -> Iterator[Series]:
    for job, instance in itertools.product(("api", "web", "db"), "abc"):
        points: list[tuple[int, float]] = []
        for at, time_ms in enumerate(times_ms):
            if instance == "b" and at % 40 > 30:
                continue
            if instance == "c" and at % 50 == 25:
                points.append((time_ms, float(STALE_NAN[0])))
            elif instance == "c" and at % 50 > 25:
                continue
            else:
                points.append((time_ms, round(chance.gauss(20, 30), 3)))
        yield {"__name__": "d_temperature", "job": job, "instance": instance}, points
    odd = [float("nan"), float("inf"), -float("inf"), 1e-300, -0.0, 1e300, 0.0, 7.0]
    for place, first in enumerate(odd[:4]):
        values = [first, *odd[place:], *odd[:place]]
        points = [(time_ms, values[at % len(values)]) for at, time_ms in enumerate(times_ms)]
        yield {"__name__": "d_odd", "kind": str(place)}, points


def _make_buckets(chance: random.Random, times_ms: list[int]) -> Iterator[Series]:
    bounds = ("0.1", "0.5", "1", "5", "+Inf")
    for job in ("api", "web"):
        counts = [0.0] * len(bounds)
        points: list[list[tuple[int, float]]] = [[] for _ in bounds]
        for time_ms in times_ms:
            if chance.random() < 0.01:
                counts = [0.0] * len(bounds)
            for _ in range(chance.randrange(8)):
                first = chance.randrange(len(bounds))
                counts = [count + (at >= first) for at, count in enumerate(counts)]
            for of_bucket, count in zip(points, counts, strict=True):
                of_bucket.append((time_ms, count))
        for bound, of_bucket in zip(bounds, points, strict=True):
            yield {"__name__": "d_seconds_bucket", "job": job, "le": bound}, of_bucket


def read_exposition(pages: list[str], end_s: int) -> list[Series]:
    """Return what an exporter exposed page by page as series, a page every 15 s up to the end."""
    found: dict[tuple[tuple[str, str], ...], list[tuple[int, float]]] = {}
    for at, page in enumerate(pages):
        time_ms = end_s * 1000 - OFF_MS - (len(pages) - 1 - at) * STEP_MS
        for line in page.splitlines():
            exposed = _EXPOSED.match(line)
            if exposed is None or "\\" in line:
                continue
            labels = dict(_PAIR.findall(exposed[2] or ""))
            labels |= {"__name__": exposed[1], "job": "node", "instance": "real"}
            key = tuple(sorted(labels.items()))
            found.setdefault(key, []).append((time_ms, float(exposed[3])))
    return [(dict(key), points) for key, points in found.items()]


_OVER_TIME = (
    "avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "count_over_time",
    "stddev_over_time", "stdvar_over_time", "last_over_time", "present_over_time",
    "changes", "resets", "delta", "idelta", "deriv",
)  # fmt: skip
_COUNTING = ("rate", "increase", "irate")
_OF_VALUES = (
    "abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sgn", "round", "sin", "cos",
    "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "deg", "rad",
    "day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month",
    "year", "timestamp", "sort", "sort_desc",
)  # fmt: skip
_AGGREGATIONS = ("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar")
_GROUPINGS = ("", " by (job)", " by (job, instance)", " without (instance)", " by (nothing)")
_OPERATORS = ("+", "-", "*", "/", "%", "^", "atan2")
_COMPARISONS = ("==", "!=", ">", "<", ">=", "<=")
_SETS = ("and", "or", "unless")

_NODE = (
    "rate(node_cpu_seconds_total[2m])",
    "sum by (mode) (rate(node_cpu_seconds_total[1m]))",
    "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
    "100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode='idle'}[1m])))",
    "topk(3, node_filesystem_size_bytes)",
    "node_load1 > bool node_load5",
    "count by (__name__) ({__name__=~'node_memory_.+'})",
    "max without (device) (node_network_receive_bytes_total)",
    "sum({__name__=~'node_netstat_.*'}) by (__name__)",
    "delta(node_memory_MemFree_bytes[1m])",
    "label_replace(node_uname_info, 'kernel', '$1', 'release', '(\\\\d+)\\\\..*')",
    "node_time_seconds - node_boot_time_seconds",
    "quantile(0.9, node_scrape_collector_duration_seconds)",
    "avg_over_time(node_boot_time_seconds[1m:15s])",
    "node_filesystem_avail_bytes / on (device, mountpoint) node_filesystem_size_bytes",
    "irate(node_context_switches_total[1m]) unless node_load1",
)

_OTHERS = (
    "absent(d_temperature)",
    "absent(nonexistent{job='x', instance!='y'})",
    "absent_over_time(d_temperature{instance='c'}[2m])",
    "absent_over_time(nonexistent{job='x'}[5m])",
    "scalar(d_temperature{job='api', instance='a'})",
    "scalar(d_temperature)",
    "vector(time())",
    "time() - timestamp(d_temperature)",
    "clamp(d_temperature, 0, 10)",
    "clamp_min(d_temperature, 5) - clamp_max(d_temperature, 5)",
    "clamp(d_temperature, 10, 0)",
    "round(d_temperature, 7)",
    "predict_linear(d_temperature[5m], 600)",
    "holt_winters(d_temperature[10m], 0.3, 0.6)",
    "quantile_over_time(0.7, d_temperature[7m])",
    "quantile_over_time(-1, d_temperature[7m])",
    "quantile_over_time(scalar(d_temperature{job='api', instance='a'}) / 100, d_odd[5m])",
    "histogram_quantile(0.9, d_seconds_bucket)",
    "histogram_quantile(0.5, rate(d_seconds_bucket[5m]))",
    "histogram_quantile(0.99, sum by (le) (rate(d_seconds_bucket[3m])))",
    "histogram_quantile(1.5, d_seconds_bucket)",
    "histogram_quantile(0.2, d_seconds_bucket{le!='+Inf'})",
    "label_replace(d_temperature, 'host', '$2-$1', 'job', '(.)(.*)')",
    "label_replace(d_temperature, 'job', '', 'instance', 'a')",
    "label_join(d_temperature, 'both', '/', 'job', 'instance')",
    "count_values('value', round(d_temperature, 50))",
    "count_values by (job) ('le', d_seconds_bucket)",
    "topk(2, d_temperature)",
    "topk by (job) (1, d_temperature)",
    "bottomk(3, d_odd)",
    "bottomk without (instance) (1, d_temperature)",
    "quantile(0.3, d_temperature)",
    "quantile by (job) (0.8, d_temperature)",
    "quantile(2, d_odd)",
    "d_requests_total offset 3m",
    "rate(d_requests_total[2m] offset -1m)",
    "d_temperature @ end()",
    "d_temperature @ start() offset 1m",
    "sum_over_time(d_temperature[3m] @ end())",
    "d_requests_total{code=~'2..|4..'}",
    "d_requests_total{code!~'2.*', instance=~'a|c'}",
    "{__name__=~'d_temp.*', job!='db'}",
    "d_temperature{instance=~''}",
    "-d_temperature",
    "-(-d_temperature ^ 2)",
    "2 ^ 3 ^ 2 + d_temperature * 0",
    "1 / (d_temperature - d_temperature)",
    "d_temperature > 10 < 40",
    "10 < bool d_temperature",
    "sum(d_requests_total) by (code) / ignoring (code) group_left sum(d_requests_total)",
    "d_temperature * on (job) group_left (code) max by (job, code) (d_requests_total{code='500'})",
    "max by (job) (d_temperature) * on (job) group_right d_requests_total",
    "d_temperature + on (job) d_requests_total",
    "d_temperature + ignoring (code) d_requests_total",
    "d_temperature and on (job) d_requests_total{code='500'} > 50",
    "d_temperature unless on (instance) d_requests_total",
    "d_temperature or on (job) d_requests_total",
    "max_over_time(rate(d_requests_total[1m])[5m:30s])",
    "min_over_time(sum by (job) (d_temperature)[4m:1m])",
    "avg_over_time(d_temperature[5m:20s] offset 1m)",
    "rate(sum by (job) (d_requests_total)[4m:15s])",
    "stddev_over_time((d_temperature > 0)[6m:])",
    "last_over_time(d_odd[3m:15s] @ end())",
    "sum(rate(d_requests_total[5m])) without (code) > 0.5",
    "avg(avg by (job) (d_temperature))",
    "group by (job) (d_temperature > 30)",
    "sgn(d_temperature) == 1",
    "month(vector(1e9)) + year(vector(1e9))",
    "days_in_month(vector(951782400))",
    "minute() + hour() * 100",
    "pi() * 2",
    "d_odd == d_odd",
    "d_odd != bool d_odd",
    "sum(d_odd)",
    "avg(d_odd)",
    "min(d_odd) + max(d_odd)",
    "d_temperature and d_temperature > 10 or d_temperature < -10 unless d_temperature{job='db'}",
    "sum by (job) (d_temperature) > bool ignoring (x) avg by (job) (d_temperature)",
    # Errors, by their words.
    "d_temperature + on (job) group_left d_requests_total",
    "d_requests_total / ignoring (code) d_requests_total",
    "sum(d_temperature",
    "rate(d_temperature)",
    "d_temperature[5m]",
    "{job=''}",
    "label_replace(d_temperature, 'a', '$1', 'job', '(')",
    "topk(d_temperature, d_temperature)",
    "label_join(d_temperature, 'instance', '', 'nothing') + 0",
)


def list_queries() -> list[str]:
    """Return all queries, each once."""
    made = [f"{func}(d_temperature[{span}])" for func in _OVER_TIME for span in ("2m", "7m")]
    made += [f"{func}(d_odd[3m])" for func in _OVER_TIME]
    made += [
        f"{func}({metric}[{span}])"
        for func in _COUNTING
        for metric in ("d_requests_total", "d_seconds_bucket")
        for span in ("1m", "5m", "20m")
    ]
    made += [f"{func}(d_temperature / 10)" for func in _OF_VALUES]
    made += [f"{func}(d_odd)" for func in _OF_VALUES]
    made += [f"{op}{by} (d_temperature)" for op in _AGGREGATIONS for by in _GROUPINGS]
    made += [f"d_temperature {op} 7" for op in (*_OPERATORS, *_COMPARISONS)]
    made += [f"2 {op} d_odd" for op in (*_OPERATORS, *_COMPARISONS)]
    matched = "sum by (job, instance) (d_requests_total)"
    made += [f"d_temperature {op} {matched}" for op in (*_OPERATORS, *_COMPARISONS, *_SETS)]
    made += [f"d_temperature {op} bool on (job, instance) {matched}" for op in _COMPARISONS]
    return list(dict.fromkeys([*made, *_NODE, *_OTHERS]))


def label_key(metric: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return labels as what series are told apart by."""
    return tuple(sorted(metric.items()))
