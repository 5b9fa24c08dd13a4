"""What receivers heard of alerts, from which process, held against the ledger of changes."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.evaluators import Installation
from tests.support.receivers import Posted, Receiver
from tests.support.stack import Part

Labels = frozenset[tuple[str, str]]
Told = tuple[Labels, int, str]
"""An alert, since when (Unix ms), and "firing" or "resolved"."""

_ROWS = """
SELECT event_id, channel ->> 'target', idempotency_key::text FROM notifications
WHERE channel ->> 'type' = 'webhook'
"""
_EVENTS = """
SELECT id, labels, previous, state, (extract(epoch FROM at) * 1000)::bigint
FROM alert_events ORDER BY id
"""
_TWICE = "SELECT event_id FROM notifications GROUP BY event_id, channel HAVING count(*) > 1"


@dataclass(frozen=True)
class Heard:
    """One POST.

    Attributes:
        at_s: when, by the monotonic clock.
        time_ms: when, Unix ms.
        sender: the evaluator that it came from; None: it is gone already.
        path: where to.
        key: its idempotency key.
        told: what it says.
    """

    at_s: float
    time_ms: int
    sender: Part | None
    path: str
    key: str
    told: tuple[Told, ...]


class Witness:
    """Keeps what a receiver hears, in order.

    Args:
        receiver: gets Alertmanager's form.
        site: its evaluators send.

    Attributes:
        heard: the POSTs.
        on_heard: is called with each before it is answered.
    """

    def __init__(self, receiver: Receiver, site: Installation) -> None:
        self._site = site
        self.heard: list[Heard] = []
        self.on_heard: Callable[[Heard], None] = lambda _heard: None
        receiver.on_post = self._take

    def _take(self, posted: Posted) -> None:
        at_s, time_ms = time.monotonic(), time.time_ns() // 1_000_000
        running = {part.process.pid: part for part in self._site.parts if part.process is not None}
        sender = running.get(find_owner(posted.port, running))
        told = tuple(_read_alert(one) for one in json.loads(posted.body)["alerts"])
        key = posted.headers["idempotency-key"]
        self.heard.append(Heard(at_s, time_ms, sender, posted.path, key, told))
        self.on_heard(self.heard[-1])


def find_owner(port: int, pids: Iterable[int]) -> int:
    """Return which of these processes has the connection from a port of 127.0.0.1; 0: none."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    wanted = {f"socket:[{line[9]}]" for line in lines if line[1] == f"0100007F:{port:04X}"}
    for pid in pids:
        with suppress(OSError):
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    if os.readlink(entry) in wanted:
                        return pid
    return 0


@dataclass(frozen=True)
class Happened:
    """One change of which people are to hear.

    Attributes:
        event_id: the row of alert_events.
        what: the alert, since when, and what became of it.
        at_ms: when, Unix ms.
    """

    event_id: int
    what: Told
    at_ms: int


@dataclass
class Findings:
    """What came of the comparison.

    Attributes:
        firings: changes to firing.
        lost: what some channel that it was for never heard.
        repeated: POSTs that came again under their key: the first and the second time.
        renamed: what a channel heard under another key than the outbox has.
        altered: keys that came again with something else to tell.
        disordered: "firing" after "resolved".
        broken: events that do not begin where the one before ended.
        twice: events with two rows of the outbox for one channel.
        unknown: what was heard and never happened.
    """

    firings: list[Happened]
    lost: list[tuple[Happened, str]]
    repeated: list[tuple[Heard, Heard]]
    renamed: list[Told]
    altered: list[str]
    disordered: list[Told]
    broken: list[int]
    twice: list[int]
    unknown: list[Told]


def compare(
    site: Installation, heard: Sequence[Heard], paths: Mapping[str, Sequence[str]]
) -> Findings:
    """Hold what was heard against what happened.

    Args:
        site: its database says what happened.
        heard: all of it, in order.
        paths: where each rule tells, by its name.
    """
    happened, broken = _read_happened(site)
    # A message may say again what fires on: news is what the outbox has under its key.
    news: dict[tuple[str, int], str] = {
        (urlsplit(target).path, event_id): key for event_id, target, key in site.ask(_ROWS)
    }
    first_keys: dict[tuple[str, Told], str] = {}
    firsts: dict[tuple[str, Told], int] = {}
    lasts: dict[tuple[str, Told], int] = {}
    by_key: dict[tuple[str, str], list[Heard]] = defaultdict(list)
    for number, one in enumerate(heard):
        by_key[one.path, one.key].append(one)
        for told in one.told:
            first_keys.setdefault((one.path, told), one.key)
            firsts.setdefault((one.path, told), number)
            lasts[one.path, told] = number
    due = [(one, path) for one in happened for path in paths[dict(one.what[0])["alertname"]]]
    repeated = [pair for same in by_key.values() for pair in itertools.pairwise(same)]
    known = {one.what for one in happened}
    return Findings(
        firings=[one for one in happened if one.what[2] == "firing"],
        lost=[(one, path) for one, path in due if (path, one.what) not in firsts],
        repeated=repeated,
        renamed=[
            one.what
            for one, path in due
            if first_keys.get((path, one.what)) not in (None, news.get((path, one.event_id)))
        ],
        altered=[again.key for first, again in repeated if set(first.told) != set(again.told)],
        disordered=[
            told
            for (path, told), number in firsts.items()
            if told[2] == "resolved" and lasts.get((path, (*told[:2], "firing")), -1) > number
        ],
        broken=broken,
        twice=[event_id for (event_id,) in site.ask(_TWICE)],
        unknown=sorted({told for _, told in firsts} - known, key=str),
    )


def _read_happened(site: Installation) -> tuple[list[Happened], list[int]]:
    found, broken = [], []
    stood: dict[Labels, str] = {}
    since: dict[Labels, int] = {}
    for event_id, labels, previous, state, at_ms in site.ask(_EVENTS):
        alert = frozenset(labels.items())
        if stood.get(alert, "inactive") != previous:
            broken.append(event_id)
        stood[alert] = state
        if state == "pending" or (state == "firing" and previous != "pending"):
            since[alert] = at_ms
        if state in ("firing", "resolved"):
            found.append(Happened(event_id, (alert, since[alert], state), at_ms))
    return found, broken


def _read_alert(alert: dict[str, object]) -> Told:
    labels, starts = alert["labels"], alert["startsAt"]
    assert isinstance(labels, dict)
    since_ms = round(datetime.fromisoformat(str(starts)).timestamp() * 1000)
    return frozenset(labels.items()), since_ms, str(alert["status"])
