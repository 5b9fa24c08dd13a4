"""The templates in `template_cases.txt`, and what is wanted of each."""

from __future__ import annotations

import itertools
from pathlib import Path

RULE = "Full"
LABELS = {
    "alertname": RULE,
    "device": "/dev/sda1",
    "instance": "db1.example.org:9100",
    "job": "node",
    "severity": "critical",
}
VALUE = 93.456
SERIES = [
    ({"__name__": "up", "instance": "b"}, 21.0),
    ({"__name__": "up", "instance": "a", "job": "x"}, 11.5),
]
EXTERNAL_LABELS = {"cluster": "north"}

# Where the text of a rule begins, behind what Prometheus puts before it.
BEGIN = 112
_FILE = Path(__file__).with_suffix(".txt")
_OURS = "\n# Where promtool"


def read_cases(*, of_promtool: bool = False) -> list[tuple[str, str]]:
    """Return (template, what comes out).

    Args:
        of_promtool: leave out those on which an older promtool differs, as the file says.
    """
    text = _FILE.read_text(encoding="utf-8")
    if of_promtool:
        text = text.partition(_OURS)[0]
    cases = []
    for template, wanted in itertools.pairwise(text.split("\n")):
        if wanted.startswith("=> "):
            cases.append((template, wanted[3:]))
        elif wanted.startswith("=! "):
            column, _, said = wanted[3:].partition(" ")
            cases.append((template, _explain(int(column), said)))
    return [(template.replace("⏎", "\n"), out.replace("⏎", "\n")) for template, out in cases]


def _explain(column: int, said: str) -> str:
    name = f"__alert_{RULE}"
    place = f'template: {name}:1:{BEGIN + column}: executing "{name}" at {said}'
    return f"<error expanding template: error executing template {name}: {place}>"
