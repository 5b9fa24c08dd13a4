"""What every storage promises: the catalogue of metrics and series."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from tidegauge.errors import DeadlineExceeded, LimitExceeded
from tidegauge.model.batch import MetricMetadata
from tidegauge.storage.protocol import MetricCardinality, ReadBudget

from tests.contracts.storage_kit import NOW_MS, Kit, named, ne, plenty, re, series

UP_A = series("up", job="a")
UP_B = series("up", job="b", zone="eu")
LOAD = series("load")
DAY_MS = 86_400_000


def test_a_series_keeps_its_id(storage: Kit) -> None:
    first = storage.catalogue.register_series([UP_A, LOAD, UP_A])
    again = storage.catalogue.register_series([LOAD, UP_B, UP_A])

    assert set(first) == {UP_A, LOAD}
    assert {labels: again[labels] for labels in first} == first
    assert len({key.series_id for key in again.values()}) == 3
    assert again[UP_A].metric_id == again[UP_B].metric_id != again[LOAD].metric_id
    assert all(key.series_id > 0 and key.metric_id > 0 for key in again.values())


def test_only_registered_series_are_found(storage: Kit) -> None:
    registered = storage.catalogue.register_series([UP_A])

    assert storage.catalogue.find_series([UP_A, UP_B]) == registered
    assert storage.catalogue.find_series([]) == {}
    assert storage.catalogue.register_series([]) == {}


def test_thousands_of_series_are_registered_at_once(storage: Kit) -> None:
    wanted = [series(f"m{i % 50}", i=str(i), path=f"/v{i}\\'\"") for i in range(25_000)]

    keys = storage.catalogue.register_series(wanted)

    assert len({key.series_id for key in keys.values()}) == 25_000
    assert len({key.metric_id for key in keys.values()}) == 50
    assert storage.catalogue.find_series(wanted[::100]) == {one: keys[one] for one in wanted[::100]}


def test_threads_that_register_the_same_series_agree(storage: Kit) -> None:
    wanted = [series(f"m{i % 9}", i=str(i)) for i in range(1200)]
    found: list = []

    def work(shift: int) -> None:
        mine = wanted[shift:] + wanted[:shift]
        for start in range(0, 1200, 100):
            found.append(storage.catalogue.register_series(mine[start : start + 150]))

    threads = [threading.Thread(target=work, args=(shift,)) for shift in (0, 300, 450, 900)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    settled = storage.catalogue.find_series(wanted)
    assert len(found) == 48
    assert all(settled[labels] == key for keys in found for labels, key in keys.items())
    assert storage.catalogue.read_series_count() == 1200


def test_totals_count_series_and_metrics(storage: Kit) -> None:
    storage.catalogue.register_series([UP_B, LOAD, UP_A])

    totals = storage.catalogue.read_totals()

    assert (totals.series, totals.metrics) == (3, 2)
    assert totals.bytes >= 0


def test_all_series_are_listed_in_order(storage: Kit) -> None:
    storage.catalogue.register_series([UP_B, LOAD, UP_A])
    catalogue = storage.catalogue

    assert catalogue.list_series([], None, None, limit=0, budget=plenty()) == [LOAD, UP_A, UP_B]
    assert catalogue.list_series([], None, None, limit=2, budget=plenty()) == [LOAD, UP_A]


def test_selectors_filter_listings(storage: Kit) -> None:
    storage.catalogue.register_series([UP_B, LOAD, UP_A])
    catalogue, asked = storage.catalogue, {"limit": 0, "budget": plenty()}
    in_zone, loads = [named("up"), ne("zone", "")], [re("__name__", "l.*")]

    assert catalogue.list_series([in_zone], None, None, **asked) == [UP_B]
    assert catalogue.list_series([in_zone, loads], None, None, **asked) == [LOAD, UP_B]
    assert catalogue.list_label_names([loads], None, None, **asked) == ["__name__"]
    assert catalogue.list_label_names([in_zone], None, None, **asked) == ["__name__", "job", "zone"]
    assert catalogue.list_label_values("job", [in_zone], None, None, **asked) == ["b"]
    assert catalogue.list_label_values("job", [loads], None, None, **asked) == []
    names = catalogue.list_label_values("__name__", [loads, in_zone], None, None, **asked)
    assert names == ["load", "up"]


def test_labels_are_listed_without_selectors(storage: Kit) -> None:
    catalogue, asked = storage.catalogue, {"limit": 0, "budget": plenty()}
    assert catalogue.list_label_names([], None, None, **asked) == []
    assert catalogue.list_label_values("job", [], None, None, **asked) == []

    storage.catalogue.register_series([UP_B, LOAD, UP_A])

    assert catalogue.list_label_names([], None, None, **asked) == ["__name__", "job", "zone"]
    assert catalogue.list_label_values("job", [], None, None, **asked) == ["a", "b"]
    assert catalogue.list_label_values("__name__", [], None, None, **asked) == ["load", "up"]
    assert catalogue.list_label_values("nothing", [], None, None, **asked) == []
    assert catalogue.list_label_values("a\0", [], None, None, **asked) == []
    one = {"limit": 1, "budget": plenty()}
    assert catalogue.list_label_values("job", [], None, None, **one) == ["a"]


def test_listings_are_complete_after_every_registration(storage: Kit) -> None:
    catalogue, asked = storage.catalogue, {"limit": 0, "budget": plenty()}
    for count in range(1, 6):
        storage.catalogue.register_series([series(f"m{count}", i=str(count), **{f"l{count}": "x"})])

        expected = [str(i) for i in range(1, count + 1)]
        assert catalogue.list_label_values("i", [], None, None, **asked) == expected
        assert catalogue.list_label_values("i", [], 1, None, **asked) == expected
        assert len(catalogue.list_label_values("__name__", [], None, None, **asked)) == count
        assert len(catalogue.list_label_names([], None, None, **asked)) == count + 2
        assert len(catalogue.list_series([[re("i", ".+")]], None, None, **asked)) == count
        assert storage.catalogue.read_series_count() == count


def test_series_that_ended_leave_listings_and_come_back(storage: Kit) -> None:
    catalogue, asked = storage.catalogue, {"limit": 0, "budget": plenty()}
    keys = catalogue.register_series([UP_A, UP_B])
    later = NOW_MS + 2 * DAY_MS
    both = np.array([keys[UP_A].series_id, keys[UP_B].series_id] * 2, np.int32)

    catalogue.touch_series(both[:1], later)
    assert catalogue.list_series([], later, None, **asked) == [UP_A]
    assert catalogue.list_series([[named("up")]], later, None, **asked) == [UP_A]
    assert catalogue.list_label_values("job", [], later, None, **asked) == ["a"]
    assert catalogue.list_label_names([], later, None, **asked) == ["__name__", "job"]

    catalogue.touch_series(both, later)
    assert catalogue.list_series([], later, None, **asked) == [UP_A, UP_B]
    assert catalogue.list_series([[named("up")]], later, None, **asked) == [UP_A, UP_B]
    assert catalogue.list_label_values("job", [], later, None, **asked) == ["a", "b"]
    assert catalogue.list_label_names([], later, None, **asked) == ["__name__", "job", "zone"]
    assert catalogue.list_series([], later + DAY_MS, None, **asked) == []


def test_touching_nothing_or_strangers_does_nothing(storage: Kit) -> None:
    storage.catalogue.touch_series(np.zeros(0, np.int32), NOW_MS)
    storage.catalogue.touch_series(np.array([4711], np.int32), NOW_MS)

    assert storage.catalogue.read_series_count() == 0


def test_listings_refuse_a_deadline_that_has_passed(storage: Kit) -> None:
    late = ReadBudget(max_samples=1, deadline_s=time.monotonic() - 1)
    catalogue = storage.catalogue

    with pytest.raises(DeadlineExceeded):
        catalogue.list_series([], None, None, limit=0, budget=late)
    with pytest.raises(DeadlineExceeded):
        catalogue.list_label_names([], None, None, limit=0, budget=late)
    with pytest.raises(DeadlineExceeded):
        catalogue.list_label_values("job", [], None, None, limit=0, budget=late)
    with pytest.raises(DeadlineExceeded):
        catalogue.list_metrics(search="", after="", limit=1, budget=late)


def test_metrics_are_listed_page_by_page(storage: Kit) -> None:
    storage.catalogue.register_series([UP_A, UP_B, LOAD])
    storage.catalogue.store_metadata([MetricMetadata("up_total", "counter", "s", "How often")])

    def page(**asked: object) -> list:
        return storage.catalogue.list_metrics(
            **{"search": "", "after": "", "limit": 10, "budget": plenty()} | asked
        )

    rows = page()
    assert [(row.name, row.series) for row in rows] == [("load", 1), ("up", 2), ("up_total", 0)]
    assert [row.last_seen_ms for row in rows] == [NOW_MS, NOW_MS, None]
    assert (rows[2].type, rows[2].unit, rows[2].description) == ("counter", "s", "How often")
    assert page(limit=1) == rows[:1]
    assert page(after="load", limit=1) == rows[1:2]
    assert page(search="up") == rows[1:]
    assert page(search="_t", after="load") == rows[2:]
    assert page(search="%") == []


def test_an_empty_metadata_field_leaves_what_is_known(storage: Kit) -> None:
    catalogue = storage.catalogue
    catalogue.store_metadata([MetricMetadata("up", type="gauge", help="old \\ 'q' 😀")])
    catalogue.store_metadata([MetricMetadata("up", help="new"), MetricMetadata("up", unit="s")])
    catalogue.store_metadata([MetricMetadata("zz", type="counter")])

    up = MetricMetadata("up", "gauge", "s", "new")
    assert catalogue.read_metadata("up", 0) == {"up": up}
    assert catalogue.read_metadata("gone", 0) == {}
    assert list(catalogue.read_metadata("", 0)) == ["up", "zz"]
    assert catalogue.read_metadata("", 1) == {"up": up}


def test_metrics_of_which_nothing_was_said_have_no_metadata(storage: Kit) -> None:
    storage.catalogue.register_series([UP_A])
    storage.catalogue.store_metadata([])

    assert storage.catalogue.read_metadata("", 0) == {}


def test_series_of_a_metric_known_by_its_metadata_are_found(storage: Kit) -> None:
    storage.catalogue.store_metadata([MetricMetadata("up", type="gauge")])
    storage.append([(LOAD, 1, 1.0)])
    storage.catalogue.store_metadata([MetricMetadata("later", type="gauge")])
    storage.append([(UP_A, 1, 1.0), (series("later"), 1, 1.0)])

    assert list(storage.read(re("__name__", ".+"))) == [series("later"), LOAD, UP_A]


def test_cardinality_names_the_widest_key_and_grows(storage: Kit) -> None:
    catalogue = storage.catalogue
    catalogue.register_series([series("up", job="a", i=str(i)) for i in range(3)])

    assert catalogue.read_cardinality(["up", "gone", "a\0"]) == {
        "up": MetricCardinality(3, "i", 3),
        "gone": MetricCardinality(0, "", 0),
        "a\0": MetricCardinality(0, "", 0),
    }

    catalogue.register_series([series("up", job=str(i)) for i in range(5)] + [LOAD])
    assert catalogue.read_cardinality(["up", "load"]) == {
        "up": MetricCardinality(8, "job", 6),
        "load": MetricCardinality(1, "", 0),
    }
    assert catalogue.read_series_count() == 9


def test_listings_count_the_series_of_all_selectors_together(storage: Kit) -> None:
    storage.catalogue.register_series([series("cpu", n=str(n)) for n in range(3)])
    storage.catalogue.register_series([series("mem", n=str(n)) for n in range(3)])
    selectors = [[named(name)] for name in ("cpu", "mem", "cpu")]
    enough, tight = (replace(plenty(), max_series=most) for most in (6, 5))

    found = storage.catalogue.list_series(selectors, None, None, limit=0, budget=enough)

    assert len(found) == 6
    with pytest.raises(LimitExceeded, match=r"6 series, the limit is 5"):
        storage.catalogue.list_label_names(selectors, None, None, limit=0, budget=tight)
