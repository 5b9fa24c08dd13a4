"""What the query of a rule reads: of the rules before it, and of its own alerts."""

from __future__ import annotations

from dataclasses import replace

from tidegauge.model.labels import METRIC_NAME
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.promql import nodes
from tidegauge.promql.narrowing import find_selectors, rewrite_selectors
from tidegauge.promql.printer import print_expr

ALERTS, ALERTS_FOR_STATE = "ALERTS", "ALERTS_FOR_STATE"
ALERT_NAME = "alertname"

NameMatchers = tuple[tuple[Matcher, ...], ...]
"""For each selector of a query, what it says of the metric's name."""


def find_names(expr: nodes.Expr) -> NameMatchers:
    """Return what the selectors of a query say of the names of metrics."""
    found = (_name_matchers(one) for one in find_selectors(expr))
    return tuple(dict.fromkeys(found))


def reads(names: NameMatchers, metric: str) -> bool:
    """Return whether a query may read a metric."""
    return any(all(one.matches(metric) for one in matchers) for matchers in names)


def hide_own_alerts(text: str, expr: nodes.Expr, alert: str) -> str:
    """Return the query of an alerting rule without the series of its own alerts.

    Else a rule about all alerts would go on firing because it fires. A selector that says itself
    which alerts it means stays as it is: people keep a rule firing below its threshold like that.

    Args:
        text, expr: the query, as it was written and parsed.
        alert: the rule's name.
    """
    if not any(_shows_all_alerts(one) for one in find_selectors(expr)):
        return text
    other = Matcher(MatchType.NOT_EQUAL, ALERT_NAME, alert)

    def hide(selector: nodes.VectorSelector) -> nodes.VectorSelector:
        if not _shows_all_alerts(selector):
            return selector
        return replace(selector, matchers=(other, *selector.matchers))

    return print_expr(rewrite_selectors(expr, hide))


def _shows_all_alerts(selector: nodes.VectorSelector) -> bool:
    if any(one.name == ALERT_NAME for one in selector.matchers):
        return False
    return reads((_name_matchers(selector),), ALERTS) or reads(
        (_name_matchers(selector),), ALERTS_FOR_STATE
    )


def _name_matchers(selector: nodes.VectorSelector) -> tuple[Matcher, ...]:
    return tuple(one for one in selector.matchers if one.name == METRIC_NAME)
