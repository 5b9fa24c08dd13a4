"""Tells people by mail, over one SMTP connection for each notification."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any

from tidegauge.alerts.notifiers.chart import Chart
from tidegauge.alerts.notifiers.connecting import Connector, Deadline
from tidegauge.alerts.notifiers.email_message import make_message, parse_recipients
from tidegauge.alerts.notifiers.protocol import NotDelivered
from tidegauge.config import NotifyConfig
from tidegauge.errors import InvalidInput
from tidegauge.storage.outbox import ClaimedNotification

Draw = Callable[[Sequence[Mapping[str, Any]], float], Sequence[Chart | None]]
"""Returns the charts of the first payloads, in their order, within so many seconds; never fails."""

MOST_DRAWING_S = 2.0
_DRAWING_SHARE = 0.25

Refusals = Mapping[str, tuple[int, bytes]]


def draw_nothing(_alerts: Sequence[Mapping[str, Any]], _within_s: float) -> list[Chart | None]:
    """Return no charts."""
    return []


class EmailNotifier:
    """Sends mail. The channel's `target` is an address, or several with commas.

    Args:
        config: the server, its account, the sender.
        draw: makes the charts that mails have inline.
        connector: opens connections.
        tls: checks the server's certificate.
        now: for the Date header.
        monotonic: seconds.
    """

    def __init__(
        self,
        config: NotifyConfig,
        *,
        draw: Draw = draw_nothing,
        connector: Connector | None = None,
        tls: ssl.SSLContext | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._connector = config, connector or Connector()
        self._draw = draw
        self._now, self._monotonic = now, monotonic
        self._checked_tls = tls or ssl.create_default_context()
        self._unchecked_tls = ssl.create_default_context()
        self._unchecked_tls.check_hostname = False
        self._unchecked_tls.verify_mode = ssl.CERT_NONE

    def describe_target(self, notification: ClaimedNotification) -> str:
        """Return the address."""
        return f"email to {notification.channel.get('target')}"

    def send(self, notification: ClaimedNotification) -> str:
        """Hand the mail to the server, and return its answer.

        Raises:
            NotDelivered: it refused, or there is none.
        """
        if not self._config.smtp_host:
            raise NotDelivered("there is no mail server; SMTP_HOST names one", permanent=True)
        try:
            recipients = parse_recipients(str(notification.channel.get("target", "")))
        except InvalidInput as fault:
            raise NotDelivered(fault.message, permanent=True) from fault
        deadline = Deadline(self._config.timeout_s, monotonic=self._monotonic)
        drawing_s = min(MOST_DRAWING_S, self._config.timeout_s * _DRAWING_SHARE)
        message = make_message(
            notification,
            sender=self._config.smtp_from,
            recipients=recipients,
            now=self._now(),
            charts=self._draw(notification.alerts, drawing_s),
        )
        with self._open(deadline) as server:
            sender = parseaddr(self._config.smtp_from)[1]
            refused = server.send_message(message, sender, recipients)
        taken = len(recipients) - len(refused)
        left_out = f"; refused: {_show(refused)}" if refused else ""
        return f"accepted for {taken} of {len(recipients)}{left_out}"

    @contextlib.contextmanager
    def _open(self, deadline: Deadline) -> Iterator[smtplib.SMTP]:
        with contextlib.ExitStack() as cleanup:
            try:
                server = self._connect(deadline, cleanup)
                self._secure(server)
                yield server
                # The mail is in the server's hands; what it says to a goodbye changes nothing.
                with contextlib.suppress(OSError, smtplib.SMTPException):
                    server.quit()
            except (OSError, smtplib.SMTPException, ValueError) as fault:
                raise self._explain(fault, deadline) from fault

    def _connect(self, deadline: Deadline, cleanup: contextlib.ExitStack) -> smtplib.SMTP:
        config = self._config
        connection = self._connector.connect(config.smtp_host, config.smtp_port, deadline)
        cleanup.callback(connection.close)
        cleanup.enter_context(deadline.cutting(connection))
        if config.smtp_tls == "tls":
            connection = self._checked_tls.wrap_socket(connection, server_hostname=config.smtp_host)
            cleanup.callback(connection.close)
        domain = _own_domain(config.smtp_from)
        server = _Server(connection, host=config.smtp_host, domain=domain, deadline=deadline)
        cleanup.callback(server.close)
        return server

    def _secure(self, server: smtplib.SMTP) -> None:
        wanted, password = self._config.smtp_tls, self._config.smtp_password
        server.ehlo_or_helo_if_needed()
        encrypted = wanted == "tls"
        if wanted == "starttls" or (wanted == "auto" and server.has_extn("starttls")):
            checked = wanted == "starttls" or bool(password)
            server.starttls(context=self._checked_tls if checked else self._unchecked_tls)
            server.ehlo()
            encrypted = True
        if self._config.smtp_user:
            if not encrypted:
                raise NotDelivered(
                    "the mail server offers no encryption, and the password is not sent without",
                    permanent=True,
                )
            server.login(self._config.smtp_user, password)

    def _explain(self, fault: Exception, deadline: Deadline) -> NotDelivered:
        place = f"{self._config.smtp_host}:{self._config.smtp_port}"
        if deadline.over or isinstance(fault, TimeoutError):
            return NotDelivered(f"{place}: no answer within {deadline.seconds:g} s")
        if isinstance(fault, smtplib.SMTPRecipientsRefused):
            final = all(code >= 500 for code, _ in fault.recipients.values())
            return NotDelivered(f"{place}: {_show(fault.recipients)}", permanent=final)
        if isinstance(fault, smtplib.SMTPResponseException):
            # A wrong password is put right by people, in the meantime perhaps.
            final = fault.smtp_code >= 500 and not isinstance(
                fault, smtplib.SMTPAuthenticationError
            )
            said = fault.smtp_error
            text = said.decode(errors="replace") if isinstance(said, bytes) else said
            return NotDelivered(f"{place}: {fault.smtp_code} {text}", permanent=final)
        return NotDelivered(f"{place}: {fault}")


class _Server(smtplib.SMTP):
    """The standard library's client over a connection that is there already."""

    def __init__(
        self, connection: socket.socket, *, host: str, domain: str, deadline: Deadline
    ) -> None:
        self._connection, self._deadline = connection, deadline
        super().__init__(host, local_hostname=domain)

    def send(self, s: Any) -> None:
        # A process that stood still has lost its claim, and another has sent this by now.
        self._deadline.left_s()
        super().send(s)

    def _get_socket(self, _host: str, _port: int, _timeout: float) -> socket.socket:
        return self._connection


def _own_domain(sender: str) -> str:
    domain = parseaddr(sender)[1].rpartition("@")[2]
    return domain if domain.isascii() and domain else "localhost"


def _show(refused: Refusals) -> str:
    return "; ".join(
        f"{who}: {code} {said.decode(errors='replace')}" for who, (code, said) in refused.items()
    )
