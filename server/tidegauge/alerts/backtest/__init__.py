"""What a rule would have done over past data.

- `grid`: what a stretch of a query's answer says of each label set; `runs`: the state machine over
  evaluations that all saw the same.
- `spells`: keeps when a rule fired, stretch by stretch; `advice`: which `for` would have been
  better; `comparison`: how two rules differ.
- `service`: asks the queries, stretch by stretch, within limits.

All but `service` is pure.
"""
