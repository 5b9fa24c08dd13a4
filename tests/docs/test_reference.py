"""The reference pages say what the code does: every setting, command and endpoint."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from tidegauge.cli import COMMANDS, main
from tidegauge.cli.settings_page import describe_settings
from tidegauge.config import leaves

_ROW = re.compile(r"^\| `([A-Z\\|]+) (/[^`]*)` \|", re.MULTILINE)


def test_settings_page_is_up_to_date(repository: Path) -> None:
    page = (repository / "docs/reference/settings.md").read_text(encoding="utf-8")

    assert page == describe_settings(), "run `make docs`"


def test_every_setting_is_on_its_page(repository: Path) -> None:
    page = (repository / "docs/reference/settings.md").read_text(encoding="utf-8")

    assert [leaf.name for _, leaf in leaves() if f"| `{leaf.metadata['env']}` |" not in page] == []


def test_commands_page_is_up_to_date(repository: Path) -> None:
    page = (repository / "docs/reference/commands.md").read_text(encoding="utf-8")

    result = CliRunner().invoke(main, ["commands"], catch_exceptions=False)

    assert page == result.output, "run `make docs`"


def test_every_command_is_on_its_page(repository: Path) -> None:
    page = (repository / "docs/reference/commands.md").read_text(encoding="utf-8")

    assert [name for name in COMMANDS if f"## tidegauge {name}\n" not in page] == []


@pytest.fixture(scope="module")
def served() -> set[tuple[str, str]]:
    """Every (method, path) that the application routes."""
    from tidegauge.app import BLUEPRINTS

    app = Flask("tidegauge", static_folder=None)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    return {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_documented_endpoints_are_those_that_are_served(
    repository: Path, served: set[tuple[str, str]]
) -> None:
    page = (repository / "docs/reference/http.md").read_text(encoding="utf-8")

    documented = {
        (method, path)
        for methods, path in _ROW.findall(page)
        for method in methods.replace("\\", "").split("|")
    }

    assert documented == served
