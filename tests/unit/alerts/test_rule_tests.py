"""`tidegauge rules test`: what older promtools do not know, and what is said of faulty files."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as xml

import pytest
from click.testing import CliRunner
from tidegauge.cli import main

RULES = """
groups:
  - name: g
    rules:
      - {alert: Hot, expr: heat > 5, labels: {severity: page}}
      - {record: twice, expr: heat * 2}
"""
TEST = """
rule_files: [rules.yml]
evaluation_interval: 1m
"""


@pytest.fixture
def run(tmp_path: Path):
    """Run a test file beside a rule file; return the exit code and what was printed."""

    def go(text: str, *, rules: str = RULES, options: tuple[str, ...] = ()) -> tuple[int, str]:
        (tmp_path / "rules.yml").write_text(rules)
        (tmp_path / "test.yml").write_text(text)
        done = CliRunner().invoke(main, ["rules", "test", str(tmp_path / "test.yml"), *options])
        return done.exit_code, done.output

    return go


def expect(expr: str, value: object, *, head: str = "", at: str = "2m") -> str:
    """Return a test of one query over `heat`, 1 2 3 …"""
    return f"""{TEST}{head}
tests:
  - input_series: [{{series: heat, values: 1+1x10}}]
    promql_expr_test:
      - {{expr: '{expr}', eval_time: {at}, exp_samples: [{{value: {value}}}]}}
"""


def test_a_test_that_holds_is_a_success(run) -> None:
    assert run(expect("sum(twice)", 6)) == (0, run(expect("sum(twice)", 6))[1])
    assert "SUCCESS" in run(expect("sum(twice)", 6))[1]


def test_what_is_expected_and_what_came_is_told(run) -> None:
    code, said = run(expect("sum(twice)", 7))

    assert code == 1
    assert 'expr: "sum(twice)", time: 2m,\n        exp: {} 7\n        got: {} 6' in said


def test_fuzzy_comparison_forgives_the_last_bit(run) -> None:
    assert run(expect("vector(0.1 + 0.2)", 0.3))[0] == 1
    assert run(expect("vector(0.1 + 0.2)", 0.3, head="fuzzy_compare: true"))[0] == 0
    assert run(expect("vector(0.1 + 0.2)", 0.31, head="fuzzy_compare: true"))[0] == 1


def test_histograms_are_recorded_and_compared(run) -> None:
    text = expect("sum(twice)", 1).replace("1+1x10", "'{{schema:0 sum:1 count:3 buckets:[1 2]}}x5'")
    right = text.replace("value: 1", "histogram: '{{schema:0 sum:2 count:6 buckets:[2 4]}}'")

    assert run(right)[0] == 0
    assert run(right.replace("[2 4]", "[2 5]"))[0] == 1
    assert run(text)[0] == 1


@pytest.mark.parametrize("start", ["1700000000", "2023-11-14T22:13:20Z"])
def test_a_test_may_begin_at_another_time(run, start: str) -> None:
    text = expect("time() - scalar(heat)", 1700000117)

    assert (
        run(text.replace("- input_series", f"- start_timestamp: {start}\n    input_series"))[0] == 0
    )


def test_a_query_offset_looks_back(run) -> None:
    rules = RULES.replace("- name: g", "- name: g\n    query_offset: 1m")

    assert run(expect("sum(twice)", 4), rules=rules)[0] == 0


def test_a_limit_that_is_exceeded_is_a_fault(run) -> None:
    rules = RULES.replace("- name: g", "- name: g\n    limit: 1").replace("heat * 2", "h")
    text = expect("sum(twice)", 4).replace(
        "input_series: [",
        "input_series: [{series: 'h{n=\"1\"}', values: 1}, {series: h, values: 1}, ",
    )

    code, said = run(text, rules=rules)

    assert code == 1
    assert "rule: twice, time: 0s, err: exceeded limit of 1 with 2 series" in said


def test_what_a_recording_rule_gives_no_more_ends_at_once(run) -> None:
    rules = RULES.replace("heat * 2", "heat < 3")

    assert run(expect("count(twice)", 1, at="1m"), rules=rules)[0] == 0
    assert run(expect("count(twice) or vector(0)", 0), rules=rules)[0] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tests: [{colour: blue}]", "colour"),
        ("tests: [", "no YAML"),
        (TEST + "group_eval_order: [g, g]\ntests: []", "repeated in evaluation order: g"),
        (expect("heat", 1).replace("1+1x10", "'{{colour:1}}'"), "colour"),
        (expect("heat", 1).replace("value: 1", "histogram: count"), "does not stand in"),
        (expect("heat", 1, at="soon"), "soon"),
        (expect("heat", 1, at="90y"), "evaluated"),
        (expect("heat", "x"), "not a number"),
        (expect("heat", 1).replace("- input", "- start_timestamp: soon\n    input"), "no time"),
    ],
)
def test_a_faulty_file_fails_and_says_why(run, text: str, said: str) -> None:
    code, output = run(text)

    assert (code, "FAILED" in output) == (1, True)
    assert said in output


def test_a_faulty_rule_file_fails(run) -> None:
    code, output = run(expect("heat", 1), rules=RULES.replace("expr: heat > 5", "expr: heat >"))

    assert code == 1
    assert 'rules.yml: group "g", alert "Hot": ' in output


def test_a_pattern_without_files_is_told(run) -> None:
    code, output = run("rule_files: [no/*.yml]\ntests: []")

    assert (code, "no file match pattern no/*.yml" in output) == (0, True)


def test_junit_has_a_case_for_each_test(run, tmp_path: Path) -> None:
    text = expect("heat", 7).replace("- input", "- name: warm\n    input")

    run(text, options=("--junit", str(tmp_path / "out.xml")))

    suite = xml.parse(tmp_path / "out.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert suite[0].get("name") == "warm"
    assert 'got: {__name__="heat"} 3' in (suite[0][0].text or "")
