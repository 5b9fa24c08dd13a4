"""Alerts: what rules say, when they fire, and who is told.

- `state`: the pure state machine of one label set; `evaluation`: what one answer to a rule's query
  means for all of them; `telling`: who is told, and when again; `payloads`: what.
- `rules`: what a rule may be; `service`: makes, changes, deletes and shows them;
  `marks`: what alerts went through, on the time axis.
- `rule_files`: Prometheus's rule files; `rule_export`: writes one; `loading`: brings the stored
  rules in line with one; `rule_folder`: keeps them as a folder says;
  `shipped`: those that come with Tidegauge; `bounded_yaml`: reads no file at any cost.
- `evaluator`: evaluates the rules that are due; `turns`: for as long as it has the lease.
  Behind it `watching` (what is known of each rule), `reading` (what their queries read), `workers`
  and `asking` (one rule each, side by side).
- `results`: what rules give as series, on its way into storage; `alert_series`: alerts as series;
  `recent`: what recording rules gave just now.
- `silencing`: makes, lists and ends silences; `maintenance`: the same of windows that recur, with
  `recurrence` as their calendar; `muting`: what of both is in force; `muting_preview`: what they
  would mute. `acknowledging`: somebody takes on what fires.
- `explain`: why somebody was told or was not; `explanation`: how that is said.
- `routing`: keeps the routes by which alerts come to people; `routing_document` reads them.
- `backtest`: what a rule would have done over past data; `rule_tests`: unit tests of rule files.
- `external`: takes in the alerts that others post; `external_settling`: what follows from them.
  `standing`: all that fire, whoever found them.
- `retention`: removes what alerts went through long ago.
- `live_state`: a copy of where alerts stand, in the cache.
- `templates`: what labels and annotations say.
- `charts`: what the pictures in a mail show.
- `delivery`: hands over what is in the outbox, by the `notifiers`.
- `heartbeat`: a sign of life for a watcher outside.

`services` wires it, `api` and `compat` show it. Nothing here knows Flask or SQL.
"""
