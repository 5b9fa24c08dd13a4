"""Finds a program, or unpacks it from its Debian package without installing anything."""

from __future__ import annotations

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
}


class ProgramMissing(Exception):
    """The program is not here and could not be unpacked; the message says what was tried."""


def find_program(name: str) -> Path:
    """Return the path of a program: from TIDEGAUGE_TEST_<NAME>, PATH, the cache, or Debian.

    Raises:
        ProgramMissing: with what to do.
    """
    variable = "TIDEGAUGE_TEST_" + name.upper().replace("-", "_")
    given = os.environ.get(variable) or shutil.which(name)
    if given:
        return Path(given)
    unpacked = CACHE / "usr" / "bin" / name
    if not unpacked.exists():
        _unpack(PACKAGES[name], variable)
    return unpacked


def _unpack(package: str, variable: str) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise ProgramMissing(f"{package}: not on this machine; install it, or set {variable}")
    folder = CACHE / "packages"
    folder.mkdir(parents=True, exist_ok=True)
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


def _run(command: list[str], folder: Path) -> bool:
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=300, check=False)
    return done.returncode == 0
