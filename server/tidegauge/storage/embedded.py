"""The embedded PostgreSQL: one server of our own, in a folder, as a child of this process.

It listens on a unix socket in a private folder and on nothing else. It dies with the process
that started it (Linux), and a start after a crash clears what the crash left behind, but never
touches a server that lives.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import psycopg2

from tidegauge.storage import launch
from tidegauge.storage.embedded_install import (
    POSTGRES_MAJOR,
    EmbeddedPostgresError,
    ServerUser,
    can_enter,
    choose_user,
    find_programs,
    give_to,
)
from tidegauge.storage.embedded_settings import (
    machine_memory_bytes,
    render_settings,
    server_settings,
)

DATABASE = ROLE = "tidegauge"
_SUPERUSER = "postgres"
_PORT = 5432  # Only part of the socket's name.
_POLL_S = 0.02
_SOCKET_PREFIX = "tidegauge-"
_FRESH_PREFIX = ".postgres-new-"
_SOCKET_PATH_BYTES = 107
_SHARED_MEMORY_BUSY = "pre-existing shared memory block"

_ROLE_EXISTS = "SELECT 1 FROM pg_roles WHERE rolname = 'tidegauge'"
_CREATE_ROLE = "CREATE ROLE tidegauge LOGIN"
_DATABASE_EXISTS = "SELECT 1 FROM pg_database WHERE datname = 'tidegauge'"
_CREATE_DATABASE = "CREATE DATABASE tidegauge OWNER tidegauge"


class EmbeddedPostgres:
    """One PostgreSQL server below a folder; `start`, use `url`, `stop`.

    Start it from a thread that lives as long as the server shall: the kernel ties the child's
    life to that thread.

    Args:
        data_dir: holds the cluster in its folder `postgres`; made if it is missing.
        settings: server settings that go over the usual ones.
        programs: the folder of PostgreSQL's programs; those of the wheel by default.
        memory_bytes: the machine's memory, to size buffers from.
        orphan_wait_s: how long a server without supervisor, left by a crash, gets to close down.
        clock_s: a monotonic clock in seconds.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        programs: Path | None = None,
        memory_bytes: int | None = None,
        orphan_wait_s: float = 20,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cluster = data_dir.absolute() / "postgres"
        self._settings = server_settings(memory_bytes or machine_memory_bytes())
        self._settings.update(settings or {})
        self._clock_s, self._orphan_wait_s = clock_s, orphan_wait_s
        self._process: subprocess.Popen[bytes] | None = None
        self._given_programs, self._programs = programs, Path()
        self._user: ServerUser | None = None
        self._sockets = Path()
        self._lock_fd = -1

    @property
    def url(self) -> str:
        """The address of the product's database, for its own role."""
        return self.url_of(DATABASE)

    @property
    def pid(self) -> int | None:
        """The server's process id while it is ours to watch."""
        return self._process.pid if self._process else None

    @property
    def log(self) -> Path:
        """The folder of the server's log, a file for each day of the week."""
        return self.cluster / "log"

    @property
    def startup_log(self) -> Path:
        """The file with what the server says before its own log is open."""
        return self.cluster / "startup.log"

    def url_of(self, database: str, *, superuser: bool = False) -> str:
        """Return the address of a database of this server."""
        role = _SUPERUSER if superuser else ROLE
        return f"postgresql://{role}@/{database}?host={quote(str(self._sockets), safe='')}"

    def start(self, timeout_s: float = 60) -> None:
        """Bring the server up, making the cluster and the database if there are none.

        After it has ended by itself, it may be started again; its address stays.

        Raises:
            EmbeddedPostgresError: another server uses the folder, it holds another version, or
                the server does not come up; the message says which.
        """
        deadline_s = self._clock_s() + timeout_s
        self._programs = self._given_programs or find_programs()
        if self._lock_fd < 0:
            self._take_lock()
        try:
            self._prepare(deadline_s)
            self._spawn_until_ready(deadline_s)
            self._ensure_database()
        except BaseException:
            self.stop()
            raise

    def poll(self) -> int | None:
        """Return the exit code if the server has ended by itself, else None."""
        return self._process.poll() if self._process else None

    def stop(self, timeout_s: float = 30) -> None:
        """Stop the server: fast, and at once if fast takes longer than the timeout."""
        if self._process is not None:
            for order in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                if self._process.poll() is None:
                    self._process.send_signal(order)
                try:
                    self._process.wait(timeout_s)
                    break
                except subprocess.TimeoutExpired:
                    continue
            self._process = None
        if self._sockets != Path():
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = Path()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _take_lock(self) -> None:
        """Keep every other process of ours off the folder; the kernel frees it if we die."""
        path = self.cluster.parent / "tidegauge.lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock_fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise EmbeddedPostgresError(f"cannot use {path.parent}: {exc}") from exc
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = os.read(lock_fd, 32).decode("ascii", errors="replace").partition("\n")[0]
            os.close(lock_fd)
            raise EmbeddedPostgresError(
                f"{path.parent} is in use by a Tidegauge with pid {holder or 'unknown'}: "
                "stop it first, or choose another --data-dir"
            ) from exc
        self._lock_fd = lock_fd
        self._remove_remains(os.read(lock_fd, 4096).decode("utf-8", errors="replace"))
        self._note_in_lock("")

    def _note_in_lock(self, sockets: str) -> None:
        """Write who holds the lock, and what the next one has to clean up after a crash."""
        os.truncate(self._lock_fd, 0)
        os.pwrite(self._lock_fd, f"{os.getpid()}\n{sockets}\n".encode(), 0)

    def _remove_remains(self, noted: str) -> None:
        """Remove what a killed predecessor left: its socket folder, half-made clusters."""
        for line in noted.splitlines()[1:]:
            if Path(line).name.startswith(_SOCKET_PREFIX):
                shutil.rmtree(line, ignore_errors=True)
        for fresh in self.cluster.parent.glob(f"{_FRESH_PREFIX}*"):
            shutil.rmtree(fresh, ignore_errors=True)

    def _prepare(self, deadline_s: float) -> None:
        try:
            self._prepare_folder()
            self._clear_leftovers(deadline_s)
            self._write_settings()
            if self._sockets == Path():
                self._sockets = self._make_socket_folder()
                self._note_in_lock(str(self._sockets))
        except OSError as exc:
            raise EmbeddedPostgresError(f"cannot use {self.cluster}: {exc}") from exc

    def _prepare_folder(self) -> None:
        self.cluster.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._user = choose_user(self.cluster)
        if self._user is not None:
            give_to(self.cluster, self._user)
        version_file = self.cluster / "PG_VERSION"
        if not version_file.exists():
            self._initialise()
        version = version_file.read_text(encoding="ascii").strip()
        if version != str(POSTGRES_MAJOR):
            raise EmbeddedPostgresError(
                f"{self.cluster} was made by PostgreSQL {version}, this is {POSTGRES_MAJOR}: "
                "upgrade it with pg_upgrade, or choose another --data-dir"
            )

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there, so that half of one never counts."""
        if any(self.cluster.iterdir()):
            raise EmbeddedPostgresError(
                f"{self.cluster} is not empty and holds no PostgreSQL; choose another --data-dir"
            )
        fresh = Path(tempfile.mkdtemp(prefix=_FRESH_PREFIX, dir=self.cluster.parent))
        try:
            if self._user is not None:
                give_to(fresh, self._user)
            self._run_initdb(fresh)
            with (fresh / "postgresql.conf").open("a", encoding="utf-8") as conf:
                conf.write("\ninclude 'tidegauge.conf'\n")
            fresh.replace(self.cluster)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _run_initdb(self, folder: Path) -> None:
        options = f"-U {_SUPERUSER} -E UTF8 --locale=C --locale-provider=builtin "
        options += "--builtin-locale=C.UTF-8 --data-checksums --auth=trust"
        command = [str(self._programs / "initdb"), "-D", str(folder), *options.split()]
        done = subprocess.run(  # noqa: S603  (a program of the installed wheel)
            self._as_child(command),
            cwd="/",
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            if self._user is not None and "Operation not permitted" in said:
                said += " (root lacks its usual rights here: start as a plain user)"
            raise EmbeddedPostgresError(f"initdb failed in {folder.parent}: {said}")

    def _clear_leftovers(self, deadline_s: float) -> None:
        """Drop a lock file whose server is gone; give an orphan the time to close down.

        We hold the folder's own lock, so a server that lives lost its supervisor and was told to
        stop by the kernel, or somebody started it by hand; that one does not go away.
        """
        deadline_s = min(deadline_s, self._clock_s() + self._orphan_wait_s)
        lock = self.cluster / "postmaster.pid"
        while (pid := _read_pid(lock)) is not None:
            if not self._is_our_server(pid):
                lock.unlink(missing_ok=True)
                return
            if self._expired(deadline_s):
                raise EmbeddedPostgresError(
                    f"a PostgreSQL server with pid {pid} is running on {self.cluster}: "
                    "stop it first, or choose another --data-dir"
                )
            self._pause()

    def _is_our_server(self, pid: int) -> bool:
        """Return whether this pid is a server on our cluster, not a stranger with its number."""
        if pid <= 0:
            return False
        proc = Path("/proc") / str(pid)
        if Path("/proc/self").exists():
            try:
                name = (proc / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return name == "postgres" and (proc / "cwd").samefile(self.cluster)
            except OSError:
                return False
        listed = subprocess.run(  # noqa: S603
            ["/bin/ps", "-o", "command=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        return str(self.cluster) in listed.stdout

    def _write_settings(self) -> None:
        path = self.cluster / "tidegauge.conf"
        path.write_text(render_settings(self._settings), encoding="utf-8")
        if self._user is not None:
            os.chown(path, self._user.uid, self._user.gid)

    def _make_socket_folder(self) -> Path:
        """Make a private folder whose path is short enough for a socket's name."""
        for base in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  (mkdtemp makes it private)
            folder = Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir=base))
            if len(os.fsencode(folder / f".s.PGSQL.{_PORT}")) <= _SOCKET_PATH_BYTES:
                if self._user is not None:
                    os.chown(folder, self._user.uid, self._user.gid)
                return folder
            folder.rmdir()
        raise EmbeddedPostgresError("no temporary folder with a path short enough for a socket")

    def _spawn_until_ready(self, deadline_s: float) -> None:
        command = [str(self._programs / "postgres"), "-D", str(self.cluster)]
        command += ["-k", str(self._sockets), "-p", str(_PORT)]
        while True:
            with self.startup_log.open("wb") as log:
                self._process = subprocess.Popen(  # noqa: S603
                    self._as_child(command),
                    cwd="/",
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is for the supervisor, which stops in order.
                )
            if self._wait_ready(deadline_s):
                return
            said = self.startup_log.read_text(encoding="utf-8", errors="replace").strip()
            # A killed server's last children hold its memory for a moment longer.
            if _SHARED_MEMORY_BUSY in said and not self._expired(deadline_s):
                self._pause()
                continue
            ended = self._process.poll() is not None
            what = "ended at its start" if ended else "does not answer in time"
            raise EmbeddedPostgresError(
                f"PostgreSQL on {self.cluster} {what}; it said:\n{said[-2000:]}\n"
                f"(more in {self.log})"
            )

    def _wait_ready(self, deadline_s: float) -> bool:
        """Return whether the server took a connection before it ended or the time was up."""
        assert self._process is not None
        url = self.url_of("postgres", superuser=True)
        while not self._expired(deadline_s):
            try:
                psycopg2.connect(url, connect_timeout=5).close()
                return True
            except psycopg2.OperationalError:
                try:
                    self._process.wait(_POLL_S)
                    return False
                except subprocess.TimeoutExpired:
                    continue
        return False

    def _ensure_database(self) -> None:
        url = self.url_of("postgres", superuser=True)
        with closing(psycopg2.connect(url, connect_timeout=5)) as connection:
            connection.autocommit = True  # CREATE DATABASE wants no transaction.
            with connection.cursor() as cursor:
                for exists, create in (
                    (_ROLE_EXISTS, _CREATE_ROLE),
                    (_DATABASE_EXISTS, _CREATE_DATABASE),
                ):
                    cursor.execute(exists)
                    if cursor.fetchone() is None:
                        cursor.execute(create)

    def _as_child(self, command: list[str]) -> list[str]:
        if self._user is None:
            return launch.command(command, signal_at_parent_death=signal.SIGINT)
        places = (self._programs, self.cluster.parent)
        return launch.command(
            command,
            signal_at_parent_death=signal.SIGINT,
            uid=self._user.uid,
            gid=self._user.gid,
            reach=not all(can_enter(place, self._user) for place in places),
        )

    def _environment(self) -> dict[str, str]:
        """Nothing of ours, such as secrets, and no PG* variable reaches the server."""
        return {"LC_ALL": "C", "PATH": f"{self._programs}:/usr/bin:/bin"}

    def _expired(self, deadline_s: float) -> bool:
        return self._clock_s() >= deadline_s

    def _pause(self) -> None:
        time.sleep(_POLL_S)


def _read_pid(lock: Path) -> int | None:
    """Return the pid in a postmaster.pid, 0 if it is garbled, None if there is no such file."""
    try:
        first = lock.read_text(encoding="utf-8", errors="replace").split("\n")[0].strip()
    except FileNotFoundError:
        return None
    return int(first) if first.isdigit() else 0
