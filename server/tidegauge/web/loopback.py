"""Programs on the server's own machine, told from everybody else.

A browser on this machine speaks for whatever page it shows. So the Host header must name this
machine (a page that rebinds its own name to 127.0.0.1 sends its own name), and an Origin header,
if there is one, too; and nothing may be asked for by a page of another site that embeds it. What a
proxy forwards comes from somebody else, wherever the proxy is.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from urllib.parse import urlsplit

from flask import request

from tidegauge.web.client import is_forwarded

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::\d{1,5})?", re.IGNORECASE | re.ASCII)


def find_foreign_trait() -> str | None:
    """Return what shows that a request is not by a program on this machine; None: it is by one."""
    if is_forwarded():
        return "a proxy forwards it"
    if not is_loopback_address(request.environ.get("REMOTE_ADDR", "")):
        return "it comes from another machine"
    host = request.environ.get("HTTP_HOST")
    if host is not None and not is_loopback_host(host):
        return f'its Host header names "{host[:256]}", not localhost, 127.0.0.1 or [::1]'
    origin = request.environ.get("HTTP_ORIGIN")
    if origin is not None and not is_loopback_origin(origin):
        return f'a page of "{origin[:256]}" sends it'
    # Pictures, scripts and frames are asked for without an Origin; a link that somebody follows
    # asks for a document.
    site, wanted = (request.environ.get(f"HTTP_SEC_FETCH_{name}") for name in ("SITE", "DEST"))
    if origin is None and site == "cross-site" and wanted != "document":
        return "a page of another site sends it"
    return None


@functools.lru_cache(maxsize=1024)
def is_loopback_address(address: str) -> bool:
    """Return whether an IP address is this machine's own."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


@functools.lru_cache(maxsize=1024)
def is_loopback_host(host: str) -> bool:
    """Return whether a Host header (`name[:port]`) names this machine."""
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    bracketed, plain = found.groups()
    if bracketed is not None:
        return is_loopback_address(bracketed)
    name = plain.lower().removesuffix(".")
    return name == "localhost" or is_loopback_address(name)


@functools.lru_cache(maxsize=1024)
def is_loopback_origin(origin: str) -> bool:
    """Return whether an Origin header names a page of this machine; `null` does not."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and is_loopback_host(parts.netloc)
