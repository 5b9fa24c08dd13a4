"""One HTTP POST to one place: to an address that may be reached, cut at a deadline, little read."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tidegauge import __version__
from tidegauge.alerts.notifiers.connecting import Connector, Deadline, Resolve, look_up
from tidegauge.alerts.notifiers.protocol import NotDelivered
from tidegauge.alerts.notifiers.webhook_target import Place
from tidegauge.alerts.notifiers.wording import to_one_line
from tidegauge.config import NotifyConfig, parse_allowed_networks

MAX_ANSWER_BYTES = 64 * 1024
MAX_SHOWN_CHARS = 200
# A shorter text in a header is no secret, and may stand in any answer.
MIN_SECRET_CHARS = 6
HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a place answered; as text its status, and how its body begins."""

    status: int
    reason: str
    location: str
    retry_after: str
    body: bytes

    def without(self, secrets: Iterable[str]) -> Answer:
        """Return the answer with these texts taken out: some places repeat what they are sent."""
        reason, body = self.reason, self.body
        for one in secrets:
            # Of `Bearer token` the token alone tells as much.
            for part in {one, *one.split()}:
                if len(part) >= MIN_SECRET_CHARS:
                    reason = reason.replace(part, HIDDEN)
                    body = body.replace(part.encode(errors="replace"), HIDDEN.encode())
        return replace(self, reason=reason, body=body)

    def __str__(self) -> str:
        said = to_one_line(self.body[: 4 * MAX_SHOWN_CHARS].decode(errors="replace"))
        text = f": {said[:MAX_SHOWN_CHARS]}" if said else ""
        return f"{self.status} {to_one_line(self.reason)[:MAX_SHOWN_CHARS]}{text}"


class Poster:
    """Posts to places; safe to use from many threads.

    Args:
        config: which private networks may be reached.
        resolve: finds the addresses of a host.
        tls: checks certificates.
    """

    def __init__(
        self,
        config: NotifyConfig,
        *,
        resolve: Resolve = look_up,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls or ssl.create_default_context()
        self._connector = Connector(
            allowed=parse_allowed_networks(config.webhook_allow_private),
            setting="TIDEGAUGE_WEBHOOK_ALLOW_PRIVATE",
            resolve=resolve,
        )

    def post(
        self, place: Place, body: bytes, headers: Mapping[str, str], deadline: Deadline
    ) -> Answer:
        """Post once, and return the answer whatever its status; redirects are not followed.

        Raises:
            NotDelivered: there is no answer, or the place may not be reached.
        """
        try:
            with (
                self._connector.connect(place.host, place.port, deadline) as connection,
                deadline.cutting(connection),
            ):
                return self._exchange(place, connection, body, headers, deadline)
        except (OSError, http.client.HTTPException, ValueError) as fault:
            if deadline.over or isinstance(fault, TimeoutError):
                text = f"{place}: no answer within {deadline.seconds:g} s"
            else:
                text = f"{place}: {to_one_line(str(fault)) or type(fault).__name__}"
            raise NotDelivered(text) from fault

    def _exchange(
        self,
        place: Place,
        connection: socket.socket,
        body: bytes,
        headers: Mapping[str, str],
        deadline: Deadline,
    ) -> Answer:
        if place.secure:
            connection = self._tls.wrap_socket(connection, server_hostname=place.host)
        usual = {
            "Content-Type": "application/json",
            "User-Agent": f"Tidegauge/{__version__}",
            "Connection": "close",
        }
        with connection:
            client = http.client.HTTPConnection(place.host, place.port)
            client.default_port = 443 if place.secure else 80
            client.sock = connection
            # A process that stood still has lost its claim, and another has sent this by now.
            deadline.left_s()
            client.request("POST", place.path, body, {**usual, **headers})
            response = client.getresponse()
            return Answer(
                response.status,
                response.reason,
                response.headers.get("Location", ""),
                response.headers.get("Retry-After", ""),
                _read_some(response),
            )


def _read_some(response: http.client.HTTPResponse) -> bytes:
    # The status says it all: a body that does not come makes no delivery a failure.
    try:
        return response.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException, ValueError):
        return b""
