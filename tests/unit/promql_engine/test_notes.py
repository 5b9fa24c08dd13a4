from __future__ import annotations

from tidegauge.promql.engine.goformat import format_labels, format_openmetrics


def test_info_about_a_counter_is_given_once_per_name_and_place(asker):
    ask = asker({'x{i="1"}': [1, 2], 'x{i="2"}': [1, 2], "y_total": [1, 2]})

    assert ask.notes("rate(x[5m]) + rate(x[5m])", 60) == [
        "PromQL info: metric might not be a counter, name does not end in "
        '_total/_sum/_count/_bucket: "x" (1:6)'
    ]
    assert ask.notes("rate(y_total[5m])", 60) == []
    assert ask.notes("rate(x[5m])", 0) == []


def test_positions_count_lines_and_bytes(asker):
    ask = asker({"x": [1, 2]})

    (note,) = ask.notes('1 +\n label_replace(rate(x[5m]), "é", "", "", "") + rate(x[5m])', 60)
    assert note.endswith("(2:21)")
    (note,) = ask.notes('label_replace(x, "é", "", "é", "") + rate(x[5m])', 60)
    assert note.endswith("(1:45)")


def test_quantiles_in_labels_have_a_point():
    assert [format_openmetrics(q) for q in (1.0, 0.5, -1.0, 1e9, float("inf"))] == [
        "1.0", "0.5", "-1.0", "1e+09", "+Inf",
    ]  # fmt: skip


def test_label_sets_are_shown_like_go():
    assert format_labels((("__name__", "x"), ("a.b", "1"))) == '{__name__="x", "a.b"="1"}'
