"""What the Grafana JSON data source sends, and the range and step that it asks for.

Keys that are not known are passed over: Grafana adds some in every release.
Source: grafana-contract §1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tidegauge.errors import InvalidInput
from tidegauge.query.times import choose_step_ms, parse_native_time_ms
from tidegauge.web.bodies import read_json
from tidegauge.web.params import InvalidParameter

MAX_BODY_BYTES = 2 * 1024 * 1024
"""Variables travel with each query, with all their values where "All" is chosen."""

MAX_ANNOTATIONS_BODY_BYTES = 16 * 1024
"""What older plugins send comes back with each annotation."""

MAX_TARGETS = 50
MAX_FILTERS = 50
MAX_VARIABLES = 500
MAX_REF_ID_CHARS = 64

# Grafana rounds the interval of a panel, which gives up to twice the points that it names.
_ROUNDING = 2

Number = int | float
Scalar = str | int | float | bool | None


class TimeRange(msgspec.Struct, rename={"start": "from", "end": "to"}):
    """A range: RFC 3339, Unix ms or `now-6h`."""

    start: str | Number
    end: str | Number


class AdhocFilter(msgspec.Struct):
    """An ad-hoc filter; `values` come with the operators `=|` and `!=|`."""

    key: str = ""
    operator: str = "="
    value: Scalar = ""
    values: list[Scalar] | None = None


class PanelTarget(msgspec.Struct, rename="camel"):
    """One query of a panel.

    Args:
        payload: an object, or its JSON text.
        editor_mode: `builder` or `code`; plugins before 0.6 send none.
        type: `timeserie` or `table`, from the older simple-json data source.
    """

    target: Scalar = None
    ref_id: str = "A"
    payload: Any = None
    editor_mode: str | None = None
    type: str | None = None
    hide: bool | None = None


class PanelBody(msgspec.Struct, rename="camel"):
    """The body of `/query`; `adhocFilters` is the older name of `filters`."""

    targets: list[PanelTarget] = msgspec.field(default_factory=list)
    range: TimeRange | None = None
    interval_ms: Number | None = None
    max_data_points: Number | None = None
    filters: list[AdhocFilter] | None = None
    adhoc_filters: list[AdhocFilter] | None = None
    scoped_vars: dict[str, Any] | None = None


class MetricsBody(msgspec.Struct):
    """The body of `/metrics`."""

    metric: Scalar = None


class PayloadOptionsBody(msgspec.Struct):
    """The body of `/metric-payload-options`."""

    name: str = ""
    metric: Scalar = None


class VariableBody(msgspec.Struct):
    """The body of `/variable`; `/search` has the target at the top."""

    payload: Any = None
    target: Scalar = None
    range: TimeRange | None = None


class TagsBody(msgspec.Struct, rename="camel"):
    """The body of `/tag-keys` and `/tag-values`."""

    key: str = ""
    filters: list[AdhocFilter] | None = None
    time_range: TimeRange | None = None


class AnnotationsBody(msgspec.Struct):
    """The body of `/annotations`, from older plugins."""

    range: TimeRange | None = None
    annotation: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """When a query is evaluated: Unix ms.

    Args:
        start_ms, end_ms: the range as it was asked for.
        step_ms: at least 1.
        raised_to_points: the points a series that a finer step would have gone over; 0: none.
    """

    start_ms: int
    end_ms: int
    step_ms: int
    raised_to_points: int = 0

    @property
    def aligned(self) -> tuple[int, int]:
        """Start and end moved down to multiples of the step, as Grafana does for Prometheus."""
        return (
            self.start_ms // self.step_ms * self.step_ms,
            self.end_ms // self.step_ms * self.step_ms,
        )


def read_query_body() -> PanelBody:
    """Return the body of `/query`.

    Raises:
        PayloadTooLarge, InvalidInput: more targets, filters or variables than are taken, too.
    """
    body = read_json(PanelBody, max_bytes=MAX_BODY_BYTES, or_empty=True)
    for target in body.targets:
        # It comes back with each series.
        if len(target.ref_id) > MAX_REF_ID_CHARS:
            raise InvalidParameter("refId", f"at most {MAX_REF_ID_CHARS} characters are taken")
    for name, count, most in (
        ("targets", len(body.targets), MAX_TARGETS),
        ("filters", len(body.filters or body.adhoc_filters or ()), MAX_FILTERS),
        ("scopedVars", len(body.scoped_vars or ()), MAX_VARIABLES),
    ):
        if count > most:
            raise InvalidParameter(name, f"{count} of them, at most {most} are taken")
    return body


def read_range(asked: TimeRange | None, *, now_ms: int) -> tuple[int, int]:
    """Return start and end of a range that must be there, in Unix ms.

    Raises:
        InvalidParameter: it is missing, no range, or turned around.
    """
    if asked is None:
        raise InvalidParameter("range", "it is missing; range.from and range.to are wanted")
    start_ms = _read_time_ms("range.from", asked.start, now_ms)
    end_ms = _read_time_ms("range.to", asked.end, now_ms)
    if end_ms < start_ms:
        raise InvalidParameter("range.to", "it lies before range.from")
    return start_ms, end_ms


def choose_grid(body: PanelBody, *, now_ms: int, max_points: int, min_step_ms: int = 0) -> Grid:
    """Return the grid for a panel.

    The step is `intervalMs`, unless that gives far more than `maxDataPoints`, which then decide.

    Args:
        max_points: the most intervals a series that a query may have.
        min_step_ms: the step is not below this; 0: whatever it is.
    Raises:
        InvalidParameter.
    """
    start_ms, end_ms = read_range(body.range, now_ms=now_ms)
    range_ms = end_ms - start_ms
    wanted_points = _positive(body.max_data_points)
    step_ms = _positive(body.interval_ms)
    if wanted_points and range_ms > step_ms * wanted_points * _ROUNDING:
        # Both ends of the aligned grid may add a point.
        step_ms = max(step_ms, -(-range_ms // max(1, wanted_points - 2)))
    step_ms = max(step_ms or choose_step_ms(range_ms), min_step_ms, 1)
    least_ms = -(-range_ms // max_points)
    if step_ms < least_ms:
        # Aligning may widen the range by a step.
        return Grid(start_ms, end_ms, -(-range_ms // max(1, max_points - 1)), max_points)
    return Grid(start_ms, end_ms, step_ms)


def read_variables(scoped: Mapping[str, Any] | None) -> dict[str, tuple[str, ...]]:
    """Return the values of each dashboard variable; what is no text or number is left out."""
    found = {}
    for name, entry in (scoped or {}).items():
        value = entry.get("value") if isinstance(entry, dict) else entry
        values = value if isinstance(value, list) else [value]
        if all(isinstance(one, str | int | float) for one in values):
            found[name] = tuple(read_text(one) for one in values)
    return found


def read_text(value: Scalar) -> str:
    """Return a string, a number or a truth value as text; "" for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _positive(value: Number | None) -> int:
    # A step of years is as good as none; the bound keeps arithmetic small.
    return 0 if value is None or value < 1 else int(min(value, 1 << 53))


def _read_time_ms(name: str, value: str | Number, now_ms: int) -> int:
    try:
        return parse_native_time_ms(value, now_ms=now_ms)
    except InvalidInput as exc:
        raise InvalidParameter(name, exc.message) from exc
