"""What a command needs to work on the database itself: storage, the cache that is shared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tidegauge.cache.protocol import Cache
from tidegauge.config import Config
from tidegauge.services.parts import (
    StorageParts,
    Tools,
    make_log,
    open_shared_cache,
    open_storage_parts,
)


@contextlib.contextmanager
def lend_storage(config: Config) -> Iterator[tuple[StorageParts, Cache, Tools]]:
    """Lend the storage at `config.database.url`, and the cache that servers use, to a command."""
    tools = Tools(log=make_log(config, "command"))
    storage = open_storage_parts(config, tools, application_name="tidegauge command")
    cache = open_shared_cache(config, tools, max_connections=1, on_error=lambda _operation: None)
    try:
        yield storage, cache, tools
    finally:
        cache.close()
        storage.close()
