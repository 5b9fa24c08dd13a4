"""Asks for what the charts of a message show, and has them drawn, within a deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from structlog.typing import FilteringBoundLogger

from tidegauge.alerts.notifiers.chart import Chart, Curve, draw_chart
from tidegauge.errors import Cancelled, DeadlineExceeded, TidegaugeError, Unavailable
from tidegauge.model.labels import Labels, drop_name, make_labels
from tidegauge.promql import nodes
from tidegauge.promql.printer import print_expr
from tidegauge.promql.tokens import COMPARISONS
from tidegauge.promql.value import Result, Scalar, Vector
from tidegauge.query.parsing import QueryParser
from tidegauge.query.service import QueryOptions, QueryService

MAX_CHARTS = 3
"""Charts of one message, those of its first alerts."""

MIN_LENGTH_MS, MAX_LENGTH_MS = 3_600_000, 7 * 86_400_000
HOLDS_SHOWN = 3
POINTS = 150
# Messages are not held up for charts of others, nor, time and again, by a database that is slow.
WAIT_S = 0.3
REST_S = 60.0


class AlertCharts:
    """Charts of the series behind alerts, one message's at a time; for many threads.

    Args:
        query: answers their queries, and nobody else's.
        parser: reads them.
        clock_ms: Unix ms.
        monotonic: seconds.
        log: is told of what could not be drawn.
    """

    def __init__(
        self,
        *,
        query: QueryService,
        parser: QueryParser,
        clock_ms: Callable[[], int],
        monotonic: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        self._query, self._parser, self.log = query, parser, log
        self._clock_ms, self._monotonic = clock_ms, monotonic
        self._one_at_a_time = threading.Lock()
        self._rests_until_s = -REST_S

    def draw(self, alerts: Sequence[Mapping[str, Any]], within_s: float) -> list[Chart | None]:
        """Return the charts of the first alerts, in their order; None where there is none.

        Args:
            alerts: payloads, see `storage.outbox.NewNotification`.
            within_s: seconds until those that are not drawn are left out.
        """
        until_s = self._monotonic() + within_s
        if self._monotonic() < self._rests_until_s:
            return []
        if not self._one_at_a_time.acquire(timeout=min(WAIT_S, within_s)):
            return []
        charts: list[Chart | None] = []
        try:
            for payload in alerts[:MAX_CHARTS]:
                charts.append(self._draw_one(payload, until_s))
        except (DeadlineExceeded, Cancelled, Unavailable) as exc:
            self._rests_until_s = self._monotonic() + REST_S
            self.log.warning("no charts for a while", reason=exc.message, for_s=REST_S)
        except Exception:
            # Whatever a chart may run into: people are told without it.
            self.log.exception("a chart failed")
        finally:
            self._one_at_a_time.release()
        return charts

    def _draw_one(self, payload: Mapping[str, Any], until_s: float) -> Chart | None:
        # Alerts that others posted have none; one that waits since an earlier version, no series.
        if not payload.get("rule") or "series" not in payload:
            return None
        left_ms = int((until_s - self._monotonic()) * 1000)
        if left_ms <= 0:
            raise DeadlineExceeded("the time for charts is over")
        try:
            curve = self._read_curve(payload, left_ms)
        except (DeadlineExceeded, Cancelled, Unavailable):
            raise
        except TidegaugeError as exc:
            # A query that is too large for a range is none for one moment.
            self.log.info("an alert has no chart", reason=exc.message)
            return None
        return None if curve is None else draw_chart(curve)

    def _read_curve(self, payload: Mapping[str, Any], timeout_ms: int) -> Curve | None:
        rule = payload["rule"]
        text, threshold = self._choose_query(str(rule["query"]), rule.get("threshold"))
        length_ms = max(MIN_LENGTH_MS, HOLDS_SHOWN * int(rule.get("hold_ms") or 0))
        length_ms = min(length_ms, MAX_LENGTH_MS)
        step_ms = -(-length_ms // POINTS)
        end_ms = self._clock_ms()
        start_ms = end_ms - step_ms * POINTS
        answer = self._query.range(
            text,
            start_ms=start_ms,
            end_ms=end_ms,
            step_ms=step_ms,
            options=QueryOptions(timeout_ms=timeout_ms, cached=False),
        )
        values = _choose_series(answer.result, make_labels(payload["series"]))
        if values is None:
            return None
        return Curve(start_ms, step_ms, values, threshold, payload.get("fired_at"))

    def _choose_query(self, text: str, threshold: float | None) -> tuple[str, float | None]:
        """Return what is drawn: of `heat > 5` also the times at which all is well."""
        if threshold is not None:
            return text, float(threshold)
        expr = self._parser.parse(text)
        while isinstance(expr, nodes.Paren):
            expr = expr.expr
        if not isinstance(expr, nodes.Binary) or expr.op not in COMPARISONS or expr.return_bool:
            return text, None
        if not isinstance(expr.right, nodes.NumberLiteral):
            return text, None
        return print_expr(expr.left), expr.right.value


def _choose_series(result: Result, labels: Labels) -> np.ndarray | None:
    """Return the values of the series with these labels, but for its name; NaN in gaps."""
    value = result.value
    if isinstance(value, Scalar):
        return value.values
    if not isinstance(value, Vector):
        return None
    for row, name in enumerate(value.labels):
        if drop_name(name) == labels:
            return np.where(value.present[row], value.values[row], np.nan)
    return None
