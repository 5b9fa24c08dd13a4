"""Tasks run side by side; of those that are forgotten nothing is left to be done."""

from __future__ import annotations

import threading
from functools import partial

from tidegauge.alerts.workers import Workers


def test_what_is_forgotten_before_it_began_never_begins() -> None:
    workers: Workers[str] = Workers(threads=1, name="test")
    began, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def hang() -> str:
        began.set()
        go_on.wait(30)
        return "slow"

    def note(name: str) -> str:
        done.append(name)
        return name

    workers.start(hang)
    for _ in range(20):
        workers.start(partial(note, "old"))
    assert began.wait(30)

    workers.forget()
    workers.start(partial(note, "new"))
    go_on.set()

    assert workers.collect(30) == "new"
    assert (done, workers.under_way) == (["new"], 0)
    workers.close()
