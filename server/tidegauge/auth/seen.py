"""What somebody may see of what belongs to people. Source: SPEC §8."""

from __future__ import annotations

from tidegauge.auth.principal import Principal
from tidegauge.storage.dashboard_rows import Seen


def seen_by(principal: Principal) -> Seen:
    """Return which dashboards somebody may see, and what is tied to them."""
    return Seen(everything=principal.may("dashboard:read:any"), user_id=principal.user_id)
