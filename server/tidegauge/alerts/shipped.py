"""The rules about Tidegauge itself that come with it, brought up to date by each version."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from importlib import resources

from tidegauge.alerts.loading import Loaded, load_rules
from tidegauge.alerts.rule_files import parse_rule_file
from tidegauge.auth.actor import Actor
from tidegauge.errors import InvalidInput
from tidegauge.model.alerts import AlertRule
from tidegauge.model.labels import find_label
from tidegauge.query.parsing import QueryParser
from tidegauge.storage.alert_rules import AlertRules

FILE = "tidegauge"
# Where their pages are, as the file has it: a path in the repository.
RUNBOOKS = "docs/runbooks/"
# Whoever is told of the others is not told of those: they only show that alerts are at work.
FOR_NOBODY = "none"


def read_shipped_rules(
    *, parser: QueryParser, off: Collection[str] = (), runbooks: str = RUNBOOKS
) -> list[AlertRule]:
    """Return the shipped rules.

    Args:
        parser: reads their queries.
        off: names of those that are not wanted.
        runbooks: what the addresses of their pages begin with.
    Raises:
        InvalidInput: there is none of such a name.
    """
    text = resources.files("tidegauge.alerts").joinpath("tidegauge.rules.yml").read_text("utf-8")
    groups = parse_rule_file(text, file=FILE, parser=parser, interval_ms=30_000)
    rules = [rule for group in groups for rule in group.alerting]
    unknown = sorted(set(off) - {rule.name for rule in rules})
    if unknown:
        raise InvalidInput(f'there is no shipped rule "{unknown[0]}"')
    return [_place_page(rule, runbooks) for rule in rules if rule.name not in off]


def load_shipped_rules(
    store: AlertRules,
    wanted: Sequence[AlertRule],
    actor: Actor,
    *,
    clock_ms: Callable[[], int],
    channels: tuple[Mapping[str, object], ...] | None = None,
) -> Loaded:
    """Store these over the shipped rules that are there.

    Args:
        store: the rules.
        wanted: all shipped rules that there shall be.
        actor: who does this.
        clock_ms: Unix ms.
        channels: whom they tell; None: whom they tell now.
    Raises:
        Unavailable.
    """
    if channels is None:
        channels = next(
            (
                one.rule.channels
                for one in store.read_all()
                if one.rule.origin is not None
                and one.rule.origin.file == FILE
                and one.rule.channels
            ),
            (),
        )
    told = [
        rule
        if find_label(rule.labels, "severity") == FOR_NOBODY
        else replace(rule, channels=channels)
        for rule in wanted
    ]
    return load_rules(store, FILE, told, actor, clock_ms=clock_ms)


def _place_page(rule: AlertRule, runbooks: str) -> AlertRule:
    page = rule.annotations["runbook_url"].removeprefix(RUNBOOKS)
    return replace(rule, annotations={**rule.annotations, "runbook_url": runbooks + page})
