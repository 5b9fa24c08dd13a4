"""Label sets and the 128 bits that stand for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tidegauge.errors import InvalidInput
from tidegauge.model.labels import make_labels
from tidegauge.storage.fingerprints import fingerprint

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
LABELS = st.dictionaries(TEXT, TEXT, max_size=4).map(
    lambda tags: make_labels(tags | {"__name__": "m"})
)


@given(LABELS, LABELS)
def test_only_equal_label_sets_have_equal_fingerprints(left: tuple, right: tuple) -> None:
    assert (fingerprint(left) == fingerprint(right)) is (left == right)


def test_text_cannot_move_between_labels() -> None:
    one = make_labels({"__name__": "m", "a": "b", "c": "d"})
    other = make_labels({"__name__": "m", "a": "b\x00c\x00d".replace("\0", "\xff")})

    assert fingerprint(one) != fingerprint(other)


def test_a_fingerprint_never_changes() -> None:
    # It stands in databases: another one would register every series anew.
    labels = make_labels({"__name__": "up", "job": "Ünï"})

    assert fingerprint(labels) == "4d679caa2fea9bcdd7c1f84cc7dc70ea"


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        ((("job", "a"),), "no __name__"),
        ((("__name__", "m"), ("a", "")), "empty value"),
        ((("__name__", "m"), ("b", "1"), ("a", "1")), "not sorted"),
        ((("__name__", "m"), ("a", "1"), ("a", "2")), "twice"),
        ((("__name__", "m"), ("a", "x\0y")), "NUL"),
        ((("__name__", "m"), ("a", "\ud800")), "surrogate"),
        ((), "no __name__"),
    ],
)
def test_label_sets_that_cannot_be_stored_are_refused(labels: tuple, fault: str) -> None:
    with pytest.raises(InvalidInput, match=fault):
        fingerprint(labels)
