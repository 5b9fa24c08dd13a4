"""Walks the tree of a template and writes its text, within bounds.

Source: Go `text/template/exec.go`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from tidegauge.alerts.templates.errors import BadCall, TemplateError
from tidegauge.alerts.templates.functions import (
    MAX_TEXT_CHARS,
    Function,
    go_type_of,
    has_kind,
)
from tidegauge.alerts.templates.nodes import (
    Action,
    Block,
    Branch,
    Call,
    Command,
    Dot,
    Fields,
    Leave,
    Literal,
    Operand,
    Pipeline,
    Text,
    Variable,
)
from tidegauge.alerts.templates.nodes import Function as FunctionName
from tidegauge.alerts.templates.parser import Template
from tidegauge.alerts.templates.values import GoMap, Record, Value, is_true, name_type, to_text
from tidegauge.promql.quoting import quote

MAX_STEPS = 50_000
MAX_TIME_S = 0.1
MAX_CALLS_DEEP = 20

Node = Action | Branch | Leave | Call | Command | Pipeline | Operand
_NOTHING = object()


@dataclass(slots=True)
class Budget:
    """What an expansion may use, queries apart: steps, and seconds of its own.

    Args:
        clock: seconds of work of this thread: a busy machine must not cost an alert its text.
    """

    clock: Callable[[], float] = time.thread_time
    steps: int = 0
    _until_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._until_s = self.clock() + MAX_TIME_S

    def spend(self) -> None:
        """Count one step.

        Raises:
            BadCall: it is one too many, or the time is over.
        """
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise BadCall(f"more than {MAX_STEPS} steps")
        if self.clock() > self._until_s:
            raise BadCall(f"more than {MAX_TIME_S * 1000:.0f} ms")

    def lend(self, work: Callable[[], Value]) -> Value:
        """Return the result of work whose time has bounds of its own."""
        before_s = self.clock()
        try:
            return work()
        finally:
            self._until_s += self.clock() - before_s


class Execution:
    """One expansion of a template.

    Args:
        template: its tree.
        functions: by name; all that the tree calls.
        budget: what it may use.
    """

    def __init__(
        self, template: Template, functions: Mapping[str, Function], budget: Budget
    ) -> None:
        self._template, self._functions, self._budget = template, functions, budget
        self._written: list[str] = []
        self._chars = self._calls = 0
        self._variables: list[tuple[str, Value]] = []
        self._node: Node | None = None

    def run(self, data: Value) -> str:
        """Return the text for this data.

        Raises:
            TemplateError: says where, in Go's words.
        """
        self._variables = [("$", data)]
        try:
            self._block(self._template.body, data)
        except BadCall as fault:
            raise self._locate(str(fault)) from fault
        except RecursionError as fault:
            raise self._locate("blocks and templates are nested too deep") from fault
        return "".join(self._written)

    def _locate(self, message: str) -> TemplateError:
        name, node = self._template.name, self._node
        start = f"error executing template {name}: template: {name}"
        if node is None or isinstance(node, Action | Branch | Leave):
            return TemplateError(f"{start}: {message}")
        before = self._template.text[: node.position]
        line = before.count("\n") + 1
        column = len(before.rpartition("\n")[2].encode())
        shown = f"{{{{template {quote(node.name)}}}}}" if isinstance(node, Call) else str(node)
        place = f"{line}:{column}: executing {quote(name)} at <{shown}>"
        return TemplateError(f"{start}:{place}: {message}")

    def _block(self, block: Block, dot: Value) -> str:
        """Write a block; return "break" or "continue" where it was left by that."""
        known = len(self._variables)
        left = ""
        for node in block:
            self._budget.spend()
            if isinstance(node, Text):
                self._write(node.text)
            elif isinstance(node, Action):
                value = self._pipeline(node.pipeline, dot)
                if not node.pipeline.variables:
                    self._node = node.pipeline
                    self._write("<no value>" if value is None else to_text(value))
            elif isinstance(node, Branch):
                left = self._range(node, dot) if node.kind == "range" else self._branch(node, dot)
            elif isinstance(node, Call):
                self._call_template(node, dot)
            else:
                left = node.kind
            if left:
                break
        del self._variables[known:]
        return left

    def _branch(self, node: Branch, dot: Value) -> str:
        known = len(self._variables)
        value = self._pipeline(node.pipeline, dot)
        if is_true(value):
            left = self._block(node.body, value if node.kind == "with" else dot)
        else:
            left = self._block(node.otherwise, dot)
        del self._variables[known:]
        return left

    def _range(self, node: Branch, dot: Value) -> str:
        known = len(self._variables)
        source = self._evaluate_all(node.pipeline, dot)
        self._node = node.pipeline
        empty = True
        for key, value in _items(source):
            empty = False
            self._budget.spend()
            self._give_items(node.pipeline, key, value)
            left = self._block(node.body, value)
            if not node.pipeline.assigns:
                del self._variables[known:]
            if left == "break":
                break
        return self._block(node.otherwise, dot) if empty else ""

    def _give_items(self, pipeline: Pipeline, key: Value, value: Value) -> None:
        given = (value,) if len(pipeline.variables) == 1 else (key, value)
        for name, one in zip(pipeline.variables, given, strict=False):
            self._set(name, one, assigns=pipeline.assigns)

    def _call_template(self, node: Call, dot: Value) -> None:
        body = self._template.defined.get(node.name)
        self._node = node
        if body is None:
            raise BadCall(f"template {quote(node.name)} not defined")
        self._calls += 1
        if self._calls > MAX_CALLS_DEEP:
            raise BadCall(f"templates call one another more than {MAX_CALLS_DEEP} deep")
        data = None if node.argument is None else self._pipeline(node.argument, dot)
        outer, self._variables = self._variables, [("$", data)]
        self._block(body, data)
        self._variables = outer
        self._calls -= 1

    def _pipeline(self, pipeline: Pipeline, dot: Value) -> Value:
        value = self._evaluate_all(pipeline, dot)
        for name in pipeline.variables:
            self._set(name, value, assigns=pipeline.assigns)
        return value

    def _evaluate_all(self, pipeline: Pipeline, dot: Value) -> Value:
        value: Value = _NOTHING
        for command in pipeline.commands:
            self._budget.spend()
            value = self._command(command, dot, value)
        return value

    def _set(self, name: str, value: Value, *, assigns: bool) -> None:
        if not assigns:
            self._variables.append((name, value))
            return
        for place in range(len(self._variables) - 1, -1, -1):
            if self._variables[place][0] == name:
                self._variables[place] = (name, value)
                return

    def _command(self, command: Command, dot: Value, piped: Value) -> Value:
        first, *rest = command.operands
        if isinstance(first, FunctionName):
            return self._call(first.name, command, rest, dot, piped)
        self._node = first
        if rest or piped is not _NOTHING:
            if isinstance(first, Fields | Variable) and first.fields:
                raise BadCall(f"{first.fields[-1]} {self._why_not_called(first, dot)}")
            raise BadCall(f"can't give argument to non-function {first}")
        if isinstance(first, Literal) and first.value is None:
            raise BadCall("nil is not a command")
        return self._evaluate(first, dot)

    def _why_not_called(self, first: Fields | Variable, dot: Value) -> str:
        holder = self._evaluate(replace(first, fields=first.fields[:-1]), dot)
        if isinstance(holder, GoMap):
            return "is not a method but has arguments"
        return "has arguments but cannot be invoked as function"

    def _call(
        self, name: str, node: Command, arguments: list[Operand], dot: Value, piped: Value
    ) -> Value:
        function = self._functions[name]
        count = len(arguments) + (piped is not _NOTHING)
        wanted = len(function.takes)
        self._node = node.operands[0]
        if count < wanted or (count > wanted and not function.more):
            least = f"at least {wanted}" if function.more else str(wanted)
            raise BadCall(f"wrong number of args for {name}: want {least} got {count}")
        if name in ("and", "or"):
            return self._short_circuit(name, arguments, dot, piped)
        values: list[Value] = []
        for place, argument in enumerate(arguments):
            value = self._evaluate(argument, dot)
            self._check(value, _kind(function, place), argument)
            values.append(value)
        if piped is not _NOTHING:
            self._check(piped, _kind(function, len(values)), node)
            values.append(piped)
        self._node = node
        try:
            result = function.run(*values)
        except BadCall as fault:
            raise BadCall(f"error calling {name}: {fault}") from fault
        if isinstance(result, str) and len(result) > MAX_TEXT_CHARS:
            raise BadCall(f"error calling {name}: more than {MAX_TEXT_CHARS} characters")
        return result

    def _short_circuit(
        self, name: str, arguments: list[Operand], dot: Value, piped: Value
    ) -> Value:
        value: Value = None
        for argument in arguments:
            value = self._evaluate(argument, dot)
            if is_true(value) == (name == "or"):
                return value
        return value if piped is _NOTHING else piped

    def _check(self, value: Value, kind: str, node: Operand | Command) -> None:
        if has_kind(value, kind):
            return
        self._node = node
        wanted = go_type_of(kind)
        if isinstance(node, Literal) and value is None:
            raise BadCall(f"cannot assign nil to {wanted}")
        if value is None:
            raise BadCall(f"wrong type for value; expected {wanted}; got interface {{}}")
        raise BadCall(f"wrong type for value; expected {wanted}; got {name_type(value)}")

    def _evaluate(self, operand: Operand, dot: Value) -> Value:
        self._budget.spend()
        if isinstance(operand, Literal):
            return operand.value
        if isinstance(operand, Dot):
            return dot
        if isinstance(operand, Variable):
            value = next(value for name, value in reversed(self._variables) if name == operand.name)
            return self._take(value, operand.fields, operand)
        if isinstance(operand, Fields):
            base = dot if operand.base is None else self._pipeline(operand.base, dot)
            return self._take(base, operand.fields, operand)
        if isinstance(operand, Pipeline):
            return self._pipeline(operand, dot)
        return self._call(operand.name, Command(operand.position, (operand,)), [], dot, _NOTHING)

    def _take(self, value: Value, names: tuple[str, ...], node: Operand) -> Value:
        for name in names:
            self._node = node
            if isinstance(value, GoMap):
                value = value.get(name)
            elif isinstance(value, Record) and name in value.fields:
                value = value.fields[name]
            elif value is None:
                raise BadCall(f"nil pointer evaluating interface {{}}.{name}")
            else:
                raise BadCall(f"can't evaluate field {name} in type {name_type(value)}")
        return value

    def _write(self, text: str) -> None:
        self._chars += len(text)
        if self._chars > MAX_TEXT_CHARS:
            raise BadCall(f"the result has more than {MAX_TEXT_CHARS} characters")
        self._written.append(text)


def _kind(function: Function, place: int) -> str:
    return function.takes[place] if place < len(function.takes) else function.more


def _items(source: Value) -> Iterator[tuple[Value, Value]]:
    if isinstance(source, GoMap):
        yield from sorted(source.entries.items())
    elif isinstance(source, list):
        yield from enumerate(source)
    elif isinstance(source, int) and not isinstance(source, bool):
        for number in range(source):
            yield number, number
    elif source is not None:
        raise BadCall(f"range can't iterate over {to_text(source)}")
