"""Carries messages of samples from who accepts them to who stores them.

- `protocol`: what any broker offers.
- `errors`: what a publisher may hear.
- `inprocess`: a bounded queue inside one process; a message is confirmed once it is committed.
- `rabbitmq_publisher`, `rabbitmq_consumer`, `rabbitmq_dead_letters`: the same in RabbitMQ; a
  message is confirmed once the broker has it safe. Behind them `rabbitmq_link` (the connection that
  is made again), `rabbitmq_entrance` (when a new queue may be used), `rabbitmq_topology` (the
  queues), `rabbitmq_messages` (properties and headers).

`ingest` publishes and consumes by `protocol` and `errors`; only `services` chooses which broker.
"""

from __future__ import annotations
