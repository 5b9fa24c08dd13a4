"""Dashboards loaded from a folder of files: at the start, and whenever a file changes.

A dashboard that came from a file is nobody's: everybody sees it, admins may edit it, and their
edits stay when the file changes. Several processes may do this on one database; what one has
loaded the others find done.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import orjson
from structlog.typing import FilteringBoundLogger

from tidegauge.dashboards.access import Sender
from tidegauge.dashboards.errors import InvalidDashboard, StaleVersion
from tidegauge.dashboards.files import find_files, read_file
from tidegauge.dashboards.grafana_diff import Change, diff_dashboards
from tidegauge.dashboards.grafana_import import import_dashboard
from tidegauge.dashboards.grafana_json import Json, text
from tidegauge.dashboards.guarded import guarded
from tidegauge.dashboards.merge import merge
from tidegauge.dashboards.reads import Dashboard
from tidegauge.dashboards.service import DashboardService, Expected
from tidegauge.errors import Conflict, InvalidInput, NotFound
from tidegauge.storage.dashboard_files import DashboardFiles
from tidegauge.storage.dashboard_rows import DashboardFilter, DashboardRow, FileRow

MAX_FILES = 10_000


@dataclass(frozen=True, slots=True)
class Drift:
    """How a dashboard differs from the file that it came from.

    Args:
        file: the file.
        changes: the edits: old is the file's, new the dashboard's.
    """

    file: FileRow
    changes: list[Change]


class Provisioning:
    """Keeps dashboards as the files of a folder say.

    Args:
        folder: the files.
        files: the record of what was loaded.
        dashboards: the dashboards.
        sender: who loads them, for the log of changes.
        datasource_uid: for inputs that ask for a Prometheus.
        log: is told of each file that was loaded, or cannot be.
    """

    def __init__(
        self,
        *,
        folder: Path | None,
        files: DashboardFiles,
        dashboards: DashboardService,
        sender: Sender,
        datasource_uid: str,
        log: FilteringBoundLogger,
    ) -> None:
        self._folder, self._files, self._dashboards = folder, files, dashboards
        self._sender, self._datasource_uid, self._log = sender, datasource_uid, log
        self._seen: dict[str, tuple[int, int]] = {}
        self._refused: set[str] = set()
        self._folder_is_away = False
        self.breaker = dashboards.breaker

    def scan(self) -> int:
        """Load what has changed since the last scan; return how many files were loaded.

        A file that cannot be loaded is told once, and tried again when it changes.

        Raises:
            Unavailable: the database is away.
        """
        if self._folder is None:
            return 0
        try:
            paths = find_files(self._folder)[:MAX_FILES]
        except InvalidDashboard as exc:
            # A folder that is away for a moment must not cost anybody a dashboard.
            if not self._folder_is_away:
                self._log.warning("dashboards cannot be loaded", reason=exc.message)
            self._folder_is_away = True
            return 0
        self._folder_is_away = False
        held = {row.path: row for row in self._files.read_all()}
        names = {str(path.relative_to(self._folder)): path for path in paths}
        taken = {row.dashboard_id: row.path for row in held.values() if row.path in names}
        loaded = 0
        for name, path in names.items():
            loaded += self._look(path, name, held.pop(name, None), taken)
        for row in held.values():
            self._files.forget(row.path)
            self._seen.pop(row.path, None)
            self._log.info("dashboard's file is gone; the dashboard stays", file=row.path)
        return loaded

    @guarded
    def read_drift(self, sender: Sender, dashboard_id: int) -> Drift:
        """Return how a dashboard differs from its file.

        Raises:
            NotFound: it may not be seen, or came from no file.
        """
        held = self._dashboards.read(sender, dashboard_id)
        found = self._files.read(dashboard_id)
        if found is None:
            raise NotFound(f"dashboard {dashboard_id} came from no file")
        row, body = found
        return Drift(row, diff_dashboards(orjson.loads(body), held.document))

    def _look(self, path: Path, name: str, known: FileRow | None, taken: dict[int, str]) -> bool:
        """Load a file if it is not the one that was loaded; return whether it was.

        Args:
            known: what was loaded from it before.
            taken: the files that dashboards come from, by their ids; this one joins them.
        """
        stamp = _stamp(path)
        settled = known is not None or name in self._refused
        if stamp is None or (settled and self._seen.get(name) == stamp):
            return False
        try:
            loaded = self._load_anew(path, name, known, taken)
            self._refused.discard(name)
        except StaleVersion:
            # Somebody edits it at this moment; the next scan finds it as it is then.
            return False
        except (InvalidInput, Conflict) as exc:
            self._log.warning("dashboard cannot be loaded", file=name, reason=exc.message)
            self._refused.add(name)
            loaded = False
        self._seen[name] = stamp
        return loaded

    def _load_anew(
        self, path: Path, name: str, known: FileRow | None, taken: dict[int, str]
    ) -> bool:
        sent, digest = read_file(path), _digest(path)
        if known is not None and known.digest == digest:
            return False
        new = import_dashboard(sent, inputs={}, datasource_uid=self._datasource_uid).document
        # Without a uid of its own a file would make a new dashboard each time.
        new["uid"] = text(new.get("uid")) or hashlib.sha256(name.encode()).hexdigest()[:32]
        row = self._find(known, new, taken)
        message = f"loaded from {name}"
        if row is None:
            dashboard = self._dashboards.take(
                self._sender,
                new,
                inputs={},
                fields={"public": True, "message": message},
                overwrite=True,
            ).dashboard
            conflicts: list[str] = []
        else:
            dashboard, conflicts = self._renew(row, new, message)
        self._files.store(
            dashboard.row.id,
            path=name,
            digest=digest,
            body=orjson.dumps({**new, "uid": dashboard.row.uid}),
            conflicts=conflicts,
        )
        taken[dashboard.row.id] = name
        told = {"file": name, "dashboard": dashboard.row.id, "conflicts": conflicts}
        self._log.info("dashboard loaded", **told)
        return True

    def _find(self, known: FileRow | None, new: Json, taken: dict[int, str]) -> DashboardRow | None:
        if known is not None:
            return self._dashboards.read(self._sender, known.dashboard_id).row
        wanted = DashboardFilter(uid=new["uid"], limit=1)
        row = next(iter(self._dashboards.search(self._sender, wanted)), None)
        if row is not None and row.owner_id is not None:
            raise InvalidDashboard("uid", f"dashboard {row.id}, which is {row.owner}'s, has it")
        if row is not None and row.id in taken:
            raise InvalidDashboard("uid", f"the dashboard of {taken[row.id]} has it, too")
        return row

    def _renew(self, row: DashboardRow, new: Json, message: str) -> tuple[Dashboard, list[str]]:
        """Put a new edition of its file under a dashboard's edits."""
        held = self._dashboards.read(self._sender, row.id)
        found = self._files.read(row.id)
        base = orjson.loads(found[1]) if found is not None else held.document
        named = {"uid": row.uid, "id": None}
        merged = merge({**base, **named}, held.document, {**new, **named})
        if merged.document == held.document:
            return held, merged.conflicts
        changed = self._dashboards.change(
            self._sender,
            row.id,
            lambda _held: merged.document,
            Expected(held.row.version),
            {"message": message},
            is_whole=True,
        )
        return changed, merged.conflicts


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
