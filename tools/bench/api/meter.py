"""Counts what one call of a handler costs, in this process, over moto and the stand-in for Cloudflare."""

import http.client
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.client import BaseClient
from moto.core.botocore_stubber import BotocoreStubber
from moto.dynamodb.models.utilities import dynamo_to_dict

from tests.support.table import stored
from tools.bench.dynamodb.trips import counted_trips, current_clock
from tools.bench.units import StoredItem, item_size, read_units, write_units

type Parameters = Mapping[str, Any]
type Key = Mapping[str, Any]

NANOSECONDS: Final = 1_000_000
SINGLE_WRITES: Final = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
# What names a filter or a projection, and changes neither which items are read nor what that costs.
WITHOUT_COST: Final = frozenset({"FilterExpression", "ProjectionExpression", "Select", "ReturnConsumedCapacity"})


@dataclass(slots=True)
class Costs:
    """Of one call. `trips` are calls that wait for each other, `cpu_ms` our own work on them."""

    read_units: float = 0
    write_units: int = 0
    trips: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    cpu_ms: float = 0


class Meter:
    """Counts within `measured`, in all threads but those of the stand-in, which makes no such call."""

    def __init__(self, http_operations: Callable[[], Sequence[str]]) -> None:
        """`http_operations` returns the names of all calls that the stand-in has received."""
        self._http_operations = http_operations
        self._costs = Costs()
        # What is read before and after a call must be of this call.
        self._lock = threading.RLock()
        self._thread = threading.local()

    @contextmanager
    def measured(self) -> Iterator[Costs]:
        """Count what happens within the block. The result is complete after it."""
        self._costs, before = Costs(), len(self._http_operations())
        with counted_trips() as clock, self._patched(), self._working():
            yield self._costs
        self._costs.trips = clock.trips
        for operation in self._http_operations()[before:]:
            self._costs.calls[f"cloudflare.{operation}"] += 1

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Add this thread's time within the block, without what is excluded."""
        self._thread.excluded_ns = 0
        started_ns = time.thread_time_ns()
        try:
            yield
        finally:
            spent_ns = time.thread_time_ns() - started_ns - self._thread.excluded_ns
            with self._lock:
                self._costs.cpu_ms += spent_ns / NANOSECONDS

    @contextmanager
    def _excluded(self) -> Iterator[None]:
        """Neither count what this thread does within the block nor its time."""
        started_ns, self._thread.is_excluded = time.thread_time_ns(), True
        try:
            yield
        finally:
            self._thread.is_excluded = False
            self._thread.excluded_ns = getattr(self._thread, "excluded_ns", 0) + time.thread_time_ns() - started_ns

    def _is_measured(self) -> bool:
        return not getattr(self._thread, "is_excluded", False)

    # ---------------------------------------------------------------- where calls pass

    @contextmanager
    def _patched(self) -> Iterator[None]:
        with ExitStack() as patches:
            patches.enter_context(replaced(BaseClient, "_make_api_call", self._api_call))
            patches.enter_context(replaced(BotocoreStubber, "__call__", self._stub))
            patches.enter_context(replaced(http.client.HTTPConnection, "putrequest", self._http_request))
            patches.enter_context(replaced(ThreadPoolExecutor, "submit", self._submit))
            yield

    def _api_call(self, call: Callable[..., Any], client: Any, operation: str, parameters: Parameters) -> Any:
        if not self._is_measured():
            return call(client, operation, parameters)
        _count_trip()
        with self._lock:
            self._costs.calls[f"{_service(client, parameters)}.{operation}"] += 1
            if client.meta.service_model.service_name == "dynamodb":
                return self._table_call(call, client, operation, parameters)
        return call(client, operation, parameters)

    def _table_call(self, call: Callable[..., Any], client: Any, operation: str, parameters: Parameters) -> Any:
        table = _Table(lambda *arguments: call(client, *arguments))
        with self._excluded():
            keys = written_keys(operation, parameters)
            before = table.images(keys)
        response, failed = None, True
        try:
            response = call(client, operation, parameters)
            failed = False
        finally:
            with self._excluded():
                after = proposed(operation, parameters, before) if failed else table.images(keys)
                in_transaction = operation == "TransactWriteItems"
                for old, new in zip(before, after, strict=True):
                    self._costs.write_units += write_units(old, new, transaction=in_transaction)
                self._costs.read_units += table.read_units(operation, parameters)
        return response

    def _stub(self, call: Callable[..., Any], stubber: Any, event_name: str, request: Any, **named: Any) -> Any:
        """Let moto respond. Its work is not ours."""
        if not self._is_measured():
            return call(stubber, event_name, request, **named)
        with self._excluded():
            if isinstance(request.body, bytearray):
                # botocore sends it, moto does not take it.
                request.body = bytes(request.body)
            return call(stubber, event_name, request, **named)

    def _http_request(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        _count_trip()
        return call(*arguments, **named)

    def _submit(
        self, call: Callable[..., Any], pool: Any, task: Callable[..., Any], /, *arguments: Any, **named: Any
    ) -> Any:
        if current_clock() is None:
            return call(pool, task, *arguments, **named)

        def working() -> Any:
            with self._working():
                return task(*arguments, **named)

        return call(pool, working)


def _count_trip() -> None:
    """Count a call of a thread that works for the measured call."""
    clock = current_clock()
    if clock is not None:
        clock.call()


@contextmanager
def replaced(owner: type, name: str, replacement: Callable[..., Any]) -> Iterator[None]:
    """Call `replacement` with the method, its object and its arguments, within the block."""
    method = getattr(owner, name)

    def called(*arguments: Any, **named: Any) -> Any:
        return replacement(method, *arguments, **named)

    setattr(owner, name, called)
    try:
        yield
    finally:
        setattr(owner, name, method)


def _service(client: Any, parameters: Parameters) -> str:
    name: str = client.meta.service_model.service_name
    return "r2" if name == "s3" and parameters.get("Bucket") == os.environ["R2_BUCKET"] else name


# ------------------------------------------------------------------------------------------------ items of a request


def written_keys(operation: str, parameters: Parameters) -> list[tuple[str, Key]]:
    """Return the table and the key of each item that a request writes or checks."""
    if operation in SINGLE_WRITES:
        return [_place(parameters)]
    if operation == "TransactWriteItems":
        return [_place(action) for one in parameters["TransactItems"] for action in one.values()]
    if operation == "BatchWriteItem":
        return [
            (table, _place({"TableName": table} | action)[1])
            for table, requests in parameters["RequestItems"].items()
            for one in requests
            for action in one.values()
        ]
    return []


def _place(action: Parameters) -> tuple[str, Key]:
    key = action.get("Key") or {name: action["Item"][name] for name in ("pk", "sk")}
    return action["TableName"], key


def proposed(
    operation: str, parameters: Parameters, before: Sequence[StoredItem | None]
) -> Sequence[StoredItem | None]:
    """Return what a request that failed would have stored, as far as it says so; otherwise what is there."""
    actions: list[Parameters] = [parameters]
    if operation == "TransactWriteItems":
        actions = [action for one in parameters["TransactItems"] for action in one.values()]
    return [action.get("Item", old) for action, old in zip(actions, before, strict=False)]


class _Table:
    """Reads what is stored, by calls that are not counted."""

    def __init__(self, call: Callable[[str, Parameters], Any]) -> None:
        self._call = call

    def image(self, table: str, key: Key) -> StoredItem | None:
        found = stored().get_item(table, key)
        return None if found is None else dynamo_to_dict(found.to_json()["Attributes"])

    def images(self, keys: Sequence[tuple[str, Key]]) -> list[StoredItem | None]:
        return [self.image(table, key) for table, key in keys]

    def read_units(self, operation: str, parameters: Parameters) -> float:
        """Return what a request consumed. A projection or a filter makes it no cheaper."""
        match operation:
            case "GetItem":
                return self._of_keys(parameters, parameters["TableName"], [parameters["Key"]])
            case "BatchGetItem":
                return sum(self._of_keys(one, table, one["Keys"]) for table, one in parameters["RequestItems"].items())
            case "TransactGetItems":
                return sum(
                    self._of_keys({}, get["TableName"], [get["Key"]], transaction=True)
                    for one in parameters["TransactItems"]
                    for get in one.values()
                )
            case "Query" | "Scan":
                items = self._call(operation, unfiltered(parameters))["Items"]
                consistent = parameters.get("ConsistentRead", False)
                return read_units(map(item_size, items), consistent=consistent)
            case _:
                return 0

    def _of_keys(self, parameters: Parameters, table: str, keys: Sequence[Key], *, transaction: bool = False) -> float:
        consistent = transaction or parameters.get("ConsistentRead", False)
        images = [self.image(table, key) for key in keys]
        return sum(
            read_units([item_size(one)] if one else [], consistent=consistent, transaction=transaction)
            for one in images
        )


def unfiltered(parameters: Parameters) -> dict[str, Any]:
    """Return a Query that reads the same items and returns them whole."""
    plain = {name: value for name, value in parameters.items() if name not in WITHOUT_COST}
    used = set(re.findall(r"[#:]\w+", plain.get("KeyConditionExpression", "")))
    for names in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        if names in plain:
            plain[names] = {name: value for name, value in plain[names].items() if name in used}
            if not plain[names]:
                del plain[names]
    return plain
