"""Native histograms: counts of observations in buckets whose bounds follow from a schema.

Source: Prometheus `model/histogram`; schemas -4 to 8 are exponential, -53 has bounds of its own.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from tidegauge.model.stale import is_stale

LEAST_SCHEMA, GREATEST_SCHEMA, CUSTOM_SCHEMA = -4, 8, -53
_GREATEST_FLOAT = math.ldexp(1 - 2**-53, 1024)


class ResetHint(enum.IntEnum):
    """What is known of a counter reset between the histogram before and this one."""

    UNKNOWN = 0
    RESET = 1
    NOT_RESET = 2
    GAUGE = 3


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """The buckets of one side of a histogram; those that are not listed are empty.

    Args:
        index: int64, shape (n,), strictly rising.
        counts: float64, shape (n,): observations in each bucket alone.
    """

    index: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    def compact(self) -> Buckets:
        """Return the buckets without the empty ones."""
        filled = self.counts != 0
        return self if filled.all() else Buckets(self.index[filled], self.counts[filled])


NO_BUCKETS = Buckets(np.zeros(0, np.int64), np.zeros(0))


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket: its bounds, and the observations between them."""

    lower: float
    upper: float
    count: float


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """A native histogram with float counts; never changed, so that it can be shared.

    Args:
        schema: -4 to 8: each power of two is parted into 2**schema buckets; or CUSTOM_SCHEMA.
        count, sum: of all observations; a stale marker as the sum makes it stale.
        zero_threshold, zero_count: the bucket around zero.
        positive, negative: the other buckets; of a custom schema the positive ones only.
        bounds: the upper bounds of a custom schema, rising; the last bucket has none.
        hint: what is known of a counter reset.
    """

    schema: int
    count: float
    sum: float
    zero_threshold: float = 0.0
    zero_count: float = 0.0
    positive: Buckets = NO_BUCKETS
    negative: Buckets = NO_BUCKETS
    bounds: tuple[float, ...] = field(default=())
    hint: ResetHint = ResetHint.UNKNOWN

    @property
    def is_custom(self) -> bool:
        """Whether it has bounds of its own."""
        return self.schema == CUSTOM_SCHEMA

    @property
    def is_stale(self) -> bool:
        """Whether it is a stale marker."""
        return bool(is_stale(np.array([self.sum]))[0])

    def compact(self) -> Histogram:
        """Return it without its empty buckets."""
        positive, negative = self.positive.compact(), self.negative.compact()
        if positive is self.positive and negative is self.negative:
            return self
        return replace(self, positive=positive, negative=negative)

    def with_hint(self, hint: ResetHint) -> Histogram:
        """Return it with another hint."""
        return self if hint is self.hint else replace(self, hint=hint)

    def reduce(self, schema: int) -> Histogram:
        """Return it with the wider buckets of a lower exponential schema."""
        if schema == self.schema:
            return self
        by = self.schema - schema
        return replace(
            self,
            schema=schema,
            positive=merge_buckets(self.positive, by),
            negative=merge_buckets(self.negative, by),
        )

    def bound(self, index: int) -> float:
        """Return the upper bound of a positive bucket."""
        if not self.is_custom:
            return exponential_bound(index, self.schema)
        if index < 0:
            return -math.inf
        return self.bounds[index] if index < len(self.bounds) else math.inf

    def positive_buckets(self) -> Iterator[Bucket]:
        """Yield the positive buckets, from zero upwards."""
        for index, count in _pairs(self.positive):
            yield Bucket(self.bound(index - 1), self.bound(index), count)

    def negative_buckets(self) -> Iterator[Bucket]:
        """Yield the negative buckets, from zero downwards."""
        for index, count in _pairs(self.negative):
            yield Bucket(-self.bound(index), -self.bound(index - 1), count)

    def zero_bucket(self) -> Bucket:
        """Return the bucket around zero."""
        return Bucket(-self.zero_threshold, self.zero_threshold, self.zero_count)

    def all_buckets(self) -> list[Bucket]:
        """Return all buckets from the lowest to the highest; the zero bucket only if filled.

        A neighbour that overlaps with the zero bucket ends at its threshold.
        """
        limit = self.zero_threshold
        below = [
            replace(one, upper=-limit) if -limit < one.upper < 0 else one
            for one in self.negative_buckets()
        ]
        zero = [self.zero_bucket()] if self.zero_count > 0 else []
        above = [
            replace(one, lower=limit) if 0 < one.lower < limit else one
            for one in self.positive_buckets()
        ]
        return below[::-1] + zero + above

    def same_as(self, other: Histogram) -> bool:
        """Return whether two histograms hold the same, bit for bit; hints do not count."""
        return (
            self.schema == other.schema
            and self.bounds == other.bounds
            and self.zero_threshold == other.zero_threshold
            and _bits(self.count, self.sum, self.zero_count)
            == _bits(other.count, other.sum, other.zero_count)
            and _same(self.positive, other.positive)
            and _same(self.negative, other.negative)
        )


def are_histograms(samples: np.ndarray) -> np.ndarray:
    """Return which of the objects of an array are histograms, and not None: bool."""
    found: np.ndarray = np.not_equal(samples, np.array(None)).astype(bool)
    return found


def merge_buckets(buckets: Buckets, by: int) -> Buckets:
    """Return the buckets of a schema lower by so much."""
    if not by or not len(buckets):
        return buckets
    index, starts = np.unique(((buckets.index - 1) >> by) + 1, return_index=True)
    return Buckets(index, np.add.reduceat(buckets.counts, starts))


@lru_cache(maxsize=1 << 16)
def exponential_bound(index: int, schema: int) -> float:
    """Return the upper bound of a bucket of an exponential schema.

    The last bucket for numbers ends at the greatest of them, the one for infinities at infinity.
    """
    exponent, part = (index << -schema, 0) if schema < 0 else divmod(index, 1 << schema)
    if exponent == 1024 and not part:
        return _GREATEST_FLOAT
    if exponent >= 1024:
        return math.inf
    return math.ldexp(2.0 ** (part / (1 << max(schema, 0))), exponent)


def _pairs(buckets: Buckets) -> Iterator[tuple[int, float]]:
    return zip(buckets.index.tolist(), buckets.counts.tolist(), strict=True)


def _same(one: Buckets, other: Buckets) -> bool:
    return np.array_equal(one.index, other.index) and (
        one.counts.tobytes() == other.counts.tobytes()
    )


def _bits(*values: float) -> bytes:
    return np.array(values, np.float64).tobytes()
