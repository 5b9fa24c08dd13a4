"""The embedded PostgreSQL as a real process: crashes, locks, users, places."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg2
import pytest
from tidegauge.storage import launch
from tidegauge.storage.embedded import EmbeddedPostgres
from tidegauge.storage.embedded_install import EmbeddedPostgresError, find_programs

from tests.support.servers import wait_until

Start = Callable[[Path], EmbeddedPostgres]

# A process that starts the server, tells its pid, and waits to be killed.
HOLDER = """
import sys
from pathlib import Path
from tidegauge.storage.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.pid, server.url, flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture
def start() -> Iterator[Start]:
    """Start servers that are stopped after the test."""
    servers: list[EmbeddedPostgres] = []

    def start_server(data_dir: Path) -> EmbeddedPostgres:
        servers.append(EmbeddedPostgres(data_dir, orphan_wait_s=2))
        servers[-1].start()
        return servers[-1]

    yield start_server
    for server in servers:
        server.stop()


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], int, str]]]:
    """Start a server in a process of its own; give (that process, the server's pid, its url)."""
    holders: list[subprocess.Popen[str]] = []

    def start_holder(
        data_dir: Path, wrap: Callable[[list[str]], list[str]] = lambda command: command
    ) -> tuple[subprocess.Popen[str], int, str]:
        command = wrap([sys.executable, "-c", HOLDER, str(data_dir)])
        holder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/"
        )
        holders.append(holder)
        assert holder.stdout is not None
        pid, url = holder.stdout.readline().split()
        return holder, int(pid), url

    yield start_holder
    for holder in holders:
        holder.communicate(timeout=60)


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url, connect_timeout=5)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def socket_folder(url: str) -> Path:
    return Path(parse_qs(urlsplit(url).query)["host"][0])


def is_running(pid: int) -> bool:
    """Return whether this process lives; one that only waits to be collected does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_data_is_there_after_a_stop_and_a_start(start: Start, tmp_path: Path) -> None:
    first = start(tmp_path)
    execute(first.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    first.stop()

    second = start(tmp_path)

    assert execute(second.url, "SELECT answer FROM kept") == [(42,)]


def test_stop_removes_the_socket_folder(start: Start, tmp_path: Path) -> None:
    server = start(tmp_path)
    folder = socket_folder(server.url)
    assert folder.stat().st_mode & 0o777 == 0o700

    server.stop()

    assert not folder.exists()


def test_server_listens_on_no_network_address(start: Start, tmp_path: Path) -> None:
    assert execute(start(tmp_path).url, "SHOW listen_addresses") == [("",)]


def test_product_is_no_superuser(start: Start, tmp_path: Path) -> None:
    rows = execute(
        start(tmp_path).url, "SELECT current_user, rolsuper FROM pg_roles WHERE rolname = user"
    )

    assert rows == [("tidegauge", False)]


def test_server_is_durable_and_checks_pages(start: Start, tmp_path: Path) -> None:
    url = start(tmp_path).url

    for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
        assert execute(url, f"SHOW {name}") == [("on",)]
    assert execute(url, "SHOW server_encoding") == [("UTF8",)]
    assert execute(url, "SELECT datlocale FROM pg_database WHERE datname = 'tidegauge'") == [
        ("C.UTF-8",)
    ]


def test_start_after_kill_9_recovers(start: Start, tmp_path: Path) -> None:
    first = start(tmp_path)
    execute(first.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: first.poll() is not None, timeout_s=10, what="the server dies")

    first.start()

    assert execute(first.url, "SELECT answer FROM kept") == [(42,)]


def test_address_stays_when_a_dead_server_is_started_again(start: Start, tmp_path: Path) -> None:
    server = start(tmp_path)
    before = server.url
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: server.poll() is not None, timeout_s=10, what="the server dies")

    server.start()

    assert server.url == before


def test_stale_lock_with_the_pid_of_a_stranger_is_cleared(start: Start, tmp_path: Path) -> None:
    start(tmp_path).stop()
    lock = tmp_path / "postgres/postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{tmp_path / 'postgres'}\n1\n5432\n/tmp\n\n\nready\n")

    assert execute(start(tmp_path).url, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("text", ["", "no number\n", "-1\n", "0\n", "99999999\n"])
def test_garbled_lock_is_cleared(start: Start, tmp_path: Path, text: str) -> None:
    start(tmp_path).stop()
    (tmp_path / "postgres/postmaster.pid").write_text(text)

    assert execute(start(tmp_path).url, "SELECT 1") == [(1,)]


def test_second_start_on_the_same_folder_names_the_first_ones_pid(
    start: Start, tmp_path: Path
) -> None:
    first = start(tmp_path)

    with pytest.raises(
        EmbeddedPostgresError, match=f"in use by a Tidegauge with pid {os.getpid()}"
    ):
        start(tmp_path)

    assert execute(first.url, "SELECT 1") == [(1,)]


def test_server_started_by_hand_is_named_and_left_alone(start: Start, tmp_path: Path) -> None:
    start(tmp_path).stop()
    owner = (tmp_path / "postgres/PG_VERSION").stat()
    command = [str(find_programs() / "postgres"), "-D", str(tmp_path / "postgres")]
    foreign = subprocess.Popen(
        launch.command(
            [*command, "-k", str(tmp_path / "postgres"), "-c", "logging_collector=off"],
            signal_at_parent_death=signal.SIGINT,
            uid=owner.st_uid if os.geteuid() == 0 else None,
            gid=owner.st_gid if os.geteuid() == 0 else None,
            reach=os.geteuid() == 0,
        ),
        stderr=subprocess.DEVNULL,
        cwd="/",
    )
    lock = tmp_path / "postgres/postmaster.pid"
    try:
        wait_until(
            lambda: lock.exists() and "ready" in lock.read_text(), timeout_s=20, what="it is up"
        )

        with pytest.raises(
            EmbeddedPostgresError, match=f"server with pid {foreign.pid} is running"
        ):
            start(tmp_path)

        assert foreign.poll() is None
    finally:
        foreign.send_signal(signal.SIGINT)
        foreign.wait(30)


def test_server_dies_with_its_killed_parent_and_the_next_start_works(
    start: Start,
    hold: Callable[..., tuple[subprocess.Popen[str], int, str]],
    tmp_path: Path,
) -> None:
    holder, pid, url = hold(tmp_path)
    execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")

    holder.kill()
    holder.wait(10)

    server = start(tmp_path)
    assert execute(server.url, "SELECT answer FROM kept") == [(42,)]
    wait_until(lambda: not is_running(pid), timeout_s=10, what="the old server is gone")


def test_start_after_a_kill_removes_the_old_socket_folder(
    start: Start,
    hold: Callable[..., tuple[subprocess.Popen[str], int, str]],
    tmp_path: Path,
) -> None:
    holder, _, url = hold(tmp_path)
    folder = socket_folder(url)
    assert folder.exists()

    holder.kill()
    holder.wait(10)
    start(tmp_path)

    assert not folder.exists()


def test_half_made_cluster_of_a_killed_start_is_removed(start: Start, tmp_path: Path) -> None:
    half = tmp_path / ".postgres-new-abc"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")

    start(tmp_path)

    assert not half.exists()


def test_cluster_of_another_version_is_refused(start: Start, tmp_path: Path) -> None:
    start(tmp_path).stop()
    (tmp_path / "postgres/PG_VERSION").write_text("15\n")

    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 15, this is 18"):
        start(tmp_path)


def test_folder_with_other_things_in_it_is_refused(start: Start, tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres/thesis.tex").write_text("mine")

    with pytest.raises(EmbeddedPostgresError, match="holds no PostgreSQL"):
        start(tmp_path)

    assert (tmp_path / "postgres/thesis.tex").read_text() == "mine"


def test_data_directory_that_is_a_file_is_refused(start: Start, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    with pytest.raises(EmbeddedPostgresError, match="cannot use"):
        start(tmp_path / "data")


def test_damaged_cluster_tells_what_the_server_said(start: Start, tmp_path: Path) -> None:
    start(tmp_path).stop()
    (tmp_path / "postgres/global/pg_control").unlink()

    with pytest.raises(EmbeddedPostgresError, match="could not find the database system"):
        start(tmp_path)


def test_long_path_with_spaces_below_a_closed_folder(start: Start, tmp_path: Path) -> None:
    closed = tmp_path / "closed to others"
    deep = closed / ("long " * 20) / ("name " * 20) / 'it\'s "mine" $HOME ünï'
    deep.mkdir(parents=True)
    closed.chmod(0o700)

    server = start(deep)

    admin_url = server.url_of("postgres", superuser=True)
    assert execute(admin_url, "SHOW data_directory") == [(str(deep / "postgres"),)]


def test_programs_below_a_closed_folder(tmp_path: Path) -> None:
    install = find_programs().parent
    closed = tmp_path / "closed site packages"
    for part in (install, install.parent.with_name(f"{install.parent.name}.libs")):
        if part.exists():
            place = closed / part.relative_to(install.parent.parent)
            shutil.copytree(part, place, symlinks=True)
    closed.chmod(0o700)
    programs = closed / install.relative_to(install.parent.parent) / "bin"
    server = EmbeddedPostgres(tmp_path / "data", programs=programs)

    server.start()

    try:
        assert execute(server.url, "SELECT 1") == [(1,)]
        assert os.path.samefile(f"/proc/{server.pid}/exe", programs / "postgres")
    finally:
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start it for another user")
def test_root_runs_it_as_somebody_else_with_next_to_nothing(start: Start, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = start(closed)
    status = Path(f"/proc/{server.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)

    assert "0" not in fields["Uid"].split()
    assert int(fields["CapEff"], 16).bit_count() <= 1
    assert (closed / "postgres").stat().st_uid != 0
    assert closed.stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_directory_of_another_user_keeps_its_owner_and_serves_both(
    start: Start,
    hold: Callable[..., tuple[subprocess.Popen[str], int, str]],
    tmp_path: Path,
) -> None:
    nobody = pwd.getpwnam("nobody")
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    os.chown(data_dir, nobody.pw_uid, nobody.pw_gid)

    def as_nobody(command: list[str]) -> list[str]:
        return launch.command(
            command, signal_at_parent_death=9, uid=nobody.pw_uid, gid=nobody.pw_gid, reach=True
        )

    holder, _, url = hold(data_dir, as_nobody)
    execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    holder.communicate(timeout=60)
    by_root = start(data_dir)
    rows = execute(by_root.url, "SELECT answer FROM kept")
    by_root.stop()
    _, _, url = hold(data_dir, as_nobody)

    assert rows == execute(url, "SELECT answer FROM kept") == [(42,)]
    assert (data_dir / "postgres/PG_VERSION").stat().st_uid == nobody.pw_uid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of somebody else's")
def test_directory_of_somebody_else_is_refused_to_a_plain_user(
    start: Start, tmp_path: Path
) -> None:
    nobody = pwd.getpwnam("nobody")
    start(tmp_path).stop()
    owner = (tmp_path / "postgres").stat().st_uid
    (tmp_path / "tidegauge.lock").chmod(0o666)
    command = launch.command(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        signal_at_parent_death=9,
        uid=nobody.pw_uid,
        gid=nobody.pw_gid,
        reach=True,
    )

    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, cwd="/"
    )

    assert f"belongs to user {pwd.getpwuid(owner).pw_name}, not to nobody" in done.stderr
