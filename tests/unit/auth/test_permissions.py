"""The table of roles and scopes: what each holds, and that none holds more than it should."""

from __future__ import annotations

import pytest
from tidegauge.auth.permissions import (
    ALL_PERMISSIONS,
    ROLE_PERMISSIONS,
    SCOPE_PERMISSIONS,
    SCOPES,
    permissions_of_token,
)
from tidegauge.auth.principal import LOCAL, STRANGER, person

READING = {"self:read", "query:read", "annotation:read", "dashboard:read", "alert:read"}
OF_HIMSELF = {"self:change", "session:delete", "system:read", "reference:read"}


def test_each_role_holds_what_the_one_below_it_holds() -> None:
    viewer, editor, admin = (ROLE_PERMISSIONS[role] for role in ("viewer", "editor", "admin"))

    assert viewer < editor < admin
    assert viewer == READING | OF_HIMSELF


def test_an_editor_changes_only_what_is_his_own() -> None:
    editor = ROLE_PERMISSIONS["editor"]

    assert not {name for name in editor if name.endswith(":any")}
    assert not {name for name in editor if name.startswith(("user:", "token:", "admin:"))}


def test_no_scope_holds_what_no_role_holds() -> None:
    assert frozenset().union(*SCOPE_PERMISSIONS.values()) <= ALL_PERMISSIONS


def test_a_token_of_a_viewer_changes_nothing_whatever_its_scopes() -> None:
    permissions = permissions_of_token(tuple(set(SCOPES) - {"ingest"}), "viewer")

    assert permissions <= ROLE_PERMISSIONS["viewer"]


def test_a_token_to_send_metrics_and_alerts_needs_no_role() -> None:
    wanted = {"metrics:write", "alert:post", "annotation:create"}

    assert permissions_of_token(("ingest",), "viewer") == wanted


def test_an_ingest_scope_adds_nothing_to_the_others() -> None:
    permissions = permissions_of_token(("ingest", "admin"), "editor")

    assert permissions <= ROLE_PERMISSIONS["editor"] | {"metrics:write", "alert:post"}


@pytest.mark.parametrize(
    ("who", "owner_id", "allowed"),
    [
        (person(7, "eve", "editor"), 7, True),
        (person(7, "eve", "editor"), 8, False),
        (person(7, "eve", "editor"), None, False),
        (person(7, "vic", "viewer"), 7, False),
        (person(7, "ada", "admin"), 8, True),
        (person(7, "ada", "admin"), None, True),
        (LOCAL, None, False),
        (STRANGER, None, False),
    ],
)
def test_a_thing_is_changed_by_its_owner_or_an_admin(who, owner_id, allowed) -> None:
    assert who.may_touch("dashboard", "update", owner_id) is allowed


def test_who_may_touch_anybodys_thing_may_touch_his_own() -> None:
    token = person(7, "ada", "admin").limited_to(SCOPE_PERMISSIONS["admin"])

    assert token.may("annotation:delete:own")
    assert not token.may("metrics:write")


def test_a_limited_principal_is_the_same_with_less() -> None:
    limited = person(7, "ada", "admin").limited_to(frozenset({"query:read"}))

    assert (limited.key, limited.permissions) == ("user:7", {"query:read"})
