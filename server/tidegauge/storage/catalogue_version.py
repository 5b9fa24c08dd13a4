"""The one row that tells every process whether what it remembers of the catalogue still holds.

A registration locks the row first and raises `last_series_id` with the series it adds. So series
ids, and metric ids, become visible in the order of their numbers: who knows everything up to an
id has to read only what is behind it. `version` is raised when series that exist have changed in
a way that matters to listings; then everything is read again.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2.extensions import cursor

from tidegauge.storage.faults import DatabaseFault

_READ = "SELECT version, last_series_id FROM catalogue_version"
_LOCK = "SELECT version, last_series_id FROM catalogue_version FOR UPDATE"
_ADDED = (
    "UPDATE catalogue_version"
    " SET last_series_id = greatest(last_series_id, (SELECT max(id) FROM series))"
)
_CHANGED = "UPDATE catalogue_version SET version = version + 1"


@dataclass(frozen=True, slots=True)
class CatalogueVersion:
    """A state of the catalogue."""

    version: int
    last_series_id: int


def read_version(lent: cursor) -> CatalogueVersion:
    """Return the committed state; whatever is read after it is at least as new."""
    lent.execute(_READ)
    return _state(lent)


def lock_catalogue(lent: cursor) -> CatalogueVersion:
    """Keep other registrations out until this transaction ends; return the state."""
    lent.execute(_LOCK)
    return _state(lent)


def note_added_series(lent: cursor) -> None:
    """Tell all processes that there are more series; the catalogue must be locked."""
    lent.execute(_ADDED)


def note_changed_series(lent: cursor) -> None:
    """Tell all processes to forget what they remember of existing series."""
    lent.execute(_CHANGED)


def _state(lent: cursor) -> CatalogueVersion:
    row = lent.fetchone()
    if row is None:
        raise DatabaseFault("the table catalogue_version has lost its row; restore it")
    return CatalogueVersion(*row)
