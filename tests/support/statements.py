"""Notes the statements that are sent to PostgreSQL."""

from __future__ import annotations

from typing import ClassVar

import psycopg2
import pytest
from psycopg2.extensions import cursor


class Noting(cursor):
    """A cursor that notes the first word of every statement."""

    sent: ClassVar[list[str]] = []

    def execute(self, statement, parameters=None):
        self.sent.append(self._first_word(statement))
        return super().execute(statement, parameters)

    def copy_expert(self, statement, file, size=8192):
        self.sent.append(self._first_word(statement))
        return super().copy_expert(statement, file, size)

    def _first_word(self, statement):
        return self.mogrify(statement).decode().split()[0].rstrip(";")


def note_statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is sent from now on, over connections that are made from now on."""
    connect = psycopg2.connect
    noted: list[str] = []
    monkeypatch.setattr(Noting, "sent", noted)
    monkeypatch.setattr(
        psycopg2, "connect", lambda *given, **named: connect(*given, cursor_factory=Noting, **named)
    )
    return noted
