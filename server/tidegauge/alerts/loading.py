"""Brings the stored rules in line with a rule file; what has not changed goes on undisturbed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tidegauge.alerts.evaluation import end_alert
from tidegauge.auth.actor import Actor
from tidegauge.model.alerts import AlertRule
from tidegauge.model.recording import RecordingRule
from tidegauge.storage.alert_rules import AlertRules
from tidegauge.storage.recording_rules import RecordingRules


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many rules of a file were made, changed, deleted, and left as they were."""

    made: int
    changed: int
    deleted: int
    same: int

    def __add__(self, other: Loaded) -> Loaded:
        """Return both together."""
        return Loaded(
            self.made + other.made,
            self.changed + other.changed,
            self.deleted + other.deleted,
            self.same + other.same,
        )


def load_rules(
    store: AlertRules,
    file: str,
    wanted: Sequence[AlertRule],
    actor: Actor,
    *,
    clock_ms: Callable[[], int],
) -> Loaded:
    """Store a file's alerting rules over those that were loaded from it before.

    It may be done again at any time, also after it was broken off.

    Args:
        store: the rules.
        file: the name by which its rules are known.
        wanted: its rules; all of them come from that file.
        actor: who does this.
        clock_ms: Unix ms.
    Raises:
        Unavailable.
    """
    there = {
        one.rule.origin: one.rule
        for one in store.read_all()
        if one.rule.origin is not None and one.rule.origin.file == file
    }
    made = changed = same = 0
    for rule in wanted:
        old = None if rule.origin is None else there.pop(rule.origin, None)
        if old is None:
            store.add(rule, actor.entry("alert.create", details={"name": rule.name, "file": file}))
            made += 1
        elif _is_same(old, rule):
            same += 1
        else:
            entry = actor.entry("alert.update", f"alert:{old.id}", {"name": rule.name})
            end = None
            if old.query != rule.query:
                reason = "the rule's query was changed"
                end = partial(end_alert, old, reason=reason, now_ms=clock_ms())
            store.replace(replace(rule, id=old.id, owner_id=old.owner_id), entry, end=end)
            changed += 1
    for old in there.values():
        end = partial(end_alert, old, reason="the rule was deleted", now_ms=clock_ms())
        entry = actor.entry("alert.delete", f"alert:{old.id}", {"name": old.name, "file": file})
        store.delete(old.id, entry, end=end)
    return Loaded(made, changed, len(there), same)


def load_recordings(
    store: RecordingRules, file: str, wanted: Sequence[RecordingRule], actor: Actor
) -> Loaded:
    """Store a file's recording rules over those that were loaded from it before.

    Args:
        As `load_rules`.
    Raises:
        Unavailable.
    """
    there = {one.rule.origin: one.rule for one in store.read_all() if one.rule.origin.file == file}
    made = changed = same = 0
    for rule in wanted:
        old = there.pop(rule.origin, None)
        if old is None:
            store.add(
                rule, actor.entry("recording.create", details={"name": rule.record, "file": file})
            )
            made += 1
        elif replace(rule, id=old.id, revision=old.revision) == old:
            same += 1
        else:
            entry = actor.entry("recording.update", f"recording:{old.id}", {"name": rule.record})
            store.replace(replace(rule, id=old.id), entry)
            changed += 1
    for old in there.values():
        details = {"name": old.record, "file": file}
        store.delete(old.id, actor.entry("recording.delete", f"recording:{old.id}", details))
    return Loaded(made, changed, len(there), same)


def _is_same(old: AlertRule, new: AlertRule) -> bool:
    kept = replace(
        new,
        id=old.id,
        owner_id=old.owner_id,
        revision=old.revision,
        created_ms=old.created_ms,
        changed_ms=old.changed_ms,
    )
    return kept == old
