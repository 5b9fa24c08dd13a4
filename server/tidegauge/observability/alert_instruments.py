"""The instruments of the alert evaluator."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tidegauge.observability.ingest_instruments import LATENCY_BUCKETS_S


class AlertInstruments:
    """What evaluating alert rules comes to.

    Args:
        registry: where they are kept.
    Attributes:
        evaluations: evaluations of a rule by `outcome` (success, error).
        evaluation_s: time of one, without storing what follows.
        missed: intervals in which a rule was not evaluated by anybody.
        changes: changes of state by the new `state`.
        firing: alerts that fire now; 0 in an evaluator that stands by.
        results_lost: samples that rules gave and that could not be stored.
        faulty_files: rule files of the watched folder that cannot be loaded.
        leading: 1 in the evaluator that holds the lease.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.evaluations = Counter(
            "alert_evaluations_total", "Evaluations of rules.", ["outcome"], registry=registry
        )
        self.evaluation_s = Histogram(
            "alert_evaluation_seconds",
            "Time of one evaluation of a rule.",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.missed = Counter(
            "alert_missed_intervals_total",
            "Intervals in which nobody evaluated a rule.",
            registry=registry,
        )
        self.changes = Counter(
            "alert_changes_total", "Changes of state.", ["state"], registry=registry
        )
        self.results_lost = Counter(
            "alert_results_lost_total",
            "Samples of rules that could not be stored.",
            registry=registry,
        )
        self.firing = Gauge(
            "alerts_firing", "Alerts that fire.", multiprocess_mode="livesum", registry=registry
        )
        self.faulty_files = Gauge(
            "alert_rule_files_faulty",
            "Rule files of TIDEGAUGE_RULES_DIR that cannot be loaded.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.leading = Gauge(
            "alert_evaluator_leading",
            "1 in the evaluator that holds the lease.",
            multiprocess_mode="livesum",
            registry=registry,
        )
