"""Writes rules as one of Prometheus's rule files. Pure.

Rules that came from a file come out as they were in it; of those made by the API, the condition
becomes part of the expression, and what such a file has no place for is told in a comment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from tidegauge.errors import NotFound
from tidegauge.model.alerts import AlertRule, Condition
from tidegauge.model.floats import format_go_f
from tidegauge.model.recording import RecordingRule
from tidegauge.promql import nodes
from tidegauge.promql.durations import NS_PER_MS, format_duration
from tidegauge.promql.quoting import quote
from tidegauge.promql.typecheck import type_of
from tidegauge.query.parsing import QueryParser

_OPERATORS = {
    Condition.GT: ">",
    Condition.LT: "<",
    Condition.EQ: "==",
    Condition.NE: "!=",
    Condition.GTE: ">=",
    Condition.LTE: "<=",
}

Rule = AlertRule | RecordingRule


@dataclass(slots=True)
class _Group:
    """A group as it is written; its rules have these in common."""

    name: str
    interval_ms: int
    limit: int = 0
    query_offset_ms: int = 0
    rules: list[Rule] = field(default_factory=list)


def export_rules(
    alerting: Sequence[AlertRule],
    recording: Sequence[RecordingRule],
    *,
    parser: QueryParser,
    file: str | None = None,
) -> str:
    """Return a rule file, in YAML.

    Args:
        alerting, recording: the rules.
        parser: reads their queries.
        file: only those that came from the file of this name; None: all rules.
    Raises:
        NotFound: no rule came from that file.
    """
    rules: list[Rule] = [*alerting, *recording]
    if file is not None:
        rules = [one for one in rules if one.origin is not None and one.origin.file == file]
        if not rules:
            raise NotFound(f'no rule was loaded from a file named "{file[:200]}"')
    off = [one for one in rules if isinstance(one, AlertRule) and not one.enabled]
    kept = [one for one in rules if one not in off]
    groups = [*_group_by_file(kept), *_group_made(kept)]
    notes = [f"{quote(one.name)} is switched off, and not here" for one in off]
    notes += [note for one in kept if isinstance(one, AlertRule) for note in _describe_lost(one)]
    head = "".join(f"# {note}\n" for note in notes)
    body = {"groups": [_write_group(group, parser) for group in groups]}
    # A width that no text has: folded lines are hard to read, and to find.
    return head + str(yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=1 << 30))


def _group_by_file(rules: Sequence[Rule]) -> list[_Group]:
    found: dict[tuple[str, str], _Group] = {}
    for rule in rules:
        if rule.origin is None:
            continue
        key = (rule.origin.file, rule.origin.group)
        if key not in found:
            found[key] = _Group(key[1], rule.interval_ms, rule.limit, rule.query_offset_ms)
        found[key].rules.append(rule)
    names = Counter(group for _, group in found)
    groups = []
    for (file, name), group in sorted(found.items()):
        if names[name] > 1:
            # Two files may have groups of one name; one file may not.
            group.name = f"{file}: {name}"
        group.rules.sort(key=lambda one: one.position)
        groups.append(group)
    return groups


def _group_made(rules: Sequence[Rule]) -> list[_Group]:
    """Put the rules that came from no file into groups by their interval."""
    found: dict[tuple[int, int], _Group] = {}
    seen: Counter[tuple[object, ...]] = Counter()
    for rule in rules:
        if rule.origin is not None or isinstance(rule, RecordingRule):
            continue
        # A group must not have the same rule twice.
        same = (rule.name, rule.query, rule.condition, rule.threshold, rule.labels)
        seen[same] += 1
        key = (rule.interval_ms, seen[same])
        again = f" ({seen[same]})" if seen[same] > 1 else ""
        name = f"api {_spell(rule.interval_ms)}{again}"
        found.setdefault(key, _Group(name, rule.interval_ms)).rules.append(rule)
    return [found[key] for key in sorted(found)]


def _write_group(group: _Group, parser: QueryParser) -> dict[str, object]:
    written: dict[str, object] = {"name": group.name, "interval": _spell(group.interval_ms)}
    if group.limit:
        written["limit"] = group.limit
    if group.query_offset_ms:
        written["query_offset"] = _spell(group.query_offset_ms)
    written["rules"] = [_write_rule(one, parser) for one in group.rules]
    return written


def _write_rule(rule: Rule, parser: QueryParser) -> dict[str, object]:
    if isinstance(rule, RecordingRule):
        return _fill({"record": rule.record, "expr": rule.query}, labels=dict(rule.labels))
    labels = dict(rule.labels)
    if rule.origin is None:
        labels = {"severity": rule.severity.value, **labels}
    head = {"alert": rule.name, "expr": _write_expr(rule, parser)}
    if rule.hold_ms:
        head["for"] = _spell(rule.hold_ms)
    if rule.keep_firing_ms:
        head["keep_firing_for"] = _spell(rule.keep_firing_ms)
    return _fill(head, labels=labels, annotations=dict(rule.annotations))


def _write_expr(rule: AlertRule, parser: QueryParser) -> str:
    if rule.origin is not None:
        return rule.query
    # A comment in the query ends with its line, not with ours.
    query = f"{rule.query}\n" if "#" in rule.query else rule.query
    if type_of(parser.parse(rule.query)) is nodes.ValueType.SCALAR:
        query = f"vector({query})"
    elif rule.condition is not Condition.ANY:
        query = f"({query})"
    if rule.condition is Condition.ANY:
        return query
    return f"{query} {_OPERATORS[rule.condition]} {format_go_f(rule.threshold)}"


def _fill(head: Mapping[str, object], **parts: Mapping[str, str]) -> dict[str, object]:
    return {**head, **{name: part for name, part in parts.items() if part}}


def _describe_lost(rule: AlertRule) -> list[str]:
    if not rule.channels:
        return []
    kinds = sorted({str(one.get("type", ""))[:64] for one in rule.channels})
    return [f"{quote(rule.name)} tells {quote(', '.join(kinds))}; a rule file has no channels"]


def _spell(duration_ms: int) -> str:
    return format_duration(duration_ms * NS_PER_MS)
