"""Reads `.http` files: requests one after another, each with what is wanted in return.

    ### title -> kind and more
    METHOD /path
    Header: value

    body

Lines that begin with a single `#` before the first request are comments.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class RecordedRequest:
    """One request as it is sent, and the kind of answer that is wanted."""

    title: str
    wanted: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: str

    def __str__(self) -> str:
        return self.title


@dataclass(frozen=True)
class RawAnswer:
    """An answer as it came."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def read_requests(path: Path) -> list[RecordedRequest]:
    """Return the requests of a file."""
    _, *parts = path.read_text(encoding="utf-8").split("\n### ")
    return [_read_request(part) for part in parts]


def _read_request(part: str) -> RecordedRequest:
    first, *lines = part.split("\n")
    title, arrow, wanted = first.partition(" -> ")
    assert arrow, first
    method, target = lines[0].split(" ")
    end = lines.index("") if "" in lines else len(lines)
    headers = dict(line.split(": ", 1) for line in lines[1:end])
    return RecordedRequest(title, wanted, method, target, headers, "".join(lines[end:]))


def send_raw(base: str, request: RecordedRequest) -> RawAnswer:
    """Send a request with these headers only, and what HTTP itself wants."""
    place = urlsplit(base)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    try:
        connection.putrequest(request.method, request.target, skip_accept_encoding=True)
        body = request.body.encode()
        for name, value in request.headers.items():
            connection.putheader(name, value)
        if request.method == "POST":
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return RawAnswer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()
