"""The pages hold together: links lead somewhere, commands are those of the Makefile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")
_TARGET = re.compile(r"^([a-z-]+):.*## ", re.MULTILINE)
_MAKE = re.compile(r"\bmake (?:[A-Z]+=\S+ )*([a-z-]+)")


def read_pages(repository: Path) -> dict[Path, str]:
    paths = [*repository.glob("*.md"), *(repository / "docs").rglob("*.md")]
    return {path: path.read_text(encoding="utf-8") for path in paths}


def test_links_lead_to_files(repository: Path) -> None:
    broken = [
        f"{path.relative_to(repository)}: {link}"
        for path, text in read_pages(repository).items()
        for link in _LINK.findall(text)
        if "://" not in link and not (path.parent / link).exists()
    ]

    assert broken == []


def test_every_page_is_linked_from_the_index_of_its_folder(repository: Path) -> None:
    docs = repository / "docs"
    index = (docs / "index.md").read_text(encoding="utf-8")
    indexes = {
        folder: (docs / folder / "index.md").read_text(encoding="utf-8")
        for folder in ("decisions", "runbooks")
    }

    unlinked = [
        str(path.relative_to(docs))
        for path in docs.rglob("*.md")
        if path.name != "index.md"
        and f"({path.relative_to(docs)})" not in index
        and f"({path.name})" not in indexes.get(path.parent.name, "")
    ]

    assert unlinked == []


def test_make_targets_named_in_pages_exist(repository: Path) -> None:
    targets = set(_TARGET.findall((repository / "Makefile").read_text(encoding="utf-8")))
    code = re.compile(r"`(make [^`]+)`|^\s*(make [^\n]+)$", re.MULTILINE)

    named = {
        target
        for text in read_pages(repository).values()
        for inline, block in code.findall(text)
        for target in _MAKE.findall(inline or block)
    }

    assert {"run", "test"} <= named
    assert named - targets == set()


def test_build_script_runs_exactly_the_test_command_of_the_readme(repository: Path) -> None:
    readme = (repository / "README.md").read_text(encoding="utf-8")
    section = readme.split("\n## Test\n")[1].split("\n## ")[0]
    script = (repository / ".ci/run").read_text(encoding="utf-8")

    readme_commands = re.findall(r"```sh\n(.*?)\n```", section, re.DOTALL)
    build_commands = [line for line in script.splitlines() if line.startswith("make")]

    assert readme_commands == build_commands == ["make test"]
    assert (repository / ".ci/run").stat().st_mode & 0o111


@pytest.mark.parametrize("name", ["setup", "run", "test", "test-fast", "lint", "bench", "help"])
def test_make_target_is_there_and_explained(repository: Path, name: str) -> None:
    assert name in _TARGET.findall((repository / "Makefile").read_text(encoding="utf-8"))
