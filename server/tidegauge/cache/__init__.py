"""Keeps values for a while, in Redis or inside the process; nothing is lost when they go.

- `protocol`: Cache, what both kinds do: they never raise, what fails is a miss.
- `inprocess`: values in memory, bounded in bytes.
- `redis_cache`: values in Redis, for all processes; done without for a moment when it is away.
- `opening`: the one that the settings ask for.

`query` reads and writes through `protocol`; `services` calls `opening`.
"""

from __future__ import annotations
