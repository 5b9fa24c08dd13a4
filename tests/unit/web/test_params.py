"""Request parameters, read as Go reads them."""

from __future__ import annotations

import pytest
from flask import Flask
from tidegauge.compat.prometheus_params import unescape_label_name
from tidegauge.web.params import InvalidParameter, Params, read_params


def read(path: str, **options) -> Params:
    with Flask("x").test_request_context(path, **options):
        return read_params()


def test_the_form_comes_before_the_query_string() -> None:
    params = read("/?a=url&b=url", method="POST", data={"a": "form"})

    assert (params.first("a"), params.first("b"), params.first("c")) == ("form", "url", "")


def test_lists_come_from_both() -> None:
    params = read("/?m=3", method="POST", data={"m": ["1", "2"]})

    assert params.all("m") == ["1", "2", "3"]


def test_the_body_of_a_get_is_not_read() -> None:
    assert read("/?a=url", method="GET", data={"a": "form"}).first("a") == "url"


@pytest.mark.parametrize(("text", "count"), [("", 7), ("0", 0), ("40000", 40000)])
def test_counts(text: str, count: int) -> None:
    assert read(f"/?n={text}").count("n", default=7) == count


@pytest.mark.parametrize("text", ["-1", "+1", "1.0", "1e3", "x", "1_0", "%D9%A3", "9" * 30, " 1"])
def test_other_counts_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match='invalid parameter "n"'):
        read(f"/?n={text}").count("n")


def test_a_count_has_an_upper_limit() -> None:
    with pytest.raises(InvalidParameter, match="11 is above 10"):
        read("/?n=11").count("n", high=10)


@pytest.mark.parametrize(
    ("escaped", "name"),
    [
        ("plain", "plain"),
        ("U__host_2e_name", "host.name"),
        ("U__a__b", "a_b"),
        ("U___3c_x_3E_", "<x>"),
        ("U__d_fc_ck", "dück"),
        ("U___1f600_", "\U0001f600"),
        ("U__", ""),
        # What is no escape stays as it was sent.
        ("U__a_b", "U__a_b"),
        ("U__a_", "U__a_"),
        ("U___d800_", "U___d800_"),
        ("U___1234567_", "U___1234567_"),
        ("U___zz_", "U___zz_"),
    ],
)
def test_escaped_label_names(escaped: str, name: str) -> None:
    assert unescape_label_name(escaped) == name
