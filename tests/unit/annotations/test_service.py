"""Who may set and delete annotations, and what they may hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tidegauge.annotations.service import AnnotationService
from tidegauge.auth.actor import Actor
from tidegauge.auth.principal import LOCAL, STRANGER, person
from tidegauge.errors import Forbidden, InvalidInput, NotFound
from tidegauge.model.annotations import Annotation, AnnotationQuery
from tidegauge.storage.memory_annotations import MemoryAnnotations

OWNER = person(1, "ada", "editor")
OTHER = person(2, "bob", "editor")
VIEWER = person(3, "eve", "viewer")
ADMIN = person(4, "root", "admin")
ACTOR = Actor("user:9", "somebody")
MARK = Annotation(time_ms=1_700_000_000_000, text="deployed", tags=("web", "deploy", "web"))


@pytest.fixture
def service() -> AnnotationService:
    return AnnotationService(store=MemoryAnnotations())


def test_who_adds_one_owns_it_whatever_was_said(service: AnnotationService) -> None:
    added = service.add(replace(MARK, owner_id=7), OWNER)

    assert added.owner_id == 1
    assert added.tags == ("deploy", "web")
    assert service.read(added.id, ADMIN) == added


@pytest.mark.parametrize("principal", [OWNER, ADMIN])
def test_owner_and_admin_delete(service: AnnotationService, principal: object) -> None:
    added = service.add(MARK, OWNER)

    service.delete([added.id], principal, ACTOR)  # type: ignore[arg-type]

    with pytest.raises(NotFound):
        service.read(added.id, ADMIN)


@pytest.mark.parametrize("principal", [OTHER, VIEWER, STRANGER, LOCAL])
def test_nobody_else_deletes(service: AnnotationService, principal: object) -> None:
    added = service.add(MARK, OWNER)

    with pytest.raises(Forbidden, match="is not yours"):
        service.delete([added.id], principal, ACTOR)  # type: ignore[arg-type]

    assert service.read(added.id, ADMIN) == added


def test_what_is_nobodys_is_deleted_by_admins_only(service: AnnotationService) -> None:
    added = service.add(MARK, LOCAL)

    assert added.owner_id is None
    for principal in (OWNER, LOCAL, STRANGER):
        with pytest.raises(Forbidden):
            service.delete([added.id], principal, ACTOR)
    service.delete([added.id], ADMIN, ACTOR)


def test_several_are_deleted_or_none(service: AnnotationService) -> None:
    mine, theirs = service.add(MARK, OWNER), service.add(MARK, OTHER)

    with pytest.raises(Forbidden):
        service.delete([mine.id, theirs.id], OWNER, ACTOR)
    with pytest.raises(NotFound, match="no annotation 99"):
        service.delete([mine.id, 99], OWNER, ACTOR)

    assert service.read_page(AnnotationQuery(limit=5), ADMIN) == ([theirs, mine], False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"text": ""}, "text: it is empty"),
        ({"title": "x" * 257}, "title: 257 characters, at most 256"),
        ({"text": "x" * 8193}, "text: 8193 characters"),
        ({"text": "a\0"}, "NUL"),
        ({"tags": tuple(map(str, range(33)))}, "tags: 33 of them"),
        ({"tags": ("x" * 129,)}, "tags: 129 characters"),
        ({"tags": ("",)}, "empty"),
        ({"tags": ("a,b",)}, "comma"),
        ({"time_ms": -1}, "between the years 1970 and 9999"),
        ({"time_ms": 253_402_300_800_000}, "between the years"),
        ({"time_end_ms": 1}, "before time"),
        ({"time_end_ms": 1 << 60}, "time_end"),
        ({"dashboard_id": 0}, "dashboard_id: 0 is not from 1"),
        ({"dashboard_id": 1, "panel_id": 1 << 31}, "panel_id"),
        ({"panel_id": 1}, "dashboard_id is missing"),
    ],
)
def test_bounds_are_named(service: AnnotationService, change: dict, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        service.add(replace(MARK, **change), OWNER)


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": 0},
        {"limit": 1001},
        {"tags": tuple(map(str, range(33)))},
        {"tags": ("a\0",)},
        {"tags": ("x" * 129,)},
        {"start_ms": -1},
        {"end_ms": 1 << 60},
        {"before": (1 << 60, 1)},
    ],
)
def test_questions_are_bounded_too(service: AnnotationService, asked: dict) -> None:
    with pytest.raises(InvalidInput):
        service.read_page(AnnotationQuery(**{"limit": 1, **asked}), ADMIN)
