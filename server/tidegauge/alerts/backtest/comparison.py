"""How two rules differ over the same time. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tidegauge.alerts.backtest.spells import Spell
from tidegauge.model.labels import Labels


@dataclass(frozen=True, slots=True)
class Difference:
    """What one rule tells and the other does not.

    Two spells are the same if they have the same labels and fire at the same time for a while.

    Args:
        only_first, only_second: the spells of which the other rule tells nothing.
        delays_ms: how much later the second one fires, for each of the first one's other spells.
    """

    only_first: list[Spell]
    only_second: list[Spell]
    delays_ms: list[int]


def compare(first: Sequence[Spell], second: Sequence[Spell], *, end_ms: int) -> Difference:
    """Return how the spells of two rules differ.

    Args:
        first, second: their spells that fired, those of one label set in time order, apart.
        end_ms: the end of the range, to which those last that did not end; Unix ms.
    """
    theirs, ours = _index(second), _index(first)
    only_first, delays_ms = [], []
    for spell in first:
        other = _find_overlap(spell, theirs.get(spell.labels, ()), end_ms)
        if other is None:
            only_first.append(spell)
        else:
            delays_ms.append((other.fired_ms or 0) - (spell.fired_ms or 0))
    only_second = [
        spell
        for spell in second
        if _find_overlap(spell, ours.get(spell.labels, ()), end_ms) is None
    ]
    return Difference(only_first, only_second, delays_ms)


def _index(spells: Iterable[Spell]) -> dict[Labels, list[Spell]]:
    found: dict[Labels, list[Spell]] = defaultdict(list)
    for spell in spells:
        found[spell.labels].append(spell)
    return found


def _find_overlap(spell: Spell, others: Sequence[Spell], end_ms: int) -> Spell | None:
    """Return the first of the others that fires while the spell does."""
    at = bisect_left(others, spell.fired_ms or 0, key=lambda one: _end(one, end_ms))
    if at == len(others) or (others[at].fired_ms or 0) > _end(spell, end_ms):
        return None
    return others[at]


def _end(spell: Spell, end_ms: int) -> int:
    return end_ms if spell.ended_ms is None else spell.ended_ms
