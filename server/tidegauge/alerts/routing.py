"""Keeps the routing document, and says whom it tells."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import msgspec
from structlog.typing import FilteringBoundLogger

from tidegauge.alerts.routing_document import RoutingDocument, parse_routing, read_stored
from tidegauge.auth.actor import Actor
from tidegauge.errors import InvalidInput
from tidegauge.model.labels import Labels
from tidegauge.model.routing import RoutedChannel, RouteStep, Routing
from tidegauge.storage.alert_routes import AlertRoutes, StoredRouting


@dataclass(frozen=True, slots=True)
class Preview:
    """The routes that were looked at for an alert, and whom they tell."""

    steps: list[RouteStep]
    chosen: tuple[RoutedChannel, ...]


class CurrentRouting:
    """The routing as it is stored now, parsed when it changed; safe to use from many threads.

    Args:
        routes: keeps it.
        log: is told of a document that cannot be read.
    """

    def __init__(self, *, routes: AlertRoutes, log: FilteringBoundLogger) -> None:
        self._routes, self._log = routes, log
        self._lock = threading.Lock()
        self._revision, self._routing = -1, Routing()

    def read(self) -> Routing:
        """Return the routing; of a document that cannot be read, the one before.

        Raises:
            Unavailable.
        """
        stored = self._routes.find_other(self._revision)
        if stored is None:
            return self._routing
        with self._lock:
            try:
                self._routing = read_stored(stored.document)
            except InvalidInput as exc:
                # Another version of the program may have stored it; alerts go on without.
                self._log.error("the routing cannot be read", error=exc.message)
            self._revision = stored.revision
            return self._routing


class RoutingService:
    """The routing document for people; safe to use from many threads.

    Args:
        routes: keeps it.
    """

    def __init__(self, *, routes: AlertRoutes) -> None:
        self._routes = routes

    def read(self) -> StoredRouting:
        """Return the document with its revision.

        Raises:
            Unavailable.
        """
        return self._routes.read()

    def replace(self, document: RoutingDocument, actor: Actor, *, revision: int) -> StoredRouting:
        """Store a document over the one of this revision.

        Raises:
            InvalidInput: names the field that is wrong. Conflict: it has another revision by now.
            Unavailable.
        """
        parse_routing(document)
        details = {"receivers": [one.name for one in document.receivers]}
        entry = actor.entry("alert.routing", "alert-routing", details)
        plain = msgspec.to_builtins(document)
        return self._routes.replace(plain, entry, revision=revision, by=actor.name)

    def preview(self, labels: Labels) -> Preview:
        """Return what becomes of an alert with these labels.

        Raises:
            InvalidInput: the stored document cannot be read. Unavailable.
        """
        routing = read_stored(self._routes.read().document)
        return Preview(routing.explain(labels), routing.choose(labels))
