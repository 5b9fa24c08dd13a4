"""A real Prometheus and Tidegauge side by side, started once for all tests of clients."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.support.debian import ProgramMissing
from tests.support.pair import Pair, make_series
from tests.support.product import Up
from tests.support.servers import run_prometheus


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    ours = Up(folder / "tidegauge")
    with ExitStack() as stack:
        stack.callback(ours.end)
        with ThreadPoolExecutor() as pool:
            started = pool.submit(ours.start)
            try:
                theirs = stack.enter_context(run_prometheus(folder / "prometheus"))
            except ProgramMissing as exc:
                pytest.skip(str(exc))
            finally:
                started.result()
        end_s = int(time.time()) // 60 * 60 - 60
        pair = Pair(f"{ours.base}/prometheus", theirs.url, end_s)
        pair.store(make_series(end_s))
        yield pair
