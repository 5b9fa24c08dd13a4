"""Reads what a product costs: processor time and memory of its whole process tree, and disk."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
LOG_FOLDERS = {"pg_wal", "wal"}


def process_tree(pid: int) -> list[int]:
    """Return this process and all below it."""
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{current}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """Return processor seconds of the tree, those of children already ended included."""
    total = 0
    for current in process_tree(pid):
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{current}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(part) for part in stat[11:15])
    return total / TICKS


def memory_bytes(pid: int) -> int:
    """Return the proportional set size of the tree: shared pages count once."""
    total = 0
    for current in process_tree(pid):
        with contextlib.suppress(OSError, IndexError, ValueError):
            rollup = Path(f"/proc/{current}/smaps_rollup").read_text()
            total += int(rollup.split("\nPss:")[1].split()[0]) * 1024
    return total


@dataclass(frozen=True)
class Disk:
    """What lies on disk, in bytes: write-ahead logs, and all else."""

    data: int
    log: int


def disk_usage(folder: Path) -> Disk:
    """Return what the files below a folder take on disk."""
    found = {True: 0, False: 0}
    for path, _, files in os.walk(folder):
        is_log = not LOG_FOLDERS.isdisjoint(Path(path).relative_to(folder).parts)
        for name in files:
            with contextlib.suppress(OSError):
                found[is_log] += os.stat(os.path.join(path, name)).st_blocks * 512
    return Disk(data=found[False], log=found[True])


class Peak:
    """The largest memory seen while it watched."""

    bytes = 0


@contextlib.contextmanager
def watch_memory(pid: int, every_s: float = 0.5) -> Iterator[Peak]:
    """Watch a product's memory while the block runs."""
    peak, stop = Peak(), threading.Event()

    def watch() -> None:
        while not stop.wait(every_s):
            peak.bytes = max(peak.bytes, memory_bytes(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()
        peak.bytes = max(peak.bytes, memory_bytes(pid))
