"""`tidegauge demo`: fill a running Tidegauge with the demo fleet, first the past, then live."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable

import click

from tidegauge.cli.demo_earlier import find_earlier_run
from tidegauge.cli.demo_fleet import METADATA, MINUTE_MS, Fleet, Labels, Story
from tidegauge.cli.remote_write import encode_metadata, encode_series, send
from tidegauge.errors import Unavailable

PAST_S = 2 * 3600
PAST_STEP_S = 15
LIVE_STEP_S = 5
_STEPS_A_REQUEST = 20
_STORY_SO_FAR_MS = 120 * MINUTE_MS
_RETRY_S = 2


@click.command()
@click.option("--url", default="http://127.0.0.1:3001", show_default=True, help="Where to send.")
def demo(url: str) -> None:
    """Fill a running Tidegauge with a small fleet: two hours of past, then every 5 seconds."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    filler = Filler(url, rng=random.Random(), clock_s=time.time, stop=stop)
    filler.fill_past()
    click.echo("the past is filled in; going on live", err=True)
    while not stop.wait(filler.seconds_to_next()):
        filler.fill_now()


class Filler:
    """Sends the fleet's samples over the public API.

    Args:
        address: where Tidegauge answers.
        rng: the fleet's noise.
        clock_s: Unix seconds.
        stop: ends every wait.
    """

    def __init__(
        self,
        address: str,
        *,
        rng: random.Random,
        clock_s: Callable[[], float],
        stop: threading.Event,
    ) -> None:
        self._address, self._clock_s, self._stop = address, clock_s, stop
        self._rng = rng
        self._last_ms = int(clock_s()) * 1000
        # As if it had run for two hours: the bad release began 40 minutes ago.
        self._fleet = Fleet(Story(self._last_ms - _STORY_SO_FAR_MS), rng)

    def fill_past(self) -> None:
        """Send what the last two hours looked like, from where an earlier run ended on."""
        step_ms, end_ms = PAST_STEP_S * 1000, self._last_ms
        start_ms = end_ms - PAST_S * 1000
        earlier = find_earlier_run(self._address)
        if earlier is not None:
            start_ms = max(start_ms, earlier.newest_ms + step_ms)
            story = Story.of_disk_share(earlier.disk_share, earlier.newest_ms)
            self._fleet = Fleet(story, self._rng, earlier.counters)
        times_ms = range(start_ms, end_ms + 1, step_ms)
        self._deliver([encode_metadata(*row) for row in METADATA])
        for first in range(0, len(times_ms), _STEPS_A_REQUEST):
            if self._stop.is_set():
                return
            gathered: dict[tuple[str, Labels], list[tuple[int, float]]] = {}
            for time_ms in times_ms[first : first + _STEPS_A_REQUEST]:
                for name, labels, value in self._fleet.advance(time_ms, PAST_STEP_S):
                    gathered.setdefault((name, labels), []).append((time_ms, value))
            self._deliver([encode_series(*key, samples) for key, samples in gathered.items()])

    def fill_now(self) -> None:
        """Send one sample of every series."""
        now_ms = int(self._clock_s() * 1000)
        elapsed_s = (now_ms - self._last_ms) / 1000
        samples = self._fleet.advance(now_ms, min(elapsed_s, 60.0))
        self._last_ms = now_ms
        self._deliver(
            [encode_series(name, labels, [(now_ms, value)]) for name, labels, value in samples]
        )

    def seconds_to_next(self) -> float:
        """Return how long to wait until the next live sample."""
        return max(0.0, self._last_ms / 1000 + LIVE_STEP_S - self._clock_s())

    def _deliver(self, fields: list[bytes]) -> None:
        """Send until it is taken or we are told to stop."""
        while not self._stop.is_set():
            try:
                send(self._address, fields)
                return
            except Unavailable as exc:
                click.echo(f"{exc.message}; trying again in {_RETRY_S} s", err=True)
                self._stop.wait(_RETRY_S)
