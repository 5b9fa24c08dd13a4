"""A process of ours under the supervisor: started, watched, stopped, its output kept in a file."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tidegauge.storage import launch

_LOG_BYTES = 16 * 1024 * 1024


class Child:
    """One `tidegauge …` command as a child of this process.

    Args:
        arguments: the command's arguments.
        environment: its whole environment.
        log: the file that its output is appended to.
        keep_fds: descriptors that it inherits.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        keep_fds: Sequence[int] = (),
    ) -> None:
        self._arguments, self._environment = list(arguments), dict(environment)
        self.log, self._keep_fds = log, tuple(keep_fds)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, while there is one."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it."""
        program = [sys.executable, "-P", "-m", "tidegauge", *self._arguments]
        # When the supervisor is killed the database goes, too: there is nothing left to finish,
        # but a port to let go of for the next start. What was acknowledged is committed.
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                launch.command(program, signal_at_parent_death=signal.SIGKILL),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=self._keep_fds,
                start_new_session=True,  # Ctrl-C is for the supervisor, which stops in order.
            )

    def poll(self) -> int | None:
        """Return the exit code if it has ended, else None."""
        return self._process.poll() if self._process else None

    def stop(self, timeout_s: float) -> None:
        """Ask it to stop, and end it if that takes longer than the timeout."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def read_last_output(self, most_bytes: int = 2000) -> str:
        """Return the end of its log."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - most_bytes))
            return log.read().decode("utf-8", errors="replace").strip()

    def rotate_log(self) -> None:
        """Put a large log aside as `….1`; the child goes on writing to the emptied file."""
        if self.log.stat().st_size > _LOG_BYTES:
            shutil.copyfile(self.log, self.log.with_name(self.log.name + ".1"))
            with self.log.open("r+b") as log:
                log.truncate(0)
