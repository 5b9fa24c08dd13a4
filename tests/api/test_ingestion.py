"""Ingestion routes: JSON and remote write, and what they answer (SPEC §2)."""

from __future__ import annotations

import gzip
import io
import socket

import cramjam
import orjson
import pytest
from tidegauge.errors import Unavailable

NOW_MS = 1_700_000_000_000
WRITE_PATHS = ["/prometheus/api/v1/write", "/api/v1/write"]


def point(**changed: object) -> dict[str, object]:
    return {"name": "cpu", "value": 1.5, "tags": {"host": "a"}, "timestamp": NOW_MS, **changed}


def post_points(client, points: object, **options):
    return client.post("/api/v1/metrics", data=orjson.dumps(points), **options)


def test_good_points_are_accepted_and_can_be_queried(client) -> None:
    response = post_points(client, [point(), point(name="mem")])

    assert response.status_code == 202
    assert response.get_json() == {"accepted": 2, "rejected": 0, "errors": []}
    found = client.post("/api/v1/query", json={"query": "cpu"}).get_json()
    assert found["data"] == [{"time": NOW_MS, "value": 1.5}]


def test_good_points_are_stored_beside_bad_ones(client) -> None:
    response = post_points(client, [point(), point(name="9x"), point(name="mem")])

    body = response.get_json()
    assert response.status_code == 202
    assert (body["accepted"], body["rejected"]) == (2, 1)
    (error,) = body["errors"]
    assert error["index"] == 1
    assert error["error"]
    assert error["code"]


def test_only_bad_points_are_400_with_the_same_body(client) -> None:
    response = post_points(client, [point(value="x")])

    assert response.status_code == 400
    assert response.get_json()["accepted"] == 0
    assert response.get_json()["errors"][0]["index"] == 0


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b'"x"', b"\xff"])
def test_what_is_not_a_json_list_is_400(client, body: bytes) -> None:
    response = client.post("/api/v1/metrics", data=body)

    assert response.status_code == 400
    assert response.get_json()["error"]


def test_compressed_bodies_are_understood(client) -> None:
    body = orjson.dumps([point()])
    packed = {
        "gzip": gzip.compress(body),
        "zstd": bytes(cramjam.zstd.compress(body)),
        "snappy": bytes(cramjam.snappy.compress_raw(body)),
    }

    for encoding, data in packed.items():
        response = client.post("/api/v1/metrics", data=data, headers={"Content-Encoding": encoding})
        assert (encoding, response.status_code) == (encoding, 202)


def test_a_declared_length_beyond_the_limit_is_413_unread(client, services) -> None:
    limit = services.config.ingest.max_body_bytes
    unread = io.BytesIO(b"[]")

    response = client.post(
        "/api/v1/metrics",
        input_stream=unread,
        environ_overrides={"CONTENT_LENGTH": str(limit + 1)},
    )

    assert response.status_code == 413
    assert response.get_json()["code"] == "too_large"
    assert unread.tell() == 0


def test_a_chunked_body_beyond_the_limit_is_413(client, services) -> None:
    limit = services.config.ingest.max_body_bytes

    response = client.post(
        "/api/v1/metrics",
        input_stream=io.BytesIO(b" " * (limit + 1)),
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
    )

    assert response.status_code == 413


def test_a_body_that_unpacks_beyond_the_limit_is_413(client, services) -> None:
    bomb = gzip.compress(b" " * (services.config.ingest.max_body_bytes + 1))

    response = client.post("/api/v1/metrics", data=bomb, headers={"Content-Encoding": "gzip"})

    assert response.status_code == 413


@pytest.mark.parametrize("path", WRITE_PATHS)
def test_remote_write_is_204_and_can_be_queried(client, push_remote, path: str) -> None:
    response = push_remote({"__name__": "up", "job": "x"}, [(NOW_MS, 1.0)], path=path)

    assert response.status_code == 204
    assert response.data == b""
    found = client.get("/prometheus/api/v1/query?query=up").get_json()
    assert found["data"]["result"][0]["value"] == [1_700_000_000, "1"]


@pytest.mark.parametrize("path", WRITE_PATHS)
@pytest.mark.parametrize("body", [b"garbage", b"", bytes(cramjam.snappy.compress_raw(b"\xff\xff"))])
def test_malformed_remote_write_is_400(client, path: str, body: bytes) -> None:
    response = client.post(path, data=body, headers={"Content-Encoding": "snappy"})

    # An empty body is an empty snappy block to some and malformed to others; never retried.
    assert response.status_code == 400


def test_a_declared_snappy_bomb_is_refused_and_not_retried(client) -> None:
    # A varint that declares 2.5 GB in front of nothing.
    response = client.post(
        WRITE_PATHS[0],
        data=b"\x80\xf2\x8b\xa8\x09" + b"\x00" * 45,
        headers={"Content-Encoding": "snappy"},
    )

    assert response.status_code in (400, 413)


def test_remote_write_version_2_is_415_until_it_is_spoken(client) -> None:
    response = client.post(
        WRITE_PATHS[0],
        data=bytes(cramjam.snappy.compress_raw(b"")),
        headers={
            "Content-Encoding": "snappy",
            "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        },
    )

    assert response.status_code == 415


@pytest.mark.parametrize("path", ["/api/v1/metrics", *WRITE_PATHS])
def test_a_neighbour_that_is_away_is_503_with_retry_after(
    client, path: str, services, write_body
) -> None:
    class Away:
        """An ingestion whose queue is full."""

        def ingest_json(self, *_: object) -> None:
            raise Unavailable("the ingestion queue is full", retry_after_s=7)

        ingest_remote_write = ingest_json

    services.ingest = Away()

    response = client.post(path, data=write_body({"__name__": "up"}, [(NOW_MS, 1.0)]))

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "7"
    assert "queue is full" in response.get_json()["error"]


def test_requests_and_points_are_counted(client) -> None:
    post_points(client, [point(), point(name="9x")])
    client.post("/api/v1/metrics", data=b"{")

    text = client.get("/metrics").get_data(as_text=True)

    assert 'ingest_requests_total{status="202"} 1.0' in text
    assert 'ingest_requests_total{status="400"} 1.0' in text
    assert 'ingest_points_total{protocol="json"} 1.0' in text
    assert "ingest_latency_seconds_count 2.0" in text


def test_a_fault_of_ours_is_counted_as_a_request_too(client, services) -> None:
    class Broken:
        """An ingestion with a fault that nobody foresaw."""

        def ingest_json(self, *_: object) -> None:
            raise ZeroDivisionError

    services.ingest = Broken()

    assert client.post("/api/v1/metrics", data=b"[]").status_code == 500

    assert 'ingest_requests_total{status="500"} 1.0' in client.get("/metrics").get_data(True)


@pytest.mark.parametrize("path", ["/api/v1/metrics", *WRITE_PATHS])
@pytest.mark.parametrize("length", [{"CONTENT_LENGTH": "100"}, {"wsgi.input_terminated": True}])
def test_a_body_that_stops_arriving_is_temporary(client, path: str, length: dict) -> None:
    class Stalled(io.RawIOBase):
        """A socket whose time is over."""

        def readable(self) -> bool:
            return True

        def readinto(self, _room: object) -> int:
            raise BlockingIOError(11, "Resource temporarily unavailable")

    ours, theirs = socket.socketpair()
    with ours, theirs:
        environ = {"wsgi.input": Stalled(), "gunicorn.socket": ours, **length}
        response = client.post(path, environ_overrides=environ)
        ours.setblocking(False)
        # Nobody waits for the rest of it any more.
        assert ours.recv(1) == b""

    assert response.status_code == 503
    assert "Retry-After" in response.headers
    assert "did not arrive" in response.get_json()["error"]
