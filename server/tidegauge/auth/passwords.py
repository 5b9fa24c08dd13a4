"""Passwords: what is asked of them, and Argon2id, which takes its time and memory on purpose."""

from __future__ import annotations

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tidegauge.errors import InvalidInput, Unavailable

SHORTEST_CHARS = 12
LONGEST_CHARS = 256
_WAIT_S = 5.0


class BadPassword(InvalidInput):
    """A password that nobody should have."""

    code = "bad_password"


class Passwords:
    """Hashes and checks passwords, a few at a time; safe to use from many threads.

    Each hash takes 19 MiB and two passes (OWASP's Password Storage Cheat Sheet, Argon2id), so what
    strangers send must not run in every thread at once.

    Args:
        at_once: hashes at the same time; others wait a while.
    """

    def __init__(self, *, at_once: int = 2) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._turns = threading.BoundedSemaphore(at_once)
        # Names nobody has take as long as others, so that nobody can tell them apart.
        self._nobodys = self._hasher.hash(secrets.token_urlsafe(24))

    def hash(self, password: str, *, name: str) -> str:
        """Return the hash to keep.

        Args:
            name: whose password it is; it must not be the name itself.
        Raises:
            BadPassword: too short, too long, or the name. Unavailable: too many at once.
        """
        check_password(password, name=name)
        with self._turn():
            return self._hasher.hash(password)

    def verify(self, password: str, kept: str | None) -> bool:
        """Return whether a password is the one whose hash was kept.

        Args:
            kept: None where there is no such account: it takes as long, and the answer is no.
        Raises:
            Unavailable: too many at once.
        """
        with self._turn():
            try:
                return self._hasher.verify(kept or self._nobodys, password) and kept is not None
            except (VerificationError, InvalidHashError):
                return False

    def _turn(self) -> _Turn:
        return _Turn(self._turns)


class _Turn:
    def __init__(self, turns: threading.BoundedSemaphore) -> None:
        self._turns = turns

    def __enter__(self) -> None:
        if not self._turns.acquire(timeout=_WAIT_S):
            raise Unavailable("too many passwords are being checked; try again")

    def __exit__(self, *_exc: object) -> None:
        self._turns.release()


def check_password(password: str, *, name: str) -> None:
    """Return if a password is fit for an account.

    Raises:
        BadPassword: too short, too long, or the name itself.
    """
    if len(password) < SHORTEST_CHARS:
        raise BadPassword(
            f"the password has {len(password)} characters, at least {SHORTEST_CHARS} are wanted"
        )
    if len(password) > LONGEST_CHARS:
        raise BadPassword(
            f"the password has {len(password)} characters, at most {LONGEST_CHARS} are taken"
        )
    if password.casefold() == name.casefold():
        raise BadPassword("the password is the name")


def make_password() -> str:
    """Return a random password for somebody to change."""
    return secrets.token_urlsafe(18)
