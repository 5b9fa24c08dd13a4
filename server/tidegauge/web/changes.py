"""The log of changes, for what is changed outside of the database. Source: SPEC §8."""

from __future__ import annotations

from collections.abc import Mapping

from tidegauge.web.context import services
from tidegauge.web.identity import current_actor


def record_change(
    action: str, target: str = "", details: Mapping[str, object] | None = None
) -> None:
    """Write down what the sender of this request changes; without a database there is no log.

    Args:
        action, target, details: as of `auth.actor.Actor.entry`.
    Raises:
        Unavailable.
    """
    people = services().people
    if people is not None:
        people.audit.write(current_actor().entry(action, target, details))
