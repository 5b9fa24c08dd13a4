"""The types of expressions, and whether they fit together.

Source: Prometheus `promql/parser/parse.go`, `checkAST`; the first error it finds is raised.
"""

from __future__ import annotations

from dataclasses import replace

from tidegauge.model.labels import METRIC_NAME
from tidegauge.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Card,
    Expr,
    MatrixSelector,
    NumberLiteral,
    Paren,
    Span,
    StringLiteral,
    Subquery,
    Unary,
    ValueType,
    VectorMatching,
    VectorSelector,
)
from tidegauge.promql.parse_error import ParseError
from tidegauge.promql.quoting import quote, to_bytes
from tidegauge.promql.signatures import AGGREGATORS, FUNCTIONS, Signature
from tidegauge.promql.tokens import COMPARISONS, SET_OPERATORS

_OPERANDS = (ValueType.SCALAR, ValueType.VECTOR)
_GROUPED = (Card.ONE_TO_MANY, Card.MANY_TO_ONE)


def type_of(expr: Expr) -> ValueType:
    """Return the type of an expression, checked or not; a long chain of operators is no burden."""
    while True:
        match expr:
            case NumberLiteral():
                return ValueType.SCALAR
            case StringLiteral():
                return ValueType.STRING
            case VectorSelector() | Aggregate():
                return ValueType.VECTOR
            case MatrixSelector() | Subquery():
                return ValueType.MATRIX
            case Call(func=func):
                return FUNCTIONS[func].returns
            case Paren(expr=inner) | Unary(expr=inner):
                expr = inner
            case Binary(left=left, right=right):
                if type_of(right) is not ValueType.SCALAR:
                    return ValueType.VECTOR
                if not isinstance(left, Binary) and type_of(left) is not ValueType.SCALAR:
                    return ValueType.VECTOR
                expr = left


def check_types(expr: Expr, text: str) -> Expr:
    """Check that the types fit, and settle what depends on them: how vectors are matched.

    Args:
        expr: as the grammar gives it.
        text: what it was parsed from; errors point into it.
    Returns:
        The same tree with the matching of set operators many-to-many, and none where not both
        sides are vectors.
    Raises:
        ParseError: the first thing that does not fit.
    """
    return _Checker(text).check(expr)[0]


class _Checker:
    def __init__(self, text: str) -> None:
        self._text = text
        self._data = to_bytes(text)

    def check(self, expr: Expr) -> tuple[Expr, ValueType]:
        """Return the settled expression and its type; chains to the left without recursion."""
        chain: list[Binary] = []
        while isinstance(expr, Binary):
            chain.append(expr)
            expr = expr.left
        settled, kind = self._check_operand(expr)
        while chain:
            node = chain.pop()
            right, right_kind = self.check(node.right)
            settled, kind = self._check_binary(
                replace(node, left=settled, right=right), kind, right_kind
            )
        return settled, kind

    def _error(self, message: str, span: Span) -> ParseError:
        return ParseError(message, start=span.start, end=span.end, text=self._text)

    def _check_operand(self, expr: Expr) -> tuple[Expr, ValueType]:
        match expr:
            case Paren(expr=inner):
                settled, kind = self.check(inner)
                return replace(expr, expr=settled), kind
            case Unary():
                return self._check_unary(expr)
            case Aggregate():
                return self._check_aggregate(expr), ValueType.VECTOR
            case Call():
                return self._check_call(expr)
            case Subquery():
                return self._check_subquery(expr), ValueType.MATRIX
            case VectorSelector():
                self._check_selector(expr)
            case MatrixSelector(selector=selector):
                self._check_selector(selector)
        return expr, type_of(expr)

    def _expect(self, expr: Expr, wanted: ValueType, where: str) -> Expr:
        settled, kind = self.check(expr)
        if kind is not wanted:
            message = f"expected type {wanted.value} in {where}, got {kind.value}"
            raise self._error(message, expr.span)
        return settled

    def _check_unary(self, node: Unary) -> tuple[Expr, ValueType]:
        settled, kind = self.check(node.expr)
        if kind not in _OPERANDS:
            raise self._error(
                "unary expression only allowed on expressions of type scalar or instant vector, "
                f"got {quote(kind.value)}",
                node.span,
            )
        return replace(node, expr=settled), kind

    def _check_aggregate(self, node: Aggregate) -> Aggregate:
        expr = self._expect(node.expr, ValueType.VECTOR, "aggregation expression")
        wanted = AGGREGATORS[node.op].param
        param = node.param
        if wanted is not None and param is not None:
            param = self._expect(param, wanted, "aggregation parameter")
        return replace(node, expr=expr, param=param)

    def _check_subquery(self, node: Subquery) -> Subquery:
        settled, kind = self.check(node.expr)
        if kind is not ValueType.VECTOR:
            name = kind.short_name
            message = f"subquery is only allowed on instant vector, got {name} instead"
            raise self._error(message, node.span)
        return replace(node, expr=settled)

    def _check_selector(self, node: VectorSelector) -> None:
        if node.name:
            # The last matcher is the one of the name written before the braces.
            for matcher in node.matchers[:-1]:
                if matcher.name == METRIC_NAME:
                    names = f"{quote(node.name)} or {quote(matcher.value)}"
                    raise self._error(f"metric name must not be set twice: {names}", node.span)
            return
        # Without one that "" does not fit, a slip of the pen would select every series.
        if not node.bypass_empty_check and all(m.matches("") for m in node.matchers):
            message = "vector selector must contain at least one non-empty matcher"
            raise self._error(message, node.span)

    def _check_call(self, node: Call) -> tuple[Expr, ValueType]:
        signature = FUNCTIONS[node.func]
        self._check_count(node, signature)
        args = list(node.args)
        if node.func == "info" and len(args) > 1:
            args[1] = self._check_info_selector(node, args[1])
        where = f"call to function {quote(node.func)}"
        last = len(signature.args) - 1
        settled = tuple(
            self._expect(arg, signature.args[min(place, last)], where)
            for place, arg in enumerate(args)
        )
        return replace(node, args=settled), signature.returns

    def _check_count(self, node: Call, signature: Signature) -> None:
        count, wanted = len(node.args), len(signature.args)
        least = wanted if signature.variadic == 0 else wanted - 1
        most = least + max(signature.variadic, 0)
        if signature.variadic == 0 and count != wanted:
            bound = f"{wanted}"
        elif count < least:
            bound = f"at least {least}"
        elif signature.variadic > 0 and count > most:
            bound = f"at most {most}"
        else:
            return
        message = f"expected {bound} argument(s) in call to {quote(node.func)}, got {count}"
        raise self._error(message, node.span)

    def _check_info_selector(self, node: Call, arg: Expr) -> Expr:
        kind = type_of(arg)
        if kind is not ValueType.VECTOR:
            where = f"call to function {quote(node.func)}"
            message = f"expected type {ValueType.VECTOR.value} in {where}, got {kind.value}"
            raise self._error(message, node.span)
        if not isinstance(arg, VectorSelector):
            raise self._error("expected label selectors only", arg.span)
        if arg.name:
            message = "expected label selectors only, got vector selector instead"
            raise self._error(message, arg.span)
        return replace(arg, bypass_empty_check=True)

    def _check_binary(
        self, node: Binary, left: ValueType, right: ValueType
    ) -> tuple[Expr, ValueType]:
        both_scalar = left is right is ValueType.SCALAR
        self._check_bool(node, both_scalar)
        matching = node.matching or VectorMatching(Card.ONE_TO_ONE)
        self._check_include(node, matching)
        for side, kind in ((node.left, left), (node.right, right)):
            if kind not in _OPERANDS:
                message = "binary expression must contain only scalar and instant vector types"
                raise self._error(message, side.span)
        kind = ValueType.SCALAR if both_scalar else ValueType.VECTOR
        if left is right is ValueType.VECTOR:
            if node.op in SET_OPERATORS:
                matching = self._check_set_operator(node, matching)
            return replace(node, matching=matching), kind
        self._check_without_matching(node, matching)
        return replace(node, matching=None), kind

    def _check_bool(self, node: Binary, both_scalar: bool) -> None:
        if node.return_bool and node.op not in COMPARISONS:
            message = "bool modifier can only be used on comparison operators"
            raise self._error(message, self._around_operator(node))
        if both_scalar and node.op in COMPARISONS and not node.return_bool:
            message = "comparisons between scalars must use BOOL modifier"
            raise self._error(message, self._around_operator(node))

    def _check_include(self, node: Binary, matching: VectorMatching) -> None:
        for label in matching.labels if matching.on else ():
            if label in matching.include:
                message = f"label {quote(label)} must not occur in ON and GROUP clause at once"
                raise self._error(message, self._around_operator(node))

    def _check_set_operator(self, node: Binary, matching: VectorMatching) -> VectorMatching:
        if matching.card in _GROUPED:
            raise self._error(f"no grouping allowed for {quote(node.op)} operation", node.span)
        if _has_fill(matching):
            message = "filling in missing series not allowed for set operators"
            raise self._error(message, node.span)
        return replace(matching, card=Card.MANY_TO_MANY)

    def _check_without_matching(self, node: Binary, matching: VectorMatching) -> None:
        if matching.labels:
            message = "vector matching only allowed between instant vectors"
            raise self._error(message, node.span)
        if _has_fill(matching):
            message = "filling in missing series only allowed between instant vectors"
            raise self._error(message, node.span)
        if node.op in SET_OPERATORS:
            message = f"set operator {quote(node.op)} not allowed in binary scalar expression"
            raise self._error(message, node.span)

    def _around_operator(self, node: Binary) -> Span:
        """Return the operator with its modifiers; as in Prometheus, the end is a byte short."""
        between = self._data[node.left.span.end : node.right.span.start]
        start = node.left.span.end + len(between) - len(between.lstrip(b" \t\r\n"))
        end = node.left.span.end + len(between.rstrip(b" \t\r\n")) - 1
        return Span(start, max(start, end))


def _has_fill(matching: VectorMatching) -> bool:
    return matching.fill_left is not None or matching.fill_right is not None
