"""A mail server that keeps what it gets, or refuses as it is told."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, Session

from tests.support.needs import need_programs


@dataclass
class MailBox:
    """What a server got, and what it answers.

    Attributes:
        mails: the messages it accepted.
        recipients: to whom, for each.
        encrypted: whether over TLS, for each.
        logins: the passwords that it was given.
        refused: recipients that it does not take, with its answer.
        data_answer: to a whole message.
        on_recipient: is called with each recipient before it is answered.
        on_mail: is called with each message before it is answered.
    """

    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    data_answer: str = "250 kept"
    on_recipient: Callable[[str], None] = lambda _address: None
    on_mail: Callable[[EmailMessage], None] = lambda _mail: None

    async def handle_RCPT(
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        self.on_recipient(address)
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, session: Session, envelope: Envelope) -> str:
        if self.data_answer.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            parsed = message_from_bytes(content, policy=policy.default)
            assert isinstance(parsed, EmailMessage)
            self.mails.append(parsed)
            self.recipients.append(list(envelope.rcpt_tos))
            self.encrypted.append(session.ssl is not None)
            self.on_mail(parsed)
        return self.data_answer

    def check(self, _server: Any, _session: Any, _envelope: Any, _kind: str, data: Any) -> Any:
        self.logins.append(data.password)
        return AuthResult(success=data.password == b"right horse", handled=False, auth_data=data)


@contextlib.contextmanager
def run_mail_server(
    port: int,
    *,
    tls: ssl.SSLContext | None = None,
    from_first_byte: bool = False,
    with_accounts: bool = False,
) -> Iterator[MailBox]:
    """Run a server on a port of 127.0.0.1.

    Args:
        port: a free one.
        tls: its certificate; it offers STARTTLS then.
        from_first_byte: it speaks TLS from the first byte instead.
        with_accounts: it wants a log-in, also without encryption.
    """
    box = MailBox()
    options: dict[str, Any] = {"ssl_context": tls} if from_first_byte else {"tls_context": tls}
    if with_accounts:
        options |= {"authenticator": box.check, "auth_required": True, "auth_require_tls": False}
    server = Controller(box, hostname="127.0.0.1", port=port, enable_SMTPUTF8=True, **options)
    server.start()
    try:
        yield box
    finally:
        server.stop()


@dataclass(frozen=True)
class Certificate:
    """A certificate for `localhost` and 127.0.0.1 that vouches for itself."""

    path: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> Certificate:
        """Make one with openssl."""
        need_programs("openssl")
        made = cls(folder / "certificate.pem", folder / "key.pem")
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        files = ["-keyout", str(made.key), "-out", str(made.path)]
        subprocess.run(
            ["openssl", "req", "-x509", "-days", "2", *curve, *subject, *files],
            check=True,
            capture_output=True,
            timeout=30,
        )
        return made

    def for_server(self) -> ssl.SSLContext:
        """Return what a server shows."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.path, self.key)
        return context

    def for_client(self) -> ssl.SSLContext:
        """Return what a client checks by, that knows this certificate."""
        return ssl.create_default_context(cafile=str(self.path))
