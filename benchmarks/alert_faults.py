"""Alerts under faults: `python -m benchmarks.alert_faults --kills 100 --seed N`.

Two evaluators, one at work and one standing by, tell a mail server and webhooks of alerts that come
and go. They are killed at chosen points, the leader stands still for a minute, and everything is
restarted; the tables compare what was heard with `alert_events`.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tidegauge.storage.embedded import EmbeddedPostgres
from tidegauge.storage.migrate import apply_migrations

from tests.support.alert_scene import Scene, open_scene
from tests.support.evaluators import TAKEOVER_S, Installation
from tests.support.kills import Kill
from tests.support.mail import run_mail_server
from tests.support.pauses import pause_leader
from tests.support.redis import OwnRedis
from tests.support.servers import free_port
from tests.support.whole_restart import restart_everything
from tests.support.witness import Findings

RULES, PERIOD_S = 6, 24.0
LONGEST_PAUSE_S = 0.5
# A kill of the leader costs the eight seconds of its lease; one amid a delivery may hit either.
SHARES = {"POST arrived": 0.30, "POST answered": 0.20, "in the transaction": 0.20}
RANDOM, LEASE = "any moment", "lease just taken"
PARTS = ("kills", "pause", "restart")


@contextmanager
def open_servers(folder: Path) -> Iterator[tuple[EmbeddedPostgres, OwnRedis]]:
    """Lend a migrated PostgreSQL that writes to disk as in earnest, and a Redis."""
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    postgres, redis = EmbeddedPostgres(folder), OwnRedis(folder / "redis")
    postgres.start()
    try:
        apply_migrations(postgres.url)
        redis.start()
        yield postgres, redis
    finally:
        redis.close()
        postgres.stop()


@contextmanager
def open_waves(folder: Path) -> Iterator[Scene]:
    """Lend two evaluators, and alerts that come and go."""
    with (
        open_servers(folder) as (postgres, redis),
        open_scene(folder, postgres.url, redis.url, rules=RULES, period_s=PERIOD_S) as scene,
    ):
        for _ in range(2):
            scene.site.start()
        scene.waves.start()
        yield scene


def run_kills(folder: Path, kills: int, rng: random.Random) -> bool:
    """Kill evaluators, print the table; return whether everything held."""
    with open_waves(folder) as scene:
        scene.wait_for_firings(1)
        takeovers_s: dict[str, list[float]] = defaultdict(list)
        for number, point in enumerate(_draw_points(kills, rng), 1):
            for kill in _kill(scene, point, rng):
                if kill.led:
                    takeovers_s[kill.point].append(scene.killer.takeover_s(kill))
            print(f"\r{number} of {kills}: {point:20}", end="", flush=True)
        print()
        scene.wait_for_firings(scene.alerts)
        scene.settle()
        found = scene.compare()
        keys = Counter(str(mail["Idempotency-Key"]) for mail in scene.site.box.mails)
        rows = scene.site.ask(
            "SELECT idempotency_key::text FROM notifications WHERE channel ->> 'type' = 'email'"
        )
        _print_kills(scene.killer.kills, takeovers_s, found)
        return _judge_kills(scene.killer.kills, takeovers_s, found, keys, {key for (key,) in rows})


def _draw_points(kills: int, rng: random.Random) -> list[str]:
    points = [name for name, share in SHARES.items() for _ in range(round(share * kills))]
    # One that has just taken the lease takes it from one that was killed a moment before.
    rest = kills - len(points)
    points += [LEASE] * (rest // 2) + [RANDOM] * (rest % 2)
    rng.shuffle(points)
    return points


def _kill(scene: Scene, point: str, rng: random.Random) -> list[Kill]:
    killer = scene.killer
    time.sleep(rng.uniform(0, LONGEST_PAUSE_S))
    if point == "POST arrived":
        done = [killer.on_post()]
    elif point == "POST answered":
        done = [killer.after_post(lambda: time.sleep(rng.uniform(0, 0.02)))]
    elif point == "in the transaction":
        done = [killer.in_transaction()]
    else:
        done = [killer.kill(RANDOM, killer.lease.leader())]
    killer.restart(done[0])
    if point == LEASE:
        done.append(killer.on_lease(done[0]))
        killer.restart(done[1])
    return done


def _print_kills(
    kills: Sequence[Kill], takeovers_s: dict[str, list[float]], found: Findings
) -> None:
    rows = {point: Counter[str]() for point in dict.fromkeys(one.point for one in kills)}
    windows = sorted((one.time_ms, one.point) for one in kills)

    def point_of(time_ms: int) -> str:
        # What lies before the first kill belongs to nobody else.
        return next(
            (point for at_ms, point in reversed(windows) if at_ms <= time_ms), windows[0][1]
        )

    for kill in kills:
        rows[kill.point] += Counter(times=1, led=kill.led)
    lost = {one.what for one, _ in found.lost}
    for one in found.firings:
        rows[point_of(one.at_ms)] += Counter(firings=1, told=one.what not in lost)
    for one, _ in found.lost:
        rows[point_of(one.at_ms)]["lost"] += 1
    for first, _ in found.repeated:
        rows[_cause(kills, first.at_s).point]["repeated"] += 1
    total = sum(rows.values(), Counter[str]())
    print(
        f"\n{'killed at':20}{'times':>7}{'leader':>8}{'firings':>9}{'told':>7}{'lost':>6}"
        f"{'repeated':>10}{'takeover p50':>14}{'max s':>7}"
    )
    every_s = [one for several in takeovers_s.values() for one in several]
    for point, row in [*rows.items(), ("all", total)]:
        waits = every_s if point == "all" else takeovers_s[point]
        shown = f"{statistics.median(waits):>14.2f}{max(waits):>7.2f}" if waits else f"{'-':>14}"
        print(
            f"{point:20}{row['times']:>7}{row['led']:>8}{row['firings']:>9}{row['told']:>7}"
            f"{row['lost']:>6}{row['repeated']:>10}{shown}"
        )
    print("firings: until the next kill, each told to two webhooks; repeated: POSTs of one key,")
    print("under way at the kill; takeover: from the kill of a leader until another has the lease")


def _cause(kills: Sequence[Kill], at_s: float) -> Kill:
    """Return the kill after which a POST of this moment had to be sent again."""
    return next((one for one in kills if one.at_s >= at_s - 0.05), kills[-1])


def _judge_kills(
    kills: Sequence[Kill],
    takeovers_s: dict[str, list[float]],
    found: Findings,
    mails: Counter[str],
    mail_keys: set[str],
) -> bool:
    per_kill = Counter(_cause(kills, first.at_s).at_s for first, _ in found.repeated)
    per_target = Counter((_cause(kills, one.at_s).at_s, one.path) for one, _ in found.repeated)
    longest_s = max((one for several in takeovers_s.values() for one in several), default=0.0)
    return _print_checks(
        {
            "nothing lost at a webhook": not found.lost,
            "no mail lost": mail_keys <= mails.keys(),
            "every event once for each channel": not found.twice,
            "nothing told under two keys": not found.renamed,
            "what is repeated says the same": not found.altered,
            "nothing told that did not happen": not found.unknown,
            "firing never after resolved": not found.disordered,
            "every event goes on where the last ended": not found.broken,
            "a target hears at most one again for a kill": max(per_target.values(), default=0) <= 1,
            f"another leads within {TAKEOVER_S:g} s": longest_s <= TAKEOVER_S,
        },
        f"POSTs repeated for one kill, how often: {_spread(per_kill, len(kills))}; "
        f"mails: {len(mail_keys)}, repeated {mails.total() - len(mails)}",
    )


def _spread(per_kill: Counter[float], kills: int) -> dict[int, int]:
    return dict(sorted(Counter({0: kills - len(per_kill)} | Counter(per_kill.values())).items()))


def run_pause(folder: Path, pause_s: float) -> bool:
    """Stop the leader for a while, print what it did then; return whether that was nothing."""
    with open_waves(folder) as scene:
        found = pause_leader(scene, wait=lambda stood_s: time.sleep(max(0.0, pause_s - stood_s)))
        all_found = scene.compare()
    print(f"\na leader that stood still for {found.pause_s:.0f} s amid its transaction")
    print(
        f"another led after {found.takeover_s:.2f} s and sent {found.others_sent} POSTs meanwhile"
    )
    print(f"rows written before: {found.written_before}, after: {dict(found.written_after)}")
    print(
        f"POSTs by it afterwards: {found.sent_after}, of these heard before: "
        f"{len(found.repeated_after)}; repeated by others: {len(all_found.repeated)}"
    )
    return _print_checks(
        {
            "it writes nothing": not found.written_after,
            "it sends nothing that was sent meanwhile": not found.repeated_after,
            "nothing lost": not all_found.lost,
            "nothing told under two keys": not all_found.renamed,
            f"another leads within {TAKEOVER_S:g} s": found.takeover_s <= TAKEOVER_S,
        }
    )


def run_restart(folder: Path, hold_s: float) -> bool:
    """Restart everything, print what became of the alerts; return whether it went on."""
    port = free_port()
    with open_servers(folder) as (postgres, redis), run_mail_server(port) as box:
        site = Installation(folder, postgres.url, port, box, {"REDIS_URL": redis.url})
        try:
            for _ in range(2):
                site.start()
            found = restart_everything(site, postgres, redis, hold_ms=round(hold_s * 1000))
        finally:
            site.close()
    print(f"\nPostgreSQL, Redis and both evaluators ended; all back after {found.down_s:.1f} s")
    print(f"`for` {hold_s:g} s: fired {found.held_s:.1f} s after it turned bad")
    print(f"told before {found.told_before}, after {found.told_after}")
    print(f"and when the silence had ended {found.told_unmuted}")
    more = len(found.told_after) - len(found.told_before)
    return _print_checks(
        {
            "nobody is told because of it": more == 1,
            "the waiting one fires in its time": hold_s <= found.held_s <= hold_s + TAKEOVER_S,
            "every clock stands where it stood": not found.moved,
            "what a silence hid is told after it": len(found.told_unmuted) == more + 2,
            "Redis has its copies again": found.copied,
        }
    )


def _print_checks(checks: dict[str, bool], *notes: str) -> bool:
    for note in notes:
        print(note)
    for name, held in checks.items():
        print(f"{'holds' if held else 'FAILS':7}{name}")
    return all(checks.values())


def main() -> None:
    """Do it, print it, and end with 1 where something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--pause-s", type=float, default=60)
    parser.add_argument("--hold-s", type=float, default=30)
    parser.add_argument("--only", choices=PARTS, help="one part of it")
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="tidegauge-alert-faults-"))
    folder.chmod(0o755)
    parts: dict[str, Callable[[Path], bool]] = {
        "kills": lambda place: run_kills(place, args.kills, random.Random(args.seed)),
        "pause": lambda place: run_pause(place, args.pause_s),
        "restart": lambda place: run_restart(place, args.hold_s),
    }
    try:
        held = [parts[name](folder / name) for name in PARTS if args.only in (None, name)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    raise SystemExit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
