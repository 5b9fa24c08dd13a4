"""Skips a test, with the reason, where a program that it needs cannot be had."""

from __future__ import annotations

import pytest

from tests.support.debian import ProgramMissing, find_program


def need_programs(*names: str) -> None:
    """Return if all these programs are there; skip the test that asks if not."""
    for name in names:
        try:
            find_program(name)
        except ProgramMissing as exc:
            pytest.skip(str(exc))
