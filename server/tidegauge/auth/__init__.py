"""Who somebody is, and what they may do.

- `permissions`: the one table of roles, scopes and named permissions.
- `principal`: whoever makes a request, with what they may do. `actor`: the same for the audit log.
  `seen`: the same for what belongs to people.
- `secrets`: session ids and tokens. `passwords`: Argon2id.
- `identities`: whom a session or a token stands for.
- `login`: sessions begin and end. `accounts`: people and tokens are made, changed and ended.

`web` asks it at the door, `api` shows it, `dashboards` and `alerts` ask it for owners.
"""
