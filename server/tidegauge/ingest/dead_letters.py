"""Dead letters as people see them: what is in a message that could not be stored, and why."""

from __future__ import annotations

from collections.abc import Sequence

from tidegauge.broker.protocol import DeadLetter
from tidegauge.errors import InvalidInput
from tidegauge.ingest.codec import decode_batch
from tidegauge.model.labels import Labels

SHOWN_SERIES = 10
SHOWN_SAMPLES = 10
TOLD_IDS = 100


def parse_message_id(text: str) -> bytes:
    """Return the id in its 32 hexadecimal digits.

    Raises:
        InvalidInput: it is no message id.
    """
    try:
        message_id = bytes.fromhex(text)
    except ValueError:
        message_id = b""
    if len(message_id) != 16:
        raise InvalidInput(f'"{text[:64]}" is not a message id: 32 hexadecimal digits are wanted')
    return message_id


def tell_choice(ids: Sequence[bytes] | None) -> dict[str, object]:
    """Return what the log of changes says of dead letters that something is done with.

    Args:
        ids: which ones; None: all there are.
    """
    if ids is None:
        return {"all": True}
    return {"count": len(ids), "ids": [one.hex() for one in ids[:TOLD_IDS]]}


def summarise(letter: DeadLetter) -> dict[str, object]:
    """Return one line of a listing: id, when, why, and how much is lost with it."""
    message = letter.message
    return {
        "id": message.id.hex(),
        "died_ms": letter.died_ms,
        "reason": letter.reason,
        "samples": message.count,
        "bytes": len(message.body),
        "request_id": message.request_id,
    }


def describe(letter: DeadLetter) -> dict[str, object]:
    """Return all that is known of one dead letter: its summary, and what can be decoded."""
    message = letter.message
    try:
        batch = decode_batch(message.body, message.codec)
    except InvalidInput as exc:
        return {**summarise(letter), "damage": exc.message, "head": message.body[:64].hex()}
    times_ms = batch.times_ms
    first = zip(
        batch.series_ids[:SHOWN_SAMPLES].tolist(),
        times_ms[:SHOWN_SAMPLES].tolist(),
        batch.values[:SHOWN_SAMPLES].tolist(),
        strict=True,
    )
    return {
        **summarise(letter),
        "from_ms": int(times_ms.min()) if batch.count else None,
        "to_ms": int(times_ms.max()) if batch.count else None,
        "new_series": [_show(labels) for labels in batch.new_series[:SHOWN_SERIES]],
        # A series with an id below 0 is the first, second, … of the new ones.
        "first_samples": [
            {"series_id": series, "time": at, "value": repr(value)} for series, at, value in first
        ],
        "metadata": [one.name for one in batch.metadata[:SHOWN_SERIES]],
    }


def _show(labels: Labels) -> dict[str, str]:
    return dict(labels)
