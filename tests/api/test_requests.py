"""What happens around every request: ids, logs, errors."""

from __future__ import annotations

import pytest
from flask import Flask


def test_a_sane_request_id_is_taken_and_returned_and_logged(client, log_lines) -> None:
    response = client.get("/health/live", headers={"X-Request-ID": "abc-1:2/x"})
    client.get("/nothing", headers={"X-Request-ID": "abc-2"})

    assert response.headers["X-Request-ID"] == "abc-1:2/x"
    (line,) = [line for line in log_lines() if line.get("request_id") == "abc-2"]
    assert line["message"] == "request"
    assert line["status"] == 404
    assert line["path"] == "/nothing"
    assert line["duration_ms"] >= 0


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "ä", '"><script>'])
def test_an_odd_request_id_is_replaced(client, given: str) -> None:
    response = client.get("/health/live", headers={"X-Request-ID": given.encode().decode("latin1")})

    assert response.headers["X-Request-ID"] == "id-1"


def test_successful_writes_and_probes_are_not_logged_at_info(client, log_lines) -> None:
    client.get("/health/live")
    client.post("/api/v1/metrics", data=b'[{"name":"cpu","value":1}]')
    client.get("/prometheus/api/v1/query?query=1")

    assert [line["path"] for line in log_lines()] == ["/prometheus/api/v1/query"]


def test_an_unforeseen_error_is_500_and_logged_with_its_traceback(
    client, services, log_lines
) -> None:
    services.listings = None

    native = client.get("/api/v1/metrics", headers={"X-Request-ID": "r-9"})
    prometheus = client.get("/prometheus/api/v1/labels")

    assert native.status_code == prometheus.status_code == 500
    assert native.get_json()["code"] == "internal"
    assert "r-9" in native.get_json()["error"]
    assert "NoneType" not in native.get_data(as_text=True)
    assert prometheus.get_json()["errorType"] == "internal"
    (line,) = [
        line
        for line in log_lines()
        if line["message"] == "unhandled exception" and line["request_id"] == "r-9"
    ]
    assert "AttributeError" in line["exception"]


def test_answers_forbid_content_sniffing(client) -> None:
    assert client.get("/health/live").headers["X-Content-Type-Options"] == "nosniff"


def test_the_root_is_404_json_not_a_page(client) -> None:
    response = client.get("/")

    assert response.status_code == 404
    assert response.get_json()["code"] == "not_found"


def test_the_app_keeps_the_order_of_keys(app: Flask) -> None:
    assert app.json.sort_keys is False


@pytest.mark.parametrize("path", ["/health/live", "/api/v1/metrics", "/prometheus/api/v1/nothing"])
def test_no_answer_can_run_be_framed_or_kept(client, path: str) -> None:
    headers = client.get(path).headers

    assert headers["Content-Security-Policy"].startswith("default-src 'none'; frame-ancestors")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"


def test_the_log_says_who_asked(client, log_lines) -> None:
    client.get("/api/v1/metrics")

    assert log_lines()[-1]["user_id"] == "local"
