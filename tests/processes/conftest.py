"""Products of a test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.product import Up


@pytest.fixture
def make_up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """A function that makes a `tidegauge up`, not started yet, that is stopped after the test."""
    made: list[Up] = []

    def make(*options: str, folder: str = "product", settings: dict[str, str] | None = None) -> Up:
        made.append(Up(tmp_path / folder, *options, settings=settings))
        return made[-1]

    yield make
    for product in made:
        product.end()


@pytest.fixture
def up(make_up: Callable[..., Up]) -> Up:
    """A running `tidegauge up`."""
    product = make_up()
    product.start()
    return product
