"""Reads a script. What cannot be read becomes a `Broken` command, never a silent gap."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tidegauge.errors import InvalidInput
from tidegauge.promql.scripts.commands import (
    Broken,
    Clear,
    Command,
    Eval,
    Expected,
    Grid,
    Load,
    Offsets,
    Wording,
)
from tidegauge.promql.scripts.notation import (
    ScriptError,
    SeriesLine,
    find_number,
    parse_duration_ms,
    parse_series_line,
    parse_string,
)
from tidegauge.promql.scripts.starts import StartsLine, is_starts_line, parse_starts_line

_LOAD = re.compile(r"load(_with_nhcb)?\s+(\S+)")
_EVAL_INSTANT = re.compile(r"eval(?:_(fail|warn|ordered|info))?\s+instant\s+at\s+(\S+)\s+(.+)")
_EVAL_RANGE = re.compile(
    r"eval(?:_(fail|warn|info))?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.+)"
)
_EXPECT = re.compile(
    r"expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?", re.DOTALL
)
_EXPECT_GRID = re.compile(r"expect\s+range\s+vector\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)")
_EXPECT_STRING = re.compile(r"expect\s+string\s+(.+)")
_OLD_FAIL = re.compile(r"expected_fail_(message|regexp)\s+(.+)")

_Lines = Sequence[tuple[int, str]]


def parse_script(text: str) -> list[Command]:
    """Return the commands of a script, in order."""
    return [_parse_command(block) for block in _blocks(text)]


def _blocks(text: str) -> list[list[tuple[int, str]]]:
    """Split into commands: a line that starts one, and the lines up to the next blank one."""
    blocks: list[list[tuple[int, str]]] = []
    open_block = False
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            open_block = False
        elif open_block:
            blocks[-1].append((number, line))
        else:
            blocks.append([(number, line)])
            # A clear has no lines of its own: what follows it is the next command.
            open_block = line.lower() != "clear"
    return blocks


def _parse_command(block: _Lines) -> Command:
    (number, first), rest = block[0], block[1:]
    word = first.split(maxsplit=1)[0].lower()
    try:
        if word == "clear":
            return Clear(number)
        if word.startswith("load"):
            return _parse_load(number, first, rest)
        if word.startswith("eval"):
            return _parse_eval(number, first, rest)
    except InvalidInput as exc:
        return Broken(number, exc.message)
    return Broken(number, f"invalid command {first!r}")


def _parse_load(number: int, first: str, rest: _Lines) -> Load:
    found = _LOAD.fullmatch(first)
    if found is None:
        raise ScriptError("invalid load command: load[_with_nhcb] <interval>")
    series: list[SeriesLine] = []
    starts: list[Offsets] = []
    waiting: StartsLine | None = None
    for _, line in rest:
        if is_starts_line(line):
            if waiting is not None:
                raise ScriptError("@st line has no following sample line")
            waiting = parse_starts_line(line)
            continue
        series.append(parse_series_line(line))
        starts.append(_check_starts(waiting, series[-1]))
        waiting = None
    if waiting is not None:
        raise ScriptError("@st line has no following sample line")
    return Load(
        number,
        parse_duration_ms(found[2]),
        tuple(series),
        with_nhcb=found[1] is not None,
        starts=tuple(starts),
    )


def _check_starts(starts: StartsLine | None, series: SeriesLine) -> Offsets:
    if starts is None:
        return ()
    if starts.labels != series.labels:
        raise ScriptError("@st metric does not match the following sample line metric")
    if len(starts.offsets_ms) != len(series.points):
        raise ScriptError(
            f"@st line has {len(starts.offsets_ms)} values but sample line has {len(series.points)}"
        )
    return starts.offsets_ms


def _parse_eval(number: int, first: str, rest: _Lines) -> Eval:
    instant, ranged = _EVAL_INSTANT.fullmatch(first), _EVAL_RANGE.fullmatch(first)
    if instant is not None:
        mode, at, expr = instant.groups()
        at_ms = parse_duration_ms(at)
        command = Eval(number, expr, Grid(at_ms, at_ms, 0))
    elif ranged is not None:
        mode, *times, expr = ranged.groups()
        command = Eval(number, expr, _parse_grid(*times))
    else:
        raise ScriptError("invalid eval command: eval instant at <time> <query>, or range from …")
    if mode is not None:
        command.expects[Expected(mode)] = [Wording()]
    for _, line in rest:
        _parse_expectation(command, line)
    _check_expectations(command)
    return command


def _parse_grid(start: str, end: str, step: str) -> Grid:
    grid = Grid(parse_duration_ms(start), parse_duration_ms(end), parse_duration_ms(step))
    if grid.end_ms < grid.start_ms or grid.step_ms <= 0:
        raise ScriptError(f"invalid range: from {start} to {end} step {step}")
    return grid


def _parse_expectation(command: Eval, line: str) -> None:
    # A metric of the name `expect` can still be written as `expect{}`.
    if line.split(maxsplit=1)[0] == "expect":
        _parse_expect(command, line)
        return
    old = _OLD_FAIL.fullmatch(line)
    if old is not None and Expected.FAIL in command.expects:
        wording = {"message" if old[1] == "message" else "pattern": old[2]}
        command.expects[Expected.FAIL] = [Wording(**wording)]
        return
    number = find_number(line)
    if number is not None:
        command.scalar = number
        return
    series = parse_series_line(line)
    command.series.append(series)
    if not series.points:
        raise ScriptError(f"no value is expected of {line!r}")
    if len(series.points) > 1 and not command.is_range and command.range_vector is None:
        raise ScriptError("an instant query with several values a series: use expect range vector")


def _parse_expect(command: Eval, line: str) -> None:
    grid, text = _EXPECT_GRID.fullmatch(line), _EXPECT_STRING.fullmatch(line)
    if grid is not None:
        command.range_vector = _parse_grid(*grid.groups())
        return
    if text is not None:
        command.text = parse_string(text[1])
        return
    found = _EXPECT.fullmatch(line)
    if found is None:
        raise ScriptError(f"invalid expect line {line!r}")
    kind, how, wanted = found.groups()
    if how is None:
        wording = Wording()
    elif how == "msg":
        wording = Wording(message=wanted.strip())
    else:
        wording = Wording(pattern=wanted.strip())
    command.expects.setdefault(Expected(kind), []).append(wording)


def _check_expectations(command: Eval) -> None:
    kinds = command.expects
    for one, other in ((Expected.WARN, Expected.NO_WARN), (Expected.INFO, Expected.NO_INFO)):
        if one in kinds and other in kinds:
            raise ScriptError(f"expect {one.value} and {other.value} cannot be used together")
    if len(kinds.get(Expected.FAIL, ())) > 1:
        raise ScriptError("more than one expect fail line")
    known: set[object] = set()
    for series in command.series:
        if series.labels in known:
            raise ScriptError(f"series {series.labels} is expected twice")
        known.add(series.labels)
