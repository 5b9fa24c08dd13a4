"""What is known of metrics: type, unit, help, and how many series they have."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

import orjson
from psycopg2.extensions import cursor

from tidegauge.errors import InvalidInput
from tidegauge.model.batch import MetricMetadata
from tidegauge.storage.catalogue_version import CatalogueVersion, lock_catalogue, read_version
from tidegauge.storage.pool import Pool
from tidegauge.storage.protocol import MetricCardinality, MetricRow, ReadBudget, StorageTotals
from tidegauge.storage.texts import is_storable

_MOST_VALUES_REMEMBERED = 500_000
# Requests with new series wait for the counts, one after another; they can do without.
_COUNT_AT_MOST_S = 10.0

# Senders repeat what they say every minute. Were it all upserted, each round would write every
# row again, and use up one of the two thousand million ids for each.
_FIND_UNKNOWN = """
SELECT said.name
FROM json_to_recordset(%s::json) AS said (name text, type text, unit text, help text)
WHERE NOT EXISTS (
    SELECT FROM metric_definitions AS known
    WHERE md5(known.name) = md5(said.name)
        AND said.type IN ('', known.type) AND said.unit IN ('', known.unit)
        AND said.help IN ('', known.description)
)
"""
_UPDATE = """
UPDATE metric_definitions AS known SET
    type = coalesce(nullif(said.type, ''), known.type),
    unit = coalesce(nullif(said.unit, ''), known.unit),
    description = coalesce(nullif(said.help, ''), known.description)
FROM json_to_recordset(%s::json) AS said (name text, type text, unit text, help text)
WHERE md5(known.name) = md5(said.name) AND known.name = said.name
"""
_ADD = """
INSERT INTO metric_definitions (name, type, unit, description)
SELECT said.name, said.type, said.unit, said.help
FROM json_to_recordset(%s::json) AS said (name text, type text, unit text, help text)
WHERE NOT EXISTS (SELECT FROM metric_definitions AS known WHERE md5(known.name) = md5(said.name))
ORDER BY said.name
ON CONFLICT DO NOTHING
"""
_READ_ONE = """
SELECT name, type, unit, description FROM metric_definitions
WHERE md5(name) = md5(%(name)s) AND name = %(name)s AND (type, unit, description) <> ('', '', '')
"""
_READ_ALL = """
SELECT name, type, unit, description FROM metric_definitions
WHERE (type, unit, description) <> ('', '', '')
ORDER BY name LIMIT %(limit)s
"""
_LIST = """
WITH page AS (
    SELECT id, name, type, unit, description FROM metric_definitions
    WHERE name > %(after)s AND strpos(name, %(search)s) > 0
    ORDER BY name LIMIT %(limit)s
)
SELECT page.id, page.name, page.type, page.unit, page.description, count(series.id),
    (extract(epoch FROM max(series.last_seen)) * 1000)::bigint
FROM page LEFT JOIN series ON series.metric_id = page.id
GROUP BY page.id, page.name, page.type, page.unit, page.description
ORDER BY page.name
"""
_COUNT_SERIES = "SELECT count(*) FROM series WHERE id > %s AND id <= %s"
_READ_TOTALS = """
SELECT (SELECT count(*) FROM metric_definitions), pg_database_size(current_database())
"""
_READ_TAGS = """
SELECT series.tags::text
FROM metric_definitions AS metric JOIN series ON series.metric_id = metric.id
WHERE md5(metric.name) = md5(%(name)s) AND metric.name = %(name)s
    AND series.id > %(after)s AND series.id <= %(last)s
"""


class _Widths:
    """The distinct values of each tag key of one metric, up to a state of the catalogue."""

    def __init__(self) -> None:
        self.version = CatalogueVersion(version=-1, last_series_id=0)
        self.series = 0
        self.values: dict[str, set[str]] = {}

    @property
    def weight(self) -> int:
        return 1 + sum(map(len, self.values.values()))

    def add(self, all_tags: Sequence[Mapping[str, str]]) -> None:
        self.series += len(all_tags)
        for tags in all_tags:
            for key, value in tags.items():
                self.values.setdefault(key, set()).add(value)

    def summary(self) -> MetricCardinality:
        widest = min(self.values, key=lambda key: (-len(self.values[key]), key), default="")
        return MetricCardinality(self.series, widest, len(self.values.get(widest, ())))


class MetricCatalogue:
    """Keeps and lists what is known of metrics; safe to use from many threads.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._widths: OrderedDict[str, _Widths] = OrderedDict()
        self._counted = CatalogueVersion(version=-1, last_series_id=0)
        self._series = 0

    def store(self, metadata: Sequence[MetricMetadata]) -> None:
        """Keep type, unit and help of metrics; an empty field leaves what is known.

        Raises:
            InvalidInput: text that PostgreSQL cannot store.
            Unavailable.
        """
        merged: dict[str, dict[str, str]] = {}
        for said in metadata:
            fields = {"type": said.type, "unit": said.unit, "help": said.help}
            _check_text(said.name, *fields.values())
            known = merged.setdefault(
                said.name, {"name": said.name, "type": "", "unit": "", "help": ""}
            )
            known.update({field: text for field, text in fields.items() if text})
        if not merged:
            return
        with self._pool.transaction() as lent:
            lent.execute(_FIND_UNKNOWN, (_to_json(merged.values()),))
            unknown = [row[0] for row in lent.fetchall()]
            if unknown:
                # New metrics may be among them: their ids must appear in order.
                lock_catalogue(lent)
                said_anew = (_to_json(merged[name] for name in unknown),)
                lent.execute(_UPDATE, said_anew)
                lent.execute(_ADD, said_anew)

    def metadata(self, metric: str, limit: int) -> dict[str, MetricMetadata]:
        """Return what is known by name; `metric` "" means all, limit 0 no limit.

        Raises:
            Unavailable.
        """
        if not is_storable(metric):
            return {}
        with self._pool.transaction() as lent:
            lent.execute(
                _READ_ONE if metric else _READ_ALL, {"name": metric, "limit": limit or None}
            )
            return {row[0]: MetricMetadata(*row) for row in lent.fetchall()}

    def page(self, *, search: str, after: str, limit: int, budget: ReadBudget) -> list[MetricRow]:
        """Return metrics sorted by name, from the first behind `after`.

        Raises:
            DeadlineExceeded, Unavailable.
        """
        if not is_storable(search + after):
            return []
        with self._pool.transaction(
            deadline_s=budget.deadline_s, cancellation=budget.cancellation
        ) as lent:
            lent.execute(_LIST, {"search": search, "after": after, "limit": limit or None})
            return [MetricRow(*row) for row in lent.fetchall()]

    def cardinality(self, names: Sequence[str]) -> dict[str, MetricCardinality]:
        """Return the cardinality of each of these metrics.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_COUNT_AT_MOST_S) as lent, self._lock:
            version = read_version(lent)
            found = {name: self._read_widths(lent, name, version).summary() for name in names}
            total = sum(one.weight for one in self._widths.values())
            while total > _MOST_VALUES_REMEMBERED:
                _, dropped = self._widths.popitem(last=False)
                total -= dropped.weight
            return found

    def series_count(self) -> int:
        """Return how many series there are.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_COUNT_AT_MOST_S) as lent, self._lock:
            version = read_version(lent)
            if version.version != self._counted.version:
                self._counted = CatalogueVersion(version.version, 0)
                self._series = 0
            if version.last_series_id > self._counted.last_series_id:
                lent.execute(_COUNT_SERIES, (self._counted.last_series_id, version.last_series_id))
                self._series += sum(row[0] for row in lent.fetchall())
                self._counted = version
            return self._series

    def totals(self) -> StorageTotals:
        """Return how many series and metrics there are, and the bytes of the whole database.

        Raises:
            Unavailable.
        """
        series = self.series_count()
        with self._pool.transaction(at_most_s=_COUNT_AT_MOST_S) as lent:
            lent.execute(_READ_TOTALS)
            return StorageTotals(series, *lent.fetchall()[0])

    def _read_widths(self, lent: cursor, name: str, version: CatalogueVersion) -> _Widths:
        known = self._widths.get(name)
        if known is None or known.version.version != version.version:
            known = self._widths[name] = _Widths()
        self._widths.move_to_end(name)
        if known.version != version and is_storable(name):
            after, last = known.version.last_series_id, version.last_series_id
            lent.execute(_READ_TAGS, {"name": name, "after": after, "last": last})
            texts = [row[0] for row in lent.fetchall()]
            known.add(orjson.loads("[" + ",".join(texts) + "]"))
        known.version = version
        return known


def _to_json(said: Iterable[Mapping[str, str]]) -> str:
    return orjson.dumps(list(said)).decode()


def _check_text(*texts: str) -> None:
    for text in texts:
        if not is_storable(text):
            raise InvalidInput(f"metadata text {text!r} holds what PostgreSQL cannot store as text")
