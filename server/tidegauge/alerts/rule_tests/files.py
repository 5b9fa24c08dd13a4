"""What promtool's unit-test files say."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TypeVar

import msgspec
import yaml

from tidegauge.alerts.bounded_yaml import BoundedLoader
from tidegauge.errors import InvalidInput
from tidegauge.promql.scripts.notation import find_number, parse_duration_ms
from tidegauge.query.times import parse_rfc3339_ms

MAX_FILE_BYTES = 16 * 1024 * 1024

T = TypeVar("T")


class _Texts(BoundedLoader):
    """Reads every scalar but null as the text that stands there: `eval_time: 5m`, `value: 1`."""


_KEPT = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
_Texts.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag in _KEPT]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class InputSeries(msgspec.Struct, forbid_unknown_fields=True):
    """A series and its values, in the notation of `promql.scripts.notation`."""

    series: str
    values: str


class ExpectedAlert(msgspec.Struct, forbid_unknown_fields=True):
    """An alert that fires; its labels without `alertname`."""

    exp_labels: dict[str, str | None] | None = None
    exp_annotations: dict[str, str | None] | None = None


class AlertTest(msgspec.Struct, forbid_unknown_fields=True):
    """Which alerts of a name fire at a time."""

    eval_time: str = "0"
    alertname: str = ""
    exp_alerts: list[ExpectedAlert] | None = None


class ExpectedSample(msgspec.Struct, forbid_unknown_fields=True):
    """A sample of an answer."""

    labels: str = ""
    value: str | None = None
    histogram: str | None = None


class ExprTest(msgspec.Struct, forbid_unknown_fields=True):
    """What a query gives at a time."""

    expr: str
    eval_time: str = "0"
    exp_samples: list[ExpectedSample] | None = None


class TestGroup(msgspec.Struct, forbid_unknown_fields=True):
    """Series, and what comes of them."""

    # pytest takes what is called so for tests of its own.
    __test__ = False

    name: str | None = None
    interval: str | None = None
    start_timestamp: str | None = None
    input_series: list[InputSeries] | None = None
    alert_rule_test: list[AlertTest] | None = None
    promql_expr_test: list[ExprTest] | None = None
    external_labels: dict[str, str | None] | None = None
    external_url: str | None = None

    @property
    def start_ms(self) -> int:
        """When its first sample is, Unix ms.

        Raises:
            InvalidInput: it is neither Unix seconds nor RFC 3339.
        """
        text = self.start_timestamp or "0"
        number = find_number(text)
        moment_ms = parse_rfc3339_ms(text)
        if moment_ms is None and number is not None and math.isfinite(number):
            moment_ms = round(number * 1000)
        if moment_ms is None:
            raise InvalidInput(f"start_timestamp: {text[:64]!r} is no time")
        return moment_ms


class TestFile(msgspec.Struct, forbid_unknown_fields=True):
    """A whole test file."""

    __test__ = False

    rule_files: list[str] | None = None
    evaluation_interval: str | None = None
    group_eval_order: list[str] | None = None
    fuzzy_compare: bool | None = None
    tests: list[TestGroup] | None = None

    @property
    def interval_ms(self) -> int:
        """How often rules are evaluated.

        Raises:
            InvalidInput: it is no duration.
        """
        return parse_duration_ms(self.evaluation_interval or "1m") or 60_000


def parse_test_file(text: str) -> TestFile:
    """Return what a test file says.

    Raises:
        InvalidInput: says what is wrong, and where.
    """
    if len(text.encode(errors="replace")) > MAX_FILE_BYTES:
        raise InvalidInput(f"it is longer than {MAX_FILE_BYTES} bytes")
    try:
        whole = yaml.load(text, Loader=_Texts)  # noqa: S506 -- a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise InvalidInput(f"it is no YAML: {exc}") from exc
    try:
        return msgspec.convert(whole or {}, TestFile, strict=False)
    except (msgspec.ValidationError, RecursionError) as exc:
        raise InvalidInput(str(exc)) from exc


def find_rule_files(test_file: Path, patterns: list[str]) -> tuple[list[Path], list[str]]:
    """Return the rule files of a test file, and the patterns that fit none.

    Args:
        test_file: where it is; patterns are relative to its folder.
        patterns: as of `glob`.
    """
    found: list[Path] = []
    missing = []
    for pattern in patterns:
        path = Path(pattern)
        folder = Path(path.anchor) if path.is_absolute() else test_file.parent
        rest = str(path.relative_to(folder)) if path.is_absolute() else pattern
        fits = [one for one in sorted(folder.glob(rest)) if one.is_file()]
        found += fits
        if not fits:
            missing.append(pattern)
    return found, missing
