"""Carries messages of samples from who accepts them to who stores them.

- `protocol`: what any broker offers.
- `errors`: what a publisher may hear.
- `inprocess`: a bounded queue inside one process; a message is confirmed once it is committed.

`ingest` publishes and consumes by `protocol` and `errors`; only `services` chooses which broker.
"""

from __future__ import annotations
