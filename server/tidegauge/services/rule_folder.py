"""The rules of a folder, kept as its files say by the evaluator that leads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from tidegauge.alerts.rule_folder import RuleFolder
from tidegauge.config import Config
from tidegauge.errors import Unavailable
from tidegauge.observability.alert_instruments import AlertInstruments
from tidegauge.observability.health import CheckResult, Status
from tidegauge.query.parsing import QueryParser
from tidegauge.services.parts import AlertTables, Tools

LOOK_EVERY_S = 0.5


class WatchedRules:
    """Looks at the folder now and then, for as long as this evaluator leads.

    Args:
        config: the settings.
        tables: the rules.
        tools: clocks and logger.
        meters: the instruments.
        leads: whether this evaluator leads.
    """

    def __init__(
        self,
        *,
        config: Config,
        tables: AlertTables,
        tools: Tools,
        meters: AlertInstruments,
        leads: Callable[[], bool],
    ) -> None:
        self._scan_s = config.alerts.rules_scan_s
        self._tools, self._meters, self._leads = tools, meters, leads
        self._folder = RuleFolder(
            folder=Path(config.alerts.rules_dir),
            rules=tables.rules,
            recordings=tables.recordings,
            parser=QueryParser(max_depth=config.query.max_depth),
            interval_ms=config.alerts.interval_s * 1000,
            clock_ms=tools.clock_ms,
            log=tools.log,
        )

    def run(self, stop: threading.Event) -> None:
        """Look at the folder until the event is set."""
        while not stop.wait(LOOK_EVERY_S):
            if not self._leads():
                self._folder.forget()
                self._meters.faulty_files.set(0)
                continue
            self.look()
            if stop.wait(self._scan_s - LOOK_EVERY_S):
                return

    def look(self) -> None:
        """Look at the folder once."""
        try:
            self._folder.scan()
        except Unavailable as exc:
            # The health check of the database says so; the files wait.
            self._tools.log.debug("rule files are not loaded now", reason=exc.message)
        self._meters.faulty_files.set(len(self._folder.faults))

    def check(self) -> CheckResult:
        """Return the health: which files have a fault; their rules stay as they were."""
        faults = self._folder.faults
        if not faults:
            return CheckResult(Status.HEALTHY, {})
        return CheckResult(Status.DEGRADED, {"faults": dict(faults)})
