"""A process that delivers notifications until it is killed: `python -m tests.support.deliver`.

The settings come from the environment, as those of the product do.
"""

from __future__ import annotations

import threading

from tidegauge.cli.environment import read_config
from tidegauge.observability.meters import Meters
from tidegauge.services import Tools
from tidegauge.services.notifications import make_delivery
from tidegauge.services.parts import make_log
from tidegauge.storage.outbox import Outbox
from tidegauge.storage.pool import Pool

if __name__ == "__main__":
    config = read_config()
    tools = Tools(log=make_log(config, "evaluator"))
    pool = Pool.from_config(config.database, url=config.database.url)
    make_delivery(config, tools, Meters(), outbox=Outbox(pool=pool)).run(threading.Event())
