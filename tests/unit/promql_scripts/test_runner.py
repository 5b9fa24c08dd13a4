from __future__ import annotations

import pytest
from tidegauge.cli.promqltest import MemoryStore, make_script_engine
from tidegauge.promql.scripts.runner import run_script

LOAD = "load 1m\n  x_total{l='a'} 0+60x10\n  x_total{l='b'} 0+120x10\n  g 1 2 3\n\n"


class BrokenEngine:
    """An engine whose every answer is a defect."""

    def evaluate(self, expr, **times):
        raise IndexError("list index out of range")


def run(text, *, engine=None):
    engine = engine or make_script_engine()
    return list(run_script(LOAD + text, engine=engine, make_store=MemoryStore))


def failure_of(text):
    (outcome,) = run(text)
    return outcome.failure


@pytest.mark.parametrize(
    "text",
    [
        "eval instant at 10m sum(rate(x_total[5m]))\n  {} 3",
        "eval instant at 2m g\n  g 3",
        "eval instant at 2m scalar(g)\n  3",
        'eval instant at 2m "a"\n  expect string "a"',
        "eval range from 0 to 2m step 1m g\n  g 1 2 3",
        "eval instant at 2m g[2m]\n  expect range vector from 1m to 2m step 1m\n  g 2 3",
        "eval instant at 1m sort_desc(x_total)\n"
        "  expect ordered\n  x_total{l='b'} 120\n  x_total{l='a'} 60",
        "eval instant at 1m abs({__name__=~'g|x_total', l!='b'}) + on() group_left() x_total\n"
        "  expect fail",
    ],
)
def test_right_expectations_pass(text):
    assert failure_of(text) is None


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("eval instant at 10m sum(rate(x_total[5m]))\n  {} 3.1", "expected 3.1, got 3"),
        ("eval instant at 10m sum(rate(x_total[5m]))\n  {l='a'} 3", "unexpected series"),
        ("eval instant at 10m sum(rate(x_total[5m]))", "unexpected series"),
        ("eval instant at 2m g\n  g 3\n  h 1", "missing"),
        ("eval instant at 2m g\n  3", "got a vector"),
        ("eval instant at 2m scalar(g)\n  4", "expected scalar 4, got 3"),
        ('eval instant at 2m "a"\n  expect string "b"', "expected string"),
        ("eval range from 0 to 2m step 1m g\n  g 1 2 4", "expected [1@0s 2@60s 4@120s]"),
        ("eval range from 0 to 2m step 1m g\n  g 1 _ 3", "expected [1@0s 3@120s]"),
        (
            "eval instant at 2m g[2m]\n  expect range vector from 0 to 2m step 1m\n  g 1 2 3",
            "got [2@60s 3@120s]",
        ),
        (
            "eval instant at 1m sort_desc(x_total)\n"
            "  expect ordered\n  x_total{l='a'} 60\n  x_total{l='b'} 120",
            "order",
        ),
        ("eval instant at 2m g\n  expect warn\n  g 3", "expected warning"),
        ("eval instant at 2m rate(g[2m])\n  expect no_info\n  {} 0.01666667", "unexpected info"),
        ("eval instant at 2m g\n  expect fail", "expected it to fail"),
        ("eval instant at 2m x_total + on() x_total\n  expect fail msg: other", "failed with"),
        ("eval instant at 2m x_total + on() x_total", "failed: "),
        ("eval instant at 2m sum(", "cannot be parsed"),
        ("eval instant at 2m sum(\n  expect fail", "cannot be parsed"),
        ("eval instant at 2m g\n  g three", "series values"),
        ("check this", "invalid command"),
    ],
)
def test_wrong_expectations_are_told(text, failure):
    assert failure in failure_of(text)


def test_a_query_is_asked_pinned_and_as_a_range_too():
    (outcome,) = run("eval instant at 2m g\n  g 3")

    # As written and pinned at five times; each as an instant and as a range query.
    assert outcome.runs == 12


def test_a_query_that_differs_as_a_range_query_is_told():
    class Instant:
        """An engine that is wrong by one in range queries."""

        def evaluate(self, expr, *, start_ms, end_ms, **rest):
            result = make_script_engine().evaluate(expr, start_ms=start_ms, end_ms=end_ms, **rest)
            if start_ms < end_ms:
                result.value.values += 1
            return result

    (outcome,) = run("eval instant at 2m g\n  g 3", engine=Instant())

    assert outcome.failure == "as a range query: g{}: expected 3, got 4"


def test_an_engine_that_crashes_fails_its_evals_only():
    outcomes = run(
        "eval instant at 0 g\n  expect fail\n\neval instant at 0 g", engine=BrokenEngine()
    )

    assert [outcome.line for outcome in outcomes] == [6, 9]
    assert all("crashed: IndexError" in outcome.failure for outcome in outcomes)


def test_histograms_are_compared_bucket_by_bucket():
    loaded = "load 1m\n  h {{schema:0 sum:1 count:3 buckets:[1 2]}}\n\n"

    assert failure_of(loaded + "eval instant at 0 h\n  h {{sum:1 count:3 buckets:[1 2]}}") is None
    failure = failure_of(loaded + "eval instant at 0 h\n  h {{sum:1 count:3 buckets:[2 1]}}")
    assert "got {count:3, sum:1, (0.5,1]:1, (1,2]:2}" in failure


def test_a_hint_counts_only_where_it_is_written():
    loaded = "load 1m\n  h {{count:1 counter_reset_hint:gauge}}\n\n"

    assert failure_of(loaded + "eval instant at 0 h\n  h {{count:1}}") is None
    reset = "eval instant at 0 h\n  h {{count:1 counter_reset_hint:reset}}"
    assert failure_of(loaded + reset) is not None


def test_classic_histograms_are_converted_beside_themselves():
    loaded = "load_with_nhcb 1m\n  d_bucket{le='1', j='x'} 1\n  d_bucket{le='+Inf', j='x'} 2\n\n"

    assert failure_of(loaded + "eval instant at 0 histogram_count(d)\n  {j='x'} 2") is None
    quantile = loaded + "eval instant at 0 histogram_quantile(0.5, d_bucket)\n  {j='x'} 1"
    assert failure_of(quantile) is None


def test_loads_add_up_and_clear_forgets():
    text = (
        "load 1m\n  more 1\n\neval instant at 0 more\n  more 1\n\n"
        "eval instant at 0 g\n  g 1\n\nclear\n\neval instant at 0 g"
    )

    assert [outcome.failure for outcome in run(text)] == [None, None, None]
