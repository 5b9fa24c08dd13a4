"""The cache of query results that the settings ask for."""

from __future__ import annotations

import time

from tidegauge.cache.opening import open_local_cache
from tidegauge.cache.protocol import Cache
from tidegauge.config import Config
from tidegauge.observability.meters import Meters
from tidegauge.query.admission import Admission
from tidegauge.query.freshness import NobodyKnows, WriteWatch
from tidegauge.query.result_cache import ResultCache
from tidegauge.services.parts import Tools


def make_result_cache(
    config: Config,
    tools: Tools,
    meters: Meters,
    cache: Cache,
    watch: WriteWatch,
    admission: Admission,
) -> ResultCache:
    """Return the cache of query results over `cache`, which may be shared by all processes."""
    shared = bool(config.cache.url)
    return ResultCache(
        cache=cache,
        local=open_local_cache(config.cache, monotonic=tools.monotonic, new_id=tools.new_id)
        if shared
        else cache,
        config=config.cache,
        meter=meters.cache,
        # What other processes write, this one does not hear of.
        freshness=NobodyKnows() if shared or config.broker.url else watch,
        wait_place=admission.wait_place,
        clock_ms=tools.clock_ms,
        new_id=tools.new_id,
        wait=time.sleep,
    )
