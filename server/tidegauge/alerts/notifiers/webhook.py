"""Tells machines by HTTP POST: to public addresses only, within a deadline, signed.

Each hop is connected to the very address that was checked. Redirects are followed where they keep a
POST what it is (307, 308); what the channel holds of secrets stays with the origin it was for.
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tidegauge.alerts.notifiers.connecting import Deadline, Resolve, look_up
from tidegauge.alerts.notifiers.posting import Answer, Poster
from tidegauge.alerts.notifiers.protocol import NotDelivered
from tidegauge.alerts.notifiers.webhook_payload import make_body
from tidegauge.alerts.notifiers.webhook_target import Place, Webhook, follow, parse_webhook
from tidegauge.config import NotifyConfig
from tidegauge.errors import InvalidInput
from tidegauge.storage.outbox import ClaimedNotification

MAX_HOPS = 4
# The others turn a POST into a GET, which tells nobody anything.
_FOLLOWED = (307, 308)
_FOR_NOW = frozenset({408, 425, 429})


class WebhookNotifier:
    """Posts to URLs. The channel's `target` is one; see `webhook_target.parse_webhook`.

    Args:
        config: the deadline, the secret, which private networks may be reached.
        resolve: finds the addresses of a host.
        tls: checks certificates.
        now: the time of day.
        monotonic: seconds.
    """

    def __init__(
        self,
        config: NotifyConfig,
        *,
        resolve: Resolve = look_up,
        tls: ssl.SSLContext | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._now, self._monotonic = config, now, monotonic
        self._poster = Poster(config, resolve=resolve, tls=tls)

    def describe_target(self, notification: ClaimedNotification) -> str:
        """Return scheme and host: the rest of a URL is a secret as often as not."""
        return f"webhook {self._read(notification).place}"

    def send(self, notification: ClaimedNotification) -> str:
        """Post the notification, and return the answer: its status, and how its body begins.

        Raises:
            NotDelivered: it was not taken, or may not be sent there.
        """
        webhook, deadline = (
            self._read(notification),
            Deadline(self._config.timeout_s, monotonic=self._monotonic),
        )
        body = make_body(notification, form=webhook.form)
        place = webhook.place
        for _ in range(MAX_HOPS):
            secrets = self._secrets(webhook, body) if place.origin == webhook.place.origin else {}
            plain = {"Idempotency-Key": notification.idempotency_key}
            answer = self._poster.post(place, body, {**plain, **secrets}, deadline)
            if answer.status not in _FOLLOWED or not answer.location:
                return self._judge(place, answer.without([place.path, *secrets.values()]))
            place = self._follow(place, answer.location)
        raise NotDelivered(f"{webhook.place}: more than {MAX_HOPS - 1} redirects", permanent=True)

    def _read(self, notification: ClaimedNotification) -> Webhook:
        try:
            return parse_webhook(notification.channel)
        except InvalidInput as fault:
            raise NotDelivered(fault.message, permanent=True) from fault

    def _follow(self, place: Place, location: str) -> Place:
        try:
            following = follow(place, location)
        except InvalidInput as fault:
            raise NotDelivered(f"{place}: its redirect: {fault.message}", permanent=True) from fault
        if place.secure and not following.secure:
            raise NotDelivered(f"{place}: its redirect leads out of encryption", permanent=True)
        return following

    def _secrets(self, webhook: Webhook, body: bytes) -> dict[str, str]:
        secret = webhook.secret or self._config.webhook_secret
        if not secret:
            return dict(webhook.headers)
        stamp = str(int(self._now().timestamp()))
        signed = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        ours = {"X-Tidegauge-Timestamp": stamp, "X-Tidegauge-Signature": f"sha256={signed}"}
        return {**webhook.headers, **ours}

    def _judge(self, place: Place, answer: Answer) -> str:
        if 200 <= answer.status < 300:
            return str(answer)
        for_now = answer.status in _FOR_NOW or answer.status >= 500
        raise NotDelivered(
            f"{place}: {answer}",
            permanent=not for_now,
            retry_after_s=self._parse_retry_after(answer.retry_after),
        )

    def _parse_retry_after(self, text: str) -> float | None:
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            return max(0.0, (parsedate_to_datetime(text) - self._now()).total_seconds())
        except (ValueError, TypeError, OverflowError):
            return None
