"""The shipped rules, kept as the settings want them by the evaluator that leads."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tidegauge.alerts.shipped import load_shipped_rules, read_shipped_rules
from tidegauge.auth.actor import SYSTEM
from tidegauge.config import Config
from tidegauge.errors import ConfigError, InvalidInput, TidegaugeError
from tidegauge.model.alerts import AlertRule
from tidegauge.query.parsing import QueryParser
from tidegauge.services.parts import Tools
from tidegauge.storage.alert_rules import AlertRules

LOOK_EVERY_S = 0.5
AGAIN_AFTER_S = 30.0


def choose_shipped_rules(config: Config) -> list[AlertRule]:
    """Return the shipped rules that the settings want: none where nothing tells of Tidegauge.

    Raises:
        ConfigError: one is switched off that there is not.
    """
    try:
        rules = read_shipped_rules(
            parser=QueryParser(max_depth=config.query.max_depth),
            off={name.strip() for name in config.alerts.shipped_rules_off.split(",")} - {""},
            runbooks=config.alerts.runbooks_url,
        )
    except InvalidInput as exc:
        raise ConfigError(f"TIDEGAUGE_SHIPPED_RULES_OFF: {exc.message}") from exc
    wanted = config.alerts.shipped_rules == "on" and config.trace.own_metrics_s
    return rules if wanted else []


class ShippedRules:
    """Loads the shipped rules whenever this evaluator becomes the leader.

    Args:
        rules: the table.
        wanted: those that there shall be.
        tools: clocks and logger.
        leads: whether this evaluator leads.
    """

    def __init__(
        self,
        *,
        rules: AlertRules,
        wanted: list[AlertRule],
        tools: Tools,
        leads: Callable[[], bool],
    ) -> None:
        self._rules, self._wanted = rules, wanted
        self._tools, self._leads = tools, leads

    def run(self, stop: threading.Event) -> None:
        """Load them at the beginning of each turn until the event is set."""
        loaded = False
        while not stop.wait(LOOK_EVERY_S):
            if not self._leads():
                loaded = False
            elif not loaded:
                loaded = self.load()
                if not loaded and stop.wait(AGAIN_AFTER_S):
                    return

    def load(self) -> bool:
        """Load them, and return whether that worked."""
        try:
            done = load_shipped_rules(
                self._rules, self._wanted, SYSTEM, clock_ms=self._tools.clock_ms
            )
        except TidegaugeError as exc:
            self._tools.log.warning("the shipped rules are not loaded", error=exc.message)
            return False
        if done.made or done.changed or done.deleted:
            self._tools.log.info(
                "the shipped rules were brought up to date",
                made=done.made,
                changed=done.changed,
                deleted=done.deleted,
            )
        return True
