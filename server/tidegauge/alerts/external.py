"""Takes in alerts that others post, and does what time asks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from structlog.typing import FilteringBoundLogger

from tidegauge.alerts.external_settling import settle
from tidegauge.alerts.muting import Mutings
from tidegauge.errors import InvalidInput, Unavailable
from tidegauge.model.alerts import AlertState
from tidegauge.model.external_alerts import ExternalAlert, PostedAlert, absorb
from tidegauge.model.labels import Labels
from tidegauge.model.routing import Routing
from tidegauge.storage.alert_lease import Hold, LeaseLost
from tidegauge.storage.external_alerts import ExternalAlerts, ExternalChange, Standing
from tidegauge.storage.texts import is_storable

MAX_POSTED = 2000
"""Most alerts of one request; a Prometheus sends 64 or 256 of them."""

MAX_PAIRS = 64
MAX_NAME_CHARS = 1024
MAX_LABEL_CHARS = 4096
MAX_ANNOTATION_CHARS = 65_536
MAX_URL_CHARS = 16_384

MAX_ALERT_CHARS = 131_072
"""Most characters of an alert's labels and annotations: ROUND_ALERTS are read at once."""

GRACE_MS = 90_000
"""A Prometheus posts what fires once a minute, and again after a time without an answer."""

AWAY_MS = 15_000
"""Who has not looked for so long was away, as was perhaps all that takes alerts in."""

ROUND_ALERTS = 500
MAX_FAULTS_TOLD = 5

ReadRouting = Callable[[], Routing]
"""Returns the routes as they are now. Raises Unavailable."""


class ExternalAlertService:
    """Alerts of a Prometheus or a Grafana; safe to use from many threads.

    Args:
        alerts: keeps them.
        silences: of which of them nobody is told.
        read_routing: says who is told.
        timeout_ms: after so long an alert without an end of its own is over.
        most: so many are kept at once.
        grace_ms: so long what ended while nobody looked may be posted again before people hear of
            its end: whoever posts may not have reached anybody, either.
        log: is told of changes of state.
    """

    def __init__(
        self,
        *,
        alerts: ExternalAlerts,
        silences: Mutings,
        read_routing: ReadRouting,
        timeout_ms: int,
        most: int,
        grace_ms: int,
        log: FilteringBoundLogger,
    ) -> None:
        self._alerts, self._silences, self._read_routing = alerts, silences, read_routing
        self._timeout_ms, self._most, self._grace_ms, self.log = timeout_ms, most, grace_ms, log
        self._looked_ms = self._back_ms = 0

    def post(self, posted: Sequence[PostedAlert], *, now_ms: int) -> None:
        """Take in alerts, in one transaction with their history and the notifications of them.

        Those that are right are taken in whatever the others are.

        Args:
            posted: the alerts; of two with the same labels the second counts.
            now_ms: by which silences are looked up, Unix ms.
        Raises:
            InvalidInput: some are wrong, or there are too many. Unavailable: send them again.
        """
        check_count(len(posted))
        faults = []
        valid: dict[Labels, PostedAlert] = {}
        for place, one in enumerate(posted):
            fault = _find_fault(one)
            if fault:
                faults.append(f"alert {place}: {fault}")
            else:
                valid[one.labels] = one
        if valid:
            faults += self._take_in(list(valid.values()), now_ms)
        if faults:
            more = len(faults) - MAX_FAULTS_TOLD
            end = f"; and {more} more" if more > 0 else ""
            raise InvalidInput("; ".join(faults[:MAX_FAULTS_TOLD]) + end)

    def list_firing(self) -> list[ExternalAlert]:
        """Return all that fire.

        Raises:
            Unavailable.
        """
        return self._alerts.read_firing()

    def settle_due(self, hold: Hold) -> bool:
        """Do what time asks: what is over ends, what fires on is told again.

        Args:
            hold: the lease.
        Returns:
            Whether there may be more to do at once.
        Raises:
            LeaseLost: nothing was stored.
        """
        try:
            return self._settle_due(hold)
        except LeaseLost:
            raise
        except Unavailable as exc:
            # Those who post may hold the lock: that must not break the evaluation of rules off.
            self.log.warning("alerts that others post wait for the next round", reason=exc.message)
            return False
        except Exception:
            # A fault of ours that a stranger's alert brings out must not end all evaluation.
            self.log.exception("alerts that others post cannot be looked at")
            return False

    def _take_in(self, posted: Sequence[PostedAlert], now_ms: int) -> list[str]:
        # They are read before the transaction: one that holds the lock waits for no connection.
        silences, choose = self._silences.read_standing(now_ms), self._read_routing().choose
        changes: list[ExternalChange] = []
        left_out: list[Labels] = []

        def decide(standing: Standing) -> list[ExternalChange]:
            now_ms, room = standing.now_ms, self._most - standing.count
            for one in posted:
                before = standing.alerts.get(one.labels)
                after = absorb(before, one, now_ms=now_ms, timeout_ms=self._timeout_ms)
                change = settle(before, after, now_ms=now_ms, choose=choose, silences=silences)
                if change is None:
                    continue
                if before is None and room <= 0:
                    left_out.append(one.labels)
                    continue
                room -= before is None
                changes.append(change)
            return changes

        self._alerts.change_posted([one.labels for one in posted], decide)
        self._tell_log(changes)
        if not left_out:
            return []
        return [
            f"{len(left_out)} alerts are not taken in, since {self._most} stand already; "
            "TIDEGAUGE_ALERTS_POSTED_MAX allows more"
        ]

    def _settle_due(self, hold: Hold) -> bool:
        if hold.now_ms - self._looked_ms > AWAY_MS:
            self._back_ms = hold.now_ms
        self._looked_ms = hold.now_ms
        if not self._alerts.has_due():
            return False
        silences = self._silences.read_standing(hold.now_ms)
        choose = self._read_routing().choose
        changes: list[ExternalChange] = []

        def decide(standing: Standing) -> list[ExternalChange]:
            for alert in standing.alerts.values():
                change = self._wait_for_posts(alert, standing.now_ms) or settle(
                    alert, alert, now_ms=standing.now_ms, choose=choose, silences=silences
                )
                if change is not None:
                    changes.append(change)
            return changes

        count = self._alerts.change_due(hold.token, decide, limit=ROUND_ALERTS)
        self._tell_log(changes)
        return count == ROUND_ALERTS

    def _wait_for_posts(self, alert: ExternalAlert, now_ms: int) -> ExternalChange | None:
        """Return the change of one that ended while nobody looked: only that it is looked at."""
        until_ms = self._back_ms + self._grace_ms
        ended_away = alert.state is AlertState.FIRING and alert.ends_ms <= self._back_ms
        return ExternalChange(alert, until_ms) if ended_away and now_ms < until_ms else None

    def _tell_log(self, changes: Sequence[ExternalChange]) -> None:
        for event in (one.event for one in changes):
            if event is not None:
                self.log.info(
                    "posted alert changed",
                    alert=event.rule_name,
                    labels=dict(event.labels),
                    previous=event.previous.value,
                    state=event.state.value,
                )


def check_count(alerts: int) -> None:
    """Return if so many alerts may come in one request.

    Raises:
        InvalidInput: they may not.
    """
    if alerts > MAX_POSTED:
        raise InvalidInput(f"{alerts} alerts in one request, at most {MAX_POSTED} go in")


def _find_fault(posted: PostedAlert) -> str:
    """Return what is wrong with an alert; "" where it is right."""
    if not posted.labels:
        return "it has no labels"
    fault = _find_fault_of_texts("labels", dict(posted.labels), MAX_LABEL_CHARS)
    fault = fault or _find_fault_of_texts("annotations", posted.annotations, MAX_ANNOTATION_CHARS)
    if fault:
        return fault
    texts = [*dict(posted.labels).items(), *posted.annotations.items()]
    chars = sum(len(name) + len(text) for name, text in texts)
    if chars > MAX_ALERT_CHARS:
        return f"labels and annotations: {chars} characters, at most {MAX_ALERT_CHARS} are taken"
    if len(posted.generator_url) > MAX_URL_CHARS:
        return f"generatorURL: {len(posted.generator_url)} characters, at most {MAX_URL_CHARS}"
    if not is_storable(posted.generator_url):
        return "generatorURL: it holds what cannot be stored as text"
    starts_ms, ends_ms = posted.starts_ms, posted.ends_ms
    if starts_ms is not None and ends_ms is not None and ends_ms < starts_ms:
        return "endsAt: it lies before startsAt"
    return ""


def _find_fault_of_texts(field: str, texts: Mapping[str, str], most_chars: int) -> str:
    if len(texts) > MAX_PAIRS:
        return f"{field}: there are {len(texts)}, at most {MAX_PAIRS} are taken"
    for name, text in texts.items():
        if not name:
            return f"{field}: one has no name"
        if len(name) > MAX_NAME_CHARS:
            return f"{field}: a name has {len(name)} characters, at most {MAX_NAME_CHARS} are taken"
        if len(text) > most_chars:
            return f"{field}.{name[:64]}: {len(text)} characters, at most {most_chars} are taken"
        if not (is_storable(name) and is_storable(text)):
            return f"{field}: one holds what cannot be stored as text"
    return ""
