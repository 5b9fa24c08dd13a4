"""How one setting is declared: its variable, default, bounds and meaning in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any


def setting(
    env: str,
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
    check: Callable[[str], object] | None = None,
) -> Any:
    """Declare one setting: its variable, default, bounds (inclusive) or choices, and meaning.

    Args:
        check: raises ValueError for a text that is none of what is wanted; says why, and does not
            show a secret.
    """
    declared = {"env": env, "help": help, "low": low, "high": high}
    return field(
        default=default,
        metadata={**declared, "choices": choices, "secret": secret, "check": check},
    )
