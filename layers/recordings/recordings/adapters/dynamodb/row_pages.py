"""Pages of recordings from rows and tallies by calendar. `page_plan` decides what to read.

Items are read as DynamoDB returns them: a page has dozens of rows, and tallies have hundreds of counters.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

from recordings.adapters.dynamodb.connection import call
from recordings.adapters.dynamodb.id_times import Seconds, seconds_of
from recordings.adapters.dynamodb.keys import is_partition_key, partition
from recordings.adapters.dynamodb.listing_items import RowItem, rows_key, tally_key
from recordings.adapters.dynamodb.page_plan import Plan, plan_page
from recordings.adapters.dynamodb.page_reads import (
    ALL_STATUSES,
    Answers,
    CountRead,
    FoundPage,
    PageQuery,
    ReadPage,
    RowsRead,
    TallyRead,
    Trip,
)
from recordings.adapters.dynamodb.parallel import call_in_parallel
from recordings.adapters.dynamodb.recording_items import FileMap, RecordingItem
from recordings.adapters.dynamodb.settings import TABLE
from recordings.adapters.dynamodb.timeline import Counters
from recordings.domain.lifecycle import Status
from recordings.domain.listing import ListedRecording
from recordings.ports.repositories import Filter

# A row's attributes, in DynamoDB's format.
type Raw = Mapping[str, Mapping[str, Any]]

# After every part of a bucket.
_LAST_PART: Final = "#~"
_KEYS: Final = {"pk", "sk", "kind"}


# What a list shows of a row, and of a whole recording. Placeholders, because some names are reserved words.
_ROW_NAMES: Final = {
    "#sk": "sk",
    "#room": RowItem.room_id.attr_name,
    "#seconds": RowItem.duration_seconds.attr_name,
    "#bytes": RowItem.size_bytes.attr_name,
}
_ROW: Final = "#sk,#room,#seconds,#bytes"
_RECORDING_NAMES: Final = {
    "#sk": "sk",
    "#room": RecordingItem.room_id.attr_name,
    "#seconds": RecordingItem.duration_seconds.attr_name,
    "#status": RecordingItem.status.attr_name,
    "#file": RecordingItem.file.attr_name,
    "#bytes": FileMap.size_bytes.attr_name,
}
_RECORDING: Final = "#sk,#room,#seconds,#status,#file.#bytes"


class _Row(NamedTuple):
    """An item of a row (or of a whole recording, `status` None) as DynamoDB returned it."""

    status: Status | None
    item: Raw


def read_row_page(tenant_id: str, only: Filter, *, limit: int, offset: int, after: str | None) -> ReadPage:
    """Read a page: after the recording `after`, or else after `offset` recordings.

    Raises:
        Throttled, InfrastructureError
    """
    bounds = Seconds.of(only)
    # The longest key of all that a page reads.
    if bounds.is_empty or not is_partition_key(rows_key(tenant_id, Status.PROCESSING, only.room_id)):
        return ReadPage([], 0, has_more=False)
    query = PageQuery(
        of_room=only.room_id is not None,
        statuses=only.statuses or ALL_STATUSES,
        bounds=bounds,
        limit=limit,
        offset=offset,
        after=after,
    )
    reader = _Reader(tenant_id, only.room_id)
    plan: Plan[_Row, FoundPage[_Row]] = plan_page(query)
    trip = next(plan)
    while True:
        try:
            trip = plan.send(reader.responses(trip))
        except StopIteration as end:
            page: FoundPage[_Row] = end.value
            items = [reader.listed(recording_id, row) for recording_id, row in page.rows.items()]
            return ReadPage(items, page.total, page.has_more)


class _Reader(NamedTuple):
    """Sends the reads of a plan, for a tenant (`room_id` None) or a room."""

    tenant_id: str
    room_id: str | None

    def responses(self, trip: Trip) -> Answers[_Row]:
        """Send the reads of a trip at the same time."""
        calls: list[Callable[[], Any]] = [
            *(partial(self._tallies, read) for read in trip.tallies),
            *(partial(self._count, read) for read in trip.counts),
            *(partial(self._rows, read) for read in trip.rows),
        ]
        found: Iterator[Any] = iter(call_in_parallel(calls))
        return Answers(
            tallies={read: next(found) for read in trip.tallies},
            counts={read: next(found) for read in trip.counts},
            rows={read: next(found) for read in trip.rows},
        )

    def listed(self, recording_id: str, row: _Row) -> ListedRecording:
        """Return what a list shows of a row."""
        item, names = row.item, _ROW_NAMES if row.status is not None else _RECORDING_NAMES
        with_size = item if row.status is not None else item.get(names["#file"], {}).get("M", {})
        return ListedRecording(
            id=recording_id,
            room_id=self.room_id if self.room_id is not None else item[names["#room"]]["S"],
            status=row.status if row.status is not None else Status(item[names["#status"]]["S"]),
            duration_seconds=_number(item, names["#seconds"]),
            size_bytes=_number(with_size, names["#bytes"]),
            created_at=datetime.fromtimestamp(seconds_of(recording_id), UTC),
        )

    def _tallies(self, read: TallyRead) -> Mapping[str, Counters]:
        pk = tally_key(read.level, self.tenant_id, self.room_id)
        tallies: dict[str, Counters] = {}
        for page in _query(pk, f"{read.first}#", f"{read.last}{_LAST_PART}"):
            for item in page["Items"]:
                bucket = item["sk"]["S"].partition("#")[0]
                counters = {name: int(value["N"]) for name, value in item.items() if name not in _KEYS}
                known = tallies.get(bucket)
                tallies[bucket] = counters if known is None else _sum(known, counters)
        return tallies

    def _count(self, read: CountRead) -> int:
        pk = rows_key(self.tenant_id, read.status, self.room_id)
        pages = _query(pk, read.times.lowest_id, read.times.highest_id, Select="COUNT")
        return sum(page["Count"] for page in pages)

    def _rows(self, read: RowsRead) -> Mapping[str, _Row]:
        if read.status is None:
            pk, projection, names = partition(self.tenant_id, "REC"), _RECORDING, _RECORDING_NAMES
        else:
            pk, projection, names = rows_key(self.tenant_id, read.status, self.room_id), _ROW, _ROW_NAMES
        pages = _query(
            pk,
            read.low,
            read.high,
            limit=read.limit,
            ScanIndexForward=not read.newest_first,
            ProjectionExpression=projection,
            ExpressionAttributeNames=names,
        )
        return {item["sk"]["S"]: _Row(read.status, item) for page in pages for item in page["Items"]}


def _query(pk: str, low: str, high: str, *, limit: int | None = None, **options: Any) -> Iterator[Mapping[str, Any]]:
    """Read the items of a partition whose sort keys lie between two texts, both included, `limit` at most.

    One response has them all, unless they are larger than a megabyte.
    """
    arguments = {
        "TableName": TABLE,
        "ConsistentRead": True,
        "KeyConditionExpression": "pk = :pk AND sk BETWEEN :low AND :high",
        "ExpressionAttributeValues": {":pk": {"S": pk}, ":low": {"S": low}, ":high": {"S": high}},
        **options,
    }
    while limit is None or limit > 0:
        if limit is not None:
            arguments["Limit"] = limit
        page = call("Query", arguments)
        yield page
        if "LastEvaluatedKey" not in page:
            return
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        limit = limit - page["Count"] if limit is not None else None


def _sum(first: Counters, second: Counters) -> Counters:
    return {name: first.get(name, 0) + second.get(name, 0) for name in {*first, *second}}


def _number(item: Raw, name: str) -> int | None:
    """Return a number of an item; None if it is absent or NULL."""
    value = item.get(name, {}).get("N")
    return int(value) if value is not None else None
