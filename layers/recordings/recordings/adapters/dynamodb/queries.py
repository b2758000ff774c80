"""Strongly consistent reads. Each takes the class that its key belongs to, because old items have no `kind`."""

from collections.abc import Iterator, Sequence
from itertools import batched, islice
from typing import Any, Final

from pynamodb.expressions.condition import Condition

from recordings.adapters.dynamodb.connection import Item, call, dynamodb_errors, table
from recordings.adapters.dynamodb.cursors import List, decode_cursor, encode_cursor
from recordings.adapters.dynamodb.keys import is_partition_key, is_sort_key
from recordings.adapters.dynamodb.settings import TABLE
from recordings.adapters.dynamodb.writes import MAX_ATTEMPTS, busy, jittered_pause

# API Reference, BatchGetItem.
BATCH_SIZE: Final = 100


def item_key(pk: str, sk: str) -> dict[str, dict[str, str]]:
    """Return an item's key as DynamoDB writes it."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def get_item[I: Item](cls: type[I], pk: str, sk: str) -> I | None:
    """Read one item; None if there is none, or the key is longer than a key can be.

    Raises:
        Throttled, InfrastructureError
    """
    if not is_partition_key(pk) or not is_sort_key(sk):
        return None
    response = call("GetItem", {"TableName": TABLE, "Key": item_key(pk, sk), "ConsistentRead": True})
    raw = response.get("Item")
    return cls.from_raw_data(raw) if raw else None


def get_items[I: Item](cls: type[I], keys: Sequence[tuple[str, str]]) -> list[I]:
    """Read the items of one class that exist under these keys, in any order. A key may occur once.

    Raises:
        Throttled: DynamoDB is busy or does not respond
        InfrastructureError: no permission, no such table, a bug
    """
    found: list[I] = []
    for some in batched(keys, BATCH_SIZE, strict=False):
        wanted: Any = {TABLE: {"Keys": [item_key(*key) for key in some], "ConsistentRead": True}}
        for attempt in range(MAX_ATTEMPTS):
            response = call("BatchGetItem", {"RequestItems": wanted})
            found += [cls.from_raw_data(raw) for raw in response["Responses"].get(TABLE, [])]
            wanted = response.get("UnprocessedKeys")
            if not wanted:
                break
            # Unprocessed keys mean that DynamoDB is busy: an immediate repeat makes it busier.
            jittered_pause(attempt)
        else:
            raise busy()
    return found


def query_items[I: Item](
    cls: type[I],
    pk: str,
    *,
    sort_key: Condition | None = None,
    only: Condition | None = None,
    after: str | None = None,
    page_size: int | None = None,
    newest_first: bool = False,
) -> Iterator[I]:
    """Read a partition, page by page, in the order of its sort keys.

    `sort_key` bounds the sort keys, `only` filters what is read, `after` starts after a sort key. `page_size` is how
    many items one request reads; a consumer that stops after so many causes no second request.

    `Model.query` would filter by `kind`, which hides the items of the first release and makes `Limit` count items that
    are then thrown away.

    Raises:
        Throttled, InfrastructureError
    """
    start: Any = item_key(pk, after) if after is not None else None
    while True:
        with dynamodb_errors():
            page = table.query(
                pk,
                range_key_condition=sort_key,
                filter_condition=only,
                consistent_read=True,
                scan_index_forward=not newest_first,
                limit=page_size,
                exclusive_start_key=start,
            )
        for raw in page["Items"]:
            yield cls.from_raw_data(raw)
        start = page.get("LastEvaluatedKey")
        if start is None:
            return


def query_page[I: Item](
    cls: type[I], pk: str, *, of: List, limit: int, cursor: str | None, newest_first: bool = False
) -> tuple[list[I], str | None]:
    """Read one page of a partition: its items, and the cursor of the next page (None: this is the last one).

    Raises:
        InvalidCursor: the cursor is not one of this list
        Throttled, InfrastructureError
    """
    after = decode_cursor(of, cursor) if cursor is not None else None
    # One more than asked for shows whether there is a next page.
    items = query_items(cls, pk, after=after, page_size=limit + 1, newest_first=newest_first)
    found = [*islice(items, limit + 1)]
    return found[:limit], encode_cursor(of, found[limit - 1].sk) if len(found) > limit else None
