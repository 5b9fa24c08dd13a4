"""`python -m tidegauge` is the command `tidegauge`."""

from __future__ import annotations

from tidegauge.cli import main

main(prog_name="tidegauge")
