"""Runs rules over past data: asks their queries stretch by stretch, within limits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

from tidegauge.alerts.backtest.grid import judge_grid
from tidegauge.alerts.backtest.spells import MAX_SPELLS, Report, SpellKeeper
from tidegauge.alerts.rules import check_rule
from tidegauge.config import Config
from tidegauge.errors import DeadlineExceeded, InvalidInput, LimitExceeded
from tidegauge.model.alerts import AlertRule
from tidegauge.promql.scripts.pinning import has_context_call
from tidegauge.query.limits import TooBusy, count_series
from tidegauge.query.parsing import QueryParser
from tidegauge.query.service import Answer, QueryOptions, QueryService

AT_ONCE = 2
"""Backtests of one process that run at the same time: each holds a thread of the API."""

# A stretch has about so many points, series by steps, once it is known how many series there are.
STRETCH_POINTS = 1_000_000
FIRST_STEPS = 250
# There is news of a long backtest about so many times.
STRETCHES = 20

SETTING = "TIDEGAUGE_BACKTEST_STEPS"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backtest has come.

    Args:
        done: 0 to 1.
        at_ms: the last evaluation so far, Unix ms.
    """

    done: float
    at_ms: int


@dataclass(slots=True)
class _Plan:
    """A rule, its grid, and when all must be done."""

    rule: AlertRule
    start_ms: int
    step_ms: int
    steps: int
    notes: list[str]


class BacktestService:
    """Runs rules over past data; safe to use from many threads.

    Args:
        query: answers their queries.
        parser: reads them.
        config: the limits.
        monotonic: seconds.
    """

    def __init__(
        self,
        *,
        query: QueryService,
        parser: QueryParser,
        config: Config,
        monotonic: Callable[[], float],
    ) -> None:
        self._query, self._parser = query, parser
        self._config, self._monotonic = config, monotonic
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def run(
        self, rules: Sequence[AlertRule], *, start_ms: int, end_ms: int
    ) -> Generator[Progress | Report, None, None]:
        """Yield how far it has come, and at the end of each rule its report.

        It goes on only as long as somebody takes what it yields; close it to end it before. What is
        wrong with a rule shows before anything is yielded.

        Args:
            rules: what to run, one after the other.
            start_ms: the first evaluation, Unix ms.
            end_ms: no evaluation lies after it.
        Raises:
            InvalidInput: a rule that cannot be run. LimitExceeded, QueryFailed, Unavailable.
            DeadlineExceeded: it took too long. Cancelled: somebody ended its query.
        """
        if not self._places.acquire(blocking=False):
            raise TooBusy(f"{AT_ONCE} backtests run already; try again when one is done")
        try:
            plans = [self._plan(rule, start_ms, end_ms) for rule in rules]
            until_s = self._monotonic() + self._config.alerts.backtest_timeout_s
            for number, plan in enumerate(plans):
                for news in self._run_one(plan, until_s):
                    if isinstance(news, Progress):
                        yield Progress((number + news.done) / len(plans), news.at_ms)
                    else:
                        yield news
        finally:
            self._places.release()

    def _plan(self, rule: AlertRule, start_ms: int, end_ms: int) -> _Plan:
        check_rule(rule, self._parser)
        if has_context_call(self._parser.normalise(rule.query)):
            raise InvalidInput(
                "query: start(), end(), step() and range() mean something else in each evaluation "
                "of a rule, and cannot be run over a range"
            )
        most, step_ms = self._config.alerts.backtest_steps, rule.interval_ms
        wanted = (end_ms - start_ms) // step_ms + 1
        notes = []
        if wanted > most:
            step_ms *= -(-wanted // most)
            notes.append(
                f"evaluated every {step_ms / 1000:g} s instead of every "
                f"{rule.interval_ms / 1000:g} s: the range has {wanted} evaluations, {SETTING} "
                f"allows {most}; what is shorter than that may not be seen"
            )
        return _Plan(rule, start_ms, step_ms, (end_ms - start_ms) // step_ms + 1, notes)

    def _run_one(self, plan: _Plan, until_s: float) -> Iterator[Progress | Report]:
        keeper = SpellKeeper(plan.rule, start_ms=plan.start_ms, step_ms=plan.step_ms)
        most = min(self._config.query.max_points, max(FIRST_STEPS, plan.steps // STRETCHES + 1))
        done, size = 0, min(FIRST_STEPS, most)
        while done < plan.steps:
            steps = min(size, plan.steps - done)
            answer = self._ask(plan, done, steps, until_s)
            if answer is None:
                size = max(1, steps // 4)
                continue
            keeper.take(judge_grid(plan.rule, answer.result, keeper.standing))
            done += steps
            series = max(1, count_series(answer.result))
            size = max(1, min(STRETCH_POINTS // series, most))
            yield Progress(done / plan.steps, plan.start_ms + (done - 1) * plan.step_ms)
        report = keeper.finish()
        report.notes += plan.notes
        for shown, total, what in (
            (report.fired, report.trials[0].spells, "spells"),
            (report.pending, report.pending_total, "pending spells"),
        ):
            if len(shown) < total:
                report.notes.append(f"of {total} {what} the first {MAX_SPELLS} are shown")
        yield report

    def _ask(self, plan: _Plan, done: int, steps: int, until_s: float) -> Answer | None:
        """Return the answer for some steps, or None where fewer of them may go."""
        left_ms = int((until_s - self._monotonic()) * 1000)
        if left_ms <= 0:
            raise DeadlineExceeded(
                f"the backtest took longer than {self._config.alerts.backtest_timeout_s} s and had "
                f"done {done / plan.steps:.0%} of its evaluations; choose a shorter range, or "
                "raise TIDEGAUGE_BACKTEST_TIMEOUT_SECONDS"
            )
        first_ms = plan.start_ms + done * plan.step_ms - plan.rule.query_offset_ms
        try:
            return self._query.range(
                plan.rule.query,
                start_ms=first_ms,
                end_ms=first_ms + (steps - 1) * plan.step_ms,
                step_ms=plan.step_ms,
                options=QueryOptions(timeout_ms=left_ms, cached=False),
            )
        except (LimitExceeded, DeadlineExceeded):
            if steps == 1:
                raise
            return None
