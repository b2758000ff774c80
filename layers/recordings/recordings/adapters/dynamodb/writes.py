"""Writes of one item: plain conditional requests, half the write units of a transaction.

A plain write has no client request token, and botocore repeats it after a lost response. Its condition must therefore
accept its own write, as `lease_nonce == nonce` does. Where a condition cannot recognise its own write, a transaction is
right.
"""

import random
import time
from collections.abc import Callable, Sequence
from itertools import batched
from typing import Any, Final

from pynamodb.attributes import Attribute
from pynamodb.constants import ALL_OLD
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from recordings.adapters.aws.errors import CONDITION_FAILED, Refused, is_conflict
from recordings.adapters.dynamodb.connection import Item, call
from recordings.adapters.dynamodb.settings import TABLE
from recordings.domain.errors import ConcurrentUpdate, Throttled
from recordings.request_context import remaining_seconds

MAX_ATTEMPTS: Final = 16
# API Reference, BatchWriteItem.
WRITE_BATCH_SIZE: Final = 25
MAX_PAUSE_SECONDS: Final = 1.2

# How DynamoDB writes NULL.
NULL_VALUE: Final = {"NULL": True}

# Makes the error of a failed condition from the item as it is in the table (None: there is none).
type Otherwise[I] = Callable[[I | None], Exception]


def concurrent_update(_: Item | None) -> Exception:
    """The error of a condition that names no other."""
    return ConcurrentUpdate("another call changed it first")


def update_item[I: Item](
    item: I,
    actions: Sequence[Action],
    condition: Condition | None = None,
    *,
    otherwise: Otherwise[I] = concurrent_update,
    returns_old: bool = False,
) -> I | None:
    """Update one item if the condition holds, or create it.

    With `returns_old` return the item as it was before, or None if it is new.

    Raises:
        The error that `otherwise` returns, Throttled, InfrastructureError
    """
    arguments = item.get_update_kwargs_from_instance(with_kind(item, actions), condition=condition)
    if returns_old:
        arguments["ReturnValues"] = ALL_OLD
    return _write("UpdateItem", item, arguments, condition, otherwise)


def put_item[I: Item](
    item: I, condition: Condition | None = None, *, otherwise: Otherwise[I] = concurrent_update
) -> None:
    """Replace one item if the condition holds, or create it.

    Raises:
        The error that `otherwise` returns, Throttled, InfrastructureError
    """
    _write("PutItem", item, item.get_save_kwargs_from_instance(condition=condition), condition, otherwise)


def put_items(items: Sequence[Item]) -> None:
    """Replace or create several items of different keys, without a condition.

    A batch is no transaction: after an error some of the items may be stored.

    Raises:
        Throttled: DynamoDB is busy or does not respond
        InfrastructureError: no permission, no such table, a bug
    """
    for some in batched(items, WRITE_BATCH_SIZE, strict=False):
        wanted: Any = {TABLE: [{"PutRequest": {"Item": item.serialize()}} for item in some]}
        for attempt in range(MAX_ATTEMPTS):
            wanted = call("BatchWriteItem", {"RequestItems": wanted}).get("UnprocessedItems")
            if not wanted:
                break
            # Unprocessed items mean that DynamoDB is busy: an immediate repeat makes it busier.
            jittered_pause(attempt)
        else:
            raise busy()


def delete_item[I: Item](
    item: I, condition: Condition | None = None, *, otherwise: Otherwise[I] = concurrent_update
) -> None:
    """Delete one item if the condition holds; without a condition, nothing if there is none.

    Raises:
        The error that `otherwise` returns, Throttled, InfrastructureError
    """
    _write("DeleteItem", item, item.get_delete_kwargs_from_instance(condition=condition), condition, otherwise)


def with_kind(item: Item, actions: Sequence[Action]) -> list[Action]:
    """Add `kind` to the actions: an update that creates an item writes only what the actions name."""
    return [*actions, Item.kind.set(type(item))]


def set_or_null(attribute: Attribute[Any], value: object) -> Action:
    """Set an attribute. None is stored as NULL; pynamodb's `set(None)` removes the attribute."""
    return attribute.set(NULL_VALUE if value is None else value)


def equals_or_null(attribute: Attribute[Any], value: object) -> Condition:
    """Compare an attribute with a value, or with NULL if the value is None."""
    return attribute == (NULL_VALUE if value is None else value)


def jittered_pause(attempt: int) -> None:
    """Wait a random time of milliseconds before attempt `attempt + 1`: who conflicted once must not meet again.

    Raises:
        Throttled: the request's deadline comes first
    """
    pause = random.uniform(0, min(MAX_PAUSE_SECONDS, 0.025 * 2**attempt))
    if pause >= remaining_seconds():
        raise busy()
    time.sleep(pause)


def busy() -> Throttled:
    return Throttled("the table is busy; try again in a moment", retry_after=1)


def _write[I: Item](
    operation: str, item: I, arguments: dict[str, Any], condition: Condition | None, otherwise: Otherwise[I]
) -> I | None:
    if condition is not None:
        arguments["ReturnValuesOnConditionCheckFailure"] = ALL_OLD
    conflict: Throttled | None = None
    for attempt in range(MAX_ATTEMPTS):
        try:
            raw = call(operation, arguments, CONDITION_FAILED).get("Attributes")
        except Refused as refusal:
            held = refusal.response.get("Item")
            raise otherwise(type(item).from_raw_data(held) if held else None) from refusal
        except Throttled as error:
            if not is_conflict(error):
                raise
            # A transaction holds the item. botocore does not retry that.
            conflict = error
        else:
            return type(item).from_raw_data(raw) if raw else None
        jittered_pause(attempt)
    raise busy() from conflict
