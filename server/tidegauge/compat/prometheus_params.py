"""Parameters of the Prometheus HTTP API: times, durations, limits, escaped label names.

Source: grafana-contract §2.2; Prometheus `web/api/v1/api.go` and `model.UnescapeName`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tidegauge.errors import InvalidInput
from tidegauge.promql.quoting import quote
from tidegauge.query.listings import Scope
from tidegauge.query.service import QueryOptions
from tidegauge.query.times import parse_duration_ms, parse_prometheus_time_ms
from tidegauge.web.params import InvalidParameter, Params

_NEGATIVE = re.compile(r"-[0-9]+")
_ESCAPED = re.compile(r"(?:[^_]|__|_[0-9A-Fa-f]{1,5}_)*", re.ASCII)
_ESCAPE = re.compile(r"__|_([0-9A-Fa-f]{1,5})_", re.ASCII)
_STATS = ("", "true", "all")
_YES = ("1", "t", "T", "TRUE", "true", "True")  # What Go's ParseBool takes.
_SURROGATES = range(0xD800, 0xE000)


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How a query is to be answered.

    Args:
        limit: at most so many series; 0 for all.
        stats: say what it took.
        warnings: what to tell about the parameters.
    """

    limit: int
    stats: bool
    warnings: tuple[str, ...] = ()


def read_answer_form(params: Params) -> AnswerForm:
    """Return what `limit` and `stats` say.

    Raises:
        InvalidParameter: the limit is no number.
    """
    stats = params.first("stats")
    warnings: tuple[str, ...] = ()
    if stats not in _STATS:
        warnings = (
            f'value {quote(stats[:64])} for parameter "stats" is deprecated and will be rejected '
            'in the next major release, use "true" or "all"',
        )
    return AnswerForm(params.count("limit"), stats != "", warnings)


def read_metadata_limit(params: Params, name: str) -> int:
    """Return a limit of a metadata listing; 0 for none, which is also said by a negative number.

    Raises:
        InvalidParameter: it is no number.
    """
    return 0 if _NEGATIVE.fullmatch(params.first(name)) else params.count(name)


def read_time_ms(params: Params, name: str) -> int | None:
    """Return a time parameter in Unix ms, or None where it is missing.

    Raises:
        InvalidParameter: it is no time.
    """
    text = params.first(name)
    return _read(name, text, parse_prometheus_time_ms) if text else None


def read_required_time_ms(params: Params, name: str) -> int:
    """Return a time parameter that must be there, in Unix ms.

    Raises:
        InvalidParameter: it is missing, or no time.
    """
    return _read(name, params.first(name), parse_prometheus_time_ms)


def read_step_ms(params: Params) -> int:
    """Return the step of a range query; at least 1 ms.

    Raises:
        InvalidParameter: it is missing, no duration, or below a millisecond.
    """
    step_ms = _read("step", params.first("step"), parse_duration_ms)
    if step_ms <= 0:
        raise InvalidParameter(
            "step",
            "zero or negative query resolution step widths are not accepted. "
            "Try a positive integer",
        )
    return step_ms


def read_options(params: Params) -> QueryOptions:
    """Return `timeout`, `lookback_delta`, and `nocache`, which is VictoriaMetrics's.

    Raises:
        InvalidInput: one of them is no duration.
    """
    lookback = params.first("lookback_delta")
    try:
        # Zero means what a missing one means.
        lookback_ms = (parse_duration_ms(lookback) if lookback else 0) or None
    except InvalidInput as exc:
        raise InvalidInput(f"error parsing lookback delta duration: {exc.message}") from exc
    if lookback_ms is not None and lookback_ms < 0:
        raise InvalidInput(f'lookback delta "{lookback}" is negative')
    return QueryOptions(
        timeout_ms=_read_timeout_ms(params),
        lookback_ms=lookback_ms,
        cached=params.first("nocache") not in _YES,
    )


def read_scope(params: Params) -> Scope:
    """Return what `match[]`, `start`, `end`, `limit` and `timeout` say of a listing.

    Raises:
        InvalidParameter: one of them is wrong.
    """
    return Scope(
        selectors=params.all("match[]"),
        start_ms=read_time_ms(params, "start"),
        end_ms=read_time_ms(params, "end"),
        limit=params.count("limit"),
        timeout_ms=_read_timeout_ms(params),
    )


def unescape_label_name(name: str) -> str:
    """Return the name behind a `U__…` spelling (`U__a_2e_b` is `a.b`); others stay as they are."""
    escaped = name.removeprefix("U__")
    if escaped == name or not _ESCAPED.fullmatch(escaped):
        return name
    codes = [int(code, 16) for code in _ESCAPE.findall(escaped) if code]
    if any(code in _SURROGATES for code in codes):
        return name
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else "_", escaped)


def _read_timeout_ms(params: Params) -> int | None:
    text = params.first("timeout")
    return _read("timeout", text, parse_duration_ms) if text else None


def _read(name: str, text: str, parse: Callable[[str], int]) -> int:
    try:
        return parse(text)
    except InvalidInput as exc:
        raise InvalidParameter(name, exc.message) from exc
