"""Asks what one rule asks, and says what that comes to; for any thread, several at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from tidegauge.alerts.evaluation import Outcome, evaluate, read_outcome, read_samples
from tidegauge.alerts.payloads import alert_annotations
from tidegauge.alerts.results import Samples, make_samples
from tidegauge.alerts.watching import Watched, slot_of, slot_start_ms
from tidegauge.errors import DeadlineExceeded, QueryFailed, TidegaugeError, Unavailable
from tidegauge.model.alerts import AlertInstance, AlertRule, LastEvaluation
from tidegauge.model.labels import METRIC_NAME, Labels, make_labels
from tidegauge.model.recording import RecordingRule
from tidegauge.model.routing import Routing
from tidegauge.model.silences import Muting
from tidegauge.observability.alert_instruments import AlertInstruments
from tidegauge.query.limits import TooBusy
from tidegauge.query.service import QueryOptions, QueryService
from tidegauge.storage.alert_changes import Change
from tidegauge.storage.faults import DatabaseFault

TEMPLATE_QUERIES_MS = 4000
MAX_ERROR_CHARS = 500


@dataclass(frozen=True, slots=True)
class Round:
    """What the evaluations of one round have in common.

    Args:
        silences: of which alerts nobody is told.
        acknowledged: the events of firings of which nobody is told again.
        routing: whom to tell where a rule does not say.
        now_ms: when it began by the database's clock, Unix ms.
        now_s: the same by the monotonic clock.
    """

    silences: Sequence[Muting]
    acknowledged: Collection[int]
    routing: Routing
    now_ms: int
    now_s: float


@dataclass(frozen=True, slots=True)
class Judged:
    """What an alerting rule's query came to.

    Args:
        series: how many it gave.
        changes: what is to be stored.
    """

    series: int
    changes: Sequence[Change]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recording rule gave.

    Args:
        written: the series.
        samples: of these, and the ends of those that are no more.
    """

    written: Sequence[Labels]
    samples: Samples

    @property
    def series(self) -> int:
        """How many series it gave."""
        return len(self.written)


@dataclass(frozen=True, slots=True)
class Finished:
    """An evaluation, not stored yet.

    Args:
        one: the rule.
        now_s: when it began, by the monotonic clock.
        last: how it went.
        came: what it came to; None: nothing is known.
    """

    one: Watched
    now_s: float
    last: LastEvaluation
    came: Judged | Recorded | None


class Asker:
    """Evaluates single rules; safe to use from many threads, for one rule from one at a time.

    Args:
        query: answers their queries.
        meters: the instruments.
        query_timeout_ms: how long one query may take.
        monotonic: seconds.
        log: is told of faults of ours.
    """

    def __init__(
        self,
        *,
        query: QueryService,
        meters: AlertInstruments,
        query_timeout_ms: int,
        monotonic: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        self._query, self._meters, self.log = query, meters, log
        self._monotonic = monotonic
        self._options = QueryOptions(timeout_ms=query_timeout_ms, cached=False)

    def evaluate(self, one: Watched, of: Round) -> Finished:
        """Evaluate a rule as of now.

        Raises:
            Unavailable: nobody can say how it stands.
        """
        now_s = self._monotonic()
        now_ms = of.now_ms + int((now_s - of.now_s) * 1000)
        try:
            came, error = self._try(one, of, now_ms, now_s)
        except (TooBusy, DatabaseFault) as exc:
            # What the database answered with, it may not answer the others with.
            came, error = None, exc.message
        except Unavailable:
            # Nothing is wrong with the rule, and the database could not store what follows.
            raise
        except TidegaugeError as exc:
            came, error = None, _explain(exc)
        except Exception as exc:
            # A fault of ours that one rule brings out must not end the evaluation of all others.
            kind, rule_id = one.key
            self.log.exception("a rule cannot be evaluated", kind=kind, rule_id=rule_id)
            came, error = None, f"internal error: {type(exc).__name__}"
        took_s = self._monotonic() - now_s
        self._meters.evaluations.labels("error" if error else "success").inc()
        self._meters.evaluation_s.observe(took_s)
        last = LastEvaluation(
            at_ms=now_ms,
            took_ms=took_s * 1000,
            series=0 if came is None else came.series,
            missed=max(0, slot_of(one.rule, now_ms) - one.slot - 1),
            error=error,
        )
        return Finished(one, now_s, last, came)

    def _try(
        self, one: Watched, of: Round, now_ms: int, now_s: float
    ) -> tuple[Recorded | Judged, str]:
        if isinstance(one.rule, RecordingRule):
            return self._record(one, one.rule, now_ms), ""
        time_ms = now_ms - one.rule.query_offset_ms
        try:
            answer = self._query.instant(one.query, time_ms=time_ms, options=self._options)
            outcome = read_outcome(answer.result)
            changes = self._judge(one, one.rule, outcome, of, now_ms, now_s)
        except Unavailable:
            raise
        except TidegaugeError as exc:
            outcome = Outcome(error=_explain(exc))
            changes = self._judge(one, one.rule, outcome, of, now_ms, now_s)
        return Judged(len(outcome.series), changes), outcome.error

    def _record(self, one: Watched, rule: RecordingRule, now_ms: int) -> Recorded:
        # Whoever evaluates an interval, and whenever in it: the samples lie at the same time.
        time_ms = slot_start_ms(rule, slot_of(rule, now_ms)) - rule.query_offset_ms
        answer = self._query.instant(one.query, time_ms=time_ms, options=self._options)
        found = _relabel(rule, read_samples(answer.result))
        return Recorded(list(found), make_samples(found, one.written, time_ms))

    def _judge(
        self,
        one: Watched,
        rule: AlertRule,
        outcome: Outcome,
        of: Round,
        now_ms: int,
        now_s: float,
    ) -> list[Change]:
        def expand(rule: AlertRule, alert: AlertInstance) -> Mapping[str, str]:
            return alert_annotations(rule, alert, now_ms=now_ms, query=ask)

        def ask(text: str) -> list[tuple[Mapping[str, str], float]]:
            # Templates must not keep a thread for longer than queries may.
            left_ms = TEMPLATE_QUERIES_MS - int((self._monotonic() - now_s) * 1000)
            if left_ms <= 0:
                raise DeadlineExceeded("the time for queries of templates is over")
            options = QueryOptions(timeout_ms=left_ms, cached=False)
            found = read_samples(self._query.instant(text, time_ms=now_ms, options=options).result)
            return [(dict(labels), value) for labels, value in found]

        return evaluate(
            rule,
            one.standing,
            outcome,
            elapsed_ms=one.elapsed_ms(now_ms, now_s),
            now_ms=now_ms,
            expand=expand,
            silences=of.silences,
            acknowledged=of.acknowledged,
            routing=of.routing,
        )


def _explain(exc: TidegaugeError) -> str:
    return exc.message[:MAX_ERROR_CHARS] or exc.code


def _relabel(rule: RecordingRule, found: Sequence[tuple[Labels, float]]) -> Mapping[Labels, float]:
    """Return what is written of a query's answer.

    Raises:
        QueryFailed: more series than the limit, or two with the same labels.
    """
    if rule.limit and len(found) > rule.limit:
        raise QueryFailed(f"exceeded limit of {rule.limit} with {len(found)} series")
    over = {**rule.labels, METRIC_NAME: rule.record}
    written = {make_labels({**dict(series), **over}): value for series, value in found}
    if len(written) < len(found):
        raise QueryFailed("two series have the same labels after those of the rule are applied")
    return written
