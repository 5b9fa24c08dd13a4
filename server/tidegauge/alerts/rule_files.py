"""Prometheus's rule files: groups of alerting rules in YAML.

Unknown fields are refused, as Prometheus does: a misspelt `for` would else fire at once.
Source: Prometheus `model/rulefmt/rulefmt.go`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tidegauge.alerts.rules import check_rule, parse_rule_duration_ms
from tidegauge.errors import InvalidInput
from tidegauge.model.alerts import AlertRule, Condition, Policy, RuleOrigin, Severity
from tidegauge.model.labels import make_labels
from tidegauge.query.parsing import QueryParser

MAX_FILE_BYTES = 4 * 1024 * 1024

_GROUP_FIELDS = frozenset({"name", "interval", "query_offset", "limit", "labels", "rules"})
_RULE_FIELDS = frozenset(
    {"record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
)


class _Texts(yaml.SafeLoader):  # type: ignore[misc]
    """Reads every scalar as the text that stands there: `for: 5m`, `expr: 1`, `page: true`."""

    yaml_implicit_resolvers = {  # noqa: RUF012 -- that is how PyYAML has it
        "<": yaml.SafeLoader.yaml_implicit_resolvers["<"]
    }


def parse_rule_file(
    text: str,
    *,
    file: str,
    parser: QueryParser,
    interval_ms: int,
    channels: tuple[Mapping[str, object], ...] = (),
) -> list[AlertRule]:
    """Return the rules of a file, each with where it stands in it.

    Args:
        text: the file.
        file: its name, by which its rules are known.
        parser: reads their queries.
        interval_ms: of groups that say none.
        channels: whom all of them tell.
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
    rules: list[AlertRule] = []
    names: set[str] = set()
    for group in _as_list(top.get("groups"), f"{file}: groups"):
        fields = _as_map(group, f"{file}: group", _GROUP_FIELDS)
        name = _as_text(fields.get("name"), f"{file}: group: name")
        if name in names:
            raise InvalidInput(f'{file}: there are two groups "{name}"')
        names.add(name)
        rules += _parse_group(fields, f'{file}: group "{name}"', file, name, interval_ms, channels)
    for rule in rules:
        try:
            check_rule(rule, parser)
        except InvalidInput as exc:
            group_name = rule.origin.group if rule.origin else ""
            raise InvalidInput(
                f'{file}: group "{group_name}", alert "{rule.name}": {exc.message}'
            ) from exc
    return rules


def _parse_group(
    fields: Mapping[str, Any],
    where: str,
    file: str,
    name: str,
    interval_ms: int,
    channels: tuple[Mapping[str, object], ...],
) -> Iterator[AlertRule]:
    for field in ("query_offset", "limit"):
        if fields.get(field) not in (None, "", "0", "0s"):
            raise InvalidInput(f"{where}: {field} is not supported yet")
    if fields.get("interval"):
        interval_ms = parse_rule_duration_ms(f"{where}: interval", _as_duration(fields["interval"]))
    of_group = _as_texts(fields.get("labels"), f"{where}: labels")
    seen: Counter[str] = Counter()
    for rule in _as_list(fields.get("rules"), f"{where}: rules"):
        given = _as_map(rule, f"{where}: rule", _RULE_FIELDS)
        if given.get("record"):
            raise InvalidInput(
                f'{where}: record "{given["record"]}": recording rules are not supported yet; '
                "leave them with a Prometheus that writes here"
            )
        alert = _as_text(given.get("alert"), f"{where}: alert")
        here = f'{where}, alert "{alert}"'
        labels = of_group | _as_texts(given.get("labels"), f"{here}: labels")
        seen[alert] += 1
        yield AlertRule(
            name=alert,
            query=_as_text(given.get("expr"), f"{here}: expr"),
            condition=Condition.ANY,
            threshold=0.0,
            hold_ms=parse_rule_duration_ms(f"{here}: for", _as_duration(given.get("for"))),
            keep_firing_ms=parse_rule_duration_ms(
                f"{here}: keep_firing_for", _as_duration(given.get("keep_firing_for"))
            ),
            interval_ms=interval_ms,
            severity=_choose_severity(labels),
            no_data=Policy.RESOLVE,
            on_error=Policy.KEEP,
            labels=make_labels(labels),
            annotations=_as_texts(given.get("annotations"), f"{here}: annotations"),
            channels=channels,
            origin=RuleOrigin(file, name, f"{alert}/{seen[alert]}"),
        )


def _choose_severity(labels: Mapping[str, str]) -> Severity:
    # Whatever other words a file has for it stay in its label.
    try:
        return Severity(labels.get("severity", ""))
    except ValueError:
        return Severity.WARNING


def _as_duration(value: Any) -> str:
    return value if isinstance(value, str) and value else "0"


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
