"""A table in memory, and its answers to the reads of our client.

It answers where botocore would send a request, so a measured read contains everything that a function does for it but
the network. Only reads: writes are tested on moto.
"""

import json
import threading
import time
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, cast

from botocore.awsrequest import AWSResponse

from tools.bench.dynamodb.expressions import (
    Condition,
    DocumentPath,
    KeyRange,
    Value,
    parse_condition,
    parse_key_condition,
    parse_projection,
)
from tools.bench.dynamodb.trips import current_clock
from tools.bench.units import StoredItem, item_size, read_units

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from mypy_boto3_dynamodb import DynamoDBClient

# API Reference, Query and BatchGetItem.
MAX_PAGE_BYTES: Final = 1 << 20
MAX_BATCH: Final = 100


class Partition(Protocol):
    """The items of one partition key, in the order of their sort keys."""

    @property
    def sort_keys(self) -> Sequence[str]: ...

    def item(self, at: int) -> StoredItem: ...

    def size(self, at: int) -> int: ...

    def attribute(self, at: int, name: str) -> Value | None:
        """Return one attribute, None if the item has none. A filter of many items is quicker with it."""
        ...


class StoredPartition:
    """A partition of items that are held as they are."""

    def __init__(self) -> None:
        self.sort_keys: list[str] = []
        self._items: list[StoredItem] = []
        self._sizes: list[int] = []

    def put(self, item: StoredItem) -> None:
        sort_key = item["sk"]["S"]
        at = bisect_left(self.sort_keys, sort_key)
        if at < len(self.sort_keys) and self.sort_keys[at] == sort_key:
            self._items[at], self._sizes[at] = item, item_size(item)
        else:
            self.sort_keys.insert(at, sort_key)
            self._items.insert(at, item)
            self._sizes.insert(at, item_size(item))

    def item(self, at: int) -> StoredItem:
        return self._items[at]

    def size(self, at: int) -> int:
        return self._sizes[at]

    def attribute(self, at: int, name: str) -> Value | None:
        return self._items[at].get(name)


@dataclass(slots=True)
class Cost:
    """What the calls within a block of `MemoryTable.measured` cost."""

    units: float = 0
    calls: int = 0
    items: int = 0
    # CPU of the table itself, in all threads.
    table_seconds: float = 0


class MemoryTable:
    """Partitions by their key. Pages may be shortened for tests with `page_bytes`."""

    def __init__(self, *, page_bytes: int = MAX_PAGE_BYTES) -> None:
        self.partitions: dict[str, Partition] = {}
        self.page_bytes = page_bytes
        self._lock = threading.Lock()
        self._cost = Cost()
        self._operations: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "Query": self._query,
            "GetItem": self._get_item,
            "BatchGetItem": self._batch_get_item,
        }

    def put(self, item: StoredItem) -> None:
        """Store an item in DynamoDB's JSON."""
        partition = self.partitions.setdefault(item["pk"]["S"], StoredPartition())
        if not isinstance(partition, StoredPartition):
            raise TypeError("this partition makes its items itself")
        partition.put(item)

    @contextmanager
    def answering(self, client: "DynamoDBClient") -> Iterator[None]:
        """Answer the calls of a client within the block. Nothing is sent."""
        events: Any = client.meta.events
        events.register_first("before-send.dynamodb", self._answer)
        try:
            yield
        finally:
            events.unregister("before-send.dynamodb", self._answer)

    @contextmanager
    def measured(self) -> Iterator[Cost]:
        """Add up the cost of the calls within the block. Blocks cannot be nested."""
        self._cost = Cost()
        try:
            yield self._cost
        finally:
            self._cost = Cost()

    def respond(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return DynamoDB's response to an operation."""
        return self._operations[operation](arguments)

    def _answer(self, request: "AWSPreparedRequest", **_: Any) -> AWSResponse:
        began = time.thread_time()
        clock = current_clock()
        if clock is not None:
            clock.call()
        operation = _text(request.headers["X-Amz-Target"]).rpartition(".")[2]
        response = self.respond(operation, json.loads(cast(bytes, request.body)))
        body = json.dumps(response).encode()
        headers = {
            "content-type": "application/x-amz-json-1.0",
            "content-length": str(len(body)),
            "x-amz-crc32": str(zlib.crc32(body)),
        }
        with self._lock:
            self._cost.table_seconds += time.thread_time() - began
        return AWSResponse(request.url, 200, cast(Any, headers), _Body(body))

    def _query(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        query = _Query.of(arguments)
        partition = self.partitions.get(query.keys.pk, _EMPTY)
        places = query.places(partition.sort_keys)
        size, scanned, last, found = 0, 0, None, []
        for at in places:
            one = partition.size(at)
            if scanned and (scanned == query.limit or size + one > self.page_bytes):
                break
            size, scanned, last = size + one, scanned + 1, at
            if query.only is None or query.only(partial(partition.attribute, at)):
                found.append(at)
        response = self._consumed(arguments, read_units([size], consistent=query.consistent), scanned)
        response |= {"Count": len(found), "ScannedCount": scanned}
        if query.select != "COUNT":
            response["Items"] = [_projected(partition.item(at), query.projection) for at in found]
        # DynamoDB does not look beyond a limit: the last item may be the last one of the partition.
        if last is not None and (scanned < len(places) or scanned == query.limit):
            response["LastEvaluatedKey"] = {"pk": {"S": query.keys.pk}, "sk": {"S": partition.sort_keys[last]}}
        return response

    def _get_item(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        item, size = self._read(arguments["Key"])
        units = read_units([size], consistent=arguments.get("ConsistentRead", False))
        response = self._consumed(arguments, units, int(item is not None))
        return response if item is None else response | {"Item": _projected(item, _projection(arguments))}

    def _batch_get_item(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        ((table, wanted),) = arguments["RequestItems"].items()
        if not 0 < len(wanted["Keys"]) <= MAX_BATCH:
            raise ValueError(f"BatchGetItem takes 1 to {MAX_BATCH} keys")
        units, items = 0.0, []
        for key in wanted["Keys"]:
            item, size = self._read(key)
            # Each item is rounded up by itself.
            units += read_units([size], consistent=wanted.get("ConsistentRead", False))
            if item is not None:
                items.append(_projected(item, _projection(wanted)))
        response = self._consumed(arguments, units, len(items))
        consumed = response.pop("ConsumedCapacity", None)
        if consumed is not None:
            response["ConsumedCapacity"] = [consumed | {"TableName": table}]
        return response | {"Responses": {table: items}, "UnprocessedKeys": {}}

    def _read(self, key: StoredItem) -> tuple[StoredItem | None, int]:
        partition, sort_key = self.partitions.get(key["pk"]["S"]), key["sk"]["S"]
        if partition is None:
            return None, 0
        at = bisect_left(partition.sort_keys, sort_key)
        if at == len(partition.sort_keys) or partition.sort_keys[at] != sort_key:
            return None, 0
        return partition.item(at), partition.size(at)

    def _consumed(self, arguments: Mapping[str, Any], units: float, items: int) -> dict[str, Any]:
        with self._lock:
            self._cost.units += units
            self._cost.calls += 1
            self._cost.items += items
        if arguments.get("ReturnConsumedCapacity", "NONE") == "NONE":
            return {}
        return {"ConsumedCapacity": {"TableName": arguments.get("TableName"), "CapacityUnits": units}}


_EMPTY: Final = StoredPartition()


@dataclass(frozen=True, slots=True)
class _Query:
    keys: KeyRange
    only: Condition | None
    projection: Sequence[DocumentPath] | None
    limit: int | None
    select: str | None
    consistent: bool
    forward: bool
    after: str | None

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Self:
        if "IndexName" in arguments:
            raise ValueError("the table has no index")
        names = arguments.get("ExpressionAttributeNames", {})
        values = arguments.get("ExpressionAttributeValues", {})
        only = arguments.get("FilterExpression")
        start = arguments.get("ExclusiveStartKey")
        return cls(
            keys=parse_key_condition(arguments["KeyConditionExpression"], names, values),
            only=parse_condition(only, names, values) if only is not None else None,
            projection=_projection(arguments),
            limit=arguments.get("Limit"),
            select=arguments.get("Select"),
            consistent=arguments.get("ConsistentRead", False),
            forward=arguments.get("ScanIndexForward", True),
            after=start["sk"]["S"] if start is not None else None,
        )

    def places(self, sort_keys: Sequence[str]) -> range:
        """Return the places of the selected sort keys, in the order in which they are read."""
        _, low, high, without = self.keys
        begin = bisect_right(sort_keys, low) if low in without else bisect_left(sort_keys, low)
        end = bisect_left(sort_keys, high) if high in without else bisect_right(sort_keys, high)
        if self.after is not None and self.forward:
            begin = max(begin, bisect_right(sort_keys, self.after))
        elif self.after is not None:
            end = min(end, bisect_left(sort_keys, self.after))
        return range(begin, end) if self.forward else range(end - 1, begin - 1, -1)


class _Body:
    """The body of a response as urllib3 has it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content


def _projection(arguments: Mapping[str, Any]) -> Sequence[DocumentPath] | None:
    expression = arguments.get("ProjectionExpression")
    return None if expression is None else parse_projection(expression, arguments.get("ExpressionAttributeNames", {}))


def _projected(item: StoredItem, paths: Sequence[DocumentPath] | None) -> StoredItem:
    if paths is None:
        return item
    projected: dict[str, Any] = {}
    for name, *inner in paths:
        if not inner and name in item:
            projected[name] = item[name]
        elif inner and "M" in item.get(name, {}) and (found := _projected(item[name]["M"], [tuple(inner)])):
            projected[name] = {"M": projected.get(name, {}).get("M", {}) | found}
    return projected


def _text(header: Any) -> str:
    return header.decode() if isinstance(header, bytes) else str(header)
