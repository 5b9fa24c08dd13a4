"""The circuit breaker in front of the methods of a service."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from tidegauge.errors import DeadlineExceeded, Unavailable
from tidegauge.resilience.breaker import CircuitBreaker

P = ParamSpec("P")
R = TypeVar("R")


class Guarded(Protocol):
    """A service with a breaker."""

    breaker: CircuitBreaker


G = TypeVar("G", bound=Guarded)


def guarded(method: Callable[Concatenate[G, P], R]) -> Callable[Concatenate[G, P], R]:
    """Return the method behind its service's breaker: refused at once while the database fails."""

    @functools.wraps(method)
    def call(self: G, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.breaker.call(lambda: method(self, *args, **kwargs))

    return call


def is_dashboard_failure(fault: BaseException) -> bool:
    """Return whether a fault says that the database is not well."""
    return isinstance(fault, Unavailable | DeadlineExceeded)
