"""Measures Tidegauge beside Prometheus and VictoriaMetrics, in one run on one machine.

`python -m benchmarks` (or `make bench`) runs the short form. Compare within a run, by ratio.
"""
