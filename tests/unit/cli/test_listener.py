"""The socket that the API listens on."""

from __future__ import annotations

import socket
import struct

import pytest
from tidegauge.cli.listener import open_listener, shown_address
from tidegauge.errors import ConfigError


def test_listener_takes_connections_before_anybody_serves() -> None:
    with open_listener("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            assert client.getpeername() == ("127.0.0.1", port)


@pytest.mark.parametrize("option", [socket.SO_RCVTIMEO, socket.SO_SNDTIMEO])
def test_a_client_that_stalls_does_not_keep_its_thread_for_ever(option: int) -> None:
    with open_listener("127.0.0.1", 0) as listener:
        with socket.create_connection(listener.getsockname(), timeout=5):
            served, _ = listener.accept()
        with served:
            seconds, _ = struct.unpack("ll", served.getsockopt(socket.SOL_SOCKET, option, 16))

    assert seconds == 30


def test_port_in_use_names_the_port_and_the_option() -> None:
    with open_listener("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError) as caught:
            open_listener("127.0.0.1", port)

    assert f"port {port} of 127.0.0.1 is in use" in caught.value.message
    assert "--port" in caught.value.message


def test_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match="--host"):
        open_listener("203.0.113.1", 0)


def test_host_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--host no-such-host\.invalid"):
        open_listener("no-such-host.invalid", 0)


@pytest.mark.parametrize(
    ("host", "shown"), [("127.0.0.1", "http://127.0.0.1:"), ("0.0.0.0", "http://127.0.0.1:")]
)
def test_shown_address_can_be_reached_from_here(host: str, shown: str) -> None:
    with open_listener(host, 0) as listener:
        port = listener.getsockname()[1]

        assert shown_address(listener) == f"{shown}{port}"
