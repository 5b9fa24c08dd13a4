"""Parameters of Alertmanager's API: matchers as text, flags, a regular expression of receivers.

Source: Alertmanager `api/v2/api.go`; go-openapi `swag.ConvertBool`.
"""

from __future__ import annotations

from collections.abc import Callable

from tidegauge.alerts.routing_document import parse_matcher
from tidegauge.errors import InvalidInput
from tidegauge.model.matchers import Matcher, compile_regex
from tidegauge.web.params import Params

MAX_MATCHERS = 64

_TRUE = frozenset(["true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"])


def read_matchers(params: Params, name: str) -> tuple[Matcher, ...]:
    """Return the matchers of a parameter; all of them must fit.

    Raises:
        InvalidInput: one of them is none.
    """
    texts = params.all(name)
    if len(texts) > MAX_MATCHERS:
        raise InvalidInput(f"{name}: there are {len(texts)}, at most {MAX_MATCHERS} are taken")
    return tuple(parse_matcher(one) for one in texts)


def read_flag(params: Params, name: str) -> bool:
    """Return a flag; one that is not there is true."""
    text = params.first(name)
    return not text or text.lower() in _TRUE


def read_receiver(params: Params) -> Callable[[str], bool]:
    """Return whether a receiver's name fits the regular expression `receiver`.

    Raises:
        InvalidInput: it is none.
    """
    pattern = params.first("receiver")
    if not pattern:
        return lambda _name: True
    try:
        return compile_regex(pattern)
    except InvalidInput as exc:
        raise InvalidInput(f"failed to parse receiver param: {exc.message}") from exc
