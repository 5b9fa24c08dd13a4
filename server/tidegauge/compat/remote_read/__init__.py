"""Prometheus remote read: another server's queries get our raw samples.

- `routes`: the endpoint.
- `wire`: protobuf in and out; `remote_read_pb2`: generated from remote_read.proto.

Source: SPEC §4; Prometheus 3.14 `prompb/remote.proto` and `storage/remote/read_handler.go`.
"""

from __future__ import annotations
