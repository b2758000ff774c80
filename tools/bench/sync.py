"""Calls to Cloudflare, writes, work and time of one scheduled sync, on a local stack of its own for each size.

N recordings are known already and in R2; 50 are new. A sync needs the pages of Cloudflare's list that it must see, and
one call for each new recording: that number is printed beside. Three syncs are measured: one that walks the whole list,
as once a day; then, with 50 more, one that goes back to the last one's watermark; then one that finds nothing new.
What the imports start, the processing workflow, is put aside, and so is what hears of changes: their work is not the
sync's. The budget of calls is the local stack's, which hardly ever makes a sync wait; a deployment's does when more
than its share of a minute is needed.

    writes         items of the table that the sync made or changed, each counted once; the count of calls to
                   Cloudflare, one item that each call changes, is one of them
    write units    of every write, from the table's stream: one for each begun KB of the item, two in a transaction
    transitions    states entered, from the run's history, and one for each batch that was looked at closely
    GB-seconds     MemorySize / 1024 * the time of each task, from the run's history: on this machine

A month is 30 days of the schedule's default, each with one walk of the whole list and nothing new otherwise: what
comes in adds what the second kind costs more than the third.
"""

import argparse
import json
import math
import re
import sys
import time
import urllib.error
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

from tools.bench.transfer.engine import TENANT, Engine
from tools.bench.transfer.errors import BenchError, Failed
from tools.bench.transfer.local import api, control
from tools.bench.units import write_units
from tools.local import progress, stack
from tools.local import template as sam

if TYPE_CHECKING:
    from recordings.domain.recording import Recording
    from recordings.domain.tally import Level

NAME: Final = "bench-sync"
SIZES: Final = (1000, 10_000, 100_000)
NEW: Final = 50
# Rows of one page of Cloudflare's list as the sync asks for it (adapters.realtimekit.PAGE).
PAGE: Final = 100
# Between two known recordings.
APART_SECONDS: Final = 60
PATIENCE_SECONDS: Final = 1200
# What BatchWriteItem takes (DynamoDB API reference), and how many such calls are made at once.
BATCH_SIZE: Final = 25
WRITERS: Final = 4
# How many batches the sync looks at at a time (statemachines/sync.asl.json, MaxConcurrency).
MAPPED: Final = 2
DAYS: Final = 30
# Changed outside of a transaction: the count of calls, and the sync's own state.
ALONE: Final = frozenset({"BUDGET", "SYNC"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One sync: its calls by operation, what it wrote, its work, and the pages it could not do without."""

    known: int
    kind: str
    new: int
    calls: Mapping[str, int]
    pages: int
    writes: int
    write_units: int
    transitions: int
    gb_seconds: float
    seconds: float

    @property
    def needed(self) -> int:
        return self.pages + self.new


class NewItems:
    """The items that adding finished recordings writes, collected to be written in batches.

    A transaction for each of 100,000 recordings would take the emulator longer than everything else.
    """

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.tallies: dict[tuple[str | None, str], Counter[str]] = {}
        # By level, room (None: the tenant) and bucket.
        self.counters: dict[tuple[Level, str | None, str], Counter[str]] = {}

    def add(self, recording: "Recording") -> None:
        """Collect the items of one recording. Raises BenchError for one that is not finished."""
        from recordings.adapters.dynamodb.layout import NEW_TABLE
        from recordings.adapters.dynamodb.listing_items import RoomRowItem, RowItem
        from recordings.adapters.dynamodb.recording_items import CloudflareLinkItem, RecordingItem, RoomListItem
        from recordings.domain.tally import Level, changes, day_of, difference

        if recording.unfinished:
            raise BenchError(f"recording {recording.id} is not finished")
        at = recording.created_at
        for item_class in (RecordingItem, CloudflareLinkItem, RowItem, RoomRowItem):
            self.items.append(item_class.from_domain(recording).serialize())
        for level in Level:
            for room_id in (None, recording.room_id):
                counters = self.counters.setdefault((level, room_id, level.bucket_of(at)), Counter())
                counters.update(changes(level, None, recording))
        if NEW_TABLE.writes_days:
            self.items.append(RoomListItem.from_domain(recording).serialize())
            for room_id in (None, recording.room_id):
                counters = self.tallies.setdefault((room_id, day_of(at)), Counter())
                counters.update(difference(None, recording))

    def write(self, client: Any, table: str, tenant_id: str) -> None:
        """Write all items. Their recordings are this tenant's."""
        from recordings.adapters.dynamodb.listing_items import TALLY_ITEMS
        from recordings.adapters.dynamodb.recording_items import DayTallyItem

        for (level, room_id, bucket), counters in self.counters.items():
            item = TALLY_ITEMS[level].at(tenant_id, room_id, bucket)
            item.counters = counters
            self.items.append(item.serialize())
        for (room_id, day), counters in self.tallies.items():
            tally = DayTallyItem.at(tenant_id, room_id, day)
            for name, amount in counters.items():
                setattr(tally, name, amount)
            self.items.append(tally.serialize())

        def put(some: Sequence[Any]) -> None:
            left: Any = {table: [{"PutRequest": {"Item": item}} for item in some]}
            while left:
                left = client.batch_write_item(RequestItems=left).get("UnprocessedItems")

        with ThreadPoolExecutor(WRITERS) as pool:
            for _ in pool.map(put, batched(self.items, BATCH_SIZE, strict=False)):
                pass


def known(room_id: str, meeting_id: str, cloudflare_recording_ids: Sequence[str], newest: str) -> "Iterator[Recording]":
    """Recordings of these captures, oldest first, that are in R2."""
    from recordings.domain.actor import system
    from recordings.domain.stored_file import StoredFile
    from tools.bench.recordings import an_ended_recording

    last = datetime.fromisoformat(newest).replace(microsecond=0)
    for number, cloudflare_recording_id in enumerate(reversed(cloudflare_recording_ids)):
        at = last - timedelta(seconds=APART_SECONDS * number)
        file = StoredFile(store="r2", key=f"{cloudflare_recording_id}.mp4", size_bytes=1000, content_type="video/mp4")
        recording = an_ended_recording(TENANT, room_id, meeting_id, cloudflare_recording_id, at=at)
        stored = recording.stored(file, duration_seconds=2, partial=False, at=at, cause="file_verified")
        yield stored.attributed_to(system("sync"), after=None)


def store(recordings: "Iterator[Recording]") -> None:
    """Write recordings into an empty table: the items that adding each would have written."""
    from recordings.adapters.dynamodb.connection import client
    from recordings.adapters.dynamodb.settings import TABLE

    items = NewItems()
    for recording in recordings:
        items.add(recording)
    items.write(client, TABLE, TENANT)


def populate(room_id: str, meeting_id: str, cloudflare_recording_ids: Sequence[str], newest: str) -> None:
    """In the engine's process."""
    store(known(room_id, meeting_id, cloudflare_recording_ids, newest))


class Writes:
    """The writes to the table since this was made, from its stream: the item's key, and the units."""

    def __init__(self, running: Mapping[str, Any]) -> None:
        self._streams = stack.client(dict(running), "dynamodbstreams")
        (table,) = running["tables"].values()
        described = stack.client(dict(running), "dynamodb").describe_table(TableName=table)["Table"]
        stream = self._streams.describe_stream(StreamArn=described["LatestStreamArn"])["StreamDescription"]
        self._places = [
            self._streams.get_shard_iterator(
                StreamArn=stream["StreamArn"], ShardId=shard["ShardId"], ShardIteratorType="LATEST"
            )["ShardIterator"]
            for shard in stream["Shards"]
        ]

    def all(self) -> list[tuple[tuple[str, str], int]]:
        found = []
        for first in self._places:
            place: str | None = first
            while place:
                response = self._streams.get_records(ShardIterator=place)
                for record in response["Records"]:
                    keys = record["dynamodb"]["Keys"]
                    found.append(((keys["pk"]["S"], keys["sk"]["S"]), units(keys["pk"]["S"], record["dynamodb"])))
                place = response.get("NextShardIterator") if response["Records"] else None
        return found


def units(pk: str, change: Mapping[str, Any]) -> int:
    """Write units of one write, from its record in the table's stream."""
    return write_units(change.get("OldImage"), change.get("NewImage"), transaction=pk not in ALONE)


def put_aside(running: Mapping[str, Any]) -> None:
    """Have the runs that imports start end at once, and nobody hear of changes."""
    definition = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    stack.client(dict(running), "stepfunctions").update_state_machine(
        stateMachineArn=running["state_machines"]["Processing"], definition=json.dumps(definition)
    )
    functions = stack.client(dict(running), "lambda")
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)


def sync_once(running: Mapping[str, Any]) -> tuple[str, float]:
    """Run one sync as the schedule does; the run, and the seconds it took."""
    machines = stack.client(dict(running), "stepfunctions")
    arn = machines.start_execution(stateMachineArn=running["state_machines"]["Sync"], input="{}")["executionArn"]
    began, end = time.monotonic(), time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        found = machines.describe_execution(executionArn=arn)
        if found["status"] == "SUCCEEDED":
            return arn, time.monotonic() - began
        if found["status"] != "RUNNING":
            raise BenchError(f"the sync ended {found['status']}: {found.get('error')} {found.get('cause')}")
        time.sleep(0.25)
    raise BenchError(f"the sync took more than {PATIENCE_SECONDS} s")


def work_of(events: Sequence[Mapping[str, Any]], gigabytes: float) -> tuple[int, float]:
    """Transitions and GB-seconds of a run, from its history.

    The emulator's history leaves out what a Map does with each item, AWS's does not: a batch is one transition, and the
    Map's time is its functions', of which two run at a time.
    """
    entered = [event for event in events if event["type"].endswith("StateEntered")]
    transitions, seconds = len(entered), 0.0
    batches = 0
    map_entered_at = None
    for event in events:
        at = event["timestamp"].timestamp()
        match event["type"]:
            case "TaskScheduled" | "MapStateEntered":
                map_entered_at = at
            case "TaskSucceeded" if map_entered_at is not None:
                seconds += at - map_entered_at
                # ScanProviderRecordings answers with them; of other tasks there are none.
                reported = json.loads(event["taskSucceededEventDetails"].get("output") or "null")
                reported = reported.get("Payload", reported) if isinstance(reported, dict) else {}
                batches = len(reported.get("batches", ())) if isinstance(reported, dict) else 0
            case "MapStateExited" if map_entered_at is not None:
                transitions += batches
                seconds += (at - map_entered_at) * min(MAPPED, batches)
    return transitions, seconds * gigabytes


def measured(running: Mapping[str, Any], meeting_id: str, known: int, kind: str, *, new: int, seen: int) -> Row:
    """Make so many new recordings and sync; `seen`: how many others the sync must look at too."""
    if new:
        control(
            running, "/recordings", {"meeting_id": meeting_id, "count": new, "age_seconds": 1, "apart_seconds": 0.1}
        )
    control(running, "/requests", method="DELETE")
    writes = Writes(running)
    run, seconds = sync_once(running)
    calls = control(running, "/requests")["counts"]
    written = writes.all()
    imported = {pk for (pk, _), _ in written if pk.startswith("CLOUDFLARE#")}
    if len(imported) != new:
        raise BenchError(f"the sync brought in {len(imported)} recordings of {new}")
    functions = stack.client(dict(running), "lambda")
    memory = functions.get_function_configuration(FunctionName=running["functions"]["ScanProviderRecordings"])[
        "MemorySize"
    ]
    pages = stack.client(dict(running), "stepfunctions").get_paginator("get_execution_history")
    events = [event for page in pages.paginate(executionArn=run) for event in page["events"]]
    transitions, gb_seconds = work_of(events, memory / 1024)
    return Row(
        known=known,
        kind=kind,
        new=new,
        calls=calls,
        pages=math.ceil((seen + new) / PAGE),
        writes=len({key for key, _ in written}),
        write_units=sum(units for _, units in written),
        transitions=transitions,
        gb_seconds=gb_seconds,
        seconds=seconds,
    )


def measure(known: int) -> list[Row]:
    """All three syncs over so many known recordings."""
    with progress.shown():
        running = stack.up(NAME)
    try:
        control(running, "/settings", {"webhooks": False})
        put_aside(running)
        room = api(running, "/rooms/bench", {"name": "Bench"}, method="PUT")
        meeting_id = room["cloudflare_meeting_id"]
        newest = datetime.now(UTC) - timedelta(seconds=APART_SECONDS)
        wanted = {"meeting_id": meeting_id, "age_seconds": APART_SECONDS, "apart_seconds": APART_SECONDS}
        made = control(running, "/recordings", {**wanted, "count": known})["data"]
        with Engine(running) as engine:
            engine.call("tools.bench.sync:populate", room["id"], meeting_id, made, newest.isoformat())
        # The watermark is looked behind by an hour, so that a listing that lags loses nothing.
        overlap = min(known, 3600 // APART_SECONDS)
        return [
            measured(running, meeting_id, known, "whole list", new=NEW, seen=known),
            measured(running, meeting_id, known, "since the last", new=NEW, seen=overlap + NEW),
            measured(running, meeting_id, known, "nothing new", new=0, seen=overlap + 2 * NEW),
        ]
    finally:
        stack.down(NAME)


def syncs_a_day() -> int:
    """How often the schedule starts a sync, unless it was deployed with another."""
    reported = sam.defaults(sam.read(stack.ROOT / "template.yaml"))["SyncSchedule"]
    rate = re.fullmatch(r"rate\((\d+) minutes?\)", reported)
    if rate is None:
        raise BenchError(f"the default of SyncSchedule is no rate in minutes: {reported}")
    return 24 * 60 // int(rate[1])


def table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    lines = [
        f"{'known':>7}  {'sync':14}  {'calls':>6}  {'pages + new':>11}  {'of them':24}  {'writes':>6}"
        f"  {'write units':>11}  {'transitions':>11}  {'GB-seconds':>10}  {'seconds':>7}"
    ]
    for row in rows:
        each = ", ".join(f"{times} {operation}" for operation, times in sorted(row.calls.items()))
        lines.append(
            f"{row.known:7}  {row.kind:14}  {sum(row.calls.values()):6}  {row.needed:11}  {each:24}  {row.writes:6}"
            f"  {row.write_units:11}  {row.transitions:11}  {row.gb_seconds:10.1f}  {row.seconds:7.1f}"
        )
    return "\n".join(lines)


def months(rows: Sequence[Row], a_day: int) -> str:
    """What a month of syncs costs with so many known recordings and nothing new."""
    lines = [f"{'known':>7}  {'syncs':>6}  {'calls':>7}  {'transitions':>11}  {'GB-seconds':>10}  {'write units':>11}"]
    of_kind = {(row.known, row.kind): row for row in rows}
    for known in dict.fromkeys(row.known for row in rows):
        whole, since, usual = (of_kind[known, kind] for kind in ("whole list", "since the last", "nothing new"))

        def month(of: Callable[[Row], float], whole: Row = whole, since: Row = since, usual: Row = usual) -> float:
            # What came in with the walk cost what it cost with the sync after it.
            return DAYS * (of(whole) - of(since) + of(usual) + (a_day - 1) * of(usual))

        lines.append(
            f"{known:7}  {DAYS * a_day:6}  {month(lambda row: sum(row.calls.values())):7.0f}"
            f"  {month(lambda row: row.transitions):11.0f}  {month(lambda row: row.gb_seconds):10.0f}"
            f"  {month(lambda row: row.write_units):11.0f}"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog=".venv/bin/python -m tools.bench.sync", description=(__doc__ or "").split("\n")[0]
    )
    sizes = " ".join(str(size) for size in SIZES)
    parser.add_argument("--sizes", type=int, nargs="+", default=[*SIZES], help=f"known recordings (default: {sizes})")
    args = parser.parse_args()
    if min(args.sizes) < 1:
        parser.error("--sizes must be at least 1")
    try:
        a_day = syncs_a_day()
        rows = [row for known in args.sizes for row in measure(known)]
    except (BenchError, Failed, stack.StackError, urllib.error.URLError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"One scheduled sync, {NEW} new recordings beside those that are known, or none\n")
    print(table(rows))
    print(f"\n{DAYS} days of {a_day} syncs, of which one walks the whole list\n")
    print(months(rows, a_day))
    return 0


if __name__ == "__main__":
    sys.exit(main())
