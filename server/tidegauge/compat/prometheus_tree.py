"""A syntax tree as the JSON of Prometheus's `parse_query`.

Keys are in alphabetical order, as Go writes a map. It is made as text: a chain of a thousand
operators nests a thousand objects, more than JSON writers take.
Source: Prometheus `web/api/v1/translate_ast.go`.
"""

from __future__ import annotations

from collections.abc import Iterable

from tidegauge.model.floats import format_go_f
from tidegauge.model.matchers import Matcher
from tidegauge.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Duration,
    DurationExpr,
    Expr,
    MatrixSelector,
    NumberLiteral,
    Paren,
    StringLiteral,
    Subquery,
    TimeShift,
    Unary,
    VectorMatching,
    VectorSelector,
)
from tidegauge.promql.signatures import FUNCTIONS
from tidegauge.web.rendering import dump_json

_NS_PER_MS = 1_000_000


def render_tree(expr: Expr) -> bytes:
    """Return the JSON of an expression."""
    chain: list[Binary] = []
    while isinstance(expr, Binary):
        chain.append(expr)
        expr = expr.left
    parts = [b'{"bool":%b,"lhs":' % dump_json(node.return_bool) for node in chain]
    parts.append(_render_operand(expr))
    parts += [_render_behind(node) for node in reversed(chain)]
    return b"".join(parts)


def _render_behind(node: Binary) -> bytes:
    return b',"matching":%b,"op":%b,"rhs":%b,"type":"binaryExpr"}' % (
        dump_json(_matching(node.matching)),
        dump_json(node.op),
        render_tree(node.right),
    )


def _render_operand(expr: Expr) -> bytes:
    match expr:
        case NumberLiteral(value=value):
            return dump_json({"type": "numberLiteral", "val": format_go_f(value)})
        case StringLiteral(value=text):
            return dump_json({"type": "stringLiteral", "val": text})
        case VectorSelector():
            return dump_json({**_selector(expr), "type": "vectorSelector"})
        case MatrixSelector():
            return dump_json(_matrix(expr))
        case Subquery():
            return _render_subquery(expr)
        case Aggregate():
            return _render_aggregation(expr)
        case Call():
            return _render_call(expr)
        case Paren(expr=inner):
            return b'{"expr":%b,"type":"parenExpr"}' % render_tree(inner)
        case Unary(op=op, expr=inner):
            tree = render_tree(inner)
            return b'{"expr":%b,"op":%b,"type":"unaryExpr"}' % (tree, dump_json(op))
        case Binary():
            return render_tree(expr)


def _render_aggregation(node: Aggregate) -> bytes:
    return (b'{"expr":%b,"grouping":%b,"op":%b,"param":%b,"type":"aggregation","without":%b}') % (
        render_tree(node.expr),
        dump_json(list(node.grouping)),
        dump_json(node.op),
        b"null" if node.param is None else render_tree(node.param),
        dump_json(node.without),
    )


def _render_call(node: Call) -> bytes:
    signature = FUNCTIONS[node.func]
    about = {
        "argTypes": [kind.short_name for kind in signature.args],
        "name": signature.name,
        "returnType": signature.returns.short_name,
        "variadic": signature.variadic,
    }
    args = b",".join(map(render_tree, node.args))
    return b'{"args":[%b],"func":%b,"type":"call"}' % (args, dump_json(about))


def _render_subquery(node: Subquery) -> bytes:
    about = {
        **_shift(node.shift),
        "range": node.range_ns // _NS_PER_MS,
        "rangeExpr": _duration(node.range_expr),
        "startOrEnd": _anchor(node.shift),
        "step": node.step_ns // _NS_PER_MS,
        "stepExpr": _duration(node.step_expr),
        "timestamp": node.shift.at_ms,
        "type": "subquery",
    }
    return b'{"expr":%b,%b' % (render_tree(node.expr), dump_json(about)[1:])


def _matrix(node: MatrixSelector) -> dict[str, object]:
    more = {
        "range": node.range_ns // _NS_PER_MS,
        "rangeExpr": _duration(node.range_expr),
        "type": "matrixSelector",
    }
    return dict(sorted({**_selector(node.selector), **more}.items()))


def _selector(node: VectorSelector) -> dict[str, object]:
    return {
        "anchored": node.extension == "anchored",
        "matchers": _matchers(node.matchers),
        "name": node.name,
        **_shift(node.shift),
        "smoothed": node.extension == "smoothed",
        "startOrEnd": _anchor(node.shift),
        "timestamp": node.shift.at_ms,
    }


def _matchers(matchers: Iterable[Matcher]) -> list[dict[str, str]]:
    return [
        {"name": matcher.name, "type": matcher.type.value, "value": matcher.value}
        for matcher in matchers
    ]


def _shift(shift: TimeShift) -> dict[str, object]:
    # Go divides towards zero.
    return {
        "offset": int(shift.offset_ns / _NS_PER_MS),
        "offsetExpr": _duration(shift.offset_expr),
    }


def _anchor(shift: TimeShift) -> str | None:
    return None if shift.at_anchor is None else shift.at_anchor.value


def _duration(expr: Duration | None) -> dict[str, object] | None:
    if expr is None:
        return None
    if isinstance(expr, DurationExpr):
        return {
            "lhs": _duration(expr.left),
            "op": expr.op,
            "rhs": _duration(expr.right),
            "type": "durationExpr",
            "wrapped": expr.wrapped,
        }
    value = format_go_f(expr.value)
    return {"duration": expr.duration, "type": "numberLiteral", "val": value}


def _matching(matching: VectorMatching | None) -> dict[str, object] | None:
    if matching is None:
        return None
    return {
        "card": matching.card.value,
        "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
        "include": list(matching.include),
        "labels": list(matching.labels),
        "on": matching.on,
    }
