"""What every store of annotations promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import psycopg2
import pytest
from tidegauge.config import DatabaseConfig
from tidegauge.model.annotations import Annotation, AnnotationQuery
from tidegauge.storage.dashboard_rows import Seen
from tidegauge.storage.memory_annotations import MemoryAnnotations
from tidegauge.storage.opening import open_storage
from tidegauge.storage.protocol import AnnotationStore

_ADD_OWNER = "INSERT INTO users (id, name, password_hash, role) VALUES (5, 'ada', '-', 'editor')"
ALL = Seen(everything=True, user_id=None)
DAY_MS = 86_400_000
NOW_MS = 1_700_000_000_123


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[AnnotationStore]:
    """An empty store of each kind."""
    if request.param == "memory":
        yield MemoryAnnotations(clock_ms=lambda: NOW_MS)
        return
    url = request.getfixturevalue("migrated_database_url")
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(_ADD_OWNER)
    opened = open_storage(DatabaseConfig(), url=url)
    yield opened.annotations
    opened.close()


@pytest.fixture
def texts(store: AnnotationStore) -> Callable[..., list[str]]:
    """Ask for annotations and return their texts."""

    def ask(**asked: object) -> list[str]:
        return [one.text for one in store.read_page(AnnotationQuery(limit=9, **asked), ALL)]

    return ask


def test_what_was_stored_is_found_as_it_was(store: AnnotationStore) -> None:
    whole = Annotation(
        time_ms=NOW_MS,
        time_end_ms=NOW_MS + 1,
        title='v1.2 "ü" \' \\ 🚀',
        text="<b>line\none</b> %s {}",
        tags=("a'b", "deploy", '{"x"}'),
        dashboard_id=3,
        panel_id=4,
        owner_id=5,
    )
    bare = Annotation(time_ms=0, text="x")

    stored = [store.add(whole), store.add(bare)]

    assert [replace(one, id=0, created_ms=0) for one in stored] == [whole, bare]
    assert 0 < stored[0].id < stored[1].id
    assert all(one.created_ms > 0 for one in stored)
    assert store.find([stored[1].id, stored[0].id, 2**31 - 1], ALL) == stored
    assert store.read_page(AnnotationQuery(limit=5), ALL) == stored


def test_a_range_has_what_touches_it(
    store: AnnotationStore, texts: Callable[..., list[str]]
) -> None:
    for text, start, end in (("a", 10, None), ("b", 20, 30), ("c", 40, None), ("d", 0, 100)):
        store.add(Annotation(time_ms=start, time_end_ms=end, text=text))

    assert texts() == ["c", "b", "a", "d"]
    assert texts(start_ms=10, end_ms=10) == ["a", "d"]
    assert texts(start_ms=11, end_ms=19) == ["d"]
    assert texts(start_ms=25, end_ms=26) == ["b", "d"]
    assert texts(start_ms=31) == ["c", "d"]
    assert texts(end_ms=9) == ["d"]


def test_tags_are_all_wanted_or_any(
    store: AnnotationStore, texts: Callable[..., list[str]]
) -> None:
    for at, tags in enumerate([("deploy",), ("deploy", "web"), ("web", "x"), ()]):
        store.add(Annotation(time_ms=at, text=str(at), tags=tags))

    assert texts(tags=("deploy",)) == ["1", "0"]
    assert texts(tags=("web", "deploy")) == ["1"]
    assert texts(tags=("web", "deploy"), any_tag=True) == ["2", "1", "0"]
    assert texts(tags=("' OR 1=1 --",)) == []
    assert texts(any_tag=True) == ["3", "2", "1", "0"]


def test_dashboards_and_panels_narrow(
    store: AnnotationStore, texts: Callable[..., list[str]]
) -> None:
    for at, (dashboard, panel) in enumerate([(None, None), (1, None), (1, 2), (2, 2)]):
        store.add(Annotation(time_ms=at, text=str(at), dashboard_id=dashboard, panel_id=panel))

    assert texts(dashboard_id=1) == ["2", "1"]
    assert texts(dashboard_id=1, panel_id=2) == ["2"]
    assert texts(dashboard_id=10**15) == []
    assert texts(or_for_all=True) == ["0"]
    assert texts(or_for_all=True, dashboard_id=1) == ["2", "1", "0"]


def test_pages_follow_one_another_also_among_equal_times(store: AnnotationStore) -> None:
    stored = [store.add(Annotation(time_ms=at // 3 * DAY_MS, text=str(at))) for at in range(10)]

    seen: list[Annotation] = []
    before = None
    while page := store.read_page(AnnotationQuery(limit=4, before=before), ALL):
        seen += page
        before = page[-1].place

    assert seen == sorted(stored, key=lambda one: one.place, reverse=True)


def test_what_is_deleted_is_gone_and_its_id_too(store: AnnotationStore) -> None:
    stored = [store.add(Annotation(time_ms=1, text=str(at))) for at in range(3)]
    ids = [one.id for one in stored]

    store.delete(ids[1:], ())
    store.delete(ids[1:], ())

    assert store.find(ids, ALL) == stored[:1]
    assert store.add(Annotation(time_ms=1, text="new")).id > ids[-1]


def test_the_last_times_of_the_calendar_are_kept(store: AnnotationStore) -> None:
    last_ms = 253_402_300_799_999

    stored = store.add(Annotation(time_ms=last_ms, time_end_ms=last_ms, text="x"))

    assert store.find([stored.id], ALL)[0].time_end_ms == last_ms
    assert store.read_page(AnnotationQuery(limit=1, start_ms=last_ms, end_ms=last_ms), ALL) == [
        stored
    ]
