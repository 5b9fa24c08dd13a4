"""The evaluator over real tables, with samples and clocks that a test moves."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tidegauge.alerts.evaluator import Evaluator
from tidegauge.cache.inprocess import InProcessCache
from tidegauge.config import Config, DatabaseConfig
from tidegauge.errors import Unavailable
from tidegauge.model.alerts import AlertRule, RuleOrigin
from tidegauge.model.labels import Labels, make_labels
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.model.recording import RecordingRule
from tidegauge.observability.logs import make_logger
from tidegauge.observability.meters import Meters
from tidegauge.services.evaluator import make_evaluator
from tidegauge.services.parts import AlertTables, StorageParts, Tools, open_storage_parts
from tidegauge.storage.alert_lease import Hold
from tidegauge.storage.memory import MemoryStorage
from tidegauge.storage.pool import Pool
from tidegauge.storage.protocol import ReadBudget

from tests.contracts.storage_kit import Clock as StorageClock
from tests.contracts.storage_kit import Kit
from tests.support.alerts import ENTRY, make_rule

START_MS = 1_700_000_000_000
STEP_MS = 10_000


@dataclass
class Bench:
    """Evaluators over one database, one set of samples and two clocks."""

    tables: AlertTables
    pool: Pool
    now_ms: int = START_MS
    mono_s: float = 5000.0
    log: io.BytesIO = field(default_factory=io.BytesIO)
    meters: Meters = field(default_factory=Meters)
    cache: Any = None
    token: int = 0
    round_s: float = 60.0
    queue_is_away: bool = False

    def __post_init__(self) -> None:
        memory = MemoryStorage(clock_ms=lambda: self.now_ms, monotonic=lambda: self.mono_s)
        self.kit = Kit(memory, memory, StorageClock())
        self.restart()

    def restart(self) -> None:
        """Put a new evaluator in the old one's place."""
        # A lease of no time at all: whoever asks next gets it.
        held = self.tables.open_lease("test", 0).take()
        assert held is not None
        self.token = held.token
        self.evaluator = self.make_evaluator()

    def make_evaluator(self) -> Evaluator:
        tools = Tools(
            log=make_logger(self.log, level="info", service="e", clock_ms=lambda: self.now_ms),
            clock_ms=lambda: self.now_ms,
            monotonic=lambda: self.mono_s,
        )
        self.cache = InProcessCache(
            max_bytes=10**6, monotonic=lambda: self.mono_s, new_id=lambda: "id"
        )
        storage = StorageParts(engine=self.kit.engine, catalogue=self.kit.catalogue)
        return make_evaluator(
            Config(),
            tools,
            self.meters,
            storage,
            self.tables,
            self.cache,
            store=self.take,
            round_s=self.round_s,
        )

    def take(
        self,
        labels: Sequence[Labels],
        times_ms: np.ndarray,
        values: np.ndarray,
        *,
        now_ms: int,
        timeout_s: float,
    ) -> Sequence[str]:
        """Store what rules give as series."""
        if self.queue_is_away:
            raise Unavailable("the queue is away")
        self.kit.append(list(zip(labels, times_ms.tolist(), values, strict=True)))
        return ()

    def add(self, **fields: Any) -> AlertRule:
        return self.tables.rules.add(make_rule(**fields), ENTRY).rule

    def record(self, record: str, query: str, position: int = 0, **fields: Any) -> int:
        """Add a recording rule of the group `g`, and return its id."""
        origin = RuleOrigin("a.yml", "g", f"record {record}/{position}")
        given = {"labels": {}, "interval_ms": STEP_MS, "origin": origin, **fields}
        rule = RecordingRule(record=record, query=query, position=position, **given)
        return self.tables.recordings.add(rule, ENTRY)

    def read(self, metric: str) -> dict[Labels, list[tuple[int, float]]]:
        """Return the samples of a metric's series, without its name."""
        matcher = Matcher(MatchType.EQUAL, "__name__", metric)
        budget = ReadBudget(max_samples=10_000, deadline_s=self.mono_s + 60)
        frame = self.kit.engine.select([matcher], 0, self.now_ms, budget)
        found = {}
        for number, labels in enumerate(frame.labels):
            begin, end = frame.offsets[number], frame.offsets[number + 1]
            pairs = zip(
                frame.times_ms[begin:end].tolist(), frame.values[begin:end].tolist(), strict=True
            )
            found[tuple(pair for pair in labels if pair[0] != "__name__")] = list(pairs)
        return found

    def send(self, value: float, **labels: str) -> None:
        series = make_labels({"__name__": "heat", **labels})
        self.kit.append([(series, self.now_ms, value)])

    def evaluate(self) -> int:
        return self.evaluator.evaluate_due(Hold(self.token, self.now_ms))

    def step(self, passed_ms: int = STEP_MS, *, set_ms: int = 0, **values: float) -> int:
        """Let time go by, send a value of each host, evaluate; return how many rules were."""
        self.now_ms += passed_ms + set_ms
        self.mono_s += passed_ms / 1000
        for host, value in values.items():
            self.send(value, host=host)
        return self.evaluate()

    def history(self, rule: AlertRule) -> list[str]:
        events = self.tables.events.read_page(
            rule.id, before=None, start_ms=None, end_ms=None, limit=99
        )
        return [one.state.value for one in reversed(events)]

    def told(self) -> list[str]:
        with self.pool.transaction() as lent:
            lent.execute("SELECT payload ->> 'status' FROM notifications ORDER BY id")
            return [row[0] for row in lent.fetchall()]


@contextlib.contextmanager
def open_tables(url: str) -> Iterator[AlertTables]:
    """Lend the tables of alerts at an address."""
    log = make_logger(io.BytesIO(), level="info", service="e", clock_ms=lambda: 0)
    config = Config(database=DatabaseConfig(url=url))
    storage = open_storage_parts(config, Tools(log=log), application_name="test")
    assert storage.alerts is not None
    yield storage.alerts
    storage.close()
