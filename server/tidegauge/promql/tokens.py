"""The tokens of PromQL: their kinds, the keywords, and how messages name them.

A token's kind is its spelling where it has only one (`(`, `==`, `by`, `sum`), else one of the
names below. Source: Prometheus `promql/parser/lex.go`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge.promql.quoting import quote

EOF = "end of input"
IDENTIFIER = "identifier"
METRIC_IDENTIFIER = "metric identifier"
STRING = "string"
NUMBER = "number"
DURATION = "duration"

_AGGREGATORS = """
    avg bottomk count count_values group limit_ratio limitk max min quantile stddev stdvar sum topk
"""
_CLAUSE_WORDS = """
    anchored bool by fill fill_left fill_right group_left group_right ignoring offset on smoothed
    without
"""
AGGREGATOR_KINDS = frozenset(_AGGREGATORS.split())
COMPARISONS = frozenset(("==", "!=", ">", "<", ">=", "<="))
SET_OPERATORS = frozenset(("and", "or", "unless"))
MATCH_OPERATORS = frozenset(("=", "!=", "=~", "!~"))
QUERY_ENDS = frozenset(("start", "end"))
DURATION_CALLS = frozenset(("step", "range", "max_of", "min_of"))

PRECEDENCE = {
    "or": 1,
    "and": 2, "unless": 2,
    "==": 3, "!=": 3, ">": 3, "<": 3, ">=": 3, "<=": 3, "</": 3, ">/": 3,
    "+": 4, "-": 4,
    "*": 5, "/": 5, "%": 5, "atan2": 5,
    "^": 6,
}  # fmt: skip
"""How tightly a binary operator binds; a sign binds like `*`."""
SIGN_PRECEDENCE = 5
POWER = "^"

_OPERATORS = frozenset(PRECEDENCE) | {"=~", "!~", "@"}
_CLAUSES = frozenset(_CLAUSE_WORDS.split())
FILLS = frozenset(("fill", "fill_left", "fill_right"))

KEYWORDS = {
    word: word
    for word in AGGREGATOR_KINDS
    | _CLAUSES
    | QUERY_ENDS
    | DURATION_CALLS
    | SET_OPERATORS
    | {"atan2"}
} | {"inf": NUMBER, "nan": NUMBER}
"""What a word is, in lower case; every other word is an identifier."""

_NAMES = frozenset((IDENTIFIER, METRIC_IDENTIFIER))
METRIC_NAMES = (
    _NAMES
    | AGGREGATOR_KINDS
    | FILLS
    | SET_OPERATORS
    | QUERY_ENDS
    | DURATION_CALLS
    | {"by", "offset", "without", "anchored", "smoothed"}
)
"""The kinds that may be the name of a metric."""

GROUPING_NAMES = (
    _NAMES
    | AGGREGATOR_KINDS
    | SET_OPERATORS
    | QUERY_ENDS
    | DURATION_CALLS
    | (_CLAUSES - {"without"})
    | {"atan2"}
)
"""The kinds that may be the name of a label in `by (…)`, `on (…)` and their like."""

_OWN_NAME = frozenset((EOF, IDENTIFIER, METRIC_IDENTIFIER, STRING, NUMBER, DURATION))
_SHOWN_CHARACTERS = 10


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Args:
        kind: what it is.
        start: byte offset.
        end: byte offset, exclusive.
        text: as it was written.
    """

    kind: str
    start: int
    end: int
    text: str

    def describe(self) -> str:
        """Return how messages name it: `<op:+>`, `identifier "up"`, `end of input`."""
        if self.kind == EOF:
            return EOF
        shown = self._show()
        return f"{self.kind} {shown}" if self.kind in _OWN_NAME else shown

    def _show(self) -> str:
        if self.kind in _NAMES:
            return quote(self.text)
        if self.kind in _CLAUSES:
            return f"<{self.text}>"
        if self.kind in _OPERATORS:
            return f"<op:{self.text}>"
        if self.kind in AGGREGATOR_KINDS:
            return f"<aggr:{self.text}>"
        # Go decides by bytes whether to cut, and cuts by characters.
        if self.end - self.start > _SHOWN_CHARACTERS:
            return f"{quote(self.text[:_SHOWN_CHARACTERS])}..."
        return quote(self.text)
