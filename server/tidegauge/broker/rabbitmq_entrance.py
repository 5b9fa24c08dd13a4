"""The way into the queue, which a publisher opens once the queue has lived long enough to be safe.

RabbitMQ confirms messages of a new quorum queue seconds before it has written down that there is
such a queue; killed in between, it finds an empty one, as new as the first time. So no time that
somebody noted tells the age: what counts is that the queue lived on before the eyes of one
connection. Who has seen that binds the exchange `metrics.entry` to the queue, and everybody
publishes through this exchange. Until then a queue takes nothing, whoever made it and how often.
The binding goes when the queue goes, and the exchange with its binding.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker
from pika.exchange_type import ExchangeType

from tidegauge.broker.rabbitmq_link import ANSWER_S, RabbitLink
from tidegauge.broker.rabbitmq_topology import ENTRY_EXCHANGE, INGEST_QUEUE, NOT_FOUND

_Then = Callable[[], None]


class Entrance:
    """Finds or opens the way into the queue; used on the link's thread, but for its attributes.

    Args:
        link: the connection.
        settle_s: how long a queue must have lived.

    Attributes:
        found: it is known whether the way is open.
        closed: why it is not, or "".
    """

    def __init__(self, link: RabbitLink, *, settle_s: int) -> None:
        self._link, self._settle_s = link, settle_s
        self.found, self.closed = False, ""

    def forget(self) -> None:
        """Know nothing: the connection is gone."""
        self.found, self.closed = False, ""

    def find(self, channel: Channel, *, on_open: _Then, on_closed: _Then) -> None:
        """Look for the way and open it when it is time.

        Args:
            channel: stays with the caller; it is closed by the broker if the queue is deleted
                while it is watched.
            on_open: messages may be published to the exchange.
            on_closed: they may not, for a while; `on_open` follows.
        """

        def opened() -> None:
            self.found, self.closed = True, ""
            on_open()

        def young(probe: Channel, reason: Exception) -> None:
            if not isinstance(reason, ChannelClosedByBroker):
                return
            if reason.reply_code != NOT_FOUND:
                self._link.drop(str(reason))
            elif self._settle_s:
                self._watch(channel, opened)
                on_closed()
            else:
                _open(channel, opened)

        def ask(probe: Channel) -> None:
            def exists(_frame: object) -> None:
                probe.close()
                opened()

            probe.add_on_close_callback(young)
            probe.exchange_declare(ENTRY_EXCHANGE, passive=True, callback=exists)

        def give_up() -> None:
            if not self.found and channel.is_open:
                self._link.drop(f"RabbitMQ has not answered for {ANSWER_S:g} s")

        # The answer that there is none closes the channel it was asked on.
        channel.connection.channel(on_open_callback=ask)
        self._link.run_later(ANSWER_S, give_up)

    def _watch(self, channel: Channel, opened: _Then) -> None:
        """Open the way later, unless the queue is deleted until then."""
        # Bound to the queue it goes with it, and does not outlive the broker: while it is there,
        # it is still the same queue, also if others delete and make one in between.
        witness = f"metrics.young.{uuid.uuid4().hex}"

        def check() -> None:
            if channel.is_open:
                channel.exchange_declare(witness, passive=True, callback=finish)

        def finish(_frame: object) -> None:
            _open(channel, opened)
            channel.exchange_delete(witness)

        channel.exchange_declare(witness, ExchangeType.fanout, durable=False, auto_delete=True)
        channel.queue_bind(INGEST_QUEUE, witness)
        self.found = True
        self.closed = (
            f"the queue {INGEST_QUEUE} has just been made, and a killed RabbitMQ may not find it "
            f"again; it takes messages when it is {self._settle_s} s old "
            "(TIDEGAUGE_RABBITMQ_SETTLE_SECONDS)"
        )
        self._link.run_later(self._settle_s, check)


def close_if_nowhere(channel: Channel) -> None:
    """Take the exchange away if it leads nowhere: a broker died between making and binding it."""
    channel.exchange_delete(ENTRY_EXCHANGE, if_unused=True)


def _open(channel: Channel, opened: _Then) -> None:
    channel.exchange_declare(ENTRY_EXCHANGE, ExchangeType.fanout, durable=True, auto_delete=True)
    channel.queue_bind(INGEST_QUEUE, ENTRY_EXCHANGE, callback=lambda _frame: opened())
