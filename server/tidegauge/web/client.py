"""Who sent a request: the address behind the proxies, and the token that came with it."""

from __future__ import annotations

import hmac
import ipaddress
from base64 import b64decode
from dataclasses import dataclass

from flask import Flask, current_app, request

from tidegauge.config import AccessConfig, parse_networks, parse_token

_EXTENSION = "tidegauge-clients"
_FORWARDING_HEADERS = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")


@dataclass(frozen=True, slots=True)
class Clients:
    """Tells senders apart.

    Args:
        token: the access token, "" where there is none.
        proxies: the networks whose X-Forwarded-For is believed.
    """

    token: str
    proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

    @classmethod
    def from_config(cls, config: AccessConfig) -> Clients:
        """Return what the settings want; `load_config` has checked them."""
        return cls(parse_token(config.token), parse_networks(config.trusted_proxies))

    def trusts(self, address: str) -> bool:
        """Return whether an address is that of one of our proxies."""
        parsed = _parse_address(address)
        return parsed is not None and any(parsed in network for network in self.proxies)


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A socket for both kinds shows IPv4 senders like this.
    return getattr(parsed, "ipv4_mapped", None) or parsed


def install_clients(app: Flask, clients: Clients) -> None:
    """Make senders known to the app's views."""
    app.extensions[_EXTENSION] = clients


def client_address() -> str:
    """Return the sender's address: what our own proxies say of it, and nobody else."""
    clients: Clients = current_app.extensions[_EXTENSION]
    address = str(request.environ.get("REMOTE_ADDR", ""))
    said = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    # The last entry is by the proxy that speaks to us; those before it by whoever came before.
    while said and clients.trusts(address) and _parse_address(said[-1]) is not None:
        address = said.pop()
    return address


def is_forwarded() -> bool:
    """Return whether a proxy sends this request for somebody else."""
    return any(name in request.environ for name in _FORWARDING_HEADERS)


def has_token() -> bool:
    """Return whether the access token came with the request, as Bearer or as a password."""
    clients: Clients = current_app.extensions[_EXTENSION]
    given = _given_token()
    return bool(clients.token) and hmac.compare_digest(given.encode(), clients.token.encode())


def _given_token() -> str:
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() != "basic":
        return ""
    try:
        return b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:  # Not base64, or not UTF-8.
        return ""
