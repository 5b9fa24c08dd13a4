"""Prometheus's rule files: groups of alerting and recording rules in YAML.

Unknown fields are refused, as Prometheus does: a misspelt `for` would else fire at once.
Source: Prometheus `model/rulefmt/rulefmt.go`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from tidegauge.alerts.bounded_yaml import BoundedLoader
from tidegauge.alerts.rules import (
    check_recording_rule,
    check_rule,
    parse_rule_duration_ms,
)
from tidegauge.errors import InvalidInput
from tidegauge.model.alerts import AlertRule, Condition, Policy, RuleOrigin, Severity
from tidegauge.model.labels import make_labels
from tidegauge.model.recording import RecordingRule, RuleGroup
from tidegauge.query.parsing import QueryParser

MAX_FILE_BYTES = 4 * 1024 * 1024

_GROUP_FIELDS = frozenset({"name", "interval", "query_offset", "limit", "labels", "rules"})
_RULE_FIELDS = frozenset(
    {"record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
)


class _Texts(BoundedLoader):
    """Reads every scalar as the text that stands there: `for: 5m`, `expr: 1`, `page: true`."""

    yaml_implicit_resolvers = {  # noqa: RUF012 -- that is how PyYAML has it
        "<": yaml.SafeLoader.yaml_implicit_resolvers["<"]
    }


@dataclass(frozen=True, slots=True)
class _Place:
    """What the rules of a group have in common, and where it stands, for messages."""

    where: str
    file: str
    group: RuleGroup
    channels: tuple[Mapping[str, object], ...]


def parse_rule_file(
    text: str,
    *,
    file: str,
    parser: QueryParser,
    interval_ms: int,
    channels: tuple[Mapping[str, object], ...] = (),
) -> list[RuleGroup]:
    """Return the groups of a file in order, each of their rules with where it stands in it.

    Args:
        text: the file.
        file: its name, by which its rules are known.
        parser: reads their queries.
        interval_ms: of groups that say none.
        channels: whom all of its alerts tell.
    Raises:
        InvalidInput: names the group, the rule and what is wrong.
    """
    if len(text.encode(errors="replace")) > MAX_FILE_BYTES:
        raise InvalidInput(f"{file}: it is longer than {MAX_FILE_BYTES} bytes")
    try:
        whole = yaml.load(text, Loader=_Texts)  # noqa: S506 -- a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise InvalidInput(f"{file}: it is no YAML: {exc}") from exc
    top = _as_map(whole or {}, file, frozenset({"groups"}))
    groups: dict[str, RuleGroup] = {}
    for group in _as_list(top.get("groups"), f"{file}: groups"):
        fields = _as_map(group, f"{file}: group", _GROUP_FIELDS)
        name = _as_text(fields.get("name"), f"{file}: group: name")
        if name in groups:
            raise InvalidInput(f'{file}: there are two groups "{name}"')
        head = _parse_group(fields, f'{file}: group "{name}"', name, interval_ms)
        place = _Place(f'{file}: group "{name}"', file, head, channels)
        groups[name] = replace(head, rules=tuple(_parse_rules(fields, place, parser)))
    return list(groups.values())


def _parse_group(fields: Mapping[str, Any], where: str, name: str, interval_ms: int) -> RuleGroup:
    if fields.get("interval"):
        interval_ms = _read_duration(fields, "interval", where)
    return RuleGroup(
        name,
        interval_ms,
        limit=_as_count(fields.get("limit"), f"{where}: limit"),
        query_offset_ms=_read_duration(fields, "query_offset", where),
        labels=_as_texts(fields.get("labels"), f"{where}: labels"),
    )


def _parse_rules(
    fields: Mapping[str, Any], place: _Place, parser: QueryParser
) -> Iterator[AlertRule | RecordingRule]:
    seen: Counter[str] = Counter()
    known: set[tuple[object, ...]] = set()
    for position, one in enumerate(_as_list(fields.get("rules"), f"{place.where}: rules")):
        given = _as_map(one, f"{place.where}: rule", _RULE_FIELDS)
        kind = _choose_kind(given, f"{place.where}, rule {position + 1}")
        name = _as_text(given[kind], f"{place.where}: {kind}")
        here = f'{place.where}, {kind} "{name}"'
        # Alerts have no word before their name, so that those loaded earlier are found again.
        spot = name if kind == "alert" else f"record {name}"
        seen[spot] += 1
        origin = RuleOrigin(place.file, place.group.name, f"{spot}/{seen[spot]}")
        rule: AlertRule | RecordingRule
        try:
            if kind == "alert":
                rule = _parse_alert(given, here, place, origin, position)
                check_rule(rule, parser)
            else:
                rule = _parse_record(given, here, place, origin, position)
                check_recording_rule(rule, parser)
        except InvalidInput as exc:
            if exc.message.startswith(here):
                raise
            raise InvalidInput(f"{here}: {exc.message}") from exc
        same = (kind, name, rule.query, tuple(sorted(dict(rule.labels).items())))
        if same in known:
            raise InvalidInput(f"{here}: the group has this rule twice")
        known.add(same)
        yield rule


def _choose_kind(given: Mapping[str, Any], where: str) -> str:
    kinds = [kind for kind in ("alert", "record") if given.get(kind)]
    if len(kinds) != 1:
        raise InvalidInput(f"{where}: it must have either alert or record")
    return kinds[0]


def _parse_alert(
    given: Mapping[str, Any], here: str, place: _Place, origin: RuleOrigin, position: int
) -> AlertRule:
    group = place.group
    labels = {**group.labels, **_as_texts(given.get("labels"), f"{here}: labels")}
    return AlertRule(
        name=given["alert"],
        query=_as_text(given.get("expr"), f"{here}: expr"),
        condition=Condition.ANY,
        threshold=0.0,
        hold_ms=_read_duration(given, "for", here),
        keep_firing_ms=_read_duration(given, "keep_firing_for", here),
        interval_ms=group.interval_ms,
        severity=_choose_severity(labels),
        no_data=Policy.RESOLVE,
        on_error=Policy.KEEP,
        labels=make_labels(labels),
        annotations=_as_texts(given.get("annotations"), f"{here}: annotations"),
        channels=place.channels,
        origin=origin,
        limit=group.limit,
        query_offset_ms=group.query_offset_ms,
        position=position,
    )


def _parse_record(
    given: Mapping[str, Any], here: str, place: _Place, origin: RuleOrigin, position: int
) -> RecordingRule:
    for field in ("for", "keep_firing_for", "annotations"):
        if given.get(field):
            raise InvalidInput(f"{here}: a recording rule has no {field}")
    group = place.group
    return RecordingRule(
        record=given["record"],
        query=_as_text(given.get("expr"), f"{here}: expr"),
        labels={**group.labels, **_as_texts(given.get("labels"), f"{here}: labels")},
        interval_ms=group.interval_ms,
        origin=origin,
        limit=group.limit,
        query_offset_ms=group.query_offset_ms,
        position=position,
    )


def _choose_severity(labels: Mapping[str, str]) -> Severity:
    # Whatever other words a file has for it stay in its label.
    try:
        return Severity(labels.get("severity", ""))
    except ValueError:
        return Severity.WARNING


def _read_duration(given: Mapping[str, Any], field: str, where: str) -> int:
    text = given.get(field)
    return parse_rule_duration_ms(
        f"{where}: {field}", text if isinstance(text, str) and text else "0"
    )


def _as_count(value: Any, where: str) -> int:
    if value is None or value == "":
        return 0
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,10}", value, re.ASCII):
        # Lists of lists of the same list are short in a file, and endless as text.
        shown = repr(value[:64]) if isinstance(value, str) else "a list or a mapping"
        raise InvalidInput(f"{where}: a number from 0 is wanted, not {shown}")
    return int(value)


def _as_map(value: Any, where: str, known: frozenset[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(f"{where}: a mapping is wanted")
    unknown = sorted(str(field)[:64] for field in value if field not in known)
    if unknown:
        raise InvalidInput(f'{where}: there is no field "{unknown[0]}"')
    return value


def _as_list(value: Any, where: str) -> list[Any]:
    if not value:
        return []
    if not isinstance(value, list):
        raise InvalidInput(f"{where}: a list is wanted")
    return value


def _as_text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"{where}: a text is wanted")
    return value


def _as_texts(value: Any, where: str) -> dict[str, str]:
    if not value:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(f"{where}: a mapping is wanted")
    wrong = [name for name in value if not isinstance(value[name], str)]
    if wrong:
        raise InvalidInput(f"{where}.{wrong[0]}: a text is wanted")
    return value
