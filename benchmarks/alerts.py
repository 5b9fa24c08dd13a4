"""What alerts cost, and how fast people hear of them: `python -m benchmarks.alerts`.

A server takes the samples, an evaluator asks its rules every ten seconds, all of it real. Load is
processor time of the evaluator and of its PostgreSQL sessions; latency is from the moment before
the deciding sample is posted to its receipt by webhook or mail server, calm and with bad targets.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests

from benchmarks.alert_faults import open_servers
from benchmarks.alert_targets import Ears, open_bad_targets
from benchmarks.resources import cpu_seconds, memory_bytes
from tests.support.evaluators import Installation, wait_to_lead
from tests.support.mail import MailBox, run_mail_server
from tests.support.product import clean_environment
from tests.support.receivers import Receiver, run_receiver
from tests.support.servers import free_port, wait_until
from tests.support.stack import AUTHORIZATION, TOKEN, Part

INTERVAL_S, LIMIT_S = 10.0, 12.0
SERIES, POINTS_A_REQUEST = 10, 1000
GOOD, BAD = 1.0, 9.0
DUE_S = 120.0
TARGETS = 20

_SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'tidegauge evaluator'"
_MISSED = "SELECT coalesce(sum(missed), 0)::bigint, count(*), max(took_ms) FROM alert_evaluations"
_EVALUATED = "SELECT count(*) FROM alert_evaluations WHERE evaluated_at > now() - interval '1 h'"
_ALL_DUE = """
UPDATE alert_rules SET interval_ms = 3600000;
UPDATE alert_evaluations SET evaluated_at = evaluated_at - interval '2 h'
"""
_USUAL = "UPDATE alert_rules SET interval_ms = 10000"
_ROUND = """
SELECT extract(epoch FROM max(evaluated_at + make_interval(secs => took_ms / 1000))
    - min(evaluated_at))::float8
FROM alert_evaluations
"""


@dataclass
class Site:
    """A server, and an installation of evaluators.

    Args:
        evaluators: with the rules.
        server: takes samples.
        box: takes mail.
        receiver: takes webhooks.
    """

    evaluators: Installation
    server: Part
    box: MailBox
    receiver: Receiver

    def __post_init__(self) -> None:
        self._session = requests.Session()
        self._session.headers.update(AUTHORIZATION)

    def post(self, values: dict[tuple[str, str], float]) -> None:
        """Post a sample of now for each metric and host."""
        points = [
            {"name": name, "value": value, "tags": {"host": host}}
            for (name, host), value in values.items()
        ]
        for begin in range(0, len(points), POINTS_A_REQUEST):
            some = points[begin : begin + POINTS_A_REQUEST]
            answer = self._session.post(f"{self.server.base}/api/v1/metrics", json=some, timeout=30)
            assert answer.ok, answer.text


@contextmanager
def open_site(folder: Path) -> Iterator[Site]:
    """Lend a running server, and an evaluator that is not started."""
    port = free_port()
    with (
        open_servers(folder) as (postgres, redis),
        run_mail_server(port) as box,
        run_receiver() as receiver,
    ):
        settings = {"TIDEGAUGE_WEBHOOK_ALLOW_PRIVATE": "127.0.0.1/32", "REDIS_URL": redis.url}
        evaluators = Installation(folder, postgres.url, port, box, settings)
        env = clean_environment(
            DATABASE_URL=postgres.url,
            TIDEGAUGE_ACCESS_TOKEN=TOKEN,
            TIDEGAUGE_RATE_INGEST_PER_MINUTE="100000000",
            **settings,
        )
        server = Part.of_tidegauge("server", "serve", env, folder)
        server.start()
        try:
            yield Site(evaluators, server, box, receiver)
        finally:
            evaluators.close()
            server.stop()


def run_load(folder: Path, rules: int, seconds: float) -> None:
    """Measure the cost of rules of ten series, one of which fires, and the time of one round."""
    with open_site(folder) as site:
        for number in range(rules):
            query = f"load_{number}" if number % 2 else f"avg_over_time(load_{number}[1m])"
            site.evaluators.add_rule(
                name=f"load {number}", query=query, hold_ms=0, interval_ms=10_000, channels=()
            )
        values = {
            (f"load_{number}", str(host)): GOOD if host else BAD
            for number in range(rules)
            for host in range(SERIES)
        }
        site.post(values)
        part = site.evaluators.start()
        round_s = _measure_round(site, part, rules)
        _print_load(site, part, rules, seconds, round_s, lambda: site.post(values))


def _measure_round(site: Site, part: Part, rules: int) -> float:
    """Return how long it takes to evaluate all rules when all are due at once."""
    wait_to_lead(part)
    _wait_for_evaluations(site, rules)
    part.stop()
    # With a longer interval none is due twice while the clock runs.
    site.evaluators.change(_ALL_DUE)
    part.start()
    _wait_for_evaluations(site, rules)
    ((round_s,),) = site.evaluators.ask(_ROUND)
    part.stop()
    site.evaluators.change(_USUAL)
    part.start()
    wait_to_lead(part)
    return float(round_s)


def _wait_for_evaluations(site: Site, rules: int) -> None:
    wait_until(
        lambda: site.evaluators.ask(_EVALUATED)[0][0] >= rules,
        timeout_s=DUE_S,
        what=f"all {rules} rules are evaluated",
    )


def _print_load(
    site: Site,
    part: Part,
    rules: int,
    seconds: float,
    round_s: float,
    post: Callable[[], None],
) -> None:
    ((missed_before, _, _),) = site.evaluators.ask(_MISSED)
    own_s, begin_s, sessions_s = cpu_seconds(part.pid), time.monotonic(), _Sessions(site)
    while (now_s := time.monotonic()) - begin_s < seconds:
        post()
        sessions_s.look()
        time.sleep(max(0.0, min(INTERVAL_S, begin_s + seconds - now_s)))
    sessions_s.look()
    passed_s = time.monotonic() - begin_s
    own = (cpu_seconds(part.pid) - own_s) / passed_s
    theirs = sessions_s.spent_s / passed_s
    ((missed, evaluated, longest_ms),) = site.evaluators.ask(_MISSED)
    print(
        f"{rules:>6}{SERIES:>8}{own:>12.1%}{theirs:>12.1%}{own + theirs:>9.1%}"
        f"{missed - missed_before:>8}{evaluated:>11}{longest_ms:>12.1f}{round_s:>9.2f}"
        f"{memory_bytes(part.pid) / 2**20:>7.0f}",
        flush=True,
    )


class _Sessions:
    """Adds up the processor time of the evaluator's sessions in PostgreSQL."""

    def __init__(self, site: Site) -> None:
        self._site, self.spent_s = site, 0.0
        self._known: dict[int, float] = {}
        self.look()
        self.spent_s = 0.0

    def look(self) -> None:
        for (pid,) in self._site.evaluators.ask(_SESSIONS):
            used_s = cpu_seconds(pid)
            self.spent_s += used_s - self._known.get(pid, 0.0)
            self._known[pid] = used_s


def run_latency(folder: Path, rules: int, spread_s: float, rng: random.Random) -> None:
    """Measure how long people wait to hear that something fires, and that it is over."""
    with open_site(folder) as site:
        names = [f"late_{number}" for number in range(rules)]
        for number, name in enumerate(names):
            hook = {"type": "webhook", "target": f"{site.receiver.url}/{number % TARGETS}"}
            mail = {"type": "email", "target": f"ops-{number % TARGETS}@example.org"}
            site.evaluators.add_rule(
                name=name, query=name, hold_ms=0, interval_ms=10_000, channels=(hook, mail)
            )
        site.post({(name, "a"): GOOD for name in names})
        wait_to_lead(site.evaluators.start())
        ears = Ears(site.receiver, site.box)
        _measure_waves(site, ears, names, spread_s, rng, "calm")
        with open_bad_targets(site.evaluators) as stir:
            _measure_waves(site, ears, names, spread_s, rng, "bad targets", stir)
            print("answers of the bad targets: " + "; ".join(stir.answers(site.evaluators)))


def _measure_waves(
    site: Site,
    ears: Ears,
    names: Sequence[str],
    spread_s: float,
    rng: random.Random,
    case: str,
    stir: Callable[[], None] = lambda: None,
) -> None:
    for status, value in (("firing", BAD), ("resolved", GOOD)):
        sent_s: dict[str, float] = {}
        ears.begin(status)
        begin_s = time.monotonic()
        due = sorted((rng.uniform(0, spread_s), name) for name in names)
        for after_s, name in due:
            stir()
            time.sleep(max(0.0, begin_s + after_s - time.monotonic()))
            sent_s[name] = time.monotonic()
            site.post({(name, "a"): value})
        wait_until(
            lambda: ears.heard_all(names),
            timeout_s=DUE_S,
            what=f"all are told of {status}",
            every_s=0.2,
        )
        for where, heard_s in ears.times().items():
            waits_s = [heard_s[name] - sent_s[name] for name in names]
            p50, p95, p99, most = np.percentile(waits_s, [50, 95, 99, 100])
            print(
                f"{case:13}{where:9}{status:10}{len(waits_s):>5}{p50:>8.2f}{p95:>8.2f}"
                f"{p99:>8.2f}{most:>8.2f}{'  holds' if p99 < LIMIT_S else '  FAILS'}",
                flush=True,
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of each load")
    parser.add_argument("--rules", type=int, default=200, help="of the latency, one alert each")
    parser.add_argument("--spread-s", type=float, default=25, help="samples come within this")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--only", choices=["load", "latency"], help="one part of it")
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="tidegauge-alerts-"))
    folder.chmod(0o755)
    try:
        if args.only in (None, "load"):
            print(
                f"{'rules':>6}{'series':>8}{'evaluator':>12}{'PostgreSQL':>12}{'in all':>9}"
                f"{'missed':>8}{'evaluated':>11}{'longest ms':>12}{'round s':>9}{'MiB':>7}"
            )
            for rules in (100, 1000):
                run_load(folder / f"load-{rules}", rules, args.seconds)
            print("shares of one core; missed: intervals; round: all rules, due at once\n")
        if args.only in (None, "latency"):
            print(
                f"{'case':13}{'where':9}{'what':10}"
                f"{'n':>5}{'p50':>8}{'p95':>8}{'p99':>8}{'max s':>8}"
            )
            run_latency(folder / "latency", args.rules, args.spread_s, random.Random(args.seed))
            print(f"interval {INTERVAL_S:g} s, limit {LIMIT_S:g} s at p99")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
