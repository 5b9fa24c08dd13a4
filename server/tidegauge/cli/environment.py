"""The only place that reads the environment of the process."""

from __future__ import annotations

import os

from tidegauge.config import Config, load_config


def effective_environment(**options: str | int | None) -> dict[str, str]:
    """Return the environment with the options of a command line laid over it.

    Args:
        options: variable names with their values; None leaves the variable alone.
    """
    given = {name: str(value) for name, value in options.items() if value is not None}
    return {**os.environ, **given}


def read_config(**options: str | int | None) -> Config:
    """Return the settings of this environment and these options.

    Raises:
        ConfigError: names every fault.
    """
    return load_config(effective_environment(**options))


def export_to_children(name: str, value: str) -> None:
    """Set a variable for the processes that this one starts."""
    os.environ[name] = value
