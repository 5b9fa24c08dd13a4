"""The reference page of all settings, made from their declarations."""

from __future__ import annotations

import dataclasses
from typing import Any

from tidegauge.config import SECTIONS, leaves

_TABLE_HEAD = "| variable | default | allowed | meaning |\n|---|---|---|---|"
_PAGE_HEAD = """\
# Settings

Every setting is an environment variable. They are read once, at start; all faults are reported
together, and a `TIDEGAUGE_…` variable that is not on this page is one of them. A setting that
says so may also be given as `…_FILE`, the path of a file that holds the value.
`tidegauge config` prints what is in force, with secrets masked.

This page is made by `tidegauge config --markdown`.
"""


def describe_settings() -> str:
    """Return the reference page of all settings, in Markdown."""
    lines = [_PAGE_HEAD]
    for name, section in SECTIONS.items():
        lines += [f"## {name}", "", f"{section.__doc__}", "", _TABLE_HEAD]
        lines += [_describe(leaf) for leaf_section, leaf in leaves() if leaf_section == name] + [""]
    return "\n".join(lines)


def _describe(leaf: dataclasses.Field[Any]) -> str:
    known = leaf.metadata
    allowed = ", ".join(f"`{choice}`" for choice in known["choices"])
    if isinstance(leaf.default, int):
        allowed = f"{known['low']} to {known['high']}"
    meaning = known["help"] + (f" Also as `{known['env']}_FILE`." if known["secret"] else "")
    default = f"`{leaf.default}`" if leaf.default != "" else "empty"
    return f"| `{known['env']}` | {default} | {allowed or 'text'} | {meaning} |"
