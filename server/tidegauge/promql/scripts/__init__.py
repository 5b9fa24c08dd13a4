"""Prometheus's evaluation scripts: read them, run them, say which evals fail and why.

- `notation`: how a script writes numbers, durations, and a series with its points.
- `histograms`: how it writes native ones; `starts`: start timestamps.
- `loading`: series as a store gets them.
- `commands`: what a script consists of; `parsing` reads it.
- `comparison`: a result against an expectation, with Prometheus's tolerances.
- `pinning`: the same query with `@` on every selector, for the re-runs.
- `runner`: runs a script; the caller brings the engine and a place for the samples.

Source: promql.md §3; Prometheus `promql/promqltest/README.md`.
"""

from __future__ import annotations
