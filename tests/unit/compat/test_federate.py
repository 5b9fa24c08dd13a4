"""The text exposition of federation; that a plain one is Prometheus's own, tests/clients judge."""

from __future__ import annotations

import pytest
from tidegauge.compat.federate import Latest, render_exposition
from tidegauge.model.labels import make_labels


def exposed(*label_sets: dict[str, str], wants_utf8: bool = True) -> str:
    samples = [Latest(make_labels(labels), 1500, 1.0) for labels in label_sets]
    return render_exposition(samples, wants_utf8=wants_utf8)


@pytest.mark.parametrize(
    ("wants_utf8", "expected"),
    [
        (True, '# TYPE "9 ü" untyped\n{"9 ü","a.b"="x",c="y",instance=""} 1 1500\n'),
        (False, '# TYPE ___ untyped\n___{a_b="x",c="y",instance=""} 1 1500\n'),
    ],
)
def test_names_of_the_new_kind_are_quoted_or_escaped(wants_utf8: bool, expected: str) -> None:
    labels = {"__name__": "9 ü", "a.b": "x", "c": "y"}

    assert exposed(labels, wants_utf8=wants_utf8) == expected


def test_series_are_grouped_by_metric_and_those_without_a_name_left_out() -> None:
    text = exposed(
        {"__name__": "b", "instance": "i"}, {"x": "1"}, {"__name__": "a"}, {"__name__": "b"}
    )

    assert text == (
        '# TYPE a untyped\na{instance=""} 1 1500\n'
        '# TYPE b untyped\nb{instance=""} 1 1500\nb{instance="i"} 1 1500\n'
    )
