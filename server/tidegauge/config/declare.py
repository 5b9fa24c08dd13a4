"""How one setting is declared: its variable, default, bounds and meaning in one place."""

from __future__ import annotations

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
) -> Any:
    """Declare one setting: its variable, default, bounds (inclusive) or choices, and meaning."""
    declared = {"env": env, "help": help, "low": low, "high": high}
    return field(default=default, metadata={**declared, "choices": choices, "secret": secret})
