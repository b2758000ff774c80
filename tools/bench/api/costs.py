"""Runs all cases, and compares what they cost with the committed table."""

import contextlib
import io
import json
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
import pytest

from recordings.observability import logger
from tests.support.deployed import FUNCTIONS, Deployed, deployed
from tests.support.template import ROOT
from tools.bench.api import endpoints, tasks
from tools.bench.api.bench import Bench, BenchError, Case, run_all
from tools.bench.api.frozen import frozen_clock, frozen_rate_limit
from tools.bench.api.meter import Costs

TABLE_PATH: Final = ROOT / "tests/data/api_costs.json"
CASES: Final[Mapping[str, Case]] = {**endpoints.CASES, **tasks.CASES}
# Cases that take long, of functions whose first call is measured in another case or is like every other.
ONLY_WARM: Final = frozenset({"lists", "more parts"})
# The function whose processor time is the unit of the others'.
UNIT: Final = ("GetRecording", "ready")

# Stands beside the functions: what the table holds.
STORED: Final = "Stored"

type Table = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Measured:
    """`table` is the same at every run. `cpu` is of this run: how many times that of GetRecording."""

    table: Table
    cpu: Mapping[tuple[str, str], float]
    unit_ms: float


def measure(warm_runs: int) -> Measured:
    """Run all cases once in functions that have just been loaded, then so often again.

    Raises:
        BenchError: a case fails, or two runs differ
    """
    with _running() as app:
        bench = Bench(app)
        bench.app = Deployed(app.standin)
        cold = run_all(bench, {name: case for name, case in CASES.items() if name not in ONLY_WARM})
        runs = [run_all(bench, CASES) for _ in range(warm_runs)]
    _require_equal(runs)
    cpu_ms = {key: min(run[key].cpu_ms for run in runs) for key in runs[0]}
    table: Table = {}
    for (function, case), costs in runs[0].items():
        table.setdefault(function, {})[case] = _row(costs, cold.get((function, case), costs).calls - costs.calls)
    table[STORED] = {"a recording": {"bytes": bench.recording_bytes}}
    return Measured(table, {key: ms / cpu_ms[UNIT] for key, ms in cpu_ms.items()}, cpu_ms[UNIT])


@contextmanager
def _running() -> Iterator[Deployed]:
    """All functions, loaded, with a clock that stands still. What they log is thrown away."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(_quiet())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        environment.setenv("RETENTION_DAYS", "30")
        stack.enter_context(frozen_rate_limit())
        app = stack.enter_context(deployed(folder))
        # However busy the machine is, a secret is read once.
        environment.setenv("SECRET_TTL_SECONDS", "3600")
        boto3.client("events").create_event_bus(Name="recordings-bus")
        # Loads every module that reads the clock.
        for name in FUNCTIONS:
            app.handler(name)
        stack.enter_context(frozen_clock())
        yield app


@contextmanager
def _quiet() -> Iterator[None]:
    """Log into memory within the block: writing a line is part of a request's work, but nobody reads these."""
    handlers = [one for one in logging.getLogger(logger.service).handlers if isinstance(one, logging.StreamHandler)]
    streams = [one.setStream(io.StringIO()) for one in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, streams, strict=True):
            if stream is not None:
                handler.setStream(stream)


def _require_equal(runs: Sequence[Mapping[tuple[str, str], Costs]]) -> None:
    for run in runs[1:]:
        for key, costs in run.items():
            first, again = _row(runs[0][key], Counter()), _row(costs, Counter())
            if first != again:
                raise BenchError(f"{', '.join(key)}: two runs differ: {first} and {again}")


def _row(costs: Costs, cold_calls: Counter[str]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "read_units": costs.read_units,
        "write_units": costs.write_units,
        "trips": costs.trips,
        "calls": dict(sorted(costs.calls.items())),
    }
    # What the first call of a process does and later ones do not.
    return row | ({"cold_calls": dict(sorted(cold_calls.items()))} if cold_calls else {})


# ---------------------------------------------------------------- the committed table


def committed() -> Table:
    """Return the committed table."""
    table: Table = json.loads(TABLE_PATH.read_text())
    return table


def accept(table: Table) -> None:
    """Commit a table."""
    TABLE_PATH.write_text(json.dumps(table, indent=2) + "\n")


def differences(before: Table, after: Table) -> list[str]:
    """Return a line for each number that is not the same, and for each case that only one table has."""
    lines = []
    for key in sorted({*_keys(before), *_keys(after)}):
        function, case = key
        old, new = before.get(function, {}).get(case), after.get(function, {}).get(case)
        name = f"{function}, {case}" if case else function
        if old is None or new is None:
            lines.append(f"{name}: {'is new' if old is None else 'is not measured any more'}")
            continue
        old, new = _flat(old), _flat(new)
        lines += [
            f"{name}: {what} {old.get(what, 0):g} -> {new.get(what, 0):g}"
            for what in dict.fromkeys([*old, *new])
            if old.get(what, 0) != new.get(what, 0)
        ]
    return lines


def _keys(table: Table) -> Iterator[tuple[str, str]]:
    return ((function, case) for function, cases in table.items() for case in cases)


def _flat(row: Mapping[str, Any]) -> dict[str, float]:
    flat: dict[str, float] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            first = "first call: " if name == "cold_calls" else ""
            flat |= {f"{first}{call}": times for call, times in value.items()}
        else:
            flat[name.replace("_", " ")] = value
    return flat
