"""What an evaluation gives back: a value over the whole time grid, and its annotations."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tidegauge.model.frame import SeriesFrame
from tidegauge.model.labels import Labels


@dataclass(slots=True)
class Vector:
    """An instant vector at every step.

    Args:
        labels: the label set of each of S series, in the order of the result.
        values: float64, shape (S, T).
        present: bool, shape (S, T): where there is a sample. NaN is a value like any other.
        drop_name: bool, shape (S,): the name is to be removed at the very end.
        histograms: object, shape (S, T): a `Histogram` where the sample is one, else None; its
            value says nothing. None: all samples are floats.
    """

    labels: list[Labels]
    values: np.ndarray
    present: np.ndarray
    drop_name: np.ndarray
    histograms: np.ndarray | None = None


@dataclass(slots=True)
class Scalar:
    """A scalar at every step: float64, shape (T,)."""

    values: np.ndarray


@dataclass(slots=True)
class Text:
    """A string, the same at every step."""

    value: str


@dataclass(slots=True)
class Matrix:
    """A range vector: the top of an instant query only."""

    frame: SeriesFrame


Value = Vector | Scalar | Text | Matrix


@dataclass(slots=True)
class Annotations:
    """What the user should know besides the answer; each text once, in order of appearance."""

    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Result:
    """The answer to a query.

    Args:
        value: the value at every step.
        steps_ms: int64, shape (T,): the grid; one step for an instant query.
        annotations: warnings and infos.
        samples_read: how many samples the reader gave.
    """

    value: Value
    steps_ms: np.ndarray
    annotations: Annotations
    samples_read: int
