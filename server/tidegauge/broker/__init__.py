"""Carries messages of samples from who accepts them to who stores them.

- `protocol`: what any broker offers.
- `errors`: what a publisher may hear.
- `inprocess`: a bounded queue inside one process; a message is confirmed once it is committed.

RabbitMQ joins as a second implementation, held by the same contract suite.
"""

from __future__ import annotations
