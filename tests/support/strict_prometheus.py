"""The strictest reading of the Prometheus API's answers, from raw bytes.

Objects are lists of pairs, so that order and repeated keys show. Source: grafana-contract §2.3:
what Go's decoders and the streaming parser of Grafana 9.4 take, and nothing that they only happen
to forgive.
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
from collections.abc import Callable
from typing import Any

from tests.support.http_files import RawAnswer

Pairs = list[tuple[str, Any]]

# What Go writes for a float64: shortest digits, an exponent of two digits at least.
_VALUE = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?(e[+-]\d\d+)?|NaN|[+-]Inf")
_SEMVER = re.compile(r"(\d+)\.(\d+)\.(\d+)")


class Object(list[tuple[str, Any]]):
    """A JSON object: its pairs in the order in which they came."""


def read_json(answer: RawAnswer) -> Any:
    """Return the JSON of an answer, unpacked if it says so; fail on whatever is not plain JSON."""
    content_type = answer.headers["Content-Type"]
    assert content_type == "application/json", content_type
    assert answer.headers["Location"] is None
    assert answer.headers["Set-Cookie"] is None
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    packed = answer.headers["Content-Encoding"]
    assert packed in (None, "gzip")
    body = gzip.decompress(answer.body) if packed else answer.body
    assert body.startswith(b"{")
    assert body.endswith(b"}")
    return json.loads(
        body.decode("utf-8"), object_pairs_hook=_read_object, parse_constant=_refuse_constant
    )


def check_error(answer: RawAnswer, status: int, kind: str) -> str:
    """Check an error's whole body and return its text."""
    pairs = read_json(answer)
    assert answer.status == status, (answer.status, pairs)
    assert [name for name, _ in pairs] == ["status", "errorType", "error"]
    found = dict(pairs)
    assert (found["status"], found["errorType"]) == ("error", kind)
    assert isinstance(found["error"], str)
    assert found["error"]
    if status == 405:
        assert answer.headers["Allow"]
    text: str = found["error"]
    return text


def check_success(answer: RawAnswer, kind: str) -> tuple[Any, dict[str, list[str]]]:
    """Check a successful answer of a kind; return its result or data, and its notes."""
    pairs = read_json(answer)
    assert answer.status == 200, pairs
    names = [name for name, _ in pairs]
    assert names[:2] == ["status", "data"]
    assert names[2:] == [name for name in ("warnings", "infos") if name in names]
    found = dict(pairs)
    assert found["status"] == "success"
    notes = {name: found[name] for name in names[2:]}
    for texts in notes.values():
        assert texts
        assert all(isinstance(text, str) and text for text in texts)
    return _CHECKS[kind](found["data"]), notes


def _read_object(pairs: Pairs) -> Object:
    names = [name for name, _ in pairs]
    assert len(set(names)) == len(names), f"repeated keys: {names}"
    return Object(pairs)


def _refuse_constant(text: str) -> Any:
    raise AssertionError(f"{text} is no JSON")


def _names(value: Any) -> list[str]:
    assert isinstance(value, Object), value
    return [name for name, _ in value]


def _check_labels(value: Any) -> None:
    names = _names(value)
    assert names == sorted(names)
    for name, text in value:
        assert name
        assert isinstance(text, str)
        assert text


def _check_time(value: Any) -> None:
    assert type(value) in (int, float), value


def _check_point(value: Any) -> None:
    assert isinstance(value, list)
    time_s, text = value
    _check_time(time_s)
    assert isinstance(text, str)
    assert _VALUE.fullmatch(text), text


def _result_of(data: Any, kind: str) -> Any:
    names = _names(data)
    # Grafana 9.4 reads the answer as it comes, and must know the type before the result.
    assert names[:2] == ["resultType", "result"]
    assert names[2:] in ([], ["stats"])
    found = dict(data)
    assert found["resultType"] == kind
    return found["result"]


def _check_scalar(data: Any) -> Any:
    result = _result_of(data, "scalar")
    _check_point(result)
    return result


def _check_string(data: Any) -> Any:
    result = _result_of(data, "string")
    time_s, text = result
    _check_time(time_s)
    assert isinstance(text, str)
    return result


def _check_vector(data: Any) -> Any:
    result = _result_of(data, "vector")
    assert type(result) is list
    for row in result:
        assert _names(row) == ["metric", "value"]
        _check_labels(row[0][1])
        _check_point(row[1][1])
    return result


def _check_matrix(data: Any) -> Any:
    result = _result_of(data, "matrix")
    assert type(result) is list
    for row in result:
        assert _names(row) == ["metric", "values"]
        _check_labels(row[0][1])
        points = row[1][1]
        assert points
        for point in points:
            _check_point(point)
        times = [point[0] for point in points]
        assert all(before < after for before, after in itertools.pairwise(times))
    metrics = [repr(row[0][1]) for row in result]
    assert len(set(metrics)) == len(metrics)
    return result


def _check_strings(data: Any) -> Any:
    assert type(data) is list
    assert all(isinstance(text, str) and text for text in data)
    assert data == sorted(set(data))
    return data


def _check_series(data: Any) -> Any:
    assert type(data) is list
    for labels in data:
        _check_labels(labels)
    return data


def _check_metadata(data: Any) -> Any:
    for _, entries in list(data):
        assert entries, "Grafana reads the first entry without looking"
        for entry in entries:
            assert _names(entry) == ["type", "help", "unit"]
            assert all(isinstance(text, str) for _, text in entry)
    assert isinstance(data, Object)
    return data


def _check_exemplars(data: Any) -> Any:
    # There are no exemplars; what they look like is checked once there are.
    assert data == []
    return data


def _check_buildinfo(data: Any) -> Any:
    names = _names(data)
    assert names == ["version", "revision", "branch", "buildUser", "buildDate", "goVersion"]
    assert all(isinstance(text, str) for _, text in data)
    found = _SEMVER.fullmatch(data[0][1])
    assert found is not None
    assert tuple(map(int, found.groups())) >= (2, 24, 0)
    return data


def _check_rules(data: Any) -> Any:
    assert _names(data) == ["groups"]
    assert data[0][1] == []
    return data[0][1]


def _check_alerts(data: Any) -> Any:
    assert _names(data) == ["alerts"]
    assert data[0][1] == []
    return data[0][1]


def _check_text(data: Any) -> Any:
    assert isinstance(data, str)
    return data


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "scalar": _check_scalar,
    "string": _check_string,
    "vector": _check_vector,
    "matrix": _check_matrix,
    "strings": _check_strings,
    "series": _check_series,
    "metadata": _check_metadata,
    "exemplars": _check_exemplars,
    "buildinfo": _check_buildinfo,
    "rules": _check_rules,
    "alerts": _check_alerts,
    "text": _check_text,
}
