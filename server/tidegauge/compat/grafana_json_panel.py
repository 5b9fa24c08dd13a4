"""The queries of one panel, answered one after another within one budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tidegauge.annotations.service import AnnotationService
from tidegauge.auth.principal import Principal
from tidegauge.compat.grafana_json_annotations import (
    ANNOTATIONS,
    SOURCES,
    find_events,
    make_annotation_table,
    read_wanted,
)
from tidegauge.compat.grafana_json_body import Grid, PanelBody, PanelTarget, choose_grid, read_text
from tidegauge.compat.grafana_json_frames import (
    Frame,
    Look,
    Rendered,
    make_series,
    make_table,
    render,
    render_kept,
)
from tidegauge.compat.grafana_json_payload import Options, read_options, read_payload
from tidegauge.compat.grafana_json_targets import Question, built_in_variables, make_question
from tidegauge.compat.grafana_json_variables import Variables
from tidegauge.config import QueryConfig
from tidegauge.errors import DeadlineExceeded, LimitExceeded, TidegaugeError
from tidegauge.model.matchers import Matcher
from tidegauge.query.limits import SERIES_SETTING, count_points, count_series
from tidegauge.query.parsing import QueryParser
from tidegauge.query.service import Answer, QueryOptions, QueryService

PANEL_TIMEOUT_S = 25.0
"""Below the 30 s after which Grafana's proxy gives up, and nobody would see the reason."""


class Panel:
    """One request of a panel.

    Args:
        query: answers PromQL.
        parser: makes trees of it.
        annotations: has the marks.
        principal: who asks.
        limits: the limits of a query, which hold for all of them together.
        monotonic: the monotonic clock, seconds.
        body: what was asked.
        now_ms: Unix ms.
        filters: what every series must match.
        variables: the dashboard's.
    """

    def __init__(
        self,
        *,
        query: QueryService,
        parser: QueryParser,
        annotations: AnnotationService,
        principal: Principal,
        limits: QueryConfig,
        monotonic: Callable[[], float],
        body: PanelBody,
        now_ms: int,
        filters: tuple[Matcher, ...],
        variables: Mapping[str, tuple[str, ...]],
    ) -> None:
        self._query, self._parser = query, parser
        self._annotations, self._principal = annotations, principal
        self._limits, self._monotonic = limits, monotonic
        self._body, self._now_ms, self._filters = body, now_ms, filters
        self._variables = Variables(variables, {})
        self._until_s = monotonic() + PANEL_TIMEOUT_S
        self._points = self._series = 0

    def answer(self, target: PanelTarget) -> Rendered:
        """Return the frames of one target, as JSON.

        Raises:
            TidegaugeError: with the target's `refId` where there are several.
        """
        try:
            return self._answer(target)
        except TidegaugeError as exc:
            if len(self._body.targets) == 1:
                raise
            raise _name_query(exc, target.ref_id) from exc

    def _answer(self, target: PanelTarget) -> Rendered:
        payload = read_payload(target.payload)
        grid = self._choose_grid()
        if target.ref_id == ANNOTATIONS:
            return render([self._annotate(target, payload, grid)])
        options = read_options(payload, self._variables.with_built_in(built_in_variables(grid)))
        if options.min_step_ms > grid.step_ms:
            grid = self._choose_grid(options.min_step_ms)
        question = self._make_question(target, options, grid)
        look = Look(
            ref_id=target.ref_id,
            text=question.text,
            alias=options.alias,
            unit=question.unit,
            limit=options.limit,
            warnings=self._warn(options, grid),
        )
        if options.as_table or target.type == "table":
            answer = self._query.instant(
                question.text, time_ms=grid.end_ms, options=self._query_options()
            )
            self._count(answer)
            return render_kept(make_table, answer, look)
        return render_kept(make_series, self._ask(question, grid), look)

    def _annotate(self, target: PanelTarget, payload: Mapping[str, Any], grid: Grid) -> Frame:
        variables = self._variables.with_built_in(built_in_variables(grid))
        source = SOURCES.get(read_text(target.target).strip().lower())
        if source is not None:
            wanted = read_wanted(payload, variables, grid)
            return make_annotation_table(source(self._annotations, wanted, self._principal))
        options = read_options(payload, variables)
        question = self._make_question(target, options, grid)
        look = Look(target.ref_id, question.text, options.alias)
        return make_annotation_table(find_events(self._ask(question, grid), look))

    def _make_question(self, target: PanelTarget, options: Options, grid: Grid) -> Question:
        return make_question(
            target,
            options,
            self._variables.with_built_in(built_in_variables(grid)),
            step_ms=grid.step_ms,
            filters=self._filters,
            parser=self._parser,
        )

    def _ask(self, question: Question, grid: Grid) -> Answer:
        start_ms, end_ms = grid.aligned
        answer = self._query.range(
            question.text,
            start_ms=start_ms,
            end_ms=end_ms,
            step_ms=grid.step_ms,
            options=self._query_options(),
        )
        self._count(answer)
        return answer

    def _choose_grid(self, min_step_ms: int = 0) -> Grid:
        return choose_grid(
            self._body,
            now_ms=self._now_ms,
            max_points=self._limits.max_points,
            min_step_ms=min_step_ms,
        )

    def _warn(self, options: Options, grid: Grid) -> list[str]:
        warnings = [f'there is no option "{name}"' for name in options.unknown]
        if grid.raised_to_points:
            warnings.append(
                f"the step was raised to {grid.step_ms} ms: a series has at most "
                f"{grid.raised_to_points} points (TIDEGAUGE_QUERY_MAX_POINTS)"
            )
        return warnings

    def _query_options(self) -> QueryOptions:
        """Return options that leave a query no more than the time that is left."""
        left_ms = int((self._until_s - self._monotonic()) * 1000)
        if left_ms < 1:
            raise DeadlineExceeded(
                f"the queries of this panel took longer than {PANEL_TIMEOUT_S:g} s together"
            )
        # A query's own limit, where that is shorter, says something of the database's health.
        is_shorter = left_ms < self._limits.timeout_s * 1000
        return QueryOptions(timeout_ms=left_ms if is_shorter else None)

    def _count(self, answer: Answer) -> None:
        self._points += count_points(answer.result)
        if self._points > self._limits.max_result_points:
            raise LimitExceeded(
                "points in the answers of this panel",
                reached=self._points,
                allowed=self._limits.max_result_points,
                setting="TIDEGAUGE_QUERY_MAX_RESULT_POINTS",
            )
        self._series += count_series(answer.result)
        if self._series > self._limits.max_series:
            raise LimitExceeded(
                "series in the answers of this panel",
                reached=self._series,
                allowed=self._limits.max_series,
                setting=SERIES_SETTING,
            )


def _name_query(fault: TidegaugeError, ref_id: str) -> TidegaugeError:
    """Return the same fault with the query's name: others may hear the one of a shared query."""
    named = type(fault).__new__(type(fault))
    named.__dict__.update(fault.__dict__)
    named.message = f"{fault.message} (query {ref_id})"
    named.args = (named.message,)
    return named
