"""The settings of who is let in, and how their texts are read."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from tidegauge.config.declare import setting

SHORTEST_TOKEN_CHARS = 16

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_token(text: str) -> str:
    """Return an access token without blanks around it; "" is none.

    Raises:
        ValueError: it is too short; the message does not show it.
    """
    token = text.strip()
    if text and len(token) < SHORTEST_TOKEN_CHARS:
        raise ValueError(
            f"it has {len(token)} characters, at least {SHORTEST_TOKEN_CHARS} are wanted"
        )
    return token


def parse_networks(text: str) -> tuple[Network, ...]:
    """Return the networks of a list with commas.

    Raises:
        ValueError: one of them is none.
    """
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


@dataclass(frozen=True, slots=True)
class AccessConfig:
    """Who is let in, until there are accounts."""

    token: str = setting(
        "TIDEGAUGE_ACCESS_TOKEN",
        "",
        "A secret of at least 16 characters; who sends it (`Authorization: Bearer`, or as the "
        "password of basic authentication) may do everything. Empty: programs on the same machine "
        "only.",
        secret=True,
        check=parse_token,
    )
    trusted_proxies: str = setting(
        "TIDEGAUGE_TRUSTED_PROXIES",
        "",
        "Networks (`10.0.0.0/8,::1/128`) of reverse proxies whose X-Forwarded-For names the "
        "sender.",
        check=parse_networks,
    )
