"""The signals that ask a process to stop."""

from __future__ import annotations

import signal
import threading
from types import FrameType


def catch_signals() -> threading.Event:
    """Return the event that SIGINT, SIGTERM and a closed terminal set."""
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN or number == signal.SIGTERM:
            signal.signal(number, ask_to_stop)  # nohup ignores SIGHUP, and so it stays.
    return stop
