"""What `tidegauge up` tells a newcomer: where it is, and how to feed, ask and draw."""

from __future__ import annotations

from pathlib import Path

from tidegauge.storage.embedded import EmbeddedPostgres

_BANNER = """
Tidegauge is up.

  API         {address}
  Prometheus  {address}/prometheus   (the Prometheus HTTP API)
  Health      {address}/health
  Logs        {logs}
  Database    {database}
{account}
Send a sample, and ask for it:

  curl -sS {address}/api/v1/metrics -H 'Content-Type: application/json' \
-d '[{{"name": "room_temperature", "value": 21.5, "tags": {{"room": "kitchen"}}}}]'

  curl -sS {address}/prometheus/api/v1/query --data-urlencode 'query=room_temperature'

In prometheus.yml:

  remote_write:
    - url: {address}/prometheus/api/v1/write
      queue_config:
        max_samples_per_send: 2000

In Grafana, Connections > Data sources > Add: type Prometheus, URL {address}/prometheus,
HTTP method POST, Prometheus type Prometheus; no authentication from this machine.
{demo}
Ctrl-C stops it.
"""

_ACCOUNT = "  Account     admin, password {password}   (shown this once)\n"

_DEMO = """
The demo fleet fills two hours now and then a sample every 5 seconds; what happens to it comes
again every three hours, and a new start goes on where the last one ended. To look at:

  a release that went wrong (at the first start, 40 minutes ago), and was taken back:
    sum by (version) (rate(http_requests_total{{status="500"}}[5m]))
  its latency at the 95th percentile:
    histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))
  a host whose disk runs full, and in how many hours:
    topk(1, 100 * disk_used_bytes / disk_size_bytes)
    (disk_size_bytes - disk_used_bytes) / (deriv(disk_used_bytes[10m]) > 0) / 3600
  what the machines do:
    avg by (host) (rate(cpu_seconds_total{{mode="user"}}[5m]))

  curl -sS {address}/prometheus/api/v1/query \
--data-urlencode 'query=sum by (host) (rate(http_requests_total[5m]))'
"""


def render_banner(
    address: str,
    *,
    logs: Path,
    postgres: EmbeddedPostgres | None,
    demo: bool,
    password: str | None,
) -> str:
    """Return the text for the terminal.

    Args:
        address: where the API answers, without a slash at the end.
        logs: the folder of the log files.
        postgres: the embedded server, if there is one.
        demo: whether the demo fleet is being filled in.
        password: the first admin's, where it was just made up.
    """
    database = f"psql '{postgres.url}'" if postgres else "the one at DATABASE_URL"
    return _BANNER.format(
        address=address,
        logs=logs,
        database=database,
        account=_ACCOUNT.format(password=password) if password is not None else "",
        demo=_DEMO.format(address=address) if demo else "",
    )
