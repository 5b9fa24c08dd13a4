"""gunicorn, set up for the API: threads, services built after the fork, closed at the end."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from structlog.typing import FilteringBoundLogger

from tidegauge.config import Config
from tidegauge.observability.logs import StdlibHandler
from tidegauge.storage import launch

# Longer than scrape and push intervals, so that a sender's connection is there for the next one.
_KEEPALIVE_S = 75
# The most gunicorn knows: a GET carries its whole query in this line.
_REQUEST_LINE_BYTES = 8190
# A worker's main thread that does not even beat its heart for so long hangs.
_HEARTBEAT_TIMEOUT_S = 120


class PropagatingLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger without handlers of its own: the root logger writes JSON."""

    def setup(self, cfg: Any) -> None:
        """Leave all output to the root logger."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True


class HttpServer(BaseApplication):  # type: ignore[misc]
    """The API's processes under gunicorn's arbiter.

    Args:
        config: the settings.
        listener_fd: a socket that listens already.
        log: where this process and its workers write.
        meters_folder: where several workers add up their instruments; None for one worker.
    """

    def __init__(
        self,
        config: Config,
        *,
        listener_fd: int,
        log: FilteringBoundLogger,
        meters_folder: Path | None,
    ) -> None:
        self._config, self._listener_fd = config, listener_fd
        self._log, self._meters_folder = log, meters_folder
        self._close_services: Callable[[], None] | None = None
        super().__init__()

    def load_config(self) -> None:
        """Hand gunicorn its settings."""
        http = self._config.http
        settings = {
            "bind": f"fd://{self._listener_fd}",
            "workers": http.workers,
            "worker_class": "gthread",
            "threads": http.threads,
            "keepalive": _KEEPALIVE_S,
            "timeout": _HEARTBEAT_TIMEOUT_S,
            "graceful_timeout": http.shutdown_s,
            "limit_request_line": _REQUEST_LINE_BYTES,
            "preload_app": False,
            "control_socket_disable": True,
            "logger_class": PropagatingLogger,
            "proc_name": "tidegauge",
            "post_fork": self._after_fork,
            "worker_exit": self._at_worker_exit,
            "child_exit": self._at_child_exit,
        }
        for name, value in settings.items():
            if name in self.cfg.settings:  # Older versions know fewer.
                self.cfg.set(name, value)

    def load(self) -> Any:
        """Build the services and the application, in the worker."""
        from tidegauge.app import create_app
        from tidegauge.services import build_services

        services = build_services(self._config, log=self._log, meters_folder=self._meters_folder)
        self._close_services = services.close
        return create_app(services)

    def run(self) -> None:
        """Serve until a signal ends it."""
        logging.basicConfig(level=logging.INFO, handlers=[StdlibHandler(self._log)], force=True)
        super().run()

    def _after_fork(self, _arbiter: Any, _worker: Any) -> None:
        # gunicorn's workers notice a lost arbiter, but late, and keep the port until then.
        launch.die_with_parent(signal.SIGKILL)

    def _at_worker_exit(self, _arbiter: Any, _worker: Any) -> None:
        if self._close_services is not None:
            self._close_services()

    def _at_child_exit(self, _arbiter: Any, worker: Any) -> None:
        if self._meters_folder is not None:
            from tidegauge.observability.meters import forget_process

            forget_process(self._meters_folder, worker.pid)
