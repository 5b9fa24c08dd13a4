from __future__ import annotations

import math

import pytest
from tidegauge.errors import QueryFailed

NAN, INF = math.nan, math.inf


def test_rate_and_its_family(asker):
    ask = asker({"x_total": [0, 60, 120, 180, 30, 90]})

    assert ask.instant("rate(x_total[4m])", 180) == {"{}": 0.75}
    assert ask.instant("increase(x_total[4m])", 180) == {"{}": pytest.approx(180)}
    assert ask.instant("irate(x_total[4m])", 240) == {"{}": 0.5}
    assert ask.instant("delta(x_total[4m])", 180) == {"{}": pytest.approx(240)}
    assert ask.instant("idelta(x_total[4m])", 240) == {"{}": -150}
    assert ask.instant("resets(x_total[10m])", 300) == {"{}": 1}
    assert ask.range("rate(x_total[1m])", 0, 60, 60) == {}


def test_first_and_last_over_time_keep_the_name(asker):
    ask = asker({"x": [1, 2, 3]})

    assert ask.instant("last_over_time(x[2m])", 120) == {"x{}": 3}
    assert ask.instant("first_over_time(x[2m])", 120) == {"x{}": 2}
    assert ask.instant("last_over_time((x * 2)[2m:1m])", 120) == {"{}": 6}


def test_delayed_removal_respects_an_inner_flag(asker):
    ask = asker({"x": [1, 2, 3]}, delayed_name_removal=True)

    assert ask.instant("last_over_time((x * 2)[2m:1m])", 120) == {"{}": 6}
    assert ask.instant("last_over_time(x[2m:1m])", 120) == {"x{}": 3}


def test_range_functions_refuse_series_that_only_their_names_told_apart(asker):
    ask = asker({"a": [1, 2], "b": [None, None, None, 3, 4]})

    with pytest.raises(QueryFailed, match="same labelset"):
        ask.range('count_over_time({__name__=~"a|b"}[1m])', 0, 240, 60)


def test_functions_of_range_vectors_with_parameters(asker):
    ask = asker({"x": [1, 2, 3, 4, 5]})

    assert ask.instant("quantile_over_time(0.5, x[5m])", 240) == {"{}": 3}
    assert ask.instant("predict_linear(x[5m], 60)", 240) == {"{}": pytest.approx(6)}
    assert ask.range("predict_linear(x[5m] @ 240, 60)", 240, 300, 60) == {
        "{}": [pytest.approx(6), pytest.approx(7)]
    }
    assert ask.range("quantile_over_time(scalar(x) / 5, x[5m] @ 240)", 0, 240, 240) == {
        "{}": [pytest.approx(1.8), 5]
    }
    with pytest.raises(QueryFailed, match=r"invalid smoothing factor. Expected: 0 < sf < 1, got"):
        ask.instant("double_exponential_smoothing(x[5m], 2, 0.5)", 240)
    assert ask.instant("double_exponential_smoothing(nope[5m], 2, 0.5)", 240) == {}


def test_absent_takes_labels_from_the_selector(asker):
    ask = asker({"x": [1]})

    assert ask.instant("absent(x)") == {}
    assert ask.instant('absent(nope{a="1",b=~"2"})') == {"{a=1}": 1}
    assert ask.instant('absent((nope{a="1",a="2"}))') == {"{}": 1}
    assert ask.instant('absent(nope{a!="1",a="2"})') == {"{a=2}": 1}
    assert ask.instant('absent(sum(nope{a="1"}))') == {"{}": 1}


def test_absent_over_time_looks_at_all_series(asker):
    ask = asker({'x{i="1"}': [1, None, None], 'x{i="2"}': [None, 1, None]})

    assert ask.range('absent_over_time(x{i=~"."}[1m])', 0, 120, 60) == {"{}": [None, None, 1]}
    assert ask.range('absent_over_time(x{i="2"}[1m])', 0, 60, 60) == {"{i=2}": [1, None]}
    assert ask.range("absent_over_time(x[1h])", 0, 60, 60) == {}


def test_scalar_needs_exactly_one_sample(asker):
    ask = asker({'x{i="1"}': [1], 'x{i="2"}': [2]})

    assert ask.instant('scalar(x{i="2"})') == 2
    assert math.isnan(ask.instant("scalar(x)"))
    assert math.isnan(ask.instant("scalar(nope)"))


def test_time_and_constants(asker):
    ask = asker({})

    assert ask.range("time()", 0, 120, 60) == {"scalar": [0, 60, 120]}
    assert ask.instant("vector(pi())") == {"{}": math.pi}
    assert ask.range("start() + end() + step() + range()", 60, 120, 30) == {"scalar": [270] * 3}
    assert ask.instant("max_of(1, 2) - min_of(1, 2)") == 1
    assert ask.range("hour()", 3600, 7200, 3600) == {"{}": [1, 2]}


def test_timestamp_of_a_selector_is_the_samples_own(asker):
    ask = asker({"x": [1, None, 3]})

    assert ask.range("timestamp(x)", 0, 150, 50) == {"{}": [0, 0, 0, 120]}
    assert ask.range("timestamp(x + 0)", 0, 150, 50) == {"{}": [0, 50, 100, 150]}
    assert ask.range("timestamp(x @ 0)", 60, 120, 60) == {"{}": [0, 0]}


def test_elementwise_functions_with_parameters(asker):
    ask = asker({"x": [-1.5, 2.5]})

    assert ask.instant("abs(x)") == {"{}": 1.5}
    assert ask.instant("clamp(x, 0, 1)") == {"{}": 0}
    assert ask.instant("clamp(x, 1, 0)") == {}
    assert ask.instant("clamp_min(x, -1)") == {"{}": -1}
    assert ask.instant("round(x)") == {"{}": -1}
    assert ask.range("round(x, 2)", 0, 60, 60) == {"{}": [-2, 2]}


def test_sort_orders_an_instant_result_and_warns_over_a_range(asker):
    ask = asker({'x{i="1"}': [2], 'x{i="2"}': [NAN], 'x{i="3"}': [1]})

    assert list(ask.instant("sort(x)")) == ["x{i=3}", "x{i=1}", "x{i=2}"]
    assert list(ask.instant("sort_desc(x)")) == ["x{i=1}", "x{i=3}", "x{i=2}"]
    assert ask.notes("sort(x)", 0, 60, 60) == [
        "PromQL warning: sort is ineffective for range queries since results are always "
        "ordered by labels (1:1)"
    ]
    assert list(ask.range("sort(x)", 0, 60, 60)) == ["x{i=1}", "x{i=2}", "x{i=3}"]


def test_sort_by_label_is_natural(asker):
    ask = asker({f'x{{i="{i}"}}': [1] for i in ("v10", "v9", "v1", "a")})

    assert list(ask.instant('sort_by_label(x, "i")')) == [
        "x{i=a}", "x{i=v1}", "x{i=v9}", "x{i=v10}",
    ]  # fmt: skip
    assert next(iter(ask.instant('sort_by_label_desc(x, "i")'))) == "x{i=v10}"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('"dst", "$1-$2", "src", "(.*)-(.*)"', "x{dst=one-two,src=one-two}"),
        ('"dst", "${1}x$1x", "src", "(.*)-.*"', "x{dst=onex,src=one-two}"),
        ('"dst", "$word$$", "src", "(?P<word>[a-z]+)-.*"', "x{dst=one$,src=one-two}"),
        ('"dst", "$9", "src", ".*"', "x{src=one-two}"),
        ('"dst", "n", "src", "one"', "x{src=one-two}"),
        ('"src", "", "src", ".*"', "x{}"),
        ('"__name__", "y", "nope", ""', "y{src=one-two}"),
    ],
)
def test_label_replace(asker, arguments, expected):
    assert asker({'x{src="one-two"}': [1]}).instant(f"label_replace(x, {arguments})") == {
        expected: 1
    }


def test_label_replace_refuses_what_makes_no_sense(asker):
    ask = asker({'x{i="1"}': [1], 'x{i="2"}': [2]})

    with pytest.raises(QueryFailed, match=r"invalid regular expression in label_replace\(\): \("):
        ask.instant('label_replace(x, "a", "b", "c", "(")')
    with pytest.raises(QueryFailed, match="invalid destination label name"):
        ask.instant('label_replace(x, "", "b", "c", "d")')
    with pytest.raises(QueryFailed, match="same labelset"):
        ask.instant('label_replace(x, "i", "", "", "")')


def test_label_join(asker):
    ask = asker({'x{a="1",b="2"}': [1]})

    assert ask.instant('label_join(x, "c", "-", "a", "b", "nope")') == {"x{a=1,b=2,c=1-2-}": 1}


BUCKETS = {
    'b{le="1"}': [1, 5],
    'b{le="2"}': [3, 4],
    'b{le="+Inf"}': [4, 6],
}


def test_histogram_quantile_and_fraction_of_classic_buckets(asker):
    ask = asker(BUCKETS)

    assert ask.instant("histogram_quantile(0.5, b)") == {"{}": 1.5}
    assert ask.instant("histogram_fraction(0, 1, b)") == {"{}": 0.25}
    assert ask.instant('histogram_quantiles(b, "q", 0.5, 1)') == {"{q=0.5}": 1.5, "{q=1.0}": 2}


def test_histogram_quantile_says_where_counts_fell(asker):
    (note,) = asker(BUCKETS).notes("histogram_quantile(0.9, b)", 0, 120, 60)

    assert note == (
        "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see "
        "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile), "
        "from buckets 2 to 2, with a max diff of 1, over 2 samples from 1970-01-01T00:01:00Z "
        "to 1970-01-01T00:02:00Z (1:25)"
    )


@pytest.mark.parametrize("delayed", [False, True])
def test_histogram_quantile_warns_of_bad_bounds(asker, delayed):
    ask = asker({**BUCKETS, 'b{le="1O"}': [9]}, delayed_name_removal=delayed)

    about = ' for metric name "b"' if delayed else ""
    assert ask.instant("histogram_quantile(0.5, b)") == {"{}": 1.5}
    assert ask.notes("histogram_quantile(0.5, b)", 0) == [
        'PromQL warning: bucket label "le" is missing or has a malformed value of "1O"'
        f"{about} (1:25)"
    ]


def test_functions_of_native_histograms_give_nothing_for_floats(asker):
    assert asker({"x": [1]}).instant("histogram_count(x)") == {}


def test_info_adds_the_labels_of_target_info(asker):
    ask = asker({
        'x{job="a",instance="i"}': [1, 2],
        'x{job="b",instance="i"}': [3, 4],
        'target_info{job="a",instance="i",cluster="c",os="linux"}': [1, 1],
    })  # fmt: skip

    assert ask.range("info(x)", 0, 60, 60) == {
        "x{cluster=c,instance=i,job=a,os=linux}": [1, 2],
        "x{instance=i,job=b}": [3, 4],
    }
    assert ask.instant('info(x, {cluster=~".+"})') == {"x{cluster=c,instance=i,job=a}": 1}


def test_info_refuses_two_equally_new_info_series(asker):
    ask = asker({
        'x{job="a",instance="i"}': [1],
        'target_info{job="a",instance="i",v="1"}': [1],
        'target_info{job="a",instance="i",v="2"}': [1],
    })  # fmt: skip

    with pytest.raises(QueryFailed, match="found duplicate series for info metric"):
        ask.instant("info(x)")
