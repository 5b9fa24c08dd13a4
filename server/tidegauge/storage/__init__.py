"""The only room that knows SQL: pool, migrations, catalogue tables, the sample engines.

Who needs storage calls `opening.open_storage`, and sees `protocol` only.

- `protocol`: what an engine and a catalogue offer; `memory` is the one for tests and scripts.
- `opening`: puts pool, catalogue and engine together as the settings want it.
- `pool`, `watchdog`, `faults`: connections that heal, never wait for ever, and fail in our words.
- `cancellation`: the wish of another thread that a read should end.
- `migrate`: the numbered SQL files of `migrations/`.
- `embedded`, `launch`: a PostgreSQL of our own, from the wheel (`embedded_install`), with settings
  for the job (`embedded_settings`).
- `catalogue`: metric definitions and series. Behind it `catalogue_registry` (label sets to ids),
  `catalogue_selection` (matchers to series), `catalogue_labels` (names and values),
  `catalogue_metrics` (metadata, counts), `catalogue_version` (what makes memory exact),
  `metric_names`, `fingerprints`, `texts`, `moments`.
- `users`, `credentials`, `audit`: people, their sessions and tokens, the log of changes, with
  `accounts_rows` as their data.
- `outbox`: the notifications to deliver, and what came of them; `outbox_statements`: its SQL.
- `alert_rules`, `alert_instances`, `alert_events`, `alert_lease`: the tables of alerts, and
  `alert_changes`, which writes what one evaluation comes to; `external_alerts`: those of others;
  `alert_routes`: to whom routes tell them; `silences`, `maintenance_windows`: of which of them
  nobody is told; `acknowledgements`: who has taken which on; `alert_ledger`: the past of single
  ones; `alert_statistics` counts it, `alert_retention` removes it in the end.
- `recording_rules`: the queries whose answers are written down.
- `upkeep`: what an operator watches of the database itself.
- `annotations`: the table of marks; `memory_annotations` is the one for tests.
- `dashboards`, `dashboard_folders`, `dashboard_files`: dashboards with their versions, and the
  files they came from; `dashboard_rows`: what is in them.
- `columnar`: samples in packed rows on any PostgreSQL from 14 on. Behind it `columnar_rows`
  (packing), `columnar_frame` (ordering), `columnar_partitions`.
"""

from __future__ import annotations
