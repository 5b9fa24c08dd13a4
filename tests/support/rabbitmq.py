"""A private RabbitMQ: its own node, port, cookie and data, on loopback only."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.debian import find_program
from tests.support.servers import free_port, wait_until

_CONFIG = """\
listeners.tcp.default = 127.0.0.1:{port}
loopback_users.guest = true
log.console.level = warning
disk_free_limit.absolute = 1MB
"""
START_S = 120


class RabbitMQ:
    """One RabbitMQ node in a folder; the same port and data at every start.

    Args:
        folder: where everything of it lies.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs = find_program("rabbitmq-server").resolve().parent
        self.port, self._dist_port, self._epmd_port = free_port(), free_port(), free_port()
        self.url = self.url_at(self.port)
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rabbitmq.conf").write_text(_CONFIG.format(port=self.port))
        (folder / "plugins").write_text("[].\n")

    @property
    def pid(self) -> int:
        """The process, while there is one; else 0."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if self._process is not None and running else 0

    @staticmethod
    def url_at(port: int) -> str:
        """Return the address by which it is reached at a port."""
        return f"amqp://guest:guest@127.0.0.1:{port}/"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        # Scripts in sbin become the user rabbitmq, who does not own this folder.
        server = self._program("rabbitmq-server")
        with (self._folder / "rabbitmq.log").open("ab") as out:
            self._process = process = subprocess.Popen(
                [server], env=self._environment(), stdout=out, stderr=out, start_new_session=True
            )
        wait_until(
            lambda: process.poll() is not None or self._answers(),
            timeout_s=START_S,
            what=f"RabbitMQ takes connections; see {self._folder / 'rabbitmq.log'}",
        )
        assert process.poll() is None, (self._folder / "rabbitmq.log").read_text()[-3000:]

    def stop(self) -> None:
        """Stop it in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it stand still, as a machine that hangs."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def set_alarm(self, on: bool) -> None:
        """Set off its memory alarm, or end it."""
        self.ctl("set_vm_memory_high_watermark", *(("absolute", "1") if on else ("0.4",)))

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl and return what it printed."""
        done = subprocess.run(
            [self._program("rabbitmqctl"), *arguments],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def add_vhost(self, name: str) -> str:
        """Make a virtual host and return its address."""
        self.ctl("add_vhost", name)
        self.ctl("set_permissions", "-p", name, "guest", ".*", ".*", ".*")
        return self.url + name

    def close(self) -> None:
        """End it and its port mapper."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        # It refuses to end while it still lists the node that was killed just now.
        wait_until(self._port_mapper_ended, timeout_s=30, what="RabbitMQ's port mapper ends")

    def _program(self, name: str) -> str:
        plain = Path("/usr/lib/rabbitmq/bin") / name
        return str(plain if plain.exists() else self._programs / name)

    def _environment(self) -> dict[str, str]:
        folder = self._folder
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {
            **kept,
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"tidegauge{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def _port_mapper_ended(self) -> bool:
        subprocess.run(
            ["epmd", "-port", str(self._epmd_port), "-kill"],
            env=self._environment(),
            capture_output=True,
            timeout=30,
            check=False,
        )
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._epmd_port)) != 0

    def _answers(self) -> bool:
        # The greeting of AMQP: a listener that is only being set up does not send it.
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.settimeout(5)
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    def _end(self, order: signal.Signals) -> None:
        assert self._process is not None
        self._signal(order)
        self._process.wait(60)
        self._process = None

    def _signal(self, order: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, order)


@contextlib.contextmanager
def run_rabbitmq(folder: Path) -> Iterator[RabbitMQ]:
    """Run a private RabbitMQ below a folder."""
    server = RabbitMQ(folder)
    try:
        server.start()
        yield server
    finally:
        server.close()
