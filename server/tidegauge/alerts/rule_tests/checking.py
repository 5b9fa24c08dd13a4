"""Runs the tests of a file, and says what is not as expected, in the words of promtool."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tidegauge.alerts.rule_files import parse_rule_file
from tidegauge.alerts.rule_tests.files import (
    AlertTest,
    ExpectedAlert,
    ExprTest,
    TestFile,
    TestGroup,
    find_rule_files,
    parse_test_file,
)
from tidegauge.alerts.rule_tests.rehearsal import Rehearsal, Sample, Samples, order_groups
from tidegauge.errors import InvalidInput, QueryFailed, TidegaugeError
from tidegauge.model.floats import format_go_g
from tidegauge.model.histogram import Histogram
from tidegauge.model.labels import EMPTY_LABELS, Labels
from tidegauge.model.recording import RuleGroup
from tidegauge.promql.durations import NS_PER_MS, format_duration
from tidegauge.promql.engine import Engine, EngineOptions
from tidegauge.promql.native.texts import format_histogram
from tidegauge.promql.parser import parse_metric
from tidegauge.promql.quoting import quote
from tidegauge.promql.scripts.comparison import is_same_histogram, sample_at
from tidegauge.promql.scripts.histograms import parse_histogram
from tidegauge.promql.scripts.notation import (
    HistogramPoint,
    find_number,
    parse_duration_ms,
    parse_series_line,
)
from tidegauge.promql.scripts.runner import Store, place_series
from tidegauge.promql.value import Result, Scalar, Vector
from tidegauge.query.parsing import QueryParser

MAX_EVALUATIONS = 1_000_000
LOOKBACK_MS = 300_000


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """What became of one test group.

    Args:
        name: its own, or its place in the file.
        failures: what is not as expected; none: it passed.
    """

    __test__ = False

    name: str
    failures: list[str]


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of a test file.

    Args:
        warnings: patterns that fit no file.
        failures: why it could not be run at all.
        tests: what became of each group.
    """

    warnings: list[str]
    failures: list[str]
    tests: list[TestOutcome]

    @property
    def passed(self) -> bool:
        """Whether everything is as expected."""
        return not self.failures and not any(one.failures for one in self.tests)


def run_test_file(
    path: Path, *, parser: QueryParser, make_store: Callable[[], Store]
) -> FileOutcome:
    """Run the tests of a file.

    Args:
        path: the file; the rule files that it names are read as well.
        parser: reads queries.
        make_store: makes an empty store.
    """
    warnings: list[str] = []
    try:
        said = parse_test_file(_read(path))
        files, missing = find_rule_files(path, said.rule_files or [])
        warnings += [f"no file match pattern {pattern}" for pattern in missing]
        groups = [
            group
            for file in files
            for group in parse_rule_file(
                _read(file), file=file.name, parser=parser, interval_ms=max(1000, said.interval_ms)
            )
        ]
        groups = order_groups(groups, said.group_eval_order or [])
        tests = [
            TestOutcome(test.name or f"test {number}", _run(test, said, groups, parser, make_store))
            for number, test in enumerate(said.tests or [])
        ]
    except TidegaugeError as exc:
        return FileOutcome(warnings, [f"    {exc.message}"], [])
    return FileOutcome(warnings, [], tests)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidInput(f"{path} cannot be read: {exc}") from exc


def _run(
    test: TestGroup,
    said: TestFile,
    groups: Sequence[RuleGroup],
    parser: QueryParser,
    make_store: Callable[[], Store],
) -> list[str]:
    try:
        return _Test(test, said, groups, parser, make_store()).run()
    except TidegaugeError as exc:
        return [f"    {exc.message}"]


class _Test:
    """One test group, with a store of its own."""

    def __init__(
        self,
        test: TestGroup,
        said: TestFile,
        groups: Sequence[RuleGroup],
        parser: QueryParser,
        store: Store,
    ) -> None:
        self._test, self._parser, self._store = test, parser, store
        self._start_ms, self._interval_ms = test.start_ms, said.interval_ms
        self._fuzzy = bool(said.fuzzy_compare)
        self._engine = Engine(
            EngineOptions(
                lookback_ms=LOOKBACK_MS,
                subquery_step_ms=self._interval_ms,
                delayed_name_removal=True,
            )
        )
        self._rehearsal = Rehearsal(
            groups,
            ask=self._ask,
            write=store.write,
            external_labels={key: text or "" for key, text in (test.external_labels or {}).items()},
            external_url=test.external_url or "",
        )

    def run(self) -> list[str]:
        """Return what is not as expected."""
        alerts = sorted(
            ((parse_duration_ms(one.eval_time), one) for one in self._test.alert_rule_test or []),
            key=lambda pair: pair[0],
        )
        nameless = next((one for _, one in alerts if not one.alertname), None)
        if nameless is not None:
            where = f" (in TestGroup {self._test.name})" if self._test.name else ""
            return [
                "    an item under alert_rule_test misses required attribute alertname at "
                f"eval_time {nameless.eval_time}{where}"
            ]
        exprs = [(parse_duration_ms(one.eval_time), one) for one in self._exprs]
        last_ms = max((at_ms for at_ms, _ in [*alerts, *exprs]), default=0)
        if last_ms // self._interval_ms > MAX_EVALUATIONS:
            raise InvalidInput(
                f"its rules would be evaluated {last_ms // self._interval_ms} times, at most "
                f"{MAX_EVALUATIONS} are done"
            )
        self._load()
        failures: list[str] = []
        for at_ms in range(0, last_ms + 1, self._interval_ms):
            faults = self._rehearsal.evaluate(self._start_ms + at_ms)
            if faults:
                return failures + [
                    f"    rule: {one.name}, time: {_spell(at_ms)}, err: {one.message}"
                    for one in faults
                ]
            for due_ms, alert in alerts:
                if at_ms <= due_ms < at_ms + self._interval_ms:
                    failures += self._check_alerts(alert, due_ms)
        for at_ms, expr in exprs:
            failures += self._check_expr(expr, at_ms)
        return failures

    @property
    def _exprs(self) -> list[ExprTest]:
        return self._test.promql_expr_test or []

    def _load(self) -> None:
        step_ms = parse_duration_ms(self._test.interval) if self._test.interval else 0
        step_ms = step_ms or self._interval_ms
        loaded = []
        for one in self._test.input_series or []:
            line = parse_series_line(f"{one.series} {one.values}")
            series = place_series(line, step_ms)
            loaded.append(replace(series, times_ms=series.times_ms + self._start_ms))
        self._store.write(loaded)

    def _ask(self, text: str, at_ms: int) -> Samples:
        result = self._engine.evaluate(
            self._parser.parse(text),
            reader=self._store.reader(),
            start_ms=at_ms,
            end_ms=at_ms,
            step_ms=0,
            text=text,
        )
        return _read_samples(result)

    def _check_alerts(self, test: AlertTest, at_ms: int) -> list[str]:
        wanted = sorted(_read_expected(one, test.alertname) for one in test.exp_alerts or [])
        found = sorted(self._rehearsal.list_firing(test.alertname))
        if wanted == found:
            return []
        name = f"    name: {self._test.name},\n" if self._test.name else ""
        return [
            f"{name}    alertname: {test.alertname}, time: {_spell(at_ms)}, \n"
            f"        exp:{_show_alerts(wanted)}, \n        got:{_show_alerts(found)}"
        ]

    def _check_expr(self, test: ExprTest, at_ms: int) -> list[str]:
        head = f"    expr: {quote(test.expr)}, time: {_spell(at_ms)},"
        try:
            found = sorted(self._ask(test.expr, self._start_ms + at_ms), key=_key)
            wanted = sorted(
                (
                    (_read_labels(one.labels), _read_value(one.value, one.histogram))
                    for one in test.exp_samples or []
                ),
                key=_key,
            )
        except TidegaugeError as exc:
            return [f"{head} err: {exc.message}"]
        same = len(found) == len(wanted) and all(
            one[0] == other[0] and self._is_same(one[1], other[1])
            for one, other in zip(wanted, found, strict=True)
        )
        if same:
            return []
        shown = f"        exp: {_show_samples(wanted)}\n        got: {_show_samples(found)}"
        return [f"{head}\n{shown}"]

    def _is_same(self, one: Sample | HistogramPoint, other: Sample) -> bool:
        if isinstance(one, HistogramPoint):
            return isinstance(other, Histogram) and is_same_histogram(one, other)
        if isinstance(one, Histogram) or isinstance(other, Histogram):
            return False
        if one == other or not self._fuzzy:
            return one == other
        return other in (math.nextafter(one, -math.inf), math.nextafter(one, math.inf))


def _read_samples(result: Result) -> Samples:
    value = result.value
    if isinstance(value, Scalar):
        return [(EMPTY_LABELS, float(value.values[0]))]
    if not isinstance(value, Vector):
        raise QueryFailed("rule result is not a vector or scalar")
    shown = np.flatnonzero(value.present[:, 0]).tolist()
    return [(value.labels[row], sample_at(value, row, 0)) for row in shown]


def _read_expected(one: ExpectedAlert, name: str) -> tuple[Labels, Labels]:
    # Empty texts stay: an annotation may well be empty, and is then expected to be.
    labels = {**(one.exp_labels or {}), "alertname": name}
    return _sort(labels), _sort(one.exp_annotations or {})


def _sort(texts: Mapping[str, str | None]) -> Labels:
    return tuple(sorted((key, text or "") for key, text in texts.items()))


def _read_labels(text: str) -> Labels:
    return parse_metric(text) if text.strip() else EMPTY_LABELS


def _read_value(text: str | None, histogram: str | None) -> float | HistogramPoint:
    if histogram:
        inner = histogram.strip()
        if not inner.startswith("{{") or not inner.endswith("}}"):
            raise InvalidInput(f"histogram: {histogram[:64]!r} does not stand in {{{{ }}}}")
        return HistogramPoint(*parse_histogram(inner[2:-2]))
    # YAML writes `.inf` and `.nan`.
    plain = re.sub(r"\.(?=inf|nan)", "", text or "0", flags=re.IGNORECASE)
    value = find_number(plain)
    if value is None:
        raise InvalidInput(f"value: {text!r} is not a number")
    return value


def _key(sample: tuple[Labels, object]) -> Labels:
    return sample[0]


def _spell(at_ms: int) -> str:
    return format_duration(at_ms * NS_PER_MS)


def _show_labels(labels: Labels) -> str:
    return "{" + ", ".join(f"{name}={quote(text)}" for name, text in labels) + "}"


def _show_alerts(alerts: Sequence[tuple[Labels, Labels]]) -> str:
    if not alerts:
        return "[]"
    inner = "              "
    shown = [
        f"{number}:\n{inner}Labels:{_show_labels(labels)}\n{inner}Annotations:{_show_labels(texts)}"
        for number, (labels, texts) in enumerate(alerts)
    ]
    return "[\n            " + ",\n            ".join(shown) + "\n            ]"


def _show_samples(samples: Iterable[tuple[Labels, Sample | HistogramPoint]]) -> str:
    return ", ".join(f"{_show_labels(labels)} {_show(one)}" for labels, one in samples) or "nil"


def _show(one: Sample | HistogramPoint) -> str:
    if isinstance(one, HistogramPoint):
        one = one.histogram
    return format_histogram(one) if isinstance(one, Histogram) else format_go_g(one)
