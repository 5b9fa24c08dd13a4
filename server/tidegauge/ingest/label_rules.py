"""What a label set may be: the rules of Prometheus protocols, and the narrower ones of JSON.

Source: SPEC §2; Prometheus `model/labels`, UTF-8 validation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tidegauge.ingest.errors import RefusedSeries
from tidegauge.model.labels import METRIC_NAME, Labels

JSON_NAME_CHARS, JSON_KEY_CHARS, JSON_VALUE_CHARS = 255, 64, 256
SHOWN_CHARS = 80

_JSON_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*\Z", re.ASCII)
_JSON_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)


def check_wire_labels(
    raw: Iterable[tuple[bytes, bytes]], *, max_labels: int, max_value_bytes: int
) -> Labels:
    """Return the label set of a Prometheus protocol, sorted, without empty values.

    Args:
        raw: names and values as they came, in any order.
        max_labels: most labels of one series.
        max_value_bytes: longest name or value.
    Raises:
        RefusedSeries: says which label, and why.
    """
    pairs = list(raw)
    if len(pairs) > max_labels:
        raise RefusedSeries(
            "too_many_labels",
            f"series {_name_of(pairs)} has more labels than the limit of {max_labels} "
            "(TIDEGAUGE_LABELS_PER_SERIES)",
        )
    found: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = _check_pair(raw_name, raw_value, pairs, max_value_bytes)
        if name in found:
            raise RefusedSeries(
                "duplicate_label", f"series {_name_of(pairs)} has label {shown(name)} twice"
            )
        found[name] = value
    if not found.get(METRIC_NAME):
        raise RefusedSeries("no_metric_name", "series without a metric name (label __name__)")
    return tuple(sorted((name, value) for name, value in found.items() if value))


def _check_pair(
    raw_name: bytes, raw_value: bytes, pairs: list[tuple[bytes, bytes]], max_bytes: int
) -> tuple[str, str]:
    if not raw_name:
        raise RefusedSeries("bad_label", f"series {_name_of(pairs)} has a label without a name")
    for what, raw in (("name", raw_name), ("value", raw_value)):
        if len(raw) > max_bytes:
            raise RefusedSeries(
                "label_too_long",
                f"series {_name_of(pairs)}: the {what} of label {shown(raw_name)} is {len(raw)} "
                f"bytes long, the limit is {max_bytes} (TIDEGAUGE_LABEL_VALUE_MAX_BYTES)",
            )
        if b"\0" in raw:
            raise RefusedSeries(
                "bad_label",
                f"series {_name_of(pairs)}: the {what} of label {shown(raw_name)} holds a NUL byte",
            )
    try:
        return raw_name.decode(), raw_value.decode()
    except UnicodeDecodeError as exc:
        raise RefusedSeries(
            "bad_label",
            f"series {_name_of(pairs)}: label {shown(raw_name)} is not valid UTF-8: "
            f"{exc.reason} at byte {exc.start}",
        ) from exc


def _name_of(pairs: list[tuple[bytes, bytes]]) -> str:
    return shown(next((value for name, value in pairs if name == b"__name__"), b"(no name)"))


def check_json_labels(name: str, tags: Mapping[str, str], *, max_labels: int) -> Labels:
    """Return the label set of a point of the JSON API; a tag with an empty value does not exist.

    Raises:
        RefusedSeries: says which name, key or value, and why.
    """
    if len(name) > JSON_NAME_CHARS:
        raise RefusedSeries(
            "bad_name",
            f"name {shown(name)} is {len(name)} characters long, the limit is {JSON_NAME_CHARS}",
        )
    if not _JSON_NAME.match(name):
        raise RefusedSeries(
            "bad_name",
            f"name {shown(name)}: only letters, digits, underscores and colons are allowed, "
            "and no digit first",
        )
    if len(tags) >= max_labels:
        raise RefusedSeries(
            "too_many_tags",
            f"{shown(name)} has {len(tags)} tags, the limit is {max_labels - 1} "
            "(TIDEGAUGE_LABELS_PER_SERIES counts the name too)",
        )
    for key, value in tags.items():
        _check_json_tag(key, value)
    return tuple(sorted([(METRIC_NAME, name), *((k, v) for k, v in tags.items() if v)]))


def _check_json_tag(key: str, value: str) -> None:
    if key == METRIC_NAME:
        raise RefusedSeries("bad_tag_key", "tag key '__name__' is the metric's own name")
    if len(key) > JSON_KEY_CHARS:
        raise RefusedSeries(
            "bad_tag_key",
            f"tag key {shown(key)} is {len(key)} characters long, the limit is {JSON_KEY_CHARS}",
        )
    if not _JSON_KEY.match(key):
        raise RefusedSeries(
            "bad_tag_key",
            f"tag key {shown(key)}: only letters, digits and underscores are allowed, "
            "and no digit first",
        )
    if len(value) > JSON_VALUE_CHARS:
        raise RefusedSeries(
            "bad_tag_value",
            f"the value of tag {key!r} is {len(value)} characters long, "
            f"the limit is {JSON_VALUE_CHARS}",
        )
    if "\0" in value:
        raise RefusedSeries("bad_tag_value", f"the value of tag {key!r} holds a NUL character")


def shown(text: str | bytes) -> str:
    """Return a name or value as an error message shows it: quoted, and not too long."""
    if isinstance(text, bytes):
        text = text[: 4 * SHOWN_CHARS].decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…")
