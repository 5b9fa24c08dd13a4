"""Who may see a dashboard, and who may change it. Source: SPEC §8.

What may not be seen does not exist, for whoever asks; what may be seen may still be another's.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge.auth.actor import Actor
from tidegauge.auth.principal import Principal
from tidegauge.auth.seen import seen_by
from tidegauge.errors import Forbidden
from tidegauge.storage.dashboard_rows import DashboardRow


@dataclass(frozen=True, slots=True)
class Sender:
    """Who asks for a change.

    Args:
        principal: what they may do.
        actor: what the log of changes says of them.
    """

    principal: Principal
    actor: Actor

    @classmethod
    def of(cls, principal: Principal) -> Sender:
        """Return somebody at work outside of any request."""
        return cls(principal, Actor(principal.key, principal.name))


def may_see(principal: Principal, row: DashboardRow) -> bool:
    """Return whether somebody may see a dashboard."""
    seen = seen_by(principal)
    own = seen.user_id is not None and seen.user_id == row.owner_id
    return principal.may("dashboard:read") and (row.is_public or seen.everything or own)


def check_may_change(principal: Principal, row: DashboardRow, action: str) -> None:
    """Return if somebody may do this to a dashboard that they see.

    Args:
        action: "update" or "delete".
    Raises:
        Forbidden: they may not.
    """
    if not principal.may_touch("dashboard", action, row.owner_id):
        raise Forbidden(f"dashboard {row.id} is another's; its owner and admins may {action} it")
