"""Strings are unescaped as Prometheus does it, and quoted as Go does it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tidegauge.promql.quoting import quote, quote_rune, to_bytes, to_text, unquote


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        (r'"a\tb\x41\101\u263a\U0001F600"', "a\tbAA☺😀"),
        (r'"\xe2\x98\xba"', "☺"),
        (r'"\xff"', "\udcff"),
        (r"'it\'s'", "it's"),
        (r"`\n'`", r"\n'"),
        ("'\"'", '"'),
    ],
)
def test_unquote(literal: str, text: str) -> None:
    assert unquote(literal) == text


@pytest.mark.parametrize(
    "literal",
    ["", '"', "x", "\"'", '"\n"', '"""', r'"\q"', r'"\400"', r'"\U00110000"', r'"\'"', "```"],
)
def test_what_is_no_literal(literal: str) -> None:
    with pytest.raises(ValueError, match="invalid syntax"):
        unquote(literal)


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ('a"\\\n\x01\x7f', r'"a\"\\\n\x01\x7f"'),
        ("é☺\u200b\U000e0001", r'"é☺\u200b\U000e0001"'),
        ("\udcff", r'"\xff"'),
        ("it's", '"it\'s"'),
    ],
)
def test_quote(text: str, literal: str) -> None:
    assert quote(text) == literal


def test_quote_rune_escapes_its_own_mark() -> None:
    assert (quote_rune(ord("'")), quote_rune(ord('"')), quote_rune(7)) == (r"'\''", "'\"'", r"'\a'")


@settings(deadline=None, derandomize=True)
@given(st.binary())
def test_quoted_bytes_unquote_to_themselves(data: bytes) -> None:
    text = to_text(data)

    assert to_bytes(text) == data
    assert to_bytes(unquote(quote(text))) == data
