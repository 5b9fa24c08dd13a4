"""Finds a program, or brings it from its Debian package.

What runs from anywhere is unpacked without installing anything. Servers that want their own user,
folders and a runtime are installed, as root only, and not started.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "debian"
PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "victoria-metrics": "victoria-metrics",
    "amtool": "prometheus-alertmanager",
}
INSTALLED_PACKAGES = {
    "rabbitmq-server": "rabbitmq-server",
    "redis-server": "redis-server",
    "nginx": "nginx-light",
}
# Where Debian puts servers; not on everybody's PATH.
_SERVER_FOLDERS = ("/usr/sbin", "/usr/local/sbin")


class ProgramMissing(Exception):
    """The program is not here and could not be unpacked; the message says what was tried."""


def find_program(name: str) -> Path:
    """Return the path of a program: from TIDEGAUGE_TEST_<NAME>, PATH, the cache, or Debian.

    Raises:
        ProgramMissing: with what to do.
    """
    variable = "TIDEGAUGE_TEST_" + name.upper().replace("-", "_")
    given = os.environ.get(variable) or _look_up(name)
    if given:
        return Path(given)
    if name in INSTALLED_PACKAGES:
        return _install(name, variable)
    unpacked = CACHE / "usr" / "bin" / name
    if not unpacked.exists():
        _unpack(PACKAGES[name], variable)
    return unpacked


def _look_up(name: str) -> str | None:
    folders = os.pathsep.join([os.environ.get("PATH", ""), *_SERVER_FOLDERS])
    return shutil.which(name, path=folders)


def _install(name: str, variable: str) -> Path:
    package = INSTALLED_PACKAGES[name]
    missing = ProgramMissing(f"{package}: not on this machine; install it, or set {variable}")
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise missing
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Level 1 is maintenance: Debian's scripts start no service there.
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
        if not _run(install, CACHE, quiet) and _run(["apt-get", "update", "-qq"], CACHE):
            _run(install, CACHE, quiet)
    found = _look_up(name)
    if found is None:
        raise missing
    return Path(found)


def _unpack(package: str, variable: str) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise ProgramMissing(f"{package}: not on this machine; install it, or set {variable}")
    folder = CACHE / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    with (CACHE / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _unpack_alone(package, folder, variable)


def _unpack_alone(package: str, folder: Path, variable: str) -> None:
    if not _download(package, folder) and os.geteuid() == 0:
        _run(["apt-get", "update", "-qq"], folder)
        _download(package, folder)
    found = sorted(folder.glob(f"{package}_*.deb"))
    if not found:
        raise ProgramMissing(f"{package}: its Debian package cannot be had; set {variable}")
    if not _run(["dpkg-deb", "-x", str(found[-1]), str(CACHE)], folder):
        raise ProgramMissing(f"{package}: {found[-1]} does not unpack")


def _download(package: str, folder: Path) -> bool:
    return _run(["apt-get", "download", "-qq", package], folder)


def _run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> bool:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, timeout=300, check=False
    )
    return done.returncode == 0
