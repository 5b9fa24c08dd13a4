"""Who makes a change, and from where: what the audit log says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidegauge.auth.principal import Principal
from tidegauge.storage.accounts_rows import AuditEntry


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody at work.

    Args:
        key, name: the principal's.
        address: where the request came from; "" for a command.
        request_id: the request's.
    """

    key: str
    name: str
    address: str = ""
    request_id: str = ""

    @classmethod
    def of(cls, principal: Principal, *, address: str, request_id: str) -> Actor:
        """Return a principal at work in a request."""
        return cls(principal.key, principal.name, address, request_id)

    def entry(
        self, action: str, target: str = "", details: Mapping[str, object] | None = None
    ) -> AuditEntry:
        """Return what the audit log says of one change.

        Args:
            action: as in "user.create".
            target: as in "user:7"; "" where the change makes the id.
            details: more, without secrets.
        """
        return AuditEntry(
            actor=self.key,
            actor_name=self.name,
            action=action,
            target=target,
            details=details or {},
            address=self.address,
            request_id=self.request_id,
        )


COMMAND = Actor("command", "the command line")
SYSTEM = Actor("system", "Tidegauge itself")
