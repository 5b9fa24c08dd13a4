"""The link to a broker that is not there: it says so, goes on trying, and ends when told to."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest
import structlog
from pika.adapters.select_connection import SelectConnection
from tidegauge.broker import rabbitmq_link
from tidegauge.broker.rabbitmq_link import LinkState, RabbitLink, describe, make_parameters
from tidegauge.config import BrokerConfig
from tidegauge.errors import ConfigError, Unavailable

from tests.support.servers import wait_until

PATIENCE_S = 20.0


class Losses:
    """A user that counts what it is told."""

    def __init__(self) -> None:
        self.lost = 0

    def on_ready(self, channel: object) -> None:
        raise AssertionError("nobody listens there")

    def on_lost(self) -> None:
        self.lost += 1

    def on_unblocked(self) -> None:
        return


@pytest.fixture
def user() -> Losses:
    return Losses()


@pytest.fixture
def link(free_port: int, user: Losses) -> Iterator[RabbitLink]:
    """A link to a port on which nobody listens, not started."""
    config = BrokerConfig(url=f"amqp://guest:guest@127.0.0.1:{free_port}/")
    link = RabbitLink(config, user, name="test", log=structlog.get_logger())
    yield link
    link.close()


def test_every_wait_for_the_broker_is_limited_by_the_settings() -> None:
    url = "amqp://guest:guest@broker:5672/?heartbeat=0&socket_timeout=999"

    parameters = make_parameters(BrokerConfig(url=url, heartbeat_s=7, connect_timeout_s=3))

    assert parameters.heartbeat == 7
    assert (parameters.socket_timeout, parameters.stack_timeout) == (3, 3)


def test_an_address_that_is_none_is_a_fault_of_the_settings() -> None:
    with pytest.raises(ConfigError, match="RABBITMQ_URL"):
        make_parameters(BrokerConfig(url="amqp://host:port/"))


def test_a_broker_that_is_not_there_is_tried_again_and_said_to_be_away(
    link: RabbitLink, user: Losses
) -> None:
    link.start()
    wait_until(lambda: user.lost >= 2, timeout_s=PATIENCE_S, what="a second attempt")

    assert not link.state().connected
    assert "refused" in link.state().error
    with pytest.raises(Unavailable, match="cannot be asked"):
        link.depth()


def test_a_process_without_file_descriptors_finds_its_broker_later(
    link: RabbitLink, user: Losses, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = [OSError(errno.EMFILE, "Too many open files"), TypeError("a fault in pika")]

    def connect(*args: object, **kwargs: object) -> SelectConnection:
        if faults:
            raise faults.pop()
        return SelectConnection(*args, **kwargs)

    monkeypatch.setattr(rabbitmq_link, "SelectConnection", connect)
    link.start()

    wait_until(lambda: user.lost >= 1, timeout_s=PATIENCE_S, what="an attempt that got so far")
    assert faults == []


def test_closing_ends_the_attempts_and_may_be_done_twice(link: RabbitLink, user: Losses) -> None:
    link.start()
    wait_until(lambda: user.lost >= 1, timeout_s=PATIENCE_S, what="an attempt")

    link.close()
    link.close()

    assert not link.run_soon(lambda: None)


def test_work_for_a_link_without_connection_is_declined(link: RabbitLink) -> None:
    assert not link.run_soon(lambda: None)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (LinkState(connected=True, blocked="low on memory"), "it takes no messages"),
        (LinkState(error="connection refused"), "connection refused"),
        (LinkState(connected=True, error=""), "it does not answer"),
    ],
)
def test_what_is_wrong_is_told_in_words(state: LinkState, told: str) -> None:
    assert told in describe(state)
