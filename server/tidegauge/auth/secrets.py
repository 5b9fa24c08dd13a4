"""The random secrets by which somebody is known: session ids and tokens, and how they are kept.

Both are random to 256 bits, so what is kept of them is a plain SHA-256: nobody can guess their way
back, and a slow hash would only slow the server.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import zlib

SESSION_BYTES = 32
PREFIX = "tdg_"
SHOWN_CHARS = 10

_TOKEN_BYTES = 32
_SESSION = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_TOKEN = re.compile(r"tdg_([A-Za-z0-9_-]{43})([0-9a-f]{8})", re.ASCII)


def make_session_id() -> str:
    """Return a new session id: 32 random bytes in URL-safe base64."""
    return _encode(secrets.token_bytes(SESSION_BYTES))


def make_token() -> str:
    """Return a new token: `tdg_`, 32 random bytes, and a checksum that finds slips of the hand."""
    body = _encode(secrets.token_bytes(_TOKEN_BYTES))
    return f"{PREFIX}{body}{_checksum(body)}"


def is_session_id(text: str) -> bool:
    """Return whether a text can be a session id at all; what cannot is not looked up."""
    return _SESSION.fullmatch(text) is not None


def is_token(text: str) -> bool:
    """Return whether a text can be a token at all; what cannot is not looked up."""
    found = _TOKEN.fullmatch(text)
    return found is not None and _checksum(found[1]) == found[2]


def digest(secret: str, *, pepper: str = "") -> bytes:
    """Return what is kept of a secret: 32 bytes.

    Args:
        pepper: mixed in where there is one; with another one nothing kept fits any more.
    """
    if pepper:
        return hmac.digest(pepper.encode(), secret.encode(), "sha256")
    return hashlib.sha256(secret.encode()).digest()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
