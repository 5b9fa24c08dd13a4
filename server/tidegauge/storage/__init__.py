"""The only room that knows SQL: pool, migrations, catalogue tables, the sample engines.

- `protocol`: what an engine and a catalogue offer; `memory` is the one for tests and scripts.
- `pool`, `migrate`: connections, and the numbered SQL files of `migrations/`.
- `catalogue`: metric definitions and series.
- `columnar`: samples in packed columns on any PostgreSQL from 14 on.
"""

from __future__ import annotations
