"""The strict reading refuses what Grafana's parsers stumble over."""

from __future__ import annotations

import http.client

import pytest

from tests.support.http_files import RawAnswer
from tests.support.strict_prometheus import check_error, check_success


def answer_of(body: str, status: int = 200) -> RawAnswer:
    headers = http.client.HTTPMessage()
    headers["Content-Type"] = "application/json"
    headers["Content-Length"] = str(len(body.encode()))
    return RawAnswer(status, headers, body.encode())


def success(data: str) -> RawAnswer:
    return answer_of(f'{{"status":"success","data":{data}}}')


VECTOR = '{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1.5,"1e+21"]}]}'


def test_what_prometheus_answers_is_read() -> None:
    result, notes = check_success(success(VECTOR), "vector")

    assert result == [[("metric", [("a", "b")]), ("value", [1.5, "1e+21"])]]
    assert notes == {}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("vector", '{"result":[],"resultType":"vector"}'),
        ("vector", '{"resultType":"vector","result":null}'),
        ("vector", VECTOR.replace('"1e+21"', "1e+21")),
        ("vector", VECTOR.replace('"1e+21"', '"1.0"').replace("1.5", '"1.5"')),
        ("vector", VECTOR.replace('"1e+21"', '"inf"')),
        ("vector", VECTOR.replace("1.5", "NaN")),
        ("vector", VECTOR.replace('"metric":{"a":"b"}', '"metric":{"a":"b","a":"c"}')),
        ("vector", VECTOR.replace('{"a":"b"}', '{"b":"b","a":"c"}')),
        ("matrix", '{"resultType":"matrix","result":[{"metric":{},"values":[]}]}'),
        ("matrix", '{"resultType":"matrix","result":[{"metric":{},"values":[[2,"1"],[1,"1"]]}]}'),
        ("strings", '["b","a"]'),
        ("strings", "null"),
        ("metadata", '{"m":[]}'),
        ("rules", '{"groups":null}'),
    ],
)
def test_what_only_lenient_readers_take_is_refused(kind: str, data: str) -> None:
    with pytest.raises(AssertionError):
        check_success(success(data), kind)


@pytest.mark.parametrize(
    "body",
    [
        '{"status":"error","data":null,"errorType":"bad_data","error":"x"}',
        '{"errorType":"bad_data","status":"error","error":"x"}',
        '{"status":"error","errorType":"execution","error":"x"}',
    ],
)
def test_errors_of_another_shape_are_refused(body: str) -> None:
    with pytest.raises(AssertionError):
        check_error(answer_of(body, 400), 400, "bad_data")
