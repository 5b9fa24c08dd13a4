"""Query results that are kept for a while, and identical queries that run once.

A result is kept under the SHA-256 of all that it depends on but the data. What the data may have
become since, a Freshness tells where it can, and the TTL bounds where not.
Source: SPEC §3 "Cache", §13.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tidegauge.cache.protocol import NO_TOKEN, Cache
from tidegauge.config import CacheConfig
from tidegauge.observability.cache_instruments import CacheInstruments
from tidegauge.query.flight import SingleFlight
from tidegauge.query.freshness import Freshness
from tidegauge.query.limits import Deadline
from tidegauge.query.result_codec import (
    VERSION,
    Evaluation,
    Kept,
    NotAResult,
    count_bytes,
    decode_kept,
    encode_kept,
)

QUERY_CACHE = "query"
"""The label of its instruments."""

RECENT_MS = 300_000
"""A range that reaches into the last five minutes is expected to change."""

CLAIM_S = 3.0
"""How long other processes leave a query to the one that began it; then one of them begins too.
Long enough for nearly all queries, and short beside their deadline in case that process died."""

_FIRST_POLL_S, _LONGEST_POLL_S, _POLL_GROWTH = 0.005, 0.1, 1.5


@dataclass(frozen=True, slots=True)
class Question:
    """All that the answer to a query depends on, but the data.

    Args:
        kind: "instant" or "range".
        form: the query's normal form.
        text: the query as it was written.
        start_ms, end_ms, step_ms: the exact grid; another one has other timestamps.
        lookback_ms: the lookback in force.
        subquery_step_ms: the default step of subqueries.
        resolution: the tier that is read.
        scope: whose data may be seen.
    """

    kind: str
    form: str
    text: str
    start_ms: int
    end_ms: int
    step_ms: int
    lookback_ms: int
    subquery_step_ms: int
    resolution: str = "raw"
    scope: str = "all"

    def digest(self) -> bytes:
        """Return the SHA-256 of all of it but the text, which other spellings share."""
        parts = [
            VERSION,
            self.kind,
            self.form,
            self.start_ms,
            self.end_ms,
            self.step_ms,
            self.lookback_ms,
            self.subquery_step_ms,
            self.resolution,
            self.scope,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).digest()

    def text_digest(self) -> bytes:
        """Return a digest of the text."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).digest()[:16]


def name_key(digest: bytes) -> str:
    """Return the key in the cache of a question with this digest."""
    return f"cache:query:{digest.hex()}"


@dataclass(frozen=True, slots=True)
class Bodies:
    """Keeps what was rendered of one result, beside it.

    Args:
        cache: where, None for nowhere.
        prefix: of its keys; tells the result.
        ttl_s: for how long.
    """

    cache: Cache | None = None
    prefix: str = ""
    ttl_s: float = 0.0

    def get(self, form: str, render: Callable[[], bytes]) -> bytes:
        """Return the kept bytes of this form, or render and keep them.

        Args:
            form: tells all that the bytes depend on besides the result.
        """
        if self.cache is None:
            return render()
        key = f"{self.prefix}:{form}"
        found = self.cache.get(key)
        if found is None:
            found = render()
            self.cache.set(key, found, ttl_s=self.ttl_s)
        return found


@dataclass(frozen=True, slots=True)
class Found:
    """An answer from the cache, or through it.

    Args:
        evaluation: the result.
        is_hit: nothing was evaluated for it.
        bodies: keeps what is rendered of it.
    """

    evaluation: Evaluation
    is_hit: bool
    bodies: Bodies


@dataclass(frozen=True, slots=True)
class _Key:
    name: str
    digest: bytes
    text_digest: bytes


@dataclass(frozen=True, slots=True)
class _Outcome:
    kept: Kept
    is_hit: bool
    is_stored: bool


class ResultCache:
    """Answers questions from a cache, or has each evaluated once.

    Args:
        cache: where results are kept, for all who share it.
        local: where rendered answers are kept, in this process; may be the same.
        config: how long, and how large.
        meter: the instruments.
        freshness: tells which results were overtaken by writes.
        wait_place: held by who waits for another; raises when too many threads wait already.
        clock_ms: Unix ms.
        new_id: tells evaluations apart.
        wait: waits so many seconds.
    """

    def __init__(
        self,
        *,
        cache: Cache,
        local: Cache,
        config: CacheConfig,
        meter: CacheInstruments,
        freshness: Freshness,
        wait_place: Callable[[], AbstractContextManager[None]],
        clock_ms: Callable[[], int],
        new_id: Callable[[], str],
        wait: Callable[[float], object],
    ) -> None:
        self._cache, self._local, self._config = cache, local, config
        self._meter, self._freshness, self._wait_place = meter, freshness, wait_place
        self._clock_ms, self._new_id, self._wait = clock_ms, new_id, wait
        self._flights: SingleFlight[_Outcome] = SingleFlight(wait_place=wait_place)

    def answer(
        self, question: Question, *, deadline: Deadline, evaluate: Callable[[], Evaluation]
    ) -> Found:
        """Return the kept answer, another's of this moment, or that of `evaluate`.

        Raises:
            DeadlineExceeded, Cancelled: while it waited for another.
            Unavailable: too many wait.
            What `evaluate` raises.
        """
        digest = question.digest()
        key = _Key(name_key(digest), digest, question.text_digest())
        kept = self._find(key)
        if kept is not None:
            outcome, shared = _Outcome(kept, is_hit=True, is_stored=True), False
        else:
            outcome, shared = self._flights.run(
                # Errors point into the text too, and are shared: one flight for one text.
                digest + key.text_digest,
                deadline=deadline,
                work=lambda: self._work(key, deadline, evaluate),
                suits=lambda found: not self._is_overtaken(found.kept),
            )
        if shared:
            self._meter.shared(QUERY_CACHE)
        is_hit = shared or outcome.is_hit
        (self._meter.hit if is_hit else self._meter.missed)(QUERY_CACHE)
        return Found(outcome.kept.evaluation, is_hit, self._bodies_of(outcome))

    def _work(self, key: _Key, deadline: Deadline, evaluate: Callable[[], Evaluation]) -> _Outcome:
        claim = f"{key.name}:claim"
        token = self._cache.claim(claim, ttl_s=CLAIM_S)
        if token is None:
            kept, token = self._wait_for_other(key, claim, deadline)
        else:
            # Whoever held the claim just before may have stored the answer since we looked.
            kept = self._find(key) if token != NO_TOKEN else None
        try:
            if kept is not None:
                return _Outcome(kept, is_hit=True, is_stored=True)
            mark = self._freshness.mark()
            kept = Kept(evaluate(), self._new_id(), mark, key.text_digest)
            return _Outcome(kept, is_hit=False, is_stored=self._keep(key, kept))
        finally:
            self._cache.release(claim, token)

    def _wait_for_other(self, key: _Key, claim: str, deadline: Deadline) -> tuple[Kept | None, str]:
        """Return what another process stores, or a token of the claim when that came free."""
        wait_s = _FIRST_POLL_S
        with self._wait_place():
            while True:
                remaining_s = deadline.remaining_s()
                if not remaining_s:
                    raise deadline.exceeded("waited for the same query in another process")
                self._wait(min(wait_s, remaining_s))
                deadline.cancellation.check()
                wait_s = min(wait_s * _POLL_GROWTH, _LONGEST_POLL_S)
                kept = self._find(key)
                if kept is not None:
                    return kept, NO_TOKEN
                token = self._cache.claim(claim, ttl_s=CLAIM_S)
                if token is not None:
                    return None, token

    def _find(self, key: _Key) -> Kept | None:
        data = self._cache.get(key.name)
        if data is None:
            return None
        try:
            kept = decode_kept(data, key=key.digest)
        except NotAResult:
            self._meter.failed("decode")
            return None
        notes = kept.evaluation.result.annotations
        if (notes.warnings or notes.infos) and kept.text_digest != key.text_digest:
            # They tell places in another spelling of the query.
            return None
        return None if self._is_overtaken(kept) else kept

    def _is_overtaken(self, kept: Kept) -> bool:
        return self._freshness.is_touched(kept.mark, kept.evaluation.until_ms)

    def _keep(self, key: _Key, kept: Kept) -> bool:
        """Store a result unless it is too large; return whether it was stored."""
        if count_bytes(kept.evaluation.result) > self._config.max_result_bytes:
            return False
        try:
            data = encode_kept(kept, key=key.digest)
        except UnicodeEncodeError:
            return False
        if len(data) > self._config.max_result_bytes:
            return False
        self._cache.set(key.name, data, ttl_s=self._ttl_s(kept))
        return True

    def _ttl_s(self, kept: Kept) -> float:
        is_recent = kept.evaluation.until_ms >= self._clock_ms() - RECENT_MS
        return float(self._config.recent_s if is_recent else self._config.past_s)

    def _bodies_of(self, outcome: _Outcome) -> Bodies:
        if not outcome.is_stored:
            return Bodies()
        return Bodies(self._local, f"cache:body:{outcome.kept.id}", self._ttl_s(outcome.kept))
