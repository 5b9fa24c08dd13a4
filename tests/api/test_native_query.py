"""POST /api/v1/query (SPEC §3)."""

from __future__ import annotations

import gzip

import orjson
import pytest

NOW_MS = 1_700_000_000_000


def ask(client, **body):
    return client.post("/api/v1/query", json=body)


@pytest.fixture
def two_hosts(push) -> None:
    """Two series with three points each."""
    for step in range(3):
        push("cpu", float(step), {"host": "a"}, NOW_MS - 60_000 + 30_000 * step)
        push("cpu", 10.0 + step, {"host": "b"}, NOW_MS - 60_000 + 30_000 * step)


def test_one_series_answers_points_without_tags(client, two_hosts) -> None:
    response = ask(client, query='cpu{host="a"}', start="now-1m", end="now", step="30s")

    body = response.get_json()
    assert response.status_code == 200
    assert list(body) == ["data", "meta"]
    assert body["data"] == [
        {"time": NOW_MS - 60_000, "value": 0.0},
        {"time": NOW_MS - 30_000, "value": 1.0},
        {"time": NOW_MS, "value": 2.0},
    ]


def test_several_series_carry_tags(client, two_hosts) -> None:
    body = ask(client, query="sum by (host) (cpu)", start="now", end="now").get_json()

    assert body["data"] == [
        {"time": NOW_MS, "value": 2.0, "tags": {"host": "a"}},
        {"time": NOW_MS, "value": 12.0, "tags": {"host": "b"}},
    ]


def test_format_series_groups_points(client, two_hosts) -> None:
    body = ask(
        client, query="cpu", start=NOW_MS - 30_000, end=NOW_MS, step=30, format="series"
    ).get_json()

    assert body["data"] == [
        {
            "tags": {"__name__": "cpu", "host": host},
            "points": [[NOW_MS - 30_000, base + 1.0], [NOW_MS, base + 2.0]],
        }
        for host, base in (("a", 0.0), ("b", 10.0))
    ]


def test_meta_says_what_was_done(client, two_hosts) -> None:
    meta = ask(client, query="cpu", start="now-1m", end="now", step="30s").get_json()["meta"]

    assert meta["resolution"] == "raw"
    assert meta["step"] == 30
    assert meta["series"] == 2
    assert meta["points"] == 6
    assert meta["samples_read"] == 6
    assert meta["cache"] == "miss"
    assert meta["took_ms"] >= 0
    assert meta["warnings"] == []


def test_a_missing_step_is_chosen_from_the_range(client) -> None:
    meta = ask(client, query="1", start="now-6h", end="now").get_json()["meta"]

    assert meta["step"] == 120
    assert 150 <= meta["points"] <= 301


def test_without_times_the_query_is_about_now(client, two_hosts) -> None:
    assert ask(client, query="sum(cpu)").get_json()["data"] == [{"time": NOW_MS, "value": 14.0}]


def test_gaps_are_left_out_and_special_values_are_strings(client, push) -> None:
    push("gap", 1.0, {}, NOW_MS - 600_000)
    push("gap", "NaN", {}, NOW_MS)

    body = ask(client, query="gap", start="now-10m", end="now", step="5m").get_json()

    assert body["data"] == [
        {"time": NOW_MS - 600_000, "value": 1.0},
        {"time": NOW_MS, "value": "NaN"},
    ]
    assert ask(client, query="vector(1)/0").get_json()["data"][0]["value"] == "+Inf"
    assert ask(client, query="-vector(1)/0").get_json()["data"][0]["value"] == "-Inf"


def test_strings_and_range_vectors_are_shown_at_one_moment(client, two_hosts) -> None:
    assert ask(client, query='"hi"').get_json()["data"] == [{"time": NOW_MS, "value": "hi"}]
    points = ask(client, query='cpu{host="b"}[45s]').get_json()["data"]
    assert [point["value"] for point in points] == [11.0, 12.0]


def test_nothing_found_is_an_empty_list(client) -> None:
    body = ask(client, query="nothing", start="now-1h", end="now").get_json()

    assert body["data"] == []
    assert body["meta"]["series"] == 0


def test_a_syntax_error_has_its_position(client) -> None:
    response = ask(client, query="sum(\n  'ö' + cpu{host=})")

    body = response.get_json()
    assert response.status_code == 400
    assert body["code"] == "parse"
    assert body["position"]["line"] == 2
    assert body["position"]["column"] == 19
    assert body["position"]["start"] == 23
    assert body["error"].startswith("2:19: parse error: ")
    assert body["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "the body is not what is wanted"),
        (b"[1]", "Expected `object`"),
        (b'{"query": 1}', "Expected `str`"),
        (b'{"qeury": "up"}', "qeury"),
        (b'{"query": "up", "format": "csv"}', "format"),
        (b'{"query": "up", "start": "yesterday"}', 'invalid parameter "start"'),
        (b'{"query": "up", "start": "now", "end": "now-1h"}', "it lies before start"),
        (b'{"query": "up", "step": "0"}', 'invalid parameter "step"'),
        (b"[" * 100_000, "the body is not what is wanted"),
    ],
)
def test_a_wrong_body_is_400_and_says_what_is_wrong(client, body: bytes, text: str) -> None:
    response = client.post("/api/v1/query", data=body)

    assert response.status_code == 400
    assert text in response.get_json()["error"]


def test_too_many_points_name_limit_and_setting(client) -> None:
    response = ask(client, query="1", start="now-1d", end="now", step="1s")

    assert response.status_code == 422
    assert response.get_json()["code"] == "limit"
    assert "11,000 points" in response.get_json()["error"]
    assert "TIDEGAUGE_QUERY_MAX_POINTS" in response.get_json()["error"]


def test_a_body_beyond_its_limit_is_413(client) -> None:
    response = client.post("/api/v1/query", data=b" " * (1024 * 1024 + 1))

    assert response.status_code == 413
    assert response.get_json()["code"] == "too_large"


@pytest.mark.parametrize("form", ["points", "series"])
def test_strings_that_are_no_utf8_have_replacement_characters(client, form: str) -> None:
    bad = 'label_replace(vector(1), "a", "\\xff", "", "")'
    bodies = [{"query": '"\\xff"'}, {"query": f"{bad} or vector(2)"}]

    answers = [client.post("/api/v1/query", json={**body, "format": form}) for body in bodies]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert all("\ufffd" in answer.get_data(as_text=True) for answer in answers)


@pytest.mark.parametrize("format", ["points", "series"])
def test_compressed_answers_are_the_plain_ones_whether_kept_or_not(
    client, push, format: str
) -> None:
    for host in "abcdefgh":
        push("cpu", 1.5, {"host": host}, NOW_MS - 60_000)
    body = {"query": "cpu", "start": NOW_MS - 60_000, "end": NOW_MS, "step": 1, "format": format}
    plain = ask(client, **body).get_json()

    for cache in (True, True, False):
        packed = client.post(
            "/api/v1/query", json={**body, "cache": cache}, headers={"Accept-Encoding": "gzip"}
        )

        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.headers["Vary"] == "Accept-Encoding"
        answer = orjson.loads(gzip.decompress(packed.data))
        assert answer["data"] == plain["data"]
        assert answer["meta"]["cache"] == ("hit" if cache else "off")


class TestRelativeTimes:
    """Times relative to now, at 7.3 s past a full ten seconds."""

    @pytest.fixture(autouse=True)
    def _past_ten_seconds(self, clock) -> None:
        clock.now_ms = NOW_MS + 7_300

    @pytest.mark.parametrize(
        ("body", "start_ms", "end_ms"),
        [
            ({"start": "now-1h", "end": "now", "step": 60}, NOW_MS - 3_600_000, NOW_MS),
            ({"start": "now-1h"}, NOW_MS - 3_600_000, NOW_MS),
            ({"start": "now-15s", "end": "now", "step": 15}, NOW_MS - 15_000, NOW_MS),
            ({"end": "now"}, NOW_MS, NOW_MS),
            ({"start": "now-1m", "end": "now", "step": 2}, NOW_MS - 54_000, NOW_MS + 6_000),
            # The step that suits five minutes is a second.
            ({"start": "now-5m", "end": "now"}, NOW_MS - 293_000, NOW_MS + 7_000),
        ],
    )
    def test_they_are_rounded_down_to_ten_seconds_or_a_shorter_step(
        self, client, body, start_ms: int, end_ms: int
    ) -> None:
        meta = ask(client, query="1", **body).get_json()["meta"]

        assert (meta["start"], meta["end"]) == (start_ms, end_ms)

    @pytest.mark.parametrize(
        ("body", "start_ms", "end_ms"),
        [
            ({"start": NOW_MS + 3, "end": NOW_MS + 5}, NOW_MS + 3, NOW_MS + 5),
            ({"start": NOW_MS + 3, "end": "now"}, NOW_MS + 3, NOW_MS + 7_300),
            ({"start": NOW_MS + 3}, NOW_MS + 3, NOW_MS + 7_300),
            ({}, NOW_MS + 7_300, NOW_MS + 7_300),
        ],
    )
    def test_fixed_times_and_none_are_exact(self, client, body, start_ms: int, end_ms: int) -> None:
        meta = ask(client, query="1", **body).get_json()["meta"]

        assert (meta["start"], meta["end"]) == (start_ms, end_ms)

    def test_the_same_question_seconds_later_is_a_hit(self, client, clock, two_hosts) -> None:
        body = {"query": "cpu", "start": "now-1h", "end": "now", "step": 60}
        first = ask(client, **body).get_json()
        clock.now_ms += 2_600
        second = ask(client, **body).get_json()
        clock.now_ms += 100
        third = ask(client, **body).get_json()

        uses = [one["meta"]["cache"] for one in (first, second, third)]
        assert uses == ["miss", "hit", "miss"]
        assert second["data"] == first["data"]
        assert third["meta"]["end"] == NOW_MS + 10_000
