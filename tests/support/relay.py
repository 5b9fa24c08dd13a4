"""A relay between a process and its neighbour that acts while a chosen message is on its way.

It knows of AMQP and of PostgreSQL's protocol where a message ends and what a few of them are.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from psycopg2.extensions import parse_dsn

Target = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""
Forward = Callable[[bytes], None]
Act = Callable[[bytes, Forward], None]
"""Gets the message, and what sends bytes on; what it does not send on is lost."""

_CONNECT_S = 5.0
_READ_BYTES = 1 << 16


class Way(Enum):
    """The direction of a message."""

    TO_SERVER = 1
    TO_CLIENT = 2


@dataclass(frozen=True)
class Sort:
    """Messages of one sort: which way they go, and how they are told from others."""

    way: Way
    matches: Callable[[bytes], bool]


@dataclass
class Trap:
    """Acts once, when on one connection messages of these sorts have come in this order.

    Args:
        sorts: the last is the message on which it acts; it is still in the relay then.
        act: what is done with it, on the relay's thread; that connection waits meanwhile.
    """

    sorts: Sequence[Sort]
    act: Act
    sprung: threading.Event = field(default_factory=threading.Event)
    _progress: dict[int, int] = field(default_factory=dict)
    _taken: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def takes(self, connection: int, way: Way, message: bytes) -> bool:
        """Return whether this is the message to act on."""
        with self._lock:
            if self._taken:
                return False
            place = self._progress.get(connection, 0)
            wanted = self.sorts[place]
            if way is not wanted.way or not wanted.matches(message):
                return False
            self._progress[connection] = place + 1
            self._taken = place + 1 == len(self.sorts)
            return self._taken

    def wait(self, timeout_s: float) -> None:
        """Return once it has acted."""
        assert self.sprung.wait(timeout_s), f"no such message within {timeout_s} s"


class Relay:
    """Listens on a port of loopback, and passes on what comes to its target and back.

    Args:
        target: where to.
        measure: the bytes of the message that a buffer begins with, 0 if it cannot be told yet;
            it is told whether the message is the client's first.
    """

    def __init__(self, target: Target, measure: Callable[[bytearray, bool], int]) -> None:
        self._target, self._measure = target, measure
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._trap: Trap | None = None
        self._slow: tuple[Sort, float] | None = None
        self._hurry = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def set_trap(self, act: Act, *sorts: Sort) -> Trap:
        """Act on the message that comes after others of these sorts, in place of passing it on.

        The trap before, if it has not acted yet, is gone.
        """
        self._trap = Trap(sorts, act)
        return self._trap

    def slow_down(self, sort: Sort, delay_s: float) -> None:
        """Keep each message of this sort, and what follows it, back for a while."""
        self._hurry.clear()
        self._slow = (sort, delay_s)

    def speed_up(self) -> None:
        """Keep nothing back any more."""
        self._slow = None
        self._hurry.set()

    def close(self) -> None:
        """End it, and all its connections."""
        self.speed_up()
        # Closing alone does not wake the thread that waits for the next connection.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            sockets = list(self._sockets)
        for one in sockets:
            _hang_up(one)

    def _accept(self) -> None:
        for number in itertools.count():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = _connect(self._target)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._sockets |= {client, server}
            for way, source, sink in (
                (Way.TO_SERVER, client, server),
                (Way.TO_CLIENT, server, client),
            ):
                threading.Thread(
                    target=self._pump, args=(number, way, source, sink), daemon=True
                ).start()

    def _pump(self, connection: int, way: Way, source: socket.socket, sink: socket.socket) -> None:
        buffer, first = bytearray(), way is Way.TO_SERVER
        try:
            while data := source.recv(_READ_BYTES):
                buffer += data
                while 0 < (size := self._measure(buffer, first)) <= len(buffer):
                    message, first = bytes(buffer[:size]), False
                    del buffer[:size]
                    self._pass(connection, way, message, sink.sendall)
        except OSError:
            return  # One side has hung up, which the other is told below.
        finally:
            for one in (source, sink):
                _hang_up(one)
            with self._lock:
                self._sockets -= {source, sink}

    def _pass(self, connection: int, way: Way, message: bytes, forward: Forward) -> None:
        slow, trap = self._slow, self._trap
        if slow is not None and way is slow[0].way and slow[0].matches(message):
            self._hurry.wait(slow[1])
        if trap is None or not trap.takes(connection, way, message):
            forward(message)
            return
        try:
            trap.act(message, forward)
        finally:
            trap.sprung.set()


def _connect(target: Target) -> socket.socket:
    if isinstance(target, str):
        server = socket.socket(socket.AF_UNIX)
        server.settimeout(_CONNECT_S)
        try:
            server.connect(target)
        except OSError:
            server.close()
            raise
    else:
        server = socket.create_connection(target, timeout=_CONNECT_S)
    server.settimeout(None)
    return server


def _hang_up(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


def measure_amqp(buffer: bytearray, first: bool) -> int:
    """Return the length of the AMQP 0-9-1 frame in front; a client's first is its greeting."""
    if first:
        return 8
    return 8 + int.from_bytes(buffer[3:7], "big") if len(buffer) >= 7 else 0


def measure_postgresql(buffer: bytearray, first: bool) -> int:
    """Return the length of PostgreSQL's message in front; a client's first has no letter.

    Source: PostgreSQL, "Message Formats". The client must not ask for encryption.
    """
    start = 0 if first else 1
    if len(buffer) < start + 4:
        return 0
    return start + int.from_bytes(buffer[start : start + 4], "big")


def socket_of(database_url: str) -> str:
    """Return the path of the Unix socket at which this PostgreSQL listens."""
    parts = parse_dsn(database_url)
    return f"{parts['host']}/.s.PGSQL.{parts.get('port', '5432')}"


def relayed_url(database_url: str, relay: Relay) -> str:
    """Return the address of the same database through a relay."""
    parts = parse_dsn(database_url)
    place = f"{parts['user']}@127.0.0.1:{relay.port}/{parts['dbname']}"
    return f"postgresql://{place}?sslmode=disable&gssencmode=disable"


def _begins(way: Way, head: bytes) -> Sort:
    return Sort(way, lambda message: message.startswith(head))


def _is_ack(frame: bytes) -> bool:
    # A method frame of class 60, basic, method 80.
    return frame[0] == 1 and frame[7:11] == struct.pack(">HH", 60, 80)


def query(*words: str) -> Sort:
    """Return the sort of statements that hold all these words."""
    return Sort(
        Way.TO_SERVER,
        lambda message: message[:1] == b"Q" and all(word.encode() in message for word in words),
    )


CONFIRM = Sort(Way.TO_CLIENT, _is_ack)
COPY_DATA = _begins(Way.TO_SERVER, b"d")
COPY_DONE = _begins(Way.TO_SERVER, b"c")
COMMIT = query("COMMIT")
COMMITTED = Sort(Way.TO_CLIENT, lambda message: message[:1] == b"C" and message[5:] == b"COMMIT\0")
STATEMENT_ENDED = _begins(Way.TO_CLIENT, b"Z")

_TERMINATED = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
TERMINATED = b"E" + struct.pack(">i", 4 + len(_TERMINATED)) + _TERMINATED
"""What a client hears in place of an answer when its server is told to end the connection."""
