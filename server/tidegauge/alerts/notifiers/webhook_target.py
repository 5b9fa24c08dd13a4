"""Where a webhook goes, and what it says of itself there: read from a channel, checked."""

from __future__ import annotations

import base64
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from tidegauge.alerts.notifiers.webhook_payload import ALERTMANAGER, FORMATS
from tidegauge.errors import InvalidInput

MAX_URL_CHARS = 2048
MAX_HEADERS = 20
MAX_HEADER_CHARS = 4096
_SAFE_IN_PATH = "/%:@!$&'()*+,;=~-._?"
_TOKEN_CHARS = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")
# Ours to set: they say what the body is, and to whom it goes.
_RESERVED = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "te", "trailer"}
    | {"upgrade", "expect", "proxy-authorization", "idempotency-key"}
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes.

    Args:
        secure: over TLS.
        host: a name or an address, without brackets.
        port: of TCP.
        path: with the query, as it is sent.
    """

    secure: bool
    host: str
    port: int
    path: str

    @property
    def origin(self) -> tuple[bool, str, int]:
        """What must be the same for a secret to be told there too."""
        return self.secure, self.host, self.port

    def __str__(self) -> str:
        usual = 443 if self.secure else 80
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == usual else f":{self.port}"
        return f"http{'s' * self.secure}://{host}{port}"


@dataclass(frozen=True, slots=True)
class Webhook:
    """What a channel says of its webhook.

    Args:
        place: where the first request goes.
        form: of the body.
        headers: more of them, for the first place's origin only; they may hold secrets.
        secret: signs the body; "": that of the settings.
    """

    place: Place
    form: str
    headers: Mapping[str, str]
    secret: str


def parse_webhook(channel: Mapping[str, Any]) -> Webhook:
    """Return the webhook of a channel: `target`, and perhaps `format`, `headers`, `secret`.

    Raises:
        InvalidInput: names the field.
    """
    url = channel.get("target")
    if not isinstance(url, str):
        raise InvalidInput("target: a URL is wanted")
    place, log_in = _parse_url(url)
    form = channel.get("format", ALERTMANAGER)
    if form not in FORMATS:
        raise InvalidInput(f"format: {form!r} is none of {', '.join(FORMATS)}")
    secret = channel.get("secret", "")
    if not isinstance(secret, str) or len(secret) > MAX_HEADER_CHARS:
        raise InvalidInput(f"secret: a text of at most {MAX_HEADER_CHARS} characters is wanted")
    headers = _parse_headers(channel.get("headers", {}))
    return Webhook(place, form, {**log_in, **headers}, secret)


def follow(place: Place, location: str) -> Place:
    """Return where a redirect leads; a log-in in it is left out.

    Raises:
        InvalidInput: to nothing that may be asked.
    """
    return _parse_url(urljoin(f"{place}{place.path}", location))[0]


def _parse_url(url: str) -> tuple[Place, dict[str, str]]:
    if len(url) > MAX_URL_CHARS:
        raise InvalidInput(f"target: {len(url)} characters, at most {MAX_URL_CHARS} are allowed")
    # What urlsplit would leave out without a word.
    if not url.isprintable() or any(char.isspace() for char in url):
        raise InvalidInput("target: a URL has no blanks, line breaks or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = _to_ascii(parts.hostname or "")
    except ValueError as fault:
        raise InvalidInput(f"target: this is no URL: {fault}") from fault
    if parts.scheme not in ("http", "https"):
        raise InvalidInput(f"target: {parts.scheme!r} is not http or https")
    if not host or port == 0:
        raise InvalidInput("target: the URL names no host")
    secure = parts.scheme == "https"
    path = quote(parts.path or "/", safe=_SAFE_IN_PATH)
    query = f"?{quote(parts.query, safe=_SAFE_IN_PATH)}" if parts.query else ""
    return Place(secure, host, port or (443 if secure else 80), path + query), _log_in(parts)


def _to_ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()


def _log_in(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _parse_headers(given: object) -> dict[str, str]:
    if not isinstance(given, Mapping) or len(given) > MAX_HEADERS:
        raise InvalidInput(f"headers: an object of at most {MAX_HEADERS} texts is wanted")
    for name, text in given.items():
        if not name or not _TOKEN_CHARS.issuperset(name) or name.lower() in _RESERVED:
            raise InvalidInput(f"headers: {name!r} cannot be set")
        if not isinstance(text, str) or len(text) > MAX_HEADER_CHARS:
            raise InvalidInput(f"headers: {name}: a text of at most {MAX_HEADER_CHARS} characters")
        if not text.isascii() or not text.isprintable():
            raise InvalidInput(f"headers: {name}: only printable ASCII can be sent")
    return dict(given)
