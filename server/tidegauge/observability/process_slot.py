"""A small number for this process among its like on this machine, free again when it ends.

Process numbers would do to tell processes apart, but each restart would make new series of all
own metrics, until the cardinality guard refuses them.
"""

from __future__ import annotations

import os
import socket

MOST_SLOTS = 1000


class ProcessSlot:
    """Holds the lowest free number among the processes of one service, from `claim` to `close`.

    The number is held by an abstract Unix socket: the kernel gives it back however the process
    ends, and nothing lies about on disk. Where there are none, it is the process number.

    Args:
        service: whose processes are counted ("api", "worker").
        scope: tells installations on the same machine apart, such as a digest of the database's
            address.
    """

    def __init__(self, service: str, *, scope: str) -> None:
        self._service, self._scope = service, scope
        self._held: socket.socket | None = None

    def claim(self) -> str:
        """Return this process's name, `<service>-<number>`."""
        for number in range(MOST_SLOTS):
            holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                holder.bind(f"\0tidegauge/{self._scope}/{self._service}/{number}")
            except OSError:
                holder.close()
                continue
            self.close()
            self._held = holder
            return f"{self._service}-{number}"
        return f"{self._service}-{os.getpid()}"

    def close(self) -> None:
        """Give the number back."""
        held, self._held = self._held, None
        if held is not None:
            held.close()
