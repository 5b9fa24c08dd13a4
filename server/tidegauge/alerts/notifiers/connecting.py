"""Connects to where a name leads, if one may go there, and cuts what takes too long."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue

from tidegauge.alerts.notifiers.protocol import NotDelivered
from tidegauge.config.access import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_IPV6_INTERNET = ipaddress.IPv6Network("2000::/3")
# Not global, or leads to the machine that runs the virtual ones, whatever `ipaddress` says.
_NEVER_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "168.63.129.16/32",  # Azure's metadata
        "192.0.0.0/24",  # Oracle's among them
        "100.64.0.0/10",  # Alibaba's among them
        "192.88.99.0/24",
        "3fff::/20",
    )
)


class Deadline:
    """When an attempt is over.

    Args:
        seconds: from now.
        monotonic: seconds.
    """

    def __init__(self, seconds: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self._monotonic = seconds, monotonic
        self._until_s = monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether no time is left."""
        return self._monotonic() >= self._until_s

    def left_s(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: none are.
        """
        left_s = self._until_s - self._monotonic()
        if left_s <= 0:
            raise TimeoutError("the time is over")
        return left_s

    @contextlib.contextmanager
    def cutting(self, connection: socket.socket) -> Iterator[None]:
        """Cut a connection at the deadline: a byte now and then outlives every other time-out."""
        # A socket that is wrapped in TLS gives its descriptor away; a copy stays what it was.
        left_s, handle = self.left_s(), connection.dup()
        timer = threading.Timer(left_s, _cut, (handle,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            handle.close()


def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the system finds them.

    Raises:
        OSError: it finds none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


def find_embedded(address: Address) -> Address:
    """Return where an address leads in the end: the IPv4 address in an IPv6 one, or itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def is_public(address: Address) -> bool:
    """Return whether an address is of the open internet."""
    inner = find_embedded(address)
    if isinstance(inner, ipaddress.IPv6Address) and inner not in _IPV6_INTERNET:
        return False
    listed = any(inner.version == one.version and inner in one for one in _NEVER_PUBLIC)
    return inner.is_global and not inner.is_multicast and not listed


class Connector:
    """Opens connections to hosts by name, to the very address that was checked.

    Args:
        allowed: networks that may be reached although they are not public.
        setting: what to change for more of them, in messages; "": all may be reached.
        resolve: finds the addresses of a host; may take its time.
    """

    def __init__(
        self, *, allowed: Sequence[Network] = (), setting: str = "", resolve: Resolve = look_up
    ) -> None:
        self._allowed, self._setting, self._resolve = allowed, setting, resolve

    def connect(self, host: str, port: int, deadline: Deadline) -> socket.socket:
        """Return a connection to the first address that may be reached and answers.

        Raises:
            NotDelivered: none does; permanent where none may be reached.
            OSError: as that of the last one tried.
        """
        addresses = self._look_up(host, port, deadline)
        open_to_us = [one for one in addresses if self._may_reach(one)]
        if not open_to_us:
            shown = ", ".join(map(str, addresses)) or "nowhere"
            raise NotDelivered(
                f"{host} leads to {shown}, which is not public; {self._setting} can allow it",
                permanent=True,
            )
        for address in open_to_us[:-1]:
            with contextlib.suppress(OSError):
                return socket.create_connection((str(address), port), deadline.left_s() / 2)
        return socket.create_connection((str(open_to_us[-1]), port), deadline.left_s())

    def _may_reach(self, address: Address) -> bool:
        if not self._setting or is_public(address):
            return True
        inner = find_embedded(address)
        return any(inner.version == one.version and inner in one for one in self._allowed)

    def _look_up(self, host: str, port: int, deadline: Deadline) -> list[Address]:
        # The system's resolver knows no deadline: it is asked in a thread that may be left behind.
        answers: SimpleQueue[Sequence[str] | Exception] = SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._resolve(host, port))
            except (OSError, ValueError) as fault:
                answers.put(fault)

        threading.Thread(target=ask, name="tidegauge-look-up", daemon=True).start()
        try:
            found = answers.get(timeout=deadline.left_s())
        except Empty as exc:
            raise TimeoutError(f"no address of {host} was found in time") from exc
        if isinstance(found, Exception):
            raise NotDelivered(f"{host}: no address is found: {found}") from found
        return [ipaddress.ip_address(text) for text in found]


def _cut(handle: socket.socket) -> None:
    with contextlib.suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)
