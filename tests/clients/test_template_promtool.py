"""Prometheus's own tool makes the same of the templates that ours are tested with."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.support.debian import find_program
from tests.support.needs import need_programs
from tests.support.template_cases import EXTERNAL_LABELS, LABELS, RULE, SERIES, VALUE, read_cases


def write_series(labels: dict[str, str], value: float) -> dict[str, str]:
    pairs = ",".join(f'{name}="{text}"' for name, text in labels.items() if name != "__name__")
    return {"series": f"{labels['__name__']}{{{pairs}}}", "values": str(value)}


def test_promtool_expands_our_cases_alike(tmp_path: Path) -> None:
    need_programs("promtool")
    cases = read_cases(of_promtool=True)
    annotations = {f"case{number}": template for number, (template, _) in enumerate(cases)}
    wanted = {f"case{number}": text for number, (_, text) in enumerate(cases)}
    rule = {"alert": RULE, "expr": "full > 0", "annotations": annotations}
    labels = {name: text for name, text in LABELS.items() if name != "alertname"}
    test: dict[str, Any] = {
        "interval": "1m",
        "external_labels": EXTERNAL_LABELS,
        "input_series": [
            write_series({"__name__": "full", **LABELS}, VALUE),
            *(write_series(*series) for series in SERIES),
        ],
        "alert_rule_test": [
            {
                "eval_time": "0m",
                "alertname": RULE,
                "exp_alerts": [{"exp_labels": labels, "exp_annotations": wanted}],
            }
        ],
    }
    (tmp_path / "rules.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "g", "rules": [rule]}]})
    )
    (tmp_path / "test.yml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]})
    )

    done = subprocess.run(
        [find_program("promtool"), "test", "rules", "test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert len(cases) > 80
    assert done.returncode == 0, done.stdout + done.stderr
