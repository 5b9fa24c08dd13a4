"""How Prometheus prints a native histogram.

Source: Prometheus `FloatHistogram.String`.
"""

from __future__ import annotations

from tidegauge.model.floats import format_go_g
from tidegauge.model.histogram import Bucket, Histogram


def format_histogram(histogram: Histogram) -> str:
    """Return `{count:…, sum:…, [lower,upper):count, …}` with the filled buckets in order."""
    custom = histogram.is_custom
    parts = [f"count:{format_go_g(histogram.count)}", f"sum:{format_go_g(histogram.sum)}"]
    below = [one for one in histogram.negative_buckets() if one.count]
    parts += [_format(one, "[" if one.lower < 0 else "(", ")") for one in reversed(below)]
    if histogram.zero_count:
        parts.append(_format(histogram.zero_bucket(), "[", "]"))
    for index, one in zip(
        histogram.positive.index.tolist(), histogram.positive_buckets(), strict=True
    ):
        if one.count:
            parts.append(_format(one, "[" if custom and index == 0 else "(", "]"))
    return "{" + ", ".join(parts) + "}"


def _format(bucket: Bucket, opening: str, closing: str) -> str:
    bounds = f"{format_go_g(bucket.lower)},{format_go_g(bucket.upper)}"
    return f"{opening}{bounds}{closing}:{format_go_g(bucket.count)}"
