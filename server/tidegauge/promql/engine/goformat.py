"""Quantiles and label sets as they are spelled in labels and messages."""

from __future__ import annotations

import math
import re

from tidegauge.model.floats import format_go_g
from tidegauge.model.labels import Labels
from tidegauge.promql.quoting import quote

_PLAIN_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def format_openmetrics(value: float) -> str:
    """Return the spelling of a quantile in a label: `%g`, always with a point or exponent."""
    text = format_go_g(value)
    if not math.isfinite(value) or "." in text or "e" in text:
        return text
    return f"{text}.0"


def format_labels(labels: Labels) -> str:
    """Return a label set as messages show it: `{a="b", c="d"}`."""
    pairs = (
        f"{name if _PLAIN_NAME.fullmatch(name) else quote(name)}={quote(value)}"
        for name, value in labels
    )
    return f"{{{', '.join(pairs)}}}"
