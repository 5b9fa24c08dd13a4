"""Tests of rules: promtool's unit-test files, run in memory (`tidegauge rules test`).

- `files`: what a test file says; `rehearsal`: evaluates groups of rules over what is in memory.
- `checking`: runs the tests of a file, and says what is not as expected; `junit`: as XML.

Source: Prometheus `cmd/promtool/unittest.go`, `docs/configuration/unit_testing_rules.md`.
"""
