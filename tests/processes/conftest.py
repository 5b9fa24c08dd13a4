"""Products of a test's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.browsers import PASSWORD, settle_people
from tests.support.needs import need_programs
from tests.support.product import Up
from tests.support.senders import Sender
from tests.support.stack import Stack

POOL_SIZE = 8
SECRETS = {
    "SESSION_SECRET": "the-pepper-of-session-ids",
    "TIDEGAUGE_ADMIN_PASSWORD": PASSWORD,
    "TIDEGAUGE_GRAFANA_SECRET": "grafana-knows-this-one",
}
MakeSenders = Callable[..., list[Sender]]


@pytest.fixture
def make_up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """A function that makes a `tidegauge up`, not started yet, that is stopped after the test."""
    made: list[Up] = []

    def make(*options: str, folder: str = "product", settings: dict[str, str] | None = None) -> Up:
        made.append(Up(tmp_path / folder, *options, settings=settings))
        return made[-1]

    yield make
    for product in made:
        product.end()


@pytest.fixture
def up(make_up: Callable[..., Up]) -> Up:
    """A running `tidegauge up`."""
    product = make_up()
    product.start()
    return product


@pytest.fixture(scope="session")
def whole_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The real set, once for all tests: it takes ten seconds to start."""
    need_programs("rabbitmq-server", "redis-server", "nginx")
    made = Stack(
        tmp_path_factory.mktemp("stack"),
        relayed=True,
        settings={
            "TIDEGAUGE_DB_POOL_SIZE": str(POOL_SIZE),
            # No test here kills RabbitMQ: none need wait until it would find its new queue again.
            "TIDEGAUGE_RABBITMQ_SETTLE_SECONDS": "0",
        },
    )
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two servers behind nginx, without a queue, and people with accounts."""
    need_programs("redis-server", "nginx")
    made = Stack(
        tmp_path_factory.mktemp("servers"),
        queue=False,
        settings={
            **SECRETS,
            "TIDEGAUGE_LOG_LEVEL": "debug",
            "TIDEGAUGE_RATE_LOGIN_PER_MINUTE": "100000",
            "TIDEGAUGE_TRACE": "console",
        },
    )
    try:
        made.start()
        settle_people(made)
        yield made
    finally:
        made.close()


@pytest.fixture
def stack(whole_stack: Stack) -> Stack:
    """The real set with all its parts, whatever a test before has left of them."""
    whole_stack.revive()
    return whole_stack


@pytest.fixture
def make_senders(stack: Stack, request: pytest.FixtureRequest) -> Iterator[MakeSenders]:
    """A function that makes three running senders of one metric of this test's own."""
    made: list[Sender] = []
    metric = "pipeline_" + "".join(c if c.isalnum() else "_" for c in request.node.name)
    first_ms = time.time_ns() // 1_000_000 - 3_000_000

    def make(*, repeat: bool = False) -> list[Sender]:
        for number in range(3):
            made.append(
                Sender(
                    stack.base,
                    f"sender-{number}",
                    first_ms + number * 1000,
                    as_json=number == 0,
                    headers=stack.headers,
                    metric=metric,
                    repeat=repeat,
                )
            )
            made[-1].start()
        return made

    yield make
    for sender in made:
        sender.end()
