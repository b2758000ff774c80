"""The loop of the engine's process. It counts the calls of every client of AWS and R2 that is made after its start."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from inspect import BoundArguments, signature
from pathlib import Path
from typing import Any, Final

import requests.adapters
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

# Nothing else of the layer is imported here: a client that is made before the counter is registered is not counted.
from recordings.adapters.aws.clients import shared_session
from recordings.domain.actor import system
from recordings.request_context import request_context

# The file of the certificate that the engine trusts as well, for TLS over the loopback interface.
AUTHORITY: Final = "BENCH_AUTHORITY"


def serve() -> None:
    """Call what each line of the input names, in JSON, and write the result as a line, until the input ends."""
    if AUTHORITY in os.environ:
        requests.adapters.DEFAULT_CA_BUNDLE_PATH = os.environ[AUTHORITY]
    counted: Counter[str] = Counter()

    def count(**event: Any) -> None:
        _before, service, operation = event["event_name"].split(".")
        counted[f"{service}.{operation}"] += 1
        if operation == "TransactWriteItems":
            counted[f"{service}.TransactedItem"] += len(json.loads(event["request"].body)["TransactItems"])
        if operation == "BatchWriteItem":
            tables = json.loads(event["request"].body)["RequestItems"]
            counted[f"{service}.BatchedItem"] += sum(len(items) for items in tables.values())

    shared_session().register("before-send", count)
    # Log lines of what is called must not come between the results.
    results, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        what, arguments, named = json.loads(line)
        counted.clear()
        try:
            module, name = what.split(":")
            called = getattr(import_module(module), name)
            typed = _typed(called, arguments, named)
            _reset_peak()
            began, worked = time.perf_counter(), time.process_time()
            with request_context(tenant_id=None, actor=system("workflow")):
                value = called(*typed.args, **typed.kwargs)
            seconds, cpu = time.perf_counter() - began, time.process_time() - worked
            result = {
                "value": to_jsonable_python(value),
                "seconds": seconds,
                "cpu": cpu,
                "calls": counted,
                "peak_mb": _peak_mb(),
            }
        except Exception as error:
            result = {"error": [type(error).__name__, str(error)]}
        print(json.dumps(result), file=results, flush=True)


def _typed(called: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any]) -> BoundArguments:
    """The JSON values as the types that `called` takes."""
    called_with = signature(called, eval_str=True)
    bound = called_with.bind(*arguments, **named)
    for name, value in bound.arguments.items():
        bound.arguments[name] = TypeAdapter(called_with.parameters[name].annotation).validate_python(value)
    return bound


def _reset_peak() -> None:
    # "5" puts the peak back to what is resident now (proc(5), clear_refs).
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    # Not getrusage: its peak is inherited from the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
