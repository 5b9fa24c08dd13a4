"""Sends prepared requests over a few connections and counts what is acknowledged."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.payloads import Request


@dataclass(frozen=True)
class Sent:
    """What a run of the sender came to: samples acknowledged, seconds, refusals by status."""

    samples: int
    seconds: float
    refused: dict[int, int]

    @property
    def rate(self) -> float:
        return self.samples / self.seconds


def send_all(address: str, parts: Sequence[Sequence[Request]]) -> Sent:
    """Send each part over a connection of its own, each request after the answer to the last."""
    host, port = address.split(":")
    acknowledged = [0] * len(parts)
    refused: dict[int, int] = {}
    faults: list[OSError] = []

    def run(index: int) -> None:
        try:
            with socket.create_connection((host, int(port)), timeout=60) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for request in parts[index]:
                    connection.sendall(request.raw)
                    answer = http.client.HTTPResponse(connection)
                    answer.begin()
                    answer.read()
                    if answer.status < 300:
                        acknowledged[index] += request.samples
                    else:
                        refused[answer.status] = refused.get(answer.status, 0) + 1
        except OSError as exc:
            faults.append(exc)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(parts))]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return Sent(sum(acknowledged), time.perf_counter() - started, refused)
