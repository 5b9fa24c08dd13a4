"""Random faults under load: `python -m benchmarks.faults --minutes 10`.

Parts of the real set die and return in random order while senders write through nginx; the table
compares what was acknowledged with what is stored.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.senders import BATCH, Sender, Tally, ingest_until, settle
from tests.support.stack import SERVERS, WORKERS, Stack

METRIC = "faults_total"
Fault = Callable[[Stack, random.Random, float], float]
"""Injects, waits, undoes; returns the seconds from the return of the part until ready."""


def stop_redis(stack: Stack, rng: random.Random, longest_s: float) -> float:
    """Kill Redis, and start it a little later, empty."""
    stack.redis.kill()
    time.sleep(rng.uniform(0, min(5, longest_s)))
    stack.redis.start()
    return stack.wait_ready()


def stop_rabbitmq(stack: Stack, rng: random.Random, longest_s: float) -> float:
    """Stop RabbitMQ, and start it again after an outage of up to longest_s."""
    stack.rabbitmq.stop()
    time.sleep(rng.uniform(0, longest_s))
    stack.rabbitmq.start()
    return stack.wait_ready()


def shoot_postgres(stack: Stack, rng: random.Random, longest_s: float) -> float:
    """Stop PostgreSQL at once, and start it a little later."""
    stack.shoot_postgres()
    time.sleep(rng.uniform(0, min(5, longest_s)))
    stack.postgres.start()
    return stack.wait_ready()


def kill_worker(stack: Stack, rng: random.Random, longest_s: float) -> float:
    """Kill one worker and start it again."""
    return _kill(stack, rng.choice(WORKERS))


def kill_server(stack: Stack, rng: random.Random, longest_s: float) -> float:
    """Kill one server and start it again."""
    return _kill(stack, rng.choice(SERVERS))


def _kill(stack: Stack, name: str) -> float:
    stack.parts[name].kill()
    begin = time.monotonic()
    stack.restart(name)
    stack.wait_ready()
    return time.monotonic() - begin


FAULTS: dict[str, Fault] = {
    "Redis killed": stop_redis,
    "RabbitMQ stopped": stop_rabbitmq,
    "PostgreSQL immediate": shoot_postgres,
    "worker kill -9": kill_worker,
    "server kill -9": kill_server,
}


def main() -> None:
    """Inject, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--outage-s", type=float, default=60, help="longest outage of RabbitMQ")
    parser.add_argument("--senders", type=int, default=4)
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="tidegauge-faults-"))
    stack = Stack(folder)
    senders: list[Sender] = []
    try:
        stack.start()
        senders = start_senders(stack, args.senders)
        _inject(stack, senders, args)
    finally:
        for sender in senders:
            sender.end()
        stack.close()
        shutil.rmtree(folder, ignore_errors=True)


def start_senders(stack: Stack, count: int) -> list[Sender]:
    """Return running senders, the first of them over the JSON API."""
    first_ms = time.time_ns() // 1_000_000 - 6_000_000
    made = [
        Sender(
            stack.base,
            f"sender-{number}",
            first_ms,
            as_json=number == 0,
            headers=stack.headers,
            metric=METRIC,
        )
        for number in range(count)
    ]
    for sender in made:
        sender.start()
    return made


def _inject(stack: Stack, senders: Sequence[Sender], args: argparse.Namespace) -> None:
    rng, ready_s = random.Random(args.seed), defaultdict[str, list[float]](list)
    tallies: dict[str, Counter[str]] = defaultdict(Counter)
    known = Tally(0, 0, 0, 0)
    end = time.monotonic() + args.minutes * 60
    order: list[str] = []
    while time.monotonic() < end:
        if not order:
            order = rng.sample(list(FAULTS), len(FAULTS))
        kind = order.pop()
        ingest_until(senders, rng.randrange(1, 40) * BATCH)
        ready_s[kind].append(FAULTS[kind](stack, rng, args.outage_s))
        ingest_until(senders, BATCH)
        stack.check_alive()
        for sender in senders:
            sender.pause()
        found = settle(stack, senders, METRIC)
        for name in ("acknowledged", "stored", "lost", "double"):
            tallies[kind][name] += getattr(found, name) - getattr(known, name)
        known = found
        print(f"{kind:22} ready after {ready_s[kind][-1]:6.2f} s  {found}", flush=True)
    _print_table(ready_s, tallies, known, senders)


def _print_table(
    ready_s: dict[str, list[float]],
    tallies: dict[str, Counter[str]],
    total: Tally,
    senders: Sequence[Sender],
) -> None:
    print(
        f"\n{'fault':22}{'times':>7}{'acked':>11}{'stored':>11}"
        f"{'lost':>7}{'double':>8}{'ready s':>9}"
    )
    for kind, waits in ready_s.items():
        row = tallies[kind]
        print(
            f"{kind:22}{len(waits):>7}{row['acknowledged']:>11,}{row['stored']:>11,}"
            f"{row['lost']:>7}{row['double']:>8}{max(waits):>9.2f}"
        )
    print(
        f"{'all':22}{sum(map(len, ready_s.values())):>7}{total.acknowledged:>11,}"
        f"{total.stored:>11,}{total.lost:>7}{total.double:>8}"
    )
    statuses = sum((sender.statuses for sender in senders), Counter[int]())
    print(f"answers by status: {dict(statuses)}; others: {sum(len(s.refused) for s in senders)}")
    print("stored may exceed acked: what was stored though its answer was lost")
    print("ready s: longest wait from the part's return (killed: its start) until all is ready")


if __name__ == "__main__":
    main()
