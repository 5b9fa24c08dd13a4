"""A connection to RabbitMQ that is made again whenever it is lost, in a thread of its own.

pika's connections belong to one thread; whoever wants something from another one hands it over
with `run_soon`. The link declares the queues, watches their depth, and notices alarms.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import pika
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel
from pika.exceptions import AMQPError
from pika.exchange_type import ExchangeType
from structlog.typing import FilteringBoundLogger

from tidegauge.broker.rabbitmq_topology import (
    DEAD_LETTER_EXCHANGE,
    DEAD_LETTER_QUEUE,
    INGEST_QUEUE,
    OTHER_PROPERTIES,
    dead_letter_arguments,
    explain_refusal,
    ingest_arguments,
)
from tidegauge.config import BrokerConfig
from tidegauge.errors import ConfigError, Unavailable

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
WATCH_EVERY_S = 0.5
# A depth that nobody could ask for so long is not known any more.
DEPTH_VALID_S = 10.0
# So long a question may go without an answer, although heartbeats still come.
ANSWER_S = 10.0
_CLOSE_S = 5.0
_ABORT_S = 3.0


class LinkUser(Protocol):
    """What happens on the link's thread to whoever uses it."""

    def on_ready(self, channel: Channel) -> None:
        """The queues are there; the channel may be used, on this thread, until `on_lost`."""
        ...

    def on_lost(self) -> None:
        """The connection is gone, or was never made; called once for each attempt."""
        ...

    def on_unblocked(self) -> None:
        """An alarm is over; messages are taken again."""
        ...


@dataclass(frozen=True, slots=True)
class LinkState:
    """How the link is doing.

    Args:
        connected: the queues are there and usable.
        blocked: why the broker takes nothing at the moment (its memory or disk alarm), or "".
        error: what went wrong last while it is not connected.
        depth: messages ready in the queue when last asked; None if that is not known.
        latency_ms: how long the last question took.
    """

    connected: bool = False
    blocked: str = ""
    error: str = "not connected yet"
    depth: int | None = None
    latency_ms: float | None = None


def make_parameters(config: BrokerConfig) -> pika.URLParameters:
    """Return pika's parameters for the RabbitMQ of the settings, every wait limited.

    Raises:
        ConfigError: RABBITMQ_URL is no address.
    """
    try:
        parameters = pika.URLParameters(config.url)
    except (ValueError, TypeError, IndexError) as exc:
        raise ConfigError(f"RABBITMQ_URL is not an amqp:// address: {exc}") from exc
    parameters.heartbeat = config.heartbeat_s
    parameters.socket_timeout = config.connect_timeout_s
    parameters.stack_timeout = config.connect_timeout_s
    parameters.client_properties = {"connection_name": "tidegauge"}
    return parameters


class RabbitLink:
    """Keeps one channel open; `start` before use, `close` at the end.

    Args:
        config: where, which queues, how patient.
        user: is told when the channel is there and when it is lost.
        name: for the thread and the logs.
        log: is told of losses and returns.
        monotonic: seconds.
    """

    def __init__(
        self,
        config: BrokerConfig,
        user: LinkUser,
        *,
        name: str,
        log: FilteringBoundLogger,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._user, self._name = config, user, name
        self._log, self._monotonic = log, monotonic
        self._parameters = make_parameters(config)
        self._lock = threading.Lock()
        self._connection: SelectConnection | None = None
        self._state = LinkState()
        self._depth_at_s = 0.0
        self._asked_at_s: float | None = None
        self._attempt_ready, self._ready_at_s = False, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tidegauge-{name}", daemon=True)

    def start(self) -> None:
        """Start connecting."""
        self._thread.start()

    def state(self) -> LinkState:
        """Return how the link is doing."""
        return self._state

    def depth(self) -> int:
        """Return how many messages were ready in the queue when last asked, half a second ago.

        Raises:
            Unavailable: nobody can say.
        """
        state = self._state
        if state.depth is None or self._monotonic() - self._depth_at_s > DEPTH_VALID_S:
            raise Unavailable(f"RabbitMQ cannot be asked: {describe(state)}")
        return state.depth

    def run_soon(self, work: Callable[[], None]) -> bool:
        """Run work on the link's thread; return False where there is no connection to run it on."""
        with self._lock:
            if self._connection is None:
                return False
            self._connection.ioloop.add_callback_threadsafe(work)
            return True

    def run_later(self, delay_s: float, work: Callable[[], None]) -> None:
        """Run work in a while, from the link's thread, unless the connection is lost until then."""
        if self._connection is not None:
            self._connection.ioloop.call_later(delay_s, work)

    def drop(self, reason: str) -> None:
        """Close the connection, on the link's thread, so that everything is made anew."""
        self._fail(reason)
        if self._connection is not None and self._connection.is_open:
            connection = self._connection
            connection.close(320, reason[:200])
            # Who answers no question may not agree to the end either, and pika waits for that.
            connection.ioloop.call_later(_ABORT_S, lambda: _abort(connection, reason))

    def close(self) -> None:
        """End the connection and the thread; may be called twice."""
        self._stop.set()
        self.run_soon(lambda: self.drop("closed"))
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        while not self._stop.is_set():
            try:
                was_connected = self._attempt()
            except Exception as exc:  # noqa: BLE001 - logged below; the tick of a loop
                # Whatever it was (no file descriptor is left, a fault in a callback): without
                # this thread the process would never find its broker again.
                self._fail(_describe_fault(exc))
                self._log.exception("the connection to RabbitMQ failed", link=self._name)
                was_connected = False
            if self._stop.is_set():
                return
            wait_s = FIRST_WAIT_S if was_connected else min(LONGEST_WAIT_S, wait_s * 2)
            self._log.warning("no connection to RabbitMQ", link=self._name, error=self._state.error)
            self._stop.wait(wait_s * random.uniform(0.5, 1.0))

    def _attempt(self) -> bool:
        """Connect and stay until the connection is lost; return whether it was of use for long."""
        connection = SelectConnection(
            self._parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_closed,
            on_close_callback=self._on_closed,
        )
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        with self._lock:
            self._connection = connection
        self._attempt_ready = False
        try:
            connection.ioloop.start()
        except (AMQPError, OSError) as exc:
            self._fail(_describe_fault(exc))
        finally:
            with self._lock:
                self._connection = None
            connection.ioloop.close()
            self._state = LinkState(error=self._state.error)
            self._asked_at_s = None
            self._user.on_lost()
        return self._attempt_ready and self._monotonic() - self._ready_at_s > LONGEST_WAIT_S

    def _fail(self, error: str) -> None:
        self._state = LinkState(error=error)

    # From here on everything runs on the link's thread.

    def _on_open(self, connection: SelectConnection) -> None:
        if self._stop.is_set():
            connection.close()
            return
        # A queue without a leader answers no declaration, sometimes for good: ask again then.
        connection.ioloop.call_later(self._config.connect_timeout_s, self._give_up_declaring)
        connection.channel(on_open_callback=self._declare)

    def _give_up_declaring(self) -> None:
        if not self._attempt_ready:
            self.drop("RabbitMQ did not declare the queues in time")

    def _declare(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._on_channel_closed)
        config = self._config

        def exchange(_frame: Any = None) -> None:
            channel.exchange_declare(
                DEAD_LETTER_EXCHANGE, ExchangeType.fanout, durable=True, callback=dead_letters
            )

        def dead_letters(_frame: Any) -> None:
            channel.queue_declare(
                DEAD_LETTER_QUEUE,
                durable=True,
                arguments=dead_letter_arguments(config),
                callback=bind,
            )

        def bind(_frame: Any) -> None:
            channel.queue_bind(DEAD_LETTER_QUEUE, DEAD_LETTER_EXCHANGE, callback=ingest)

        def ingest(_frame: Any) -> None:
            channel.queue_declare(
                INGEST_QUEUE,
                durable=True,
                arguments=ingest_arguments(config),
                callback=lambda _frame: self._on_declared(channel),
            )

        exchange()

    def _on_declared(self, channel: Channel) -> None:
        self._attempt_ready, self._ready_at_s = True, self._monotonic()
        self._state = LinkState(connected=True, error="")
        self._log.info("connected to RabbitMQ", link=self._name)
        self._user.on_ready(channel)
        self._watch(channel)

    def _watch(self, channel: Channel) -> None:
        if not channel.is_open or self._connection is None:
            return
        now_s = self._monotonic()
        if self._asked_at_s is None:
            self._asked_at_s = now_s
            channel.queue_declare(INGEST_QUEUE, passive=True, callback=self._on_depth)
        elif now_s - self._asked_at_s > ANSWER_S and not self._state.blocked:
            # An alarm stops the broker from reading; anything else is a fault of this connection.
            self.drop(f"RabbitMQ has not answered for {ANSWER_S:g} s")
            return
        self._connection.ioloop.call_later(WATCH_EVERY_S, lambda: self._watch(channel))

    def _on_depth(self, frame: Any) -> None:
        now_s = self._monotonic()
        asked_s, self._asked_at_s = self._asked_at_s, None
        self._depth_at_s = now_s
        state = self._state
        self._state = LinkState(
            connected=state.connected,
            blocked=state.blocked,
            error=state.error,
            depth=frame.method.message_count,
            latency_ms=round((now_s - (asked_s or now_s)) * 1000, 3),
        )

    def _on_channel_closed(self, _channel: Channel, reason: Exception) -> None:
        if self._stop.is_set():
            return
        self.drop(explain_refusal(_describe_fault(reason)))

    def _on_closed(self, connection: SelectConnection, reason: Exception | str) -> None:
        if self._state.connected or not self._state.error or not self._attempt_ready:
            known = self._state.error if OTHER_PROPERTIES in self._state.error else ""
            self._fail(known or _describe_fault(reason))
        # What pika still has to close is closed before the loop ends.
        connection.ioloop.add_callback_threadsafe(connection.ioloop.stop)

    def _on_blocked(self, _connection: SelectConnection, frame: Any) -> None:
        reason = str(frame.method.reason) or "an alarm"
        state = self._state
        self._state = LinkState(state.connected, reason, state.error, state.depth)
        self._log.warning("RabbitMQ takes no messages", link=self._name, reason=reason)

    def _on_unblocked(self, _connection: SelectConnection, _frame: Any) -> None:
        state = self._state
        self._state = LinkState(state.connected, "", state.error, state.depth)
        if self._asked_at_s is not None:
            # Only now is the question read.
            self._asked_at_s = self._monotonic()
        self._log.info("RabbitMQ takes messages again", link=self._name)
        self._user.on_unblocked()


def _abort(connection: SelectConnection, reason: str) -> None:
    """End a connection without the broker's consent."""
    if not connection.is_closed:
        # pika has no public way; its own watch over heartbeats ends connections by this one.
        connection._terminate_stream(AMQPError(reason))


def describe(state: LinkState) -> str:
    """Return in words why nothing can be sent or asked."""
    if state.blocked:
        return f"it takes no messages ({state.blocked})"
    return state.error or "it does not answer"


def _describe_fault(fault: Exception | str) -> str:
    # pika nests what happened: the innermost says it best, and often has no text but a name.
    while isinstance(fault, Exception):
        # A step of connecting that failed keeps its cause in `exception`, attempts in the other.
        own = getattr(fault, "exception", None)
        nested = [*fault.args, *getattr(fault, "exceptions", ()), own]
        inner = next((one for one in reversed(nested) if isinstance(one, Exception)), None)
        if inner is None:
            break
        fault = inner
    return str(fault) or type(fault).__name__
