"""What a process without the API shows of itself: `/metrics` and `/health` at its own port."""

from __future__ import annotations

from tidegauge import __version__
from tidegauge.observability.exposition import Exposition
from tidegauge.observability.health import Health
from tidegauge.observability.meters import Meters
from tidegauge.services.parts import StorageParts


def open_exposition(
    meters: Meters, health: Health, storage: StorageParts, *, host: str, port: int
) -> Exposition | None:
    """Return what shows the process, started; None for port 0.

    Raises:
        ConfigError: the port is taken.
    """
    if not port:
        return None
    exposition = Exposition(
        host=host,
        port=port,
        meters=meters,
        health=health,
        version=__version__,
        refresh=lambda: sample_connections(meters, storage),
    )
    exposition.start()
    return exposition


def sample_connections(meters: Meters, storage: StorageParts) -> None:
    """Bring the gauges of database connections up to date."""
    meters.db_connections_active.set(storage.connections_active())
    meters.db_connections_limit.set(storage.connections_limit)
