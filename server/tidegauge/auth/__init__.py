"""Who somebody is, and what they may do.

- `permissions`: the one table of roles, scopes and named permissions.
- `principal`: whoever makes a request, with what they may do.

`web` asks it at the door, `api` shows it, `dashboards` and `alerts` ask it for owners.
"""
