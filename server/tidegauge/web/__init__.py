"""What every HTTP route shares.

- `context`: how a view reaches the services, and what is known of the request.
- `access`: the permission that each route states, and the guard that asks for it.
- `identity`: who sends a request. `client`: what it says of its sender. `loopback`: this machine.
- `changes`: the log of changes, for what is changed outside of the database.
- `rate_limits`: how many requests a minute.
- `params`: query string and form read as one; `bodies`: raw and JSON bodies within a limit.
- `pages`: lists a page at a time.
- `ingestion`: how ingestion routes are counted and timed; `rendering`: JSON bytes;
  `series`: the series of a result.
- `compression`: gzip, from which size on.
- `errors`: the one table from error family to HTTP status, and the bodies of errors.
- `openapi`: the OpenAPI document, made from the routes.
- `lifecycle`: request ids, the access log, compression, the last error handler.

Routes themselves live in `api` and `compat`.
"""

from __future__ import annotations
