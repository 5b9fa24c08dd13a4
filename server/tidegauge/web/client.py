"""What a request says of its sender: the address behind the proxies, and what it shows."""

from __future__ import annotations

import hmac
import ipaddress
from base64 import b64decode
from dataclasses import dataclass

from flask import Flask, current_app, request

from tidegauge.config import AccessConfig, parse_networks, parse_secret

LONGEST_PERSON_CHARS = 100

_EXTENSION = "tidegauge-clients"
_FORWARDING_HEADERS = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Clients:
    """Tells senders apart.

    Args:
        token: the access token, "" where there is none.
        grafana_secret: what Grafana shows when it names a person, "" where it is not believed.
        proxies: the networks whose X-Forwarded-For is believed.
    """

    token: str
    grafana_secret: str
    proxies: tuple[_Network, ...]

    @classmethod
    def from_config(cls, config: AccessConfig) -> Clients:
        """Return what the settings want; `load_config` has checked them."""
        return cls(
            parse_secret(config.token),
            parse_secret(config.grafana_secret),
            parse_networks(config.trusted_proxies),
        )

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
    clients = _clients()
    address = str(request.environ.get("REMOTE_ADDR", ""))
    said = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    # The last entry is by the proxy that speaks to us; those before it by whoever came before.
    while said and clients.trusts(address) and _parse_address(said[-1]) is not None:
        address = said.pop()
    return address


def is_forwarded() -> bool:
    """Return whether a proxy sends this request for somebody else."""
    return any(name in request.environ for name in _FORWARDING_HEADERS)


def given_credential() -> str | None:
    """Return what came in the Authorization header: a Bearer token, or a basic password.

    None where there is no such header; "" where it holds nothing that could be one.
    """
    header = request.headers.get("Authorization")
    if header is None:
        return None
    kind, _, value = header.partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() != "basic":
        return ""
    try:
        return b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:  # Not base64, or not UTF-8.
        return ""


def is_access_token(credential: str) -> bool:
    """Return whether a credential is the access token of the settings."""
    token = _clients().token
    return bool(token) and hmac.compare_digest(credential.encode(), token.encode())


def forwarded_person() -> str:
    """Return the person whom Grafana names, if it shows that it is ours; else ""."""
    secret = _clients().grafana_secret
    shown = request.headers.get("X-Tidegauge-Grafana-Secret", "")
    if not secret or not hmac.compare_digest(shown.encode(), secret.encode()):
        return ""
    return request.headers.get("X-Grafana-User", "")[:LONGEST_PERSON_CHARS]


def _clients() -> Clients:
    clients: Clients = current_app.extensions[_EXTENSION]
    return clients
