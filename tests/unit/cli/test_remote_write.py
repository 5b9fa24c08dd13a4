"""The demo's remote-write sender, against bytes built by other means and a real socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import cramjam
import pytest
from tidegauge.cli.remote_write import encode_metadata, encode_series, send
from tidegauge.errors import InvalidInput, TidegaugeError, Unavailable

from tests.support import wire

POINTS = [(1_700_000_000_000, 1.5), (1_700_000_015_000, -2.25)]


class Receiver(HTTPServer):
    """Keeps what is posted and answers as told."""

    status = 204
    received: list[tuple[str, dict[str, str], bytes]]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.end_headers()
        if self.server.status >= 300:
            self.wfile.write(b"no room")

    def log_message(self, *_args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(("127.0.0.1", 0), _Handler) as server:
        server.received = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


def test_series_is_encoded_with_its_name_among_sorted_labels() -> None:
    labels = {"__name__": "cpu", "zone": "ä" * 100, "Host": "a"}

    encoded = encode_series("cpu", (("zone", "ä" * 100), ("Host", "a")), POINTS)

    assert encoded == wire.write_request([(labels, POINTS)])


def test_metadata_is_encoded() -> None:
    wanted = b"\x08\x01" + b"".join(
        wire.field(number, text) for number, text in ((2, b"n"), (4, b"What it is."), (5, b"s"))
    )

    assert encode_metadata("n", "counter", "What it is.", "s") == wire.field(3, wanted)


def test_request_is_what_the_specification_asks_for(receiver: Receiver) -> None:
    fields = [encode_series("cpu", (("host", "a"),), POINTS)]

    send(receiver.address, fields)

    ((path, headers, body),) = receiver.received
    assert path == "/prometheus/api/v1/write"
    assert wire.HEADERS.items() <= headers.items()
    assert bytes(cramjam.snappy.decompress_raw(body)) == fields[0]


@pytest.mark.parametrize(
    ("status", "family"), [(503, Unavailable), (429, Unavailable), (400, InvalidInput)]
)
def test_refusal_tells_status_and_text_and_whether_to_come_back(
    receiver: Receiver, status: int, family: type[TidegaugeError]
) -> None:
    receiver.status = status

    with pytest.raises(family, match=f"answered {status} to samples: no room"):
        send(receiver.address, [])


def test_nobody_there_is_unavailable(free_port: int) -> None:
    with pytest.raises(Unavailable, match="does not take samples"):
        send(f"http://127.0.0.1:{free_port}", [], timeout_s=5)
