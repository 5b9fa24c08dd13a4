"""A reader over series written down in the test, and queries in the language itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.labels import Labels, find_label
from tidegauge.model.matchers import Matcher
from tidegauge.promql.engine import Engine, EngineOptions
from tidegauge.promql.parser import ParserOptions, parse
from tidegauge.promql.reader import SelectHints
from tidegauge.promql.value import Matrix, Result, Scalar, Vector

SYNTAX = ParserOptions(
    experimental_functions=True, extended_range_selectors=True, fill_modifiers=True
)


@dataclass
class ListReader:
    """Reads from a dictionary of label sets to (time in ms, value) samples."""

    series: Mapping[Labels, Sequence[tuple[int, float]]]
    asked: list[tuple[int, int, SelectHints]] = field(default_factory=list)

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: SelectHints
    ) -> SeriesFrame:
        self.asked.append((start_ms, end_ms, hints))
        found: list[tuple[Labels, list[tuple[int, float]]]] = []
        for labels, samples in sorted(self.series.items()):
            inside = [sample for sample in samples if start_ms <= sample[0] <= end_ms]
            if inside and all(one.matches(find_label(labels, one.name)) for one in matchers):
                found.append((labels, inside))
        offsets = np.cumsum([0, *(len(samples) for _, samples in found)])
        flat = [sample for _, samples in found for sample in samples]
        return SeriesFrame(
            [labels for labels, _ in found],
            offsets.astype(np.int64),
            np.array([time_ms for time_ms, _ in flat], np.int64),
            np.array([value for _, value in flat], np.float64),
        )


def spell(labels: Labels) -> str:
    """Return a label set in short: `name{a=1,b=2}`."""
    rest = ",".join(f"{name}={value}" for name, value in labels if name != "__name__")
    return f"{find_label(labels, '__name__')}{{{rest}}}"


@dataclass
class Asker:
    """Asks queries of one set of series."""

    reader: ListReader
    engine: Engine

    def result(self, text: str, start_s: float, end_s: float, step_s: float) -> Result:
        return self.engine.evaluate(
            parse(text, SYNTAX),
            reader=self.reader,
            start_ms=int(start_s * 1000),
            end_ms=int(end_s * 1000),
            step_ms=int(step_s * 1000),
            text=text,
        )

    def instant(self, text: str, at_s: float = 0) -> dict[str, float] | float:
        """Return the value of each series, in the order of the result; or the scalar."""
        value = self.result(text, at_s, at_s, 0).value
        if isinstance(value, Scalar):
            return float(value.values[0])
        assert isinstance(value, Vector)
        assert value.present.all()
        names = [spell(labels) for labels in value.labels]
        assert len(set(names)) == len(names)
        return dict(zip(names, value.values[:, 0].tolist(), strict=True))

    def range(
        self, text: str, start_s: float, end_s: float, step_s: float
    ) -> dict[str, list[float | None]]:
        """Return the values of each series, None where it has none."""
        value = self.result(text, start_s, end_s, step_s).value
        if isinstance(value, Scalar):
            return {"scalar": value.values.tolist()}
        assert isinstance(value, Vector)
        return {
            spell(labels): [
                number if here else None
                for number, here in zip(values.tolist(), present.tolist(), strict=True)
            ]
            for labels, values, present in zip(
                value.labels, value.values, value.present, strict=True
            )
        }

    def matrix(self, text: str, at_s: float) -> dict[str, list[tuple[float, float]]]:
        """Return the samples (in seconds) of each series of a range vector."""
        value = self.result(text, at_s, at_s, 0).value
        assert isinstance(value, Matrix)
        frame = value.frame
        return {
            spell(labels): list(
                zip(
                    (frame.times_ms[first:end] / 1000).tolist(),
                    frame.values[first:end].tolist(),
                    strict=True,
                )
            )
            for labels, first, end in zip(
                frame.labels, frame.offsets[:-1].tolist(), frame.offsets[1:].tolist(), strict=True
            )
        }

    def notes(self, text: str, start_s: float, end_s: float = -1, step_s: float = 0) -> list[str]:
        """Return warnings and infos."""
        found = self.result(text, start_s, start_s if step_s == 0 else end_s, step_s).annotations
        return found.warnings + found.infos


MakeAsker = Callable[..., Asker]


@pytest.fixture
def asker() -> MakeAsker:
    """Make an asker: series by their selector, values one a step from time 0, None for a gap."""

    def make(
        series: Mapping[str, Sequence[float | None]], *, step_s: float = 60, **options: object
    ) -> Asker:
        loaded: dict[Labels, list[tuple[int, float]]] = {}
        for selector, values in series.items():
            matchers = parse(selector, SYNTAX).matchers  # type: ignore[union-attr]
            labels = tuple(sorted((one.name, one.value) for one in matchers))
            loaded[labels] = [
                (int(at * step_s * 1000), value)
                for at, value in enumerate(values)
                if value is not None
            ]
        return Asker(ListReader(loaded), Engine(EngineOptions(**options)))  # type: ignore[arg-type]

    return make
