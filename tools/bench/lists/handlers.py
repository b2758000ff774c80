"""Our own functions, called in this process as Lambda calls them."""

import contextlib
import importlib
import io
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from aws_lambda_powertools.utilities.typing import LambdaContext

from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.layout import forget_layout
from tools.bench.dynamodb.table import MemoryTable
from tools.bench.dynamodb.trips import counted_trips
from tools.bench.lists import ROOT

# A request has this long; no call to a table in memory takes long.
SECONDS: Final = 29


class UnexpectedResponse(Exception):
    """A function returned another status than 200."""


class Context(LambdaContext):
    """What Lambda tells a function about itself."""

    _function_name = "bench"
    _memory_limit_in_mb = 512
    _invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:bench"
    _aws_request_id = "bench-1"

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]  # Powertools' is a static one
        return SECONDS * 1000


@dataclass(frozen=True, slots=True)
class Measured:
    """A response, and what it cost. `cpu_seconds` is our own code's with botocore's, in all threads."""

    body: dict[str, Any]
    units: float
    calls: int
    trips: int
    cpu_seconds: float


@contextmanager
def serving(table: MemoryTable) -> Iterator[None]:
    """Let the functions read this table within the block."""
    forget_layout()
    try:
        with table.answering(client):
            yield
    finally:
        forget_layout()


def list_recordings(table: MemoryTable, parameters: Sequence[tuple[str, str]]) -> Measured:
    """Call ListRecordings, within `serving`."""
    event = _event("list_recordings") | {"rawQueryString": urlencode(parameters)}
    return _call(table, "list_recordings", event)


def get_recording(table: MemoryTable, recording_id: str) -> Measured:
    """Call GetRecording, within `serving`."""
    event = _event("get_recording") | {"pathParameters": {"id": recording_id}}
    return _call(table, "get_recording", event)


def _event(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / f"events/{name}.json").read_text())
    return event


def _call(table: MemoryTable, name: str, event: dict[str, Any]) -> Measured:
    handler = importlib.import_module(f"functions.api.{name}.app").handler
    # The functions write a line of metrics.
    with contextlib.redirect_stdout(io.StringIO()), table.measured() as cost, counted_trips() as clock:
        began = time.process_time()
        response = handler(event, Context())
        spent = time.process_time() - began
    if response["statusCode"] != HTTPStatus.OK:
        raise UnexpectedResponse(f"{name} returned {response['statusCode']}: {response['body']}")
    return Measured(json.loads(response["body"]), cost.units, cost.calls, clock.trips, spent - cost.table_seconds)
