"""The docstring of every room is a map: it names each module and room in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path


def parts_of(room: Path) -> set[str]:
    modules = {path.stem for path in room.glob("*.py")}
    rooms = {path.parent.name for path in room.glob("*/__init__.py")}
    return {name for name in modules | rooms if not name.startswith("__")}


def test_every_part_of_a_room_is_on_its_map(repository: Path) -> None:
    missing = {}
    for path in (repository / "server/tidegauge").rglob("__init__.py"):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        named = {word.strip("/").partition(".")[0] for word in re.findall(r"`([\w./]+)`", text)}
        if parts_of(path.parent) - named:
            missing[path.parent.name] = sorted(parts_of(path.parent) - named)

    assert missing == {}
