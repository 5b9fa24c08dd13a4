"""Alerts: what rules say, when they fire, and who is told.

- `state`: the pure state machine of one label set.

`services` wires it, `api` and `compat` show it. Nothing here knows Flask or SQL.
"""
