"""The one place that wires: from settings to running services, and back to rest in order.

- `parts`: what every process needs: tools, storage, the queue as it sees it.
- `queue`: the queue that the settings ask for.
- `asking`: the engine of queries and what lets them in; `result_cache`: the cache of query results.
- `guards`: circuit breakers. `dashboards`: dashboards, their panels, versions and folders.
- `storing`: the writer, and how a process without the API stores samples.
- `own_metrics`: the thread that stores a process's own metrics.
- `people`: accounts, sessions, tokens and the audit log.
- `notifications`: the delivery from the outbox. `alertmanager`: the alerts that others post.
- `upkeep`: what the evaluator that leads looks after: sizes, the heartbeat;
  `shipped_rules`: the rules about Tidegauge itself; `rule_folder`: those of a folder.
- `commands`: what a command works on the database with.
- `exposing`: what a process without the API shows of itself.
- `kept_alive`: a thread whose work is started again when it fails; `pulse`: whether it hangs.
- `api`: the services behind the routes, put together by `assembly`; `worker`: those of a worker
  process; `evaluator`: those of an evaluator of alert rules.

`cli` builds services, `app` and `web` use them, by this package's own names.
"""

from __future__ import annotations

from tidegauge.services.api import Services
from tidegauge.services.assembly import assemble, build_services
from tidegauge.services.evaluator import EvaluatorServices, build_evaluator
from tidegauge.services.parts import StorageParts, Tools
from tidegauge.services.worker import WorkerServices, build_worker

__all__ = [
    "EvaluatorServices",
    "Services",
    "StorageParts",
    "Tools",
    "WorkerServices",
    "assemble",
    "build_evaluator",
    "build_services",
    "build_worker",
]
