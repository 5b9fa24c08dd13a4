"""Makes, lists and ends silences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tidegauge.auth.actor import Actor
from tidegauge.errors import InvalidInput, NotFound
from tidegauge.model.matchers import Matcher
from tidegauge.model.silences import Silence, SilenceState
from tidegauge.storage.silences import Silences
from tidegauge.storage.texts import is_storable

MAX_ID = 2**31 - 1
MAX_MATCHERS = 32
MAX_TEXT_CHARS = 1024
MAX_LENGTH_MS = 366 * 86_400_000

RECENT_MS = 120 * 3_600_000
"""How long Alertmanager keeps a silence that is over."""


class SilenceService:
    """Silences; safe to use from many threads.

    Args:
        silences: keeps them.
        clock_ms: Unix ms.
    """

    def __init__(self, *, silences: Silences, clock_ms: Callable[[], int]) -> None:
        self._silences, self._clock_ms = silences, clock_ms

    def add(self, silence: Silence, actor: Actor) -> Silence:
        """Store a silence, and return it with its id.

        Args:
            silence: whose it is, it may say itself; the audit log has who really asked.
            actor: who asks.
        Raises:
            InvalidInput: it would cover everything, is over already, or too long. Unavailable.
        """
        self._check(silence)
        entry = actor.entry("silence.create", details={"comment": silence.comment})
        return self._silences.add(
            replace(silence, created_by=silence.created_by or actor.name), entry
        )

    def change(self, silence_id: int, silence: Silence, actor: Actor) -> Silence:
        """Put a silence in the place of another, as to extend it; return what is there now.

        Who made it, and when, stays.

        Raises:
            NotFound. Conflict: it is over. InvalidInput: as `add`. Unavailable.
        """
        self._check(silence)
        entry = actor.entry("silence.update", f"silence:{silence_id}", {"comment": silence.comment})
        changed = replace(silence, id=_known(silence_id))
        return self._silences.replace(changed, entry, now_ms=self._clock_ms())

    def end(self, silence_id: int, actor: Actor) -> None:
        """End a silence now.

        Raises:
            NotFound, Unavailable.
        """
        entry = actor.entry("silence.end", f"silence:{silence_id}")
        self._silences.end(_known(silence_id), entry, now_ms=self._clock_ms())

    def read(self, silence_id: int) -> Silence:
        """Return one silence.

        Raises:
            NotFound, Unavailable.
        """
        return self._silences.read(_known(silence_id))

    def list_page(
        self, *, after: int, limit: int, state: SilenceState | None = None
    ) -> list[Silence]:
        """Return silences in the order of their ids, those that are over too.

        Args:
            after: only those with a greater id.
            limit: at most so many.
            state: only those that stand so now; None: all.
        Raises:
            Unavailable.
        """
        return self._silences.read_page(
            after=after, limit=limit, state=state, now_ms=self._clock_ms()
        )

    def list_recent(self) -> list[Silence]:
        """Return those that are not over, or not for long, in the order of their ids.

        Raises:
            Unavailable.
        """
        return self._silences.read_standing(self._clock_ms() - RECENT_MS)

    def _check(self, silence: Silence) -> None:
        check_matchers(silence.matchers)
        check_text("comment", silence.comment)
        check_text("created_by", silence.created_by)
        if silence.ends_ms <= max(silence.starts_ms, self._clock_ms()):
            raise InvalidInput("ends_at: it is over already, or lies before starts_at")
        if silence.starts_ms > self._clock_ms() + MAX_LENGTH_MS:
            raise InvalidInput("starts_at: it lies more than 366 days ahead")
        if silence.ends_ms - silence.starts_ms > MAX_LENGTH_MS:
            raise InvalidInput("ends_at: it lies more than 366 days after starts_at")


def check_matchers(matchers: Sequence[Matcher]) -> None:
    """Return if matchers may say which alerts are muted.

    Raises:
        InvalidInput: there is none, too many, one that cannot be stored; or they fit every alert.
    """
    if not 1 <= len(matchers) <= MAX_MATCHERS:
        raise InvalidInput(f"matchers: there are {len(matchers)}, not from 1 to {MAX_MATCHERS}")
    if all(one.matches("") for one in matchers):
        raise InvalidInput("matchers: they fit every alert; one must want a label to be there")
    for one in matchers:
        check_text("matchers.name", one.name)
        check_text("matchers.value", one.value)


def _known(silence_id: int) -> int:
    # What is no id of ours is not there, either; the table could not even hold it.
    if not 0 < silence_id <= MAX_ID:
        raise NotFound(f"there is no silence {silence_id}")
    return silence_id


def check_text(field: str, text: str) -> None:
    """Return if a text can be stored.

    Raises:
        InvalidInput: it is too long, or none.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise InvalidInput(f"{field}: {len(text)} characters, at most {MAX_TEXT_CHARS} are taken")
    if not is_storable(text):
        raise InvalidInput(f"{field}: it holds what cannot be stored as text")
