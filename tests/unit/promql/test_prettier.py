"""Layout only: that it is Prometheus's own is judged by a real one in tests/clients."""

from __future__ import annotations

import pytest
from tidegauge.promql.parser import parse
from tidegauge.promql.prettier import LINE_BYTES, MAX_LEVELS, prettify
from tidegauge.promql.printer import print_expr

LONG = "a_rather_long_name_of_a_metric_that_fills_a_line_with_others"


def test_what_fits_stays_on_one_line():
    assert prettify(parse("sum(  a ) by(b)")) == "sum by (b) (a)"


def test_each_operand_has_a_line_of_its_own():
    assert prettify(parse(f"{LONG} + on(a) {LONG}2")) == (
        f"  {LONG}\n+ on (a)\n  {LONG}2"  # 2 x 60 bytes are more than a line takes.
    )


def test_aggregations_calls_and_parentheses_are_opened():
    text = f"topk(3, (rate({LONG}[5m]) > {LONG}))"

    assert prettify(parse(text)) == (
        f"topk(\n  3,\n  (\n      rate({LONG}[5m])\n    >\n      {LONG}\n  )\n)"
    )


@pytest.mark.parametrize(
    "text",
    [
        f"{LONG} offset +(5m) + {LONG}",
        f"{LONG} + {LONG} offset +(5m) * {LONG} - {LONG}",
        f"max_over_time(({LONG} + {LONG})[30m:1m] offset (1m)) + {LONG} ^ -{LONG}",
        f"-({LONG} - {LONG}) == bool on (a) group_right (b) {LONG}",
        f'count_values without (a, "b c") ("d", {LONG} or {LONG} unless ({LONG} and {LONG}))',
        f'label_join({LONG}, "an_rather_long_label", ", ", "one_source_label", "another_label")',
        '{"' + "ü" * LINE_BYTES + '"}',
    ],
)
def test_what_is_laid_out_reads_the_same(text: str) -> None:
    expr = parse(text)

    laid_out = prettify(expr)

    assert print_expr(parse(laid_out)) == print_expr(expr)


def test_a_very_long_chain_is_laid_out_without_piling_up_indents():
    text = " + ".join(["1"] * 20_000)

    laid_out = prettify(parse(text))

    assert print_expr(parse(laid_out)) == text
    assert len(laid_out.splitlines()) == 2 * MAX_LEVELS + 1
    assert len(laid_out) < 2 * len(text)
