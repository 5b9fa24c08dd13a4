"""Dashboards in files: found, read, checked, and written for Grafana's file provider."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tidegauge.dashboards.dashboard_view import apply_dashboard, view_dashboard
from tidegauge.dashboards.errors import InvalidDashboard
from tidegauge.dashboards.grafana_diff import Change, diff_dashboards
from tidegauge.dashboards.grafana_import import import_dashboard, resolve
from tidegauge.dashboards.grafana_json import ROW, Json, all_panels, text
from tidegauge.dashboards.grafana_queries import QueryFault, extract_queries, find_faults
from tidegauge.query.parsing import QueryParser

MAX_FILE_BYTES = 64 * 1024 * 1024
_UNSAFE = re.compile(r"[^\w.-]+")
_NAME_CHARS = 80


@dataclass(frozen=True, slots=True)
class FileCheck:
    """What became of one file that was taken in and given out again.

    Args:
        path: the file.
        fault: why it cannot be taken in; "" when it can.
        panels, queries: how many there are; rows are no panels.
        changes: what differs between the file and what is given out.
        query_faults: queries that do not parse.
    """

    path: Path
    fault: str = ""
    panels: int = 0
    queries: int = 0
    changes: list[Change] = field(default_factory=list)
    query_faults: list[QueryFault] = field(default_factory=list)


def find_files(place: Path) -> list[Path]:
    """Return a file, or the JSON files anywhere below a folder but hidden ones, by name.

    Raises:
        InvalidDashboard: there is neither.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise InvalidDashboard("", f"there is no file or folder {place}")
    # A volume of Kubernetes has every file a second time, in a hidden folder.
    return sorted(
        found
        for found in place.rglob("*.json")
        if found.is_file() and not _is_hidden(found.relative_to(place))
    )


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def read_file(path: Path) -> Any:
    """Return the JSON in a file.

    Raises:
        InvalidDashboard: it cannot be read, is too long, or is no JSON.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidDashboard("", f"{path} is longer than {MAX_FILE_BYTES} bytes")
        return orjson.loads(path.read_bytes())
    except OSError as exc:
        raise InvalidDashboard("", f"{path} cannot be read: {exc.strerror}") from exc
    except orjson.JSONDecodeError as exc:
        raise InvalidDashboard("", f"{path} is not JSON: {exc}") from exc


def check_file(path: Path, parser: QueryParser, *, datasource_uid: str) -> FileCheck:
    """Take a dashboard in, give it out, and tell what differs and what does not parse.

    A change made through the API's form of it is tried, too: it may change nothing else.
    """
    try:
        sent = read_file(path)
        source = resolve(sent, inputs={}, datasource_uid=datasource_uid).document
        taken = import_dashboard(sent, inputs={}, datasource_uid=datasource_uid).document
    except InvalidDashboard as exc:
        return FileCheck(path, fault=exc.message)
    given = orjson.loads(orjson.dumps(taken))
    panels = [panel for _, panel in all_panels(taken) if panel.get("type") != ROW]
    return FileCheck(
        path,
        panels=len(panels),
        queries=len(extract_queries(taken)),
        changes=[*diff_dashboards(source, given), *_side_effects(given)],
        query_faults=find_faults(taken, parser),
    )


def _side_effects(document: Json) -> list[Change]:
    """Return what changes besides, when titles are changed through the API's form."""
    shown = view_dashboard(document)
    shown["title"] += " *"
    for panel in shown["panels"]:
        panel["title"] += " *"
    changed = apply_dashboard(document, shown, datasource={}, last_panel=0)
    changes = diff_dashboards(document, changed)
    return [one for one in changes if one.path.rpartition(".")[2] != "title"]


def file_name(document: Json) -> str:
    """Return a name for a dashboard's file, which its uid makes one of its own."""
    return f"{_safe(text(document.get('title')))}-{_safe(text(document.get('uid')))}.json"


def folder_path(uid: str | None, folders: Mapping[str, tuple[str, str | None]]) -> Path:
    """Return the path of a folder below that of all.

    Args:
        uid: the folder; None: at the top.
        folders: (title, uid of the parent) by uid.
    """
    parts: list[str] = []
    while uid is not None and uid in folders and len(parts) < len(folders):
        title, uid = folders[uid]
        parts.append(_safe(title))
    return Path(*reversed(parts))


def write_file(path: Path, document: Json) -> None:
    """Write a dashboard so that a reader sees the old file or the new one, and no half of it.

    Raises:
        InvalidDashboard: it cannot be written.
    """
    body = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _removed_on_failure(beside):
            beside.write_bytes(body)
            os.replace(beside, path)
    except OSError as exc:
        raise InvalidDashboard("", f"{path} cannot be written: {exc.strerror}") from exc


@contextlib.contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _safe(name: str) -> str:
    return _UNSAFE.sub("-", name).strip("-.")[:_NAME_CHARS] or "untitled"
