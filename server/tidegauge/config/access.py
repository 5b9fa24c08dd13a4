"""The settings of who is let in, and how their texts are read."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from tidegauge.config.declare import setting

SHORTEST_SECRET_CHARS = 16

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_secret(text: str) -> str:
    """Return a secret without blanks around it; "" is none.

    Raises:
        ValueError: it is too short; the message does not show it.
    """
    secret = text.strip()
    if text and len(secret) < SHORTEST_SECRET_CHARS:
        raise ValueError(
            f"it has {len(secret)} characters, at least {SHORTEST_SECRET_CHARS} are wanted"
        )
    return secret


def parse_networks(text: str) -> tuple[Network, ...]:
    """Return the networks of a list with commas.

    Raises:
        ValueError: one of them is none.
    """
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


@dataclass(frozen=True, slots=True)
class AccessConfig:
    """Who is let in, beside the accounts and tokens in the database."""

    loopback: str = setting(
        "TIDEGAUGE_LOOPBACK",
        "auto",
        "Whether programs on the same machine may send metrics and query without an account; auto: "
        "with `tidegauge up` they may, with `tidegauge serve` not.",
        choices=("auto", "open", "closed"),
    )
    token: str = setting(
        "TIDEGAUGE_ACCESS_TOKEN",
        "",
        "A secret of at least 16 characters; who sends it (`Authorization: Bearer`, or as the "
        "password of basic authentication) may send metrics and query. For what needs a token "
        "before anybody can make one, as the containers' Grafana.",
        secret=True,
        check=parse_secret,
    )
    admin_password: str = setting(
        "TIDEGAUGE_ADMIN_PASSWORD",
        "",
        "Password of the account `admin`, which the first start makes; empty: a random one, "
        "printed once. Later starts ignore it.",
        secret=True,
    )
    session_secret: str = setting(
        "SESSION_SECRET",
        "",
        "Mixed into what is kept of session ids; changing it ends all sessions.",
        secret=True,
    )
    logins_per_minute: int = setting(
        "TIDEGAUGE_RATE_LOGIN_PER_MINUTE",
        5,
        "Log-ins a minute from one address, before it is locked out.",
        low=1,
        high=100_000,
    )
    lockout_s: int = setting(
        "TIDEGAUGE_LOGIN_LOCKOUT_SECONDS",
        300,
        "How long an address is locked out after too many log-ins.",
        low=1,
        high=86_400,
    )
    grafana_secret: str = setting(
        "TIDEGAUGE_GRAFANA_SECRET",
        "",
        "A secret of at least 16 characters; with it in the header X-Tidegauge-Grafana-Secret "
        "the person named by X-Grafana-User is believed, within what the token may. Empty: nobody "
        "is.",
        secret=True,
        check=parse_secret,
    )
    trusted_proxies: str = setting(
        "TIDEGAUGE_TRUSTED_PROXIES",
        "",
        "Networks (`10.0.0.0/8,::1/128`) of reverse proxies whose X-Forwarded-For names the "
        "sender.",
        check=parse_networks,
    )
