"""The compose file, read once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.compose import read_compose


@pytest.fixture(scope="session")
def compose(repository: Path) -> dict[str, Any]:
    """The compose file, merged, with the variables of .env."""
    return read_compose(repository)


@pytest.fixture(scope="session")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services of the compose file."""
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


@pytest.fixture(scope="session")
def own_services(services: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Those that run our image."""
    return {name: parts for name, parts in services.items() if "build" in parts}
