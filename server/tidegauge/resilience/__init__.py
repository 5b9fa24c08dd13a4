"""What keeps one failing neighbour, or one busy sender, from taking the others along.

- `breaker`: refuses work on a neighbour that keeps failing.
- `ratelimit`: how many requests a minute one sender may make.

`query`, `ingest`, `web` and `services` enter.
"""

from __future__ import annotations
