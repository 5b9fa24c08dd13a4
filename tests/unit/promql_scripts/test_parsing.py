from __future__ import annotations

import pytest
from tidegauge.promql.scripts.commands import Broken, Clear, Eval, Expected, Grid, Load
from tidegauge.promql.scripts.parsing import parse_script


def only(text):
    (command,) = parse_script(text)
    return command


def test_a_load_takes_the_indented_lines_up_to_a_blank_one():
    commands = parse_script("# first\nload 5m\n  a 1 2\n\t b{c='d'} 3\n\nclear\nload 1s\n  x 1\n")

    load, clear, second = commands
    assert isinstance(load, Load)
    assert (load.line, load.interval_ms, len(load.series)) == (2, 300_000, 2)
    assert clear == Clear(6)
    assert isinstance(second, Load)
    assert second.line == 7


def test_loads_know_what_they_need():
    with_nhcb = only("load_with_nhcb 1m\n  x_bucket{le='1'} 1")
    with_starts = only("load 1m\n  x@st -1m _ -30s\n  x 1 2 3")

    assert with_nhcb.with_nhcb
    assert with_nhcb.starts == ((),)
    assert with_starts.starts == ((-60_000, None, -30_000),)
    assert len(with_starts.series) == 1


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("x@st -1m -1m\n  x 1", "@st line has 2 values but sample line has 1"),
        ("x@st -1m\n  y 1", "@st metric does not match the following sample line metric"),
        ("x@st -1m", "@st line has no following sample line"),
        ("x@st -1m+2\n  x 1", "invalid ST item '-1m+2'"),
    ],
)
def test_starts_that_fit_no_series_are_refused(lines, reason):
    assert only(f"load 1m\n  {lines}").reason == reason


def test_starts_step_like_values():
    load = only("load 1m\n  x@st -1m-30sx2 _x1 0s\n  x 1x3 _")

    assert load.starts == ((-60_000, -90_000, -120_000, None, 0),)


def test_an_instant_eval_has_its_time_and_series():
    command = only('eval instant at 5m sum by (a) (x)\n  {a="b"} 1\n  {} 2')

    assert isinstance(command, Eval)
    assert (command.expr, command.grid) == ("sum by (a) (x)", Grid(300_000, 300_000, 0))
    assert [series.labels for series in command.series] == [(("a", "b"),), ()]
    assert not command.is_range


def test_a_range_eval_has_its_grid():
    command = only("eval range from 0 to 10m step 1m30s rate(x[5m])\n  {} 1 _ 3")

    assert command.grid == Grid(0, 600_000, 90_000)
    assert command.is_range
    assert command.expr == "rate(x[5m])"


def test_expectations_are_read():
    command = only(
        "eval instant at 0 x\n  expect ordered\n  expect warn msg: one: two\n"
        "  expect warn regex:th(r|e)+\n  expect no_info\n  7"
    )

    assert command.scalar == 7
    assert set(command.expects) == {Expected.ORDERED, Expected.WARN, Expected.NO_INFO}
    message, pattern = command.expects[Expected.WARN]
    assert message.fits("one: two")
    assert not message.fits("one")
    assert pattern.fits("a three")
    assert not pattern.fits("two")


def test_strings_and_range_vectors_can_be_expected():
    text = only('eval instant at 0 "a\\"b"\n  expect string "a\\"b"')
    ranged = only(
        "eval instant at 1m x[1m]\n  expect range vector from 10s to 1m step 10s\n  x 1 2"
    )

    assert text.text == 'a"b'
    assert ranged.range_vector == Grid(10_000, 60_000, 10_000)
    assert not text.runs_as_range_too
    assert not ranged.runs_as_range_too


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("eval_fail instant at 0 x", Expected.FAIL),
        ("eval_warn range from 0 to 1 step 1s x", None),
        ("eval_ordered instant at 0 x", Expected.ORDERED),
        ("eval_info instant at 0 x", Expected.INFO),
    ],
)
def test_the_old_forms_mean_the_same(text, kind):
    command = only(text)

    if kind is None:
        assert isinstance(command, Broken)  # "1" has no unit.
    else:
        assert set(command.expects) == {kind}


def test_the_old_failure_lines_ask_for_a_wording():
    message = only("eval_fail instant at 0 x\n  expected_fail_message no way")
    pattern = only("eval_fail instant at 0 x\n  expected_fail_regexp no.+")

    assert message.expects[Expected.FAIL][0].fits("no way")
    assert not message.expects[Expected.FAIL][0].fits("no way at all")
    assert pattern.expects[Expected.FAIL][0].fits("no way at all")


@pytest.mark.parametrize(
    "text",
    [
        "evaluate this",
        "eval instant x",
        "load soon\n  x 1",
        "load 1m\n  x one",
        "eval instant at 0 x\n  x 1 2",
        "eval instant at 0 x\n  x",
        "eval instant at 0 x\n  expect nothing",
        "eval instant at 0 x\n  expect warn\n  expect no_warn",
        "eval instant at 0 x\n  expect fail\n  expect fail msg: a",
        "eval instant at 0 x\n  expect warn regex: (",
        "eval instant at 0 x\n  expect string unquoted",
        "eval instant at 0 x\n  {} 1\n  {} 2",
        "eval range from 1m to 0 step 1m x",
        "sum(x)",
    ],
)
def test_what_cannot_be_read_is_named_and_the_rest_goes_on(text):
    broken, clear = parse_script(text + "\n\nclear")

    assert isinstance(broken, Broken)
    assert broken.reason
    assert isinstance(clear, Clear)
