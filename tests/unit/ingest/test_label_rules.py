"""What a label set may be, by each road."""

from __future__ import annotations

import pytest
from tidegauge.ingest.errors import RefusedSeries
from tidegauge.ingest.label_rules import check_json_labels, check_wire_labels

NAME = (b"__name__", b"up")


def check_wire(*pairs: tuple[bytes, bytes]):
    return check_wire_labels(pairs, max_labels=5, max_value_bytes=100)


def test_wire_labels_are_sorted_and_empty_values_left_out() -> None:
    assert check_wire((b"zone", b"a"), (b"empty", b""), NAME) == (
        ("__name__", "up"),
        ("zone", "a"),
    )


def test_wire_labels_may_be_any_utf8() -> None:
    labels = check_wire((b"__name__", "température".encode()), ("日本".encode(), "語 x".encode()))

    assert labels == (("__name__", "température"), ("日本", "語 x"))


@pytest.mark.parametrize(
    ("pairs", "code", "words"),
    [
        ([], "no_metric_name", "__name__"),
        ([(b"job", b"a")], "no_metric_name", "__name__"),
        ([(b"__name__", b"")], "no_metric_name", "__name__"),
        ([NAME, (b"", b"a")], "bad_label", "without a name"),
        ([NAME, (b"a", b"1"), (b"a", b"1")], "duplicate_label", "'a' twice"),
        ([NAME, (b"a", b""), (b"a", b"1")], "duplicate_label", "'a' twice"),
        ([NAME, (b"a\xff", b"1")], "bad_label", "UTF-8"),
        ([NAME, (b"a", b"\xff")], "bad_label", "'a' is not valid UTF-8"),
        ([NAME, (b"a", b"\xed\xa0\x80")], "bad_label", "UTF-8"),
        ([NAME, (b"a", b"x\0")], "bad_label", "NUL"),
        ([NAME, (b"a\0", b"x")], "bad_label", "NUL"),
        ([NAME, (b"a", b"x" * 101)], "label_too_long", "TIDEGAUGE_LABEL_VALUE_MAX_BYTES"),
        ([NAME, (b"x" * 101, b"a")], "label_too_long", "101 bytes"),
        ([NAME, *[(b"l%d" % n, b"v") for n in range(5)]], "too_many_labels", "limit of 5"),
    ],
)
def test_wire_labels_that_break_a_rule_are_refused_by_name(pairs, code: str, words: str) -> None:
    with pytest.raises(RefusedSeries) as caught:
        check_wire(*pairs)

    assert caught.value.code == code
    assert words in caught.value.message


def test_a_refusal_of_a_huge_value_is_short() -> None:
    with pytest.raises(RefusedSeries) as caught:
        check_wire(NAME, (b"trace", b"x" * 1_000_000))

    assert "'trace' is 1000000 bytes" in caught.value.message
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("name", ["a", "_", "a9", "job:rate5m:sum", ":x", "a" * 255])
def test_json_names_that_are_right(name: str) -> None:
    assert check_json_labels(name, {}, max_labels=5) == (("__name__", name),)


@pytest.mark.parametrize("name", ["", "9a", "a-b", "a b", "ä", "a\n", "a" * 256, "a.b", "٣"])
def test_json_names_that_are_wrong(name: str) -> None:
    with pytest.raises(RefusedSeries) as caught:
        check_json_labels(name, {}, max_labels=5)

    assert caught.value.code == "bad_name"


def test_json_tags_keep_any_text_and_lose_empty_values() -> None:
    labels = check_json_labels("m", {"b": '日本 "x"\n', "a": "", "c": "v" * 256}, max_labels=5)

    assert labels == (("__name__", "m"), ("b", '日本 "x"\n'), ("c", "v" * 256))


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"": "x"}, "bad_tag_key"),
        ({"a:b": "x"}, "bad_tag_key"),
        ({"9": "x"}, "bad_tag_key"),
        ({"k" * 65: "x"}, "bad_tag_key"),
        ({"a\n": "x"}, "bad_tag_key"),
        ({"__name__": "x"}, "bad_tag_key"),
        ({"a": "v" * 257}, "bad_tag_value"),
        ({"a": "x\0y"}, "bad_tag_value"),
        ({f"k{n}": "v" for n in range(5)}, "too_many_tags"),
    ],
)
def test_json_tags_that_break_a_rule(tags: dict[str, str], code: str) -> None:
    with pytest.raises(RefusedSeries) as caught:
        check_json_labels("m", tags, max_labels=5)

    assert caught.value.code == code
