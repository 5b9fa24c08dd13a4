"""What an alert rule may be."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import orjson

from tidegauge.alerts.notifiers.channels import check_channel
from tidegauge.alerts.templates.errors import TemplateError
from tidegauge.alerts.templates.expand import check_template
from tidegauge.errors import InvalidInput
from tidegauge.model.alerts import AlertRule, Policy
from tidegauge.model.recording import RecordingRule
from tidegauge.promql import nodes
from tidegauge.promql.tokens import COMPARISONS
from tidegauge.promql.typecheck import type_of
from tidegauge.query.parsing import QueryParser
from tidegauge.query.times import parse_duration_ms

MAX_NAME_CHARS = 200
MAX_LABELS = 32
MAX_TEXT_CHARS = 8192
MAX_CHANNELS = 10
MAX_CHANNEL_BYTES = 8192
MIN_INTERVAL_MS = 1000
MAX_DURATION_MS = 366 * 86_400_000
MAX_LIMIT = 2**31 - 1

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
_NARROWING = frozenset({"and", "unless"})
_ABSENCE = frozenset({"absent", "absent_over_time"})


class InvalidRule(InvalidInput):
    """One field of a rule is wrong.

    Args:
        field: which one.
        reason: what is wrong with it.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")


def check_rule(rule: AlertRule, parser: QueryParser) -> None:
    """Return if a rule can be evaluated and stored.

    Raises:
        InvalidRule: names the field. QuerySyntaxError: the query does not parse. LimitExceeded.
    """
    if not rule.name or len(rule.name) > MAX_NAME_CHARS:
        raise InvalidRule("name", f"it has {len(rule.name)} characters, not 1 to {MAX_NAME_CHARS}")
    _check_storable("name", rule.name)
    _check_query(rule.query, parser)
    if not math.isfinite(rule.threshold):
        raise InvalidRule("threshold", f"{rule.threshold} is no finite number")
    _check_times(rule)
    for field, pairs in (("labels", dict(rule.labels)), ("annotations", rule.annotations)):
        _check_pairs(field, pairs)
        _check_templates(rule, field, pairs)
    check_channels("notification", rule.channels)


def check_recording_rule(rule: RecordingRule, parser: QueryParser) -> None:
    """Return if a rule can be evaluated and stored.

    Raises:
        InvalidRule: names the field. QuerySyntaxError: the query does not parse. LimitExceeded.
    """
    if not rule.record or len(rule.record) > MAX_NAME_CHARS:
        raise InvalidRule(
            "record", f"it has {len(rule.record)} characters, not 1 to {MAX_NAME_CHARS}"
        )
    _check_storable("record", rule.record)
    if "{" in rule.record or "}" in rule.record:
        raise InvalidRule("record", f"{rule.record} has braces; should it be the query?")
    _check_query(rule.query, parser)
    _check_within("interval", rule.interval_ms, MIN_INTERVAL_MS)
    _check_bounds(rule)
    _check_pairs("labels", rule.labels)


def choose_no_data(expr: nodes.Expr) -> Policy:
    """Return what no data means where nobody has said it.

    A query that leaves out what is well (`up == 0`) says by an empty answer that all is; to any
    other one an empty answer is no news, and ends no alert.
    """
    return Policy.RESOLVE if _leaves_out(expr) else Policy.KEEP


def parse_rule_duration_ms(field: str, value: str | float) -> int:
    """Return the ms of a duration as people write it: `5m`, `1h30m`, or a number of seconds.

    Raises:
        InvalidRule.
    """
    text = value if isinstance(value, str) else repr(value)
    try:
        return parse_duration_ms(text)
    except InvalidInput as exc:
        raise InvalidRule(field, exc.message) from exc


def _check_times(rule: AlertRule) -> None:
    for field, value_ms, low_ms in (
        ("duration", rule.hold_ms, 0),
        ("keep_firing_for", rule.keep_firing_ms, 0),
        ("repeat", rule.repeat_ms, 0),
        ("interval", rule.interval_ms, MIN_INTERVAL_MS),
    ):
        _check_within(field, value_ms, low_ms)
    _check_bounds(rule)


def _check_bounds(rule: AlertRule | RecordingRule) -> None:
    _check_within("query_offset", rule.query_offset_ms, 0)
    if not 0 <= rule.limit <= MAX_LIMIT:
        raise InvalidRule("limit", f"{rule.limit} is not from 0 to {MAX_LIMIT}")


def _check_within(field: str, value_ms: int, low_ms: int) -> None:
    if not low_ms <= value_ms <= MAX_DURATION_MS:
        raise InvalidRule(
            field,
            f"{value_ms / 1000:g} s is not from {low_ms / 1000:g} s to "
            f"{MAX_DURATION_MS // 86_400_000} days",
        )


def _check_query(query: str, parser: QueryParser) -> None:
    _check_storable("query", query)
    kind = type_of(parser.parse(query))
    if kind not in (nodes.ValueType.VECTOR, nodes.ValueType.SCALAR):
        raise InvalidRule(
            "query", f"it gives a {kind.value}; an instant vector or a scalar is wanted"
        )


def _check_pairs(field: str, pairs: Mapping[str, str]) -> None:
    if len(pairs) > MAX_LABELS:
        raise InvalidRule(field, f"there are {len(pairs)}, at most {MAX_LABELS} are taken")
    for name, text in pairs.items():
        if not _NAME.match(name) or name == "__name__":
            raise InvalidRule(field, f'"{name[:64]}" is no name for one')
        if len(text) > MAX_TEXT_CHARS:
            raise InvalidRule(
                f"{field}.{name}", f"{len(text)} characters, at most {MAX_TEXT_CHARS} are taken"
            )
        _check_storable(f"{field}.{name}", text)


def _check_templates(rule: AlertRule, field: str, pairs: Mapping[str, str]) -> None:
    for name, text in pairs.items():
        try:
            check_template(text, name=rule.name)
        except TemplateError as exc:
            raise InvalidRule(f"{field}.{name}", exc.message) from exc


def check_channels(name: str, channels: Sequence[Mapping[str, object]]) -> None:
    """Return if people can be told through these channels, and they can be stored.

    Args:
        name: of the field that holds them.
        channels: `{type, target, …}` each.
    Raises:
        InvalidRule: names the field.
    """
    if len(channels) > MAX_CHANNELS:
        raise InvalidRule(name, f"there are {len(channels)}, at most {MAX_CHANNELS} are taken")
    for number, channel in enumerate(channels):
        field = f"{name}[{number}]"
        try:
            check_channel(channel)
        except InvalidInput as exc:
            raise InvalidRule(field, exc.message) from exc
        try:
            written = orjson.dumps(dict(channel))
        except TypeError as exc:
            raise InvalidRule(field, f"it cannot be stored: {exc}") from exc
        if len(written) > MAX_CHANNEL_BYTES:
            raise InvalidRule(
                field, f"{len(written)} bytes of JSON, at most {MAX_CHANNEL_BYTES} are taken"
            )
        if rb"\u0000" in written:
            raise InvalidRule(field, "it holds a NUL character, which cannot be stored")


def _check_storable(field: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise InvalidRule(field, "it holds half a surrogate pair, which is no text") from exc
    if "\0" in text:
        raise InvalidRule(field, "it holds a NUL character, which cannot be stored")


def _leaves_out(expr: nodes.Expr) -> bool:
    # A loop to the left: a chain of operators may be thousands long.
    while True:
        if isinstance(expr, nodes.Paren):
            expr = expr.expr
            continue
        if isinstance(expr, nodes.Call):
            return expr.func in _ABSENCE
        if not isinstance(expr, nodes.Binary):
            return False
        if expr.op in COMPARISONS:
            return not expr.return_bool
        if expr.op in _NARROWING or _leaves_out(expr.right):
            return True
        expr = expr.left
