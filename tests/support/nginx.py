"""The repository's own nginx.conf under a real nginx, its neighbours on loopback ports."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.debian import find_program
from tests.support.servers import Server, free_port, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
NOBODY = "127.0.0.1:9"


def render_config(folder: Path, *, port: int, api: Sequence[str], grafana: str) -> str:
    """Return deploy/nginx/nginx.conf with other addresses, ports and folders, else unchanged.

    Args:
        folder: stands for /tmp.
        port: stands for 3000.
        api: two addresses (`127.0.0.1:4001`) that stand for those of the API servers.
        grafana: the address that stands for Grafana's.
    """
    text = (REPOSITORY / "deploy/nginx/nginx.conf").read_text(encoding="utf-8")
    changes = {
        r"/tmp/": f"{folder}/",
        r"listen 3000;": f"listen 127.0.0.1:{port};",
        r"server api-1:3001 ": f"server {api[0]} ",
        r"server api-2:3002 ": f"server {api[1]} ",
        r"set \$grafana grafana:3000;": f"set $grafana {grafana};",
    }
    for old, new in changes.items():
        text, count = re.subn(old, new.replace("\\", r"\\"), text)
        assert count, f"nginx.conf no longer holds {old!r}"
    # Started by root, its worker would be a user who may not enter a test's folder.
    return text if os.geteuid() else f"user root;\n{text}"


def prepare_nginx(
    folder: Path, *, port: int, api: Sequence[str], grafana: str = NOBODY
) -> list[str]:
    """Write the configuration into a folder, and return the command that runs nginx with it.

    Args:
        folder: for its files.
        port: where it listens.
        api: the addresses of the API servers.
        grafana: that of Grafana; by default nobody listens there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nginx.conf"
    config.write_text(render_config(folder, port=port, api=api, grafana=grafana))
    files = ["-p", str(folder), "-e", "stderr", "-c", str(config)]
    return [str(find_program("nginx")), *files, "-g", "daemon off;"]


@contextlib.contextmanager
def run_nginx(folder: Path, *, api: Sequence[str], grafana: str = NOBODY) -> Iterator[Server]:
    """Run nginx with the repository's configuration before two API servers.

    Args:
        folder: for its files; its log is `nginx.log` there.
        api: the addresses of the API servers.
        grafana: that of Grafana; by default nobody listens there.
    """
    port = free_port()
    command = prepare_nginx(folder, port=port, api=api, grafana=grafana)
    with (folder / "nginx.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(
            lambda: process.poll() is not None or _listens(port),
            timeout_s=30,
            what=f"nginx listens; see {folder / 'nginx.log'}",
        )
        assert process.poll() is None, (folder / "nginx.log").read_text()
        yield Server(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
