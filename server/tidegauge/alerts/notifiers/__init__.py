"""The ways in which people and machines are told of an alert.

- `protocol`: what every notifier offers, and how it fails.
- `email`, `email_message`: mail by SMTP; `wording`: an alert in words.
- `connecting`: names, addresses that may be reached, deadlines.

`alerts.delivery` calls them; `services` makes them. A notifier knows nothing of the outbox.
"""

from __future__ import annotations
