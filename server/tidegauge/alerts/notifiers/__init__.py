"""The ways in which people and machines are told of an alert.

- `protocol`: what every notifier offers, and how it fails.
- `email`, `email_message`: mail by SMTP; `wording`: an alert in words; `chart`: its picture.
- `webhook`, `webhook_target`, `webhook_payload`: HTTP POST, where to, and what is said.
- `channels`: the types that are built in, and checks of what a rule says.
- `posting`: one HTTP POST. `connecting`: names, addresses that may be reached, deadlines.

`alerts.delivery` calls them; `services` makes them. A notifier knows nothing of the outbox.
"""

from __future__ import annotations
