"""Alerts: what rules say, when they fire, and who is told.

- `state`: the pure state machine of one label set.
- `templates`: what labels and annotations say.
- `delivery`: hands over what is in the outbox, by the `notifiers`.

`services` wires it, `api` and `compat` show it. Nothing here knows Flask or SQL.
"""
