"""What the replacement of a regular expression stands for, as Go's `regexp.Expand` has it."""

from __future__ import annotations

import re
from typing import Any

_REFERENCE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))")


def expand_match(template: str, match: Any) -> str:
    """Return the text for one match: `$name`, `${name}`, `$$`; what it does not have is empty."""

    def expand(reference: re.Match[str]) -> str:
        dollar, braced, plain = reference.groups()
        if dollar:
            return "$"
        name = braced or plain
        if name.isdigit():
            group: int | str = int(name)
            known = int(name) <= match.re.groups
        else:
            group, known = name, name in match.re.groupindex
        return (match.group(group) or "") if known else ""

    return _REFERENCE.sub(expand, template)
