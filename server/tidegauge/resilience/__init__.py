"""What keeps one failing neighbour from taking others along: circuit breakers and rate limits."""

from __future__ import annotations
