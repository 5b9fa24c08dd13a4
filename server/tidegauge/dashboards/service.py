"""Dashboards for whoever may see and change them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import orjson

from tidegauge.auth.seen import seen_by
from tidegauge.config import DashboardsConfig
from tidegauge.dashboards.access import Sender, check_may_change, may_see
from tidegauge.dashboards.dashboard_view import NEW, apply_dashboard, tags_of
from tidegauge.dashboards.errors import InvalidDashboard, PreconditionFailed, StaleVersion
from tidegauge.dashboards.grafana_import import import_dashboard
from tidegauge.dashboards.grafana_json import Json, all_panels, integer, text
from tidegauge.dashboards.grafana_queries import find_faults
from tidegauge.dashboards.guarded import guarded
from tidegauge.dashboards.reads import Dashboard, DashboardReads
from tidegauge.dashboards.turns import Turns
from tidegauge.dashboards.validation import check_bounds, check_change, check_new
from tidegauge.errors import Conflict, Forbidden, NotFound
from tidegauge.query.parsing import QueryParser
from tidegauge.resilience.breaker import CircuitBreaker
from tidegauge.storage.accounts_rows import AuditEntry
from tidegauge.storage.dashboard_folders import DashboardFolders
from tidegauge.storage.dashboard_rows import (
    Author,
    DashboardContent,
    DashboardFilter,
    DashboardRow,
)
from tidegauge.storage.dashboards import Dashboards

MAX_ID = 2**31 - 1
MAX_WARNINGS = 100
ATTEMPTS = 30
"""So often is a change that names no version made anew, when another process came before it."""

_UID = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Expected:
    """The version that a change was made to.

    Args:
        version: its number.
        is_header: whether it came as If-Match.
    """

    version: int
    is_header: bool = False

    def stale(self, current: int) -> StaleVersion:
        """Return the error that says that it is not the newest."""
        return (PreconditionFailed if self.is_header else StaleVersion)(current, self.version)


@dataclass(frozen=True, slots=True)
class Taken:
    """A Grafana dashboard that was taken in.

    Args:
        dashboard: what it became.
        warnings: what will not work as it is.
        is_new: whether it is a new one, or the next version of one.
    """

    dashboard: Dashboard
    warnings: Sequence[str]
    is_new: bool


Change = Callable[[Dashboard], Json]


class DashboardService:
    """Makes, finds, changes and deletes dashboards.

    Every method raises Unavailable when the database is away; what `sender` may not see raises
    NotFound, what they may see and not change Forbidden.

    Args:
        store: the record.
        folders: the folders.
        reads: reads through the cache.
        parser: checks queries.
        config: limits.
        breaker: refuses at once while the database keeps failing.
        new_uid: makes a uid.
    """

    def __init__(
        self,
        *,
        store: Dashboards,
        folders: DashboardFolders,
        reads: DashboardReads,
        parser: QueryParser,
        config: DashboardsConfig,
        breaker: CircuitBreaker,
        new_uid: Callable[[], str],
    ) -> None:
        self._store, self._folders, self._reads = store, folders, reads
        self._parser, self._config, self._new_uid = parser, config, new_uid
        self.breaker = breaker
        self._turns = Turns()

    @property
    def datasource(self) -> Json:
        """Grafana's reference to the data source that new queries go to."""
        return {"type": "prometheus", "uid": self._config.datasource_uid}

    @guarded
    def search(self, sender: Sender, wanted: DashboardFilter) -> list[DashboardRow]:
        """Return the dashboards that fit and may be seen, by title."""
        return self._store.search(wanted, seen_by(sender.principal))

    @guarded
    def read(self, sender: Sender, dashboard_id: int) -> Dashboard:
        """Return a dashboard as it is at this moment."""
        return self._read(sender, dashboard_id)

    @guarded
    def create(self, sender: Sender, fields: Json) -> Dashboard:
        """Store a new dashboard, which is theirs.

        Args:
            fields: as `dashboard_view.view_dashboard` shows them; `public`, `folder`, `message`.
        Raises:
            InvalidDashboard, PayloadTooLarge, Conflict.
        """
        self._check_may_create(sender)
        document = apply_dashboard(NEW, fields, datasource=self.datasource, last_panel=0)
        check_new(document, self._config, self._parser)
        return self._add(sender, document, fields)

    @guarded
    def update(
        self, sender: Sender, dashboard_id: int, fields: Json, expected: Expected | None
    ) -> Dashboard:
        """Store the next version of a dashboard.

        Args:
            fields: as of `create`; what is missing stays.
            expected: None: whatever is the newest.
        Raises:
            InvalidDashboard, PayloadTooLarge, StaleVersion.
        """

        def change(held: Dashboard) -> Json:
            return apply_dashboard(
                held.document,
                fields,
                datasource=self.datasource,
                last_panel=held.row.last_panel,
            )

        return self.change(sender, dashboard_id, change, expected, fields)

    @guarded
    def delete(self, sender: Sender, dashboard_id: int, expected: Expected | None) -> None:
        """Delete a dashboard with all its versions.

        Raises:
            StaleVersion.
        """
        for _ in range(ATTEMPTS):
            row = self.find_row(sender, dashboard_id)
            check_may_change(sender.principal, row, "delete")
            if expected is not None and expected.version != row.version:
                raise expected.stale(row.version)
            if self._store.delete(row.id, row.version, _entry(sender, "delete", row.title)):
                self._reads.forget(row.id)
                return
        raise _too_busy(dashboard_id)

    @guarded
    def take(
        self,
        sender: Sender,
        sent: Any,
        *,
        inputs: Mapping[str, str],
        fields: Json,
        overwrite: bool,
    ) -> Taken:
        """Take in a Grafana dashboard: as a new one, or as the next version of the one of its uid.

        Args:
            sent: classic Grafana JSON.
            inputs: what the inputs of a shared export stand for.
            fields: `public`, `folder`, `message`.
            overwrite: replace the one of the same uid.
        Raises:
            InvalidDashboard, PayloadTooLarge: it cannot be kept.
            Conflict: there is one of this uid, and `overwrite` is not said.
        """
        self._check_may_create(sender)
        imported = import_dashboard(sent, inputs=inputs, datasource_uid=self._config.datasource_uid)
        document = imported.document
        check_bounds(document, self._config)
        faults = find_faults(document, self._parser)[:MAX_WARNINGS]
        warnings = [
            *imported.warnings,
            *(f"{fault.query.path}: the query does not parse: {fault.reason}" for fault in faults),
        ]
        held = self._find_by_uid(sender, text(document.get("uid")))
        if held is None:
            return Taken(self._add(sender, document, fields), warnings, is_new=True)
        if not overwrite:
            raise Conflict(
                f'dashboard {held.id} has the uid "{held.uid}" already; '
                '"overwrite": true replaces it'
            )
        changed = self.change(sender, held.id, lambda _held: document, None, fields, is_whole=True)
        return Taken(changed, warnings, is_new=False)

    def change(
        self,
        sender: Sender,
        dashboard_id: int,
        change: Change,
        expected: Expected | None,
        fields: Json,
        *,
        is_whole: bool = False,
    ) -> Dashboard:
        """Store what a change makes of a dashboard; for the services beside this one.

        Args:
            change: returns the new document; called again when another came before it.
            expected: None: whatever is the newest.
            fields: `public`, `folder`, `message` where they are to change.
            is_whole: the document comes from outside or from before, odd as it may be; it is held
                to its bounds only.
        Raises:
            InvalidDashboard, PayloadTooLarge, StaleVersion.
        """
        # Who names a version waits for nobody: of several one is right, whoever comes first.
        with self._turns.wait(dashboard_id) if expected is None else nullcontext():
            return self._change(sender, dashboard_id, change, expected, fields, is_whole=is_whole)

    def _change(
        self,
        sender: Sender,
        dashboard_id: int,
        change: Change,
        expected: Expected | None,
        fields: Json,
        *,
        is_whole: bool,
    ) -> Dashboard:
        for _ in range(ATTEMPTS):
            held = self._read(sender, dashboard_id)
            check_may_change(sender.principal, held.row, "update")
            if expected is not None and expected.version != held.row.version:
                raise expected.stale(held.row.version)
            document = {**change(held), "uid": held.row.uid, "id": None}
            if is_whole:
                check_bounds(document, self._config)
            else:
                check_change(held.document, document, self._config, self._parser)
            content = self._content(document, held.row, fields)
            saved = self._store.save(
                dashboard_id,
                held.row.version,
                content,
                author=_author(sender, fields),
                audit=_entry(sender, "update", content.title),
                kept=self._config.versions_kept,
            )
            if saved is not None:
                self._reads.forget(dashboard_id)
                return Dashboard(saved, document)
        raise _too_busy(dashboard_id)

    def find_row(self, sender: Sender, dashboard_id: int) -> DashboardRow:
        """Return a dashboard's row, if they may see it; for the services beside this one."""
        row = self._store.read(dashboard_id) if 0 < dashboard_id <= MAX_ID else None
        if row is None or not may_see(sender.principal, row):
            raise NotFound(f"there is no dashboard {dashboard_id}")
        return row

    def _read(self, sender: Sender, dashboard_id: int) -> Dashboard:
        found = self._reads.read(self.find_row(sender, dashboard_id))
        # It may have become private, or have gone, between the two looks.
        if found is None or not may_see(sender.principal, found.row):
            raise NotFound(f"there is no dashboard {dashboard_id}")
        return found

    def _find_by_uid(self, sender: Sender, uid: str) -> DashboardRow | None:
        row = self._store.read_by_uid(uid) if _UID.fullmatch(uid) else None
        return row if row is not None and may_see(sender.principal, row) else None

    def _check_may_create(self, sender: Sender) -> None:
        if not sender.principal.may("dashboard:create"):
            raise Forbidden(f"{sender.principal.name} may not create dashboards")

    def _add(self, sender: Sender, document: Json, fields: Json) -> Dashboard:
        wished = text(document.get("uid"))
        # A uid that belongs to what they may not see is taken; they get another one.
        for uid in (wished if _UID.fullmatch(wished) else self._new_uid(), self._new_uid()):
            document = {**document, "uid": uid}
            content = self._content(document, None, fields)
            row = self._store.add(
                content,
                owner_id=sender.principal.user_id,
                author=_author(sender, fields),
                audit=_entry(sender, "create", content.title),
                most=self._config.total,
            )
            if row is not None:
                return Dashboard(row, document)
        raise Conflict("two new uids in a row were taken")

    def _content(self, document: Json, row: DashboardRow | None, fields: Json) -> DashboardContent:
        folder = fields.get("folder", row.folder if row is not None else None) or None
        if folder is not None and "folder" in fields and self._folders.read(folder) is None:
            raise InvalidDashboard("folder", f'there is no folder "{folder}"')
        numbers = [integer(panel.get("id")) for _, panel in all_panels(document)]
        return DashboardContent(
            body=orjson.dumps(document),
            uid=text(document.get("uid")),
            is_public=bool(fields.get("public", row.is_public if row is not None else False)),
            folder=folder,
            title=text(document.get("title")),
            description=text(document.get("description")),
            tags=tags_of(document),
            panels=len(numbers),
            last_panel=max([row.last_panel if row is not None else 0, *numbers]),
        )


def _author(sender: Sender, fields: Json) -> Author:
    return Author(sender.principal.user_id, sender.principal.name, text(fields.get("message")))


def _entry(sender: Sender, action: str, title: str) -> AuditEntry:
    return sender.actor.entry(f"dashboard.{action}", details={"title": title})


def _too_busy(dashboard_id: int) -> Conflict:
    return Conflict(f"dashboard {dashboard_id} was changed {ATTEMPTS} times meanwhile; try again")
