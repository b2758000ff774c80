"""Consumed capacity, for tests and benchmarks."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from recordings.adapters.dynamodb.connection import client


@dataclass(slots=True)
class Capacity:
    """Consumed capacity units, and the number of requests that consumed them."""

    units: float = 0
    requests: int = 0


@contextmanager
def measured_capacity() -> Iterator[Capacity]:
    """Add up the capacity that the requests within the block consume. Every request asks DynamoDB for it."""
    capacity = Capacity()

    def add(parsed: Mapping[str, Any], **_: object) -> None:
        consumed = parsed.get("ConsumedCapacity", [])
        capacity.requests += 1
        capacity.units += sum(
            one.get("CapacityUnits", 0) for one in (consumed if isinstance(consumed, list) else [consumed])
        )

    event = "after-call.dynamodb"
    client.meta.events.register(event, add)
    try:
        yield capacity
    finally:
        client.meta.events.unregister(event, add)
