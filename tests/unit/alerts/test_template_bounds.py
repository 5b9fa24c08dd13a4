"""Templates reach nothing but their data, and end soon, whatever they hold."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tidegauge.alerts.templates.errors import TemplateError
from tidegauge.alerts.templates.expand import AlertData, expand, expand_or_explain
from tidegauge.alerts.templates.functions import FUNCTIONS

DATA = AlertData("X", {"job": "node"}, 1.0, 0, query=lambda _text: [({"a": "b"}, 1.0)])
HUGE = "{{ range $i := 1000000 }}%s{{ end }}"


class Steps:
    """A clock on which every look takes a millisecond."""

    def __init__(self) -> None:
        self._looks = itertools.count()

    def __call__(self) -> float:
        return next(self._looks) / 1000


@pytest.mark.parametrize(
    "text",
    [
        "{{ .__class__ }}",
        "{{ $value.__class__.__mro__ }}",
        "{{ (query `x`).__len__ }}",
        "{{ (query `x` | first).fields }}",
        "{{ (query `x` | first).Labels.entries.x }}",
        "{{ printf.__globals__ }}",
        "{{ $.Labels.job.format }}",
        "{{ (index (query `x`) 0).go_type }}",
        "{{ __import__ `os` }}",
        "{{ ''.__class__ }}",
        "{{ call print }}",
    ],
)
def test_nothing_of_pythons_is_reached(text: str) -> None:
    with pytest.raises(TemplateError):
        expand(text, DATA)


def test_a_name_with_underscores_is_a_label_like_any_other() -> None:
    assert expand("[{{ $labels.__class__ }}]", DATA) == "[]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HUGE % "", "more than 50000 steps"),
        (HUGE % "{{ $j := 1 }}{{ printf `%d` $j | len }}", "steps|characters"),
        (HUGE % "{{ `0123456789abcdef0123456789abcdef` }}", "65536 characters"),
        ("{{ $x := `xxxxxxxxxx` }}" + HUGE % "{{ $x = print $x $x }}", "65536 characters"),
        ("{{ reReplaceAll `` (printf `%1000d` 1) (printf `%1000d` 1) }}", "65536 characters"),
        ("{{ printf `%1001d` 1 }}", "at most 1000"),
        ("{{ printf `%*d` 99999999 1 }}", "at most 1000"),
        ("{{ printf `%.99999f` 1.0 }}", "at most 1000"),
        ("{{ define `a` }}{{ template `a` }}{{ end }}{{ template `a` }}", "20 deep"),
        ("{{ if true }}" * 60 + "{{ end }}" * 60, "nested more than 50 deep"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested more than 50 deep"),
        ("{{ query `x` }}" * 21, "more than 20 queries"),
        ("x" * 70_000, "at most 65536"),
        ("{{ reReplaceAll `((a{100}){100}){100}` `` `a` }}", "error calling reReplaceAll"),
        ("{{ reReplaceAll `(` `` `a` }}", "missing"),
    ],
)
def test_what_goes_out_of_bounds_ends(text: str, said: str) -> None:
    with pytest.raises(TemplateError, match=said):
        expand(text, DATA, clock=lambda: 0.0)


def test_blocks_and_templates_cannot_exhaust_the_stack() -> None:
    before, after = "{{ if true }}" * 48, "{{ end }}" * 48
    defined = (
        "".join(("{{ define `", str(n), "` }}", before, "{{ template `", str(n + 1), "` }}", after))
        for n in range(18)
    )
    text = "{{ end }}".join((*defined, "{{ define `18` }}x", "{{ template `0` }}"))

    assert expand_or_explain(text, DATA, clock=lambda: 0.0)


def test_a_template_has_a_deadline() -> None:
    with pytest.raises(TemplateError, match="more than 100 ms"):
        expand(HUGE % "", DATA, clock=Steps())


def test_the_time_of_queries_is_their_own() -> None:
    clock = Steps()

    def slow(_text: str) -> list[tuple[dict[str, str], float]]:
        for _ in range(1000):
            clock()
        return [({}, 5.0)]

    data = AlertData("X", {}, 1.0, 0, query=slow)

    assert expand("{{ query `a` | first | value }}", data, clock=clock) == "5"


def test_a_regex_that_backtracks_elsewhere_is_quick_here() -> None:
    text = "{{ match `(a+)+$` `" + "a" * 30_000 + "b` }}"

    assert expand(text, DATA) == "false"


_PIECES = st.sampled_from(
    [
        *("{{", "}}", "{{-", "-}}", " ", "|", "(", ")", ".", "$", "$x", ":=", "=", ","),
        *('"', "`", "'", "\\", "\n", "\x00", "é", "/*", "*/"),
        *("if", "else", "end", "range", "with", "define", "template", "block", "break"),
        *("1", "0.5", "1e", "nil", "true", ".Labels", ".job", "$value", "$labels"),
        *sorted(FUNCTIONS),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_PIECES, max_size=25).map("".join), st.lists(_PIECES, max_size=12).map(" ".join))
def test_whatever_is_written_there_is_a_text_or_an_error_of_ours(loose: str, inner: str) -> None:
    for text in (loose, f"{{{{ {inner} }}}}"):
        assert isinstance(expand_or_explain(text, DATA), str)
