"""Reads docker-compose.yml as docker compose does: merged, with the variables of .env filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_VARIABLE = re.compile(r"\$(?:\$|\{([A-Za-z_]\w*)\})")


def read_dotenv(path: Path) -> dict[str, str]:
    """Return the variables of a file of `NAME=value` lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def variables_of(text: str) -> set[str]:
    """Return the variables that a compose file names."""
    return {name for name in _VARIABLE.findall(text) if name}


def read_compose(repository: Path) -> dict[str, Any]:
    """Return the compose file of the repository, every `${NAME}` replaced.

    Raises:
        KeyError: .env lacks a variable.
    """
    values = read_dotenv(repository / ".env")
    text = (repository / "docker-compose.yml").read_text(encoding="utf-8")
    filled: dict[str, Any] = _fill_in(yaml.safe_load(text), values)
    return filled


def _fill_in(node: Any, values: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _fill_in(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill_in(value, values) for value in node]
    if isinstance(node, str):
        return _VARIABLE.sub(lambda hit: values[hit[1]] if hit[1] else "$", node)
    return node
