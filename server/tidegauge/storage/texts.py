"""What PostgreSQL can hold as text."""

from __future__ import annotations


def is_storable(text: str) -> bool:
    """Return whether PostgreSQL can hold this text: valid Unicode, and no NUL in it."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
