"""From a target of Grafana's to PromQL: as a tree, printed; never texts put together.

In code mode the target is PromQL, in builder mode the name of a metric; the options wrap either.
Source: grafana-contract §1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tidegauge.compat.grafana_json_body import Grid, PanelTarget, read_text
from tidegauge.compat.grafana_json_filters import match_values
from tidegauge.compat.grafana_json_payload import QUANTILES, InvalidOption, Options
from tidegauge.compat.grafana_json_variables import Variables
from tidegauge.model.labels import METRIC_NAME
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.promql import nodes
from tidegauge.promql.durations import NS_PER_MS, format_range
from tidegauge.promql.narrowing import narrow
from tidegauge.promql.printer import print_expr
from tidegauge.promql.tokens import IDENTIFIER, KEYWORDS
from tidegauge.query.parsing import QueryParser

SCRAPE_MS = 15_000
"""How often senders are taken to send, where windows are chosen; Grafana's own assumption."""

_NOWHERE = nodes.Span(0, 0)
_METRIC_NAME = re.compile(r"[A-Za-z_:][\w:]*", re.ASCII)
_NS_PER_S = 1000 * NS_PER_MS

# What a unit becomes a second; what has no such form is shown bare.
_UNITS = {
    "bytes": "bytes",
    "seconds": "s",
    "ratio": "percentunit",
    "percent": "percent",
    "celsius": "celsius",
    "volts": "volt",
    "amperes": "amp",
    "joules": "joule",
    "meters": "lengthm",
    "hertz": "hertz",
}
_UNITS_A_SECOND = {"bytes": "Bps", "seconds": "percentunit", "joules": "watt"}


@dataclass(frozen=True, slots=True)
class Question:
    """What a target asks.

    Args:
        text: PromQL.
        unit: Grafana's id of the unit, "" for none.
    """

    text: str
    unit: str


def is_builder(target: PanelTarget) -> bool:
    """Return whether a target names a metric; plugins before 0.6 do not say."""
    if target.editor_mode in ("builder", "code"):
        return target.editor_mode == "builder"
    return _METRIC_NAME.fullmatch(read_text(target.target).strip()) is not None


def built_in_variables(grid: Grid) -> dict[str, str]:
    """Return the texts of the variables that Grafana calculates from range and step."""
    range_ms = grid.end_ms - grid.start_ms
    rate_ms = _rate_window_ms(grid.step_ms)
    return {
        "__interval": format_range(grid.step_ms * NS_PER_MS),
        "__interval_ms": str(grid.step_ms),
        "__rate_interval": format_range(rate_ms * NS_PER_MS),
        "__rate_interval_ms": str(rate_ms),
        "__range": format_range(max(1, round(range_ms / 1000)) * _NS_PER_S),
        "__range_s": str(round(range_ms / 1000)),
        "__range_ms": str(range_ms),
        "__from": str(grid.start_ms),
        "__to": str(grid.end_ms),
    }


def make_question(
    target: PanelTarget,
    options: Options,
    variables: Variables,
    *,
    step_ms: int,
    filters: tuple[Matcher, ...],
    parser: QueryParser,
) -> Question:
    """Return what a target asks, narrowed by the ad-hoc filters.

    Raises:
        QuerySyntaxError, InvalidInput, LimitExceeded.
    """
    said = read_text(target.target).strip()
    expr: nodes.Expr
    unit = options.unit
    if is_builder(target):
        names = variables.find_values(said) or (said,)
        expr = _select(names)
        unit = unit or _find_unit(names[0], options)
    else:
        expr = parser.parse(variables.fill_query(said))
    if options.rate:
        expr = _take_rate(expr, options.rate, options.window_ms or _rate_window_ms(step_ms))
    if options.aggregation:
        expr = _aggregate(expr, options)
    if options.transform:
        expr = nodes.Call(options.transform, (expr,), _NOWHERE)
    return Question(print_expr(narrow(expr, (*options.where, *filters))), unit)


def _select(names: tuple[str, ...]) -> nodes.VectorSelector:
    matcher = match_values(METRIC_NAME, "=", names)
    is_plain = (
        matcher.type is MatchType.EQUAL
        and _METRIC_NAME.fullmatch(matcher.value) is not None
        and KEYWORDS.get(matcher.value.lower(), IDENTIFIER) == IDENTIFIER
    )
    return nodes.VectorSelector(matcher.value if is_plain else "", (matcher,), _NOWHERE)


def _rate_window_ms(step_ms: int) -> int:
    # Source: Grafana's $__rate_interval.
    return max(step_ms + SCRAPE_MS, 4 * SCRAPE_MS)


def _take_rate(expr: nodes.Expr, function: str, window_ms: int) -> nodes.Expr:
    while isinstance(expr, nodes.Paren):
        expr = expr.expr
    if not isinstance(expr, nodes.VectorSelector):
        raise InvalidOption("rate", "it is taken of a metric; this query is more than that")
    matrix = nodes.MatrixSelector(expr, window_ms * NS_PER_MS, None, _NOWHERE)
    return nodes.Call(function, (matrix,), _NOWHERE)


def _aggregate(expr: nodes.Expr, options: Options) -> nodes.Expr:
    quantile = QUANTILES.get(options.aggregation)
    param = None if quantile is None else nodes.NumberLiteral(quantile, _NOWHERE)
    op = options.aggregation if quantile is None else "quantile"
    return nodes.Aggregate(op, expr, param, options.group_by, False, _NOWHERE)


def _find_unit(name: str, options: Options) -> str:
    """Return the unit that a metric's name ends in, as Prometheus wants names to be made."""
    if options.aggregation == "count" or options.transform in ("exp", "ln", "log2", "log10", "sgn"):
        return ""
    base = name.removesuffix("_total").rpartition("_")[2]
    if options.rate in ("rate", "irate", "deriv"):
        return _UNITS_A_SECOND.get(base, "")
    return _UNITS.get(base, "")
