"""What can be wrong with a dashboard, and with a change to one."""

from __future__ import annotations

from tidegauge.errors import Conflict, InvalidInput, TidegaugeError


class InvalidDashboard(InvalidInput):
    """One place in a dashboard is wrong.

    Args:
        path: the place, as `panels[2].position.x`.
        reason: what is wrong with it; with the value, and the limit where there is one.
    """

    code = "bad_dashboard"

    def __init__(self, path: str, reason: str) -> None:
        # A panel that was sent alone has no path of its own.
        self.path, self.reason = path.lstrip("."), reason
        super().__init__(f"{self.path}: {reason}" if self.path else reason)


class StaleVersion(Conflict):
    """The change was made to a version that is not the newest any more.

    Args:
        current: the newest version.
        given: the version the change was made to.
    """

    code = "version_conflict"

    def __init__(self, current: int, given: int) -> None:
        super().__init__(
            f"the dashboard is at version {current}, the change was made to version {given}; "
            "read it again"
        )
        self.current = current


class PreconditionFailed(StaleVersion):
    """The same, where the version came as If-Match."""

    code = "precondition_failed"


class VersionMissing(TidegaugeError):
    """A change to a whole dashboard must say which version it was made to."""

    code = "version_missing"

    def __init__(self) -> None:
        super().__init__(
            'send the "version" that was changed in the body, or its ETag as If-Match; without it '
            "the change could undo another's"
        )
