"""Decodes Prometheus remote write 1.0.

- `decode`: the door: columns of a request, by the fast road or the complete one.
- `fast`, `samples`: the usual shape, taken apart with one look-up per series and NumPy.
- `complete`, `remote_write_pb2`: any valid request, through protobuf classes.
- `columns`: what both give.
"""

from __future__ import annotations
