"""What a dashboard variable can be filled from: metrics, labels, and the results of queries.

The functions are those of Grafana's Prometheus data source; plain text searches metric names.
Source: grafana-contract §1 and §2.5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tidegauge.compat.grafana_json_body import read_text
from tidegauge.compat.grafana_json_filters import match_values
from tidegauge.compat.grafana_json_frames import print_labels
from tidegauge.compat.grafana_json_payload import MAX_CONDITIONS
from tidegauge.compat.grafana_json_variables import Variables, escape_regex
from tidegauge.model.floats import format_go_json
from tidegauge.model.labels import METRIC_NAME
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.query.listings import Listings, Scope
from tidegauge.query.service import QueryService, truncate_series
from tidegauge.web.params import InvalidParameter
from tidegauge.web.series import iterate_series

MAX_VALUES = 10_000
"""The most values that a variable is filled with."""

_CALL = re.compile(r"\s*(\w+)\s*\((.*)\)\s*", re.ASCII | re.DOTALL)
_LABEL_VALUES = re.compile(r"(?:(.+),)?\s*([^\s,(){}]+)\s*", re.DOTALL)
_FUNCTIONS = "label_names(), label_values([selector,] label), metrics(regex), query_result(query)"
_KEYS = frozenset({"label", "metric", "where"})


class Lookup:
    """Fills one variable.

    Args:
        query, listings: where from.
        start_ms, end_ms: only series written in this range; None where it is open.
        now_ms: when queries are evaluated without a range.
    """

    def __init__(
        self,
        query: QueryService,
        listings: Listings,
        *,
        start_ms: int | None,
        end_ms: int | None,
        now_ms: int,
    ) -> None:
        self._query, self._listings = query, listings
        self._start_ms, self._end_ms, self._now_ms = start_ms, end_ms, now_ms

    def find_by_text(self, text: str) -> list[str]:
        """Return what a text such as `label_values(up, job)` asks for.

        Raises:
            InvalidInput, QuerySyntaxError, LimitExceeded.
        """
        call = _CALL.fullmatch(text)
        if call is None:
            return self._metrics(f".*{escape_regex(text.strip())}.*")
        function, argument = call[1], call[2].strip()
        if function == "label_names":
            return self._label_names(argument)
        if function == "label_values":
            return self._label_values(argument)
        if function == "metrics":
            return self._metrics(f".*(?:{argument}).*")
        if function == "query_result":
            return self._query_result(argument)
        raise InvalidParameter("target", f'"{function[:64]}" is none of {_FUNCTIONS}')

    def find_by_object(self, asked: Mapping[str, Any]) -> list[str]:
        """Return the values of a label, or the names of metrics where none is named.

        Args:
            asked: `label`, `metric` and `where`: values by label, which nobody has to quote.
        Raises:
            InvalidParameter.
        """
        unknown = sorted(set(asked) - _KEYS)
        if unknown:
            raise InvalidParameter(
                "payload", f'"{unknown[0][:64]}" is none of target, {", ".join(sorted(_KEYS))}'
            )
        where = asked.get("where") or {}
        if not isinstance(where, dict):
            raise InvalidParameter("payload", '"where" is an object of values by label')
        if len(where) > MAX_CONDITIONS:
            raise InvalidParameter("payload", f'"where" has more than {MAX_CONDITIONS} labels')
        wanted = dict(where)
        if asked.get("metric"):
            wanted[METRIC_NAME] = asked["metric"]
        also = tuple(
            match_values(key, "=", _read_values(key, value)) for key, value in wanted.items()
        )
        label = _read_values("label", asked.get("label") or METRIC_NAME)[0]
        return self._listings.label_values(label, self._scope(also=also)).items

    def _label_names(self, pattern: str) -> list[str]:
        also = () if not pattern else (_match_name(f".*(?:{pattern}).*"),)
        found = self._listings.label_names(self._scope(also=also)).items
        return [name for name in found if name != METRIC_NAME]

    def _label_values(self, argument: str) -> list[str]:
        found = _LABEL_VALUES.fullmatch(argument)
        if found is None:
            raise InvalidParameter("target", "label_values() wants a label: label_values(up, job)")
        selector, label = found.groups()
        selectors = [_mend(selector)] if selector else []
        scope = self._scope(selectors=selectors)
        return self._listings.label_values(label.strip("\"'`"), scope).items

    def _metrics(self, pattern: str) -> list[str]:
        scope = self._scope(also=(_match_name(pattern),))
        return self._listings.label_values(METRIC_NAME, scope).items

    def _query_result(self, text: str) -> list[str]:
        time_ms = self._now_ms if self._end_ms is None else self._end_ms
        answer = self._query.instant(_mend(text), time_ms=time_ms)
        result, _ = truncate_series(answer.result, MAX_VALUES)
        return [
            f"{print_labels(labels) or '{}'} {format_go_json(float(values[-1]))} {times_ms[-1]}"
            for labels, times_ms, values in iterate_series(result)
        ]

    def _scope(
        self, *, selectors: list[str] | None = None, also: tuple[Matcher, ...] = ()
    ) -> Scope:
        return Scope(
            selectors=selectors or (),
            start_ms=self._start_ms,
            end_ms=self._end_ms,
            limit=MAX_VALUES,
            also=also,
        )


def _mend(text: str) -> str:
    """Return PromQL whose strings hold escapes as Grafana has put them in: of another language."""
    return Variables({}, {}).fill_query(text)


def _match_name(pattern: str) -> Matcher:
    return Matcher(MatchType.REGEX, METRIC_NAME, pattern)


def _read_values(key: str, value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not key or not values or not all(isinstance(one, str | int | float) for one in values):
        raise InvalidParameter("payload", f'"{key[:64]}" wants a text, or a list of texts')
    return tuple(read_text(one) for one in values)
