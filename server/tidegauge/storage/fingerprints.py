"""The fingerprint of a label set: 128 bits that stand for it in the database's unique index."""

from __future__ import annotations

from hashlib import blake2b
from itertools import pairwise

from tidegauge.errors import InvalidInput
from tidegauge.model.labels import METRIC_NAME, Labels
from tidegauge.storage.texts import is_storable

# No UTF-8 text holds this byte, so that no two label sets have the same bytes.
_SEPARATOR = b"\xff"


class FingerprintCollision(InvalidInput):
    """Two different label sets have one fingerprint; the second is refused, never mixed in."""


def fingerprint(labels: Labels) -> str:
    """Return the fingerprint of a label set, as 32 hexadecimal digits.

    Raises:
        InvalidInput: no metric name, not sorted, a name twice, an empty value, or a character
            that PostgreSQL cannot store (NUL, a lone surrogate).
    """
    parts = [part for pair in labels for part in pair]
    if not is_storable("".join(parts)):
        raise InvalidInput(
            f"label set {labels!r} holds what PostgreSQL cannot store as text: a NUL,"
            " or half a surrogate pair"
        )
    names = [name for name, _ in labels]
    if METRIC_NAME not in names:
        raise InvalidInput(f"label set {labels!r} has no {METRIC_NAME}")
    if any(low >= high for low, high in pairwise(names)):
        raise InvalidInput(f"label set {labels!r} is not sorted, or names a label twice")
    if any(not value for _, value in labels):
        raise InvalidInput(f"label set {labels!r} has a label with an empty value")
    canonical = _SEPARATOR.join([part.encode() for part in parts])
    return blake2b(canonical, digest_size=16).hexdigest()
