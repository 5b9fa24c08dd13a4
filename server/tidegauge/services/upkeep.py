"""What the evaluator that leads does beside evaluating: it looks after the whole installation."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Mapping

from tidegauge.alerts.heartbeat import Heartbeat
from tidegauge.alerts.notifiers.posting import Poster
from tidegauge.config import Config
from tidegauge.errors import ConfigError, InvalidInput, Unavailable
from tidegauge.observability.health import Check, Status
from tidegauge.observability.meters import Meters
from tidegauge.services.parts import Tools
from tidegauge.storage.upkeep import Upkeep, find_disk

LARGEST_METRICS = 10
SAMPLE_EVERY_S = 60.0
# Counting all series takes the database half a second for each million.
COUNT_EVERY_S = 300.0
# So soon after it has become the leader, an evaluator begins.
LOOK_EVERY_S = 1.0


class Sizes:
    """Brings the gauges of what is stored up to date, in the evaluator that leads.

    Args:
        upkeep: looks at the database.
        config: where it is.
        tools: clocks and logger.
        meters: the instruments.
        leads: whether this evaluator leads.
    """

    def __init__(
        self,
        *,
        upkeep: Upkeep,
        config: Config,
        tools: Tools,
        meters: Meters,
        leads: Callable[[], bool],
    ) -> None:
        self._upkeep, self._database = upkeep, config.database
        self._tools, self._meters, self._leads = tools, meters.upkeep, leads

    def run(self, stop: threading.Event) -> None:
        """Look from time to time until the event is set, and at once when this one leads."""
        sample_s = count_s = -math.inf
        while not stop.wait(LOOK_EVERY_S):
            now_s = self._tools.monotonic()
            if not self._leads():
                self._clear()
                sample_s = count_s = -math.inf
                continue
            if now_s >= sample_s:
                sample_s = now_s + SAMPLE_EVERY_S
                self._sample()
            if now_s >= count_s:
                count_s = now_s + COUNT_EVERY_S
                self._count()

    def _sample(self) -> None:
        size, free = find_disk(self._database.data_dir, self._database.url)
        self._meters.disk_bytes.set(size)
        self._meters.disk_free_bytes.set(free)
        with self._told():
            self._meters.database_bytes.set(self._upkeep.read_size_bytes())

    def _count(self) -> None:
        with self._told():
            self._meters.largest_metrics(self._upkeep.read_largest_metrics(LARGEST_METRICS))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What cannot be seen now stays as it was."""
        try:
            yield
        except Unavailable as exc:
            self._tools.log.debug("the size of the database is not known now", reason=exc.message)

    def _clear(self) -> None:
        for gauge in (
            self._meters.database_bytes,
            self._meters.disk_bytes,
            self._meters.disk_free_bytes,
        ):
            gauge.set(0)
        self._meters.largest_metrics({})


def make_heartbeat(
    config: Config,
    tools: Tools,
    meters: Meters,
    *,
    leads: Callable[[], bool],
    checks: Mapping[str, Check],
) -> Heartbeat:
    """Return what posts to TIDEGAUGE_HEARTBEAT_URL; its `run(stop)` wants a thread.

    Args:
        leads: whether this evaluator leads.
        checks: all of them must be healthy.
    Raises:
        ConfigError: the setting is no URL.
    """

    def find_trouble() -> str:
        seen = {name: check() for name, check in checks.items()}
        bad = [name for name, one in seen.items() if one.status is not Status.HEALTHY]
        return ", ".join(f"{name}: {seen[name].status.value}" for name in bad)

    try:
        return Heartbeat(
            config.notify.heartbeat_url,
            poster=Poster(config.notify),
            every_s=config.notify.heartbeat_s,
            timeout_s=config.notify.timeout_s,
            leads=leads,
            find_trouble=find_trouble,
            on_outcome=meters.upkeep.heartbeat,
            monotonic=tools.monotonic,
            log=tools.log,
        )
    except InvalidInput as exc:
        raise ConfigError(f"TIDEGAUGE_HEARTBEAT_URL: {exc.message}") from exc
