"""`POST /api/v1/alerts/backtest`: what a rule would have done over past data. Source: SPEC §7."""

from __future__ import annotations

import contextlib
import itertools
import statistics
from collections.abc import Generator, Iterator, Mapping, Sequence

import msgspec
from flask import Blueprint, Response
from structlog.contextvars import bound_contextvars, get_contextvars

from tidegauge.alerts.backtest.advice import suggest
from tidegauge.alerts.backtest.comparison import compare
from tidegauge.alerts.backtest.service import Progress
from tidegauge.alerts.backtest.spells import MAX_SPELLS, Report, Spell, Trial
from tidegauge.alerts.payloads import json_number
from tidegauge.api.alerts import RuleBody, make_rule, write_duration
from tidegauge.errors import Forbidden, InvalidInput, TidegaugeError
from tidegauge.model.alerts import AlertRule
from tidegauge.query.times import parse_native_time_ms
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.context import alerts, request_id, services
from tidegauge.web.errors import json_response
from tidegauge.web.identity import current_principal
from tidegauge.web.openapi import describe
from tidegauge.web.params import InvalidParameter
from tidegauge.web.rendering import dump_json

NEWS_TYPE = "application/x-ndjson"

News = Generator[Progress | Report, None, None]

blueprint = Blueprint("alert_backtest", __name__, url_prefix="/api/v1/alerts")


class BacktestBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body.

    Args:
        rule: as for `POST /api/v1/alerts`.
        rule_id: one that is stored, in its place.
        compare: another rule, to be compared with it.
        start, end: Unix ms, RFC 3339, or `now-7d`; without an end, now.
        stream: whether to tell how far it has come, line by line.
    """

    start: str | int | float
    end: str | int | float = "now"
    rule: RuleBody | None = None
    rule_id: int | None = None
    compare: RuleBody | None = None
    stream: bool = True


@blueprint.post("/backtest")
@require("query:read")
@describe(body=BacktestBody, answer=NEWS_TYPE, other_answer="application/json")
def backtest() -> Response:
    """Run a rule over past data: when it would have fired, for how long, how often it flaps."""
    if not current_principal().may("alert:read"):
        raise Forbidden("a backtest needs the permission alert:read beside query:read")
    body = read_json(BacktestBody)
    start_ms, end_ms = _read_range_ms(body)
    rules = [_read_rule(body), *([make_rule(body.compare)] if body.compare else [])]
    news = services().backtests.run(rules, start_ms=start_ms, end_ms=end_ms)
    if not body.stream:
        with contextlib.closing(news):
            reports = [one for one in news if isinstance(one, Report)]
        return json_response({"data": describe_reports(reports)})
    # What is wrong with the question shows with the first news, and is answered as ever.
    with_context = _bind(news, get_contextvars())
    first = next(with_context)
    lines = _write_lines(itertools.chain([first], with_context), request_id())
    response = Response(lines, mimetype=NEWS_TYPE)
    # Also when the client has gone away: then nobody asks for the next line.
    response.call_on_close(with_context.close)
    return response


def describe_reports(reports: Sequence[Report]) -> dict[str, object]:
    """Return what the reports of one rule, or of two to be compared, look like in JSON."""
    first, *others = reports
    answer = _describe_report(first)
    for second in others:
        answer["compare"] = _describe_report(second)
        answer["difference"] = _describe_difference(first, second)
    return answer


def _read_rule(body: BacktestBody) -> AlertRule:
    if (body.rule is None) == (body.rule_id is None):
        raise InvalidInput("one of rule and rule_id is wanted, not both")
    if body.rule is not None:
        return make_rule(body.rule)
    return alerts().read(body.rule_id or 0).stored.rule


def _read_range_ms(body: BacktestBody) -> tuple[int, int]:
    now_ms = services().clock_ms()
    times = []
    for name, value in (("start", body.start), ("end", body.end)):
        try:
            times.append(parse_native_time_ms(value, now_ms=now_ms))
        except InvalidInput as exc:
            raise InvalidParameter(name, exc.message) from exc
    start_ms, end_ms = times
    if end_ms < start_ms:
        raise InvalidParameter("end", "it lies before start")
    if end_ms > now_ms:
        raise InvalidParameter("end", "it lies in the future, of which there are no data")
    return start_ms, end_ms


def _bind(news: News, context: Mapping[str, object]) -> News:
    """Ask for each piece of news as the request that wants it, which is over by then."""
    try:
        while True:
            with bound_contextvars(**context):
                one = next(news, None)
            if one is None:
                return
            yield one
    finally:
        news.close()


def _write_lines(news: Iterator[Progress | Report], request: str) -> Iterator[bytes]:
    reports: list[Report] = []
    try:
        for one in news:
            if isinstance(one, Report):
                reports.append(one)
            else:
                yield _line({"progress": round(one.done, 4), "time": one.at_ms})
        yield _line({"data": describe_reports(reports)})
    except TidegaugeError as exc:
        # The status is out already.
        yield _line({"error": exc.message, "code": exc.code, "request_id": request})


def _line(value: object) -> bytes:
    return dump_json(value) + b"\n"


def _describe_report(report: Report) -> dict[str, object]:
    rule, own = report.rule, report.trials[0]
    suggestion, told = suggest(report.trials), report.told
    return {
        "rule": {
            "name": rule.name,
            "query": rule.query,
            "condition": rule.condition.value,
            "threshold": rule.threshold,
            "duration": write_duration(rule.hold_ms),
            "keep_firing_for": write_duration(rule.keep_firing_ms),
        },
        "start": report.start_ms,
        "end": report.end_ms,
        "step_ms": report.step_ms,
        "spells": [_describe_spell(one) for one in report.fired],
        "spells_total": own.spells,
        "flaps": own.flaps,
        "brief": own.brief,
        "firing_ms": own.firing_ms,
        "pending": [_describe_spell(one) for one in report.pending],
        "pending_total": report.pending_total,
        "notifications": {
            "firing": told.firing,
            "repeat": told.repeat,
            "resolved": told.resolved,
            "total": told.firing + told.repeat + told.resolved,
        },
        "durations": [_describe_trial(one) for one in report.trials],
        "suggestion": {
            "duration": None if suggestion.hold_ms is None else write_duration(suggestion.hold_ms),
            "delay_ms": suggestion.delay_ms,
            "reason": suggestion.reason,
        },
        "notes": report.notes,
    }


def _describe_spell(spell: Spell) -> dict[str, object]:
    return {
        "labels": dict(spell.labels),
        "active_at": spell.active_ms,
        "fired_at": spell.fired_ms,
        "ended_at": spell.ended_ms,
        "peak": json_number(spell.peak),
        "flap": spell.flaps,
        "brief": spell.is_brief,
    }


def _describe_trial(trial: Trial) -> dict[str, object]:
    return {
        "duration": write_duration(trial.hold_ms),
        "spells": trial.spells,
        "flaps": trial.flaps,
        "brief": trial.brief,
        "firing_ms": trial.firing_ms,
        "lost": trial.lost,
    }


def _describe_difference(first: Report, second: Report) -> dict[str, object]:
    found = compare(first.fired, second.fired, end_ms=max(first.end_ms, second.end_ms))
    delays_ms = found.delays_ms
    return {
        "only_first": [_describe_spell(one) for one in found.only_first],
        "only_second": [_describe_spell(one) for one in found.only_second],
        "both": len(delays_ms),
        # How much later the second one fires; below zero: earlier.
        "delay_ms": {
            "least": min(delays_ms),
            "median": statistics.median(delays_ms),
            "most": max(delays_ms),
        }
        if delays_ms
        else None,
        "complete": max(first.trials[0].spells, second.trials[0].spells) <= MAX_SPELLS,
    }
