"""Calls to Cloudflare, writes and time of one scheduled sync, on a local stack of its own for each size.

N recordings are known already and in R2; 50 are new. A sync needs the pages of Cloudflare's list that it must see, and
one call for each new recording: that number is printed beside. Two syncs are measured: one that walks the whole list,
as once a day, and then, with 50 more, one that goes back to the last one's watermark. What the imports start, the
processing workflow, is put aside: its calls are not the sync's. The budget of calls is the local stack's, which hardly
ever makes a sync wait; a deployment's does when more than its share of a minute is needed.

A write is an item of the table that the sync made or changed; the count of calls to Cloudflare, one item that each
call changes, is one of them.
"""

import argparse
import json
import math
import sys
import time
import urllib.error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bench.transfer import TENANT, BenchError, Engine, Failed, api, control
from local import stack

NAME: Final = "bench-sync"
SIZES: Final = (1000, 10_000)
NEW: Final = 50
# Rows of one page of Cloudflare's list as the sync asks for it (adapters.realtimekit.PAGE).
PAGE: Final = 100
# Between two known recordings.
APART_SECONDS: Final = 60
PATIENCE_SECONDS: Final = 1200


@dataclass(frozen=True, slots=True)
class Row:
    """One sync: its calls by operation, the items it wrote, its time, and the pages it could not do without."""

    known: int
    kind: str
    calls: Mapping[str, int]
    pages: int
    writes: int
    seconds: float

    @property
    def needed(self) -> int:
        return self.pages + NEW


def populate(room_id: str, meeting_id: str, capture_ids: Sequence[str], newest: str) -> None:
    """In the engine's process: recordings of these captures, oldest first, that are in R2."""
    from recordings.adapters.dynamo import DynamoRecordings
    from recordings.adapters.system import new_id
    from recordings.domain.recording import Recording, StoredFile

    recordings, last = DynamoRecordings(), datetime.fromisoformat(newest).replace(microsecond=0)
    for number, capture_id in enumerate(reversed(capture_ids)):
        at = last - timedelta(seconds=APART_SECONDS * number)
        file = StoredFile(provider="r2", key=f"{capture_id}.mp4", size_bytes=1000, content_type="video/mp4")
        recording = Recording.begin(
            id=new_id(at),
            tenant_id=TENANT,
            room_id=room_id,
            room_name=room_id,
            meeting_id=meeting_id,
            cloudflare_id=capture_id,
            origin="auto",
            at=at,
            cause="auto_started",
        ).ended(at=at, cause="capture_ended")
        recording = recording.stored(file, duration_seconds=2, partial=False, at=at, cause="file_verified")
        recordings.add(recording, nonce=None)


def table_of(running: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Every item of the table, by its key."""
    dynamo = stack.client(dict(running), "dynamodb")
    (table,) = running["tables"].values()
    pages = dynamo.get_paginator("scan").paginate(TableName=table)
    items = (item for page in pages for item in page["Items"])
    return {(item["pk"]["S"], item["sk"]["S"]): json.dumps(item, sort_keys=True, default=str) for item in items}


def put_processing_aside(running: Mapping[str, Any]) -> None:
    """Have the runs that imports start end at once."""
    definition = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    stack.client(dict(running), "stepfunctions").update_state_machine(
        stateMachineArn=running["state_machines"]["Processing"], definition=json.dumps(definition)
    )


def sync_once(running: Mapping[str, Any]) -> float:
    """Run one sync as the schedule does; the seconds it took."""
    machines = stack.client(dict(running), "stepfunctions")
    arn = machines.start_execution(stateMachineArn=running["state_machines"]["Sync"], input="{}")["executionArn"]
    began, end = time.monotonic(), time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        found = machines.describe_execution(executionArn=arn)
        if found["status"] == "SUCCEEDED":
            return time.monotonic() - began
        if found["status"] != "RUNNING":
            raise BenchError(f"the sync ended {found['status']}: {found.get('error')} {found.get('cause')}")
        time.sleep(0.25)
    raise BenchError(f"the sync took more than {PATIENCE_SECONDS} s")


def measured(running: Mapping[str, Any], meeting_id: str, known: int, kind: str, seen: int) -> Row:
    """Make 50 new recordings and sync; `seen`: how many known ones the sync must look at too."""
    control(running, "/recordings", {"meeting_id": meeting_id, "count": NEW, "age_seconds": 1, "apart_seconds": 0.1})
    before = table_of(running)
    control(running, "/requests", method="DELETE")
    seconds = sync_once(running)
    calls = control(running, "/requests")["counts"]
    after = table_of(running)
    imported = sum(1 for key in after.keys() - before.keys() if key[0].startswith("CLOUDFLARE#"))
    if imported != NEW:
        raise BenchError(f"the sync brought in {imported} recordings of {NEW}")
    writes = sum(1 for key in after.keys() | before.keys() if before.get(key) != after.get(key))
    return Row(known, kind, calls, math.ceil((seen + NEW) / PAGE), writes, seconds)


def measure(known: int) -> list[Row]:
    """Both syncs over so many known recordings."""
    running = stack.up(NAME)
    try:
        control(running, "/settings", {"webhooks": False})
        put_processing_aside(running)
        room = api(running, "/rooms/bench", {"name": "Bench"}, method="PUT")
        meeting_id = room["cloudflare_meeting_id"]
        newest = datetime.now(UTC) - timedelta(seconds=APART_SECONDS)
        wanted = {"meeting_id": meeting_id, "age_seconds": APART_SECONDS, "apart_seconds": APART_SECONDS}
        made = control(running, "/recordings", {**wanted, "count": known})["data"]
        with Engine(running) as engine:
            engine.call("bench.sync:populate", room["id"], meeting_id, made, newest.isoformat())
        rows = [measured(running, meeting_id, known, "whole list", known)]
        # The watermark is looked behind by an hour, so that a listing that lags loses nothing.
        overlap = min(known, 3600 // APART_SECONDS)
        rows.append(measured(running, meeting_id, known, "since the last", overlap + NEW))
        return rows
    finally:
        stack.down(NAME)


def table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    lines = [
        f"{'known':>7}  {'sync':14}  {'calls':>6}  {'pages + 50':>10}  {'of them':24}  {'writes':>6}  {'seconds':>7}"
    ]
    for row in rows:
        each = ", ".join(f"{times} {operation}" for operation, times in sorted(row.calls.items()))
        lines.append(
            f"{row.known:7}  {row.kind:14}  {sum(row.calls.values()):6}  {row.needed:10}  {each:24}  {row.writes:6}"
            f"  {row.seconds:7.1f}"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.sync", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[*SIZES], help="known recordings (default: 1000 10000)")
    args = parser.parse_args()
    if min(args.sizes) < 1:
        parser.error("--sizes must be at least 1")
    try:
        rows = [row for known in args.sizes for row in measure(known)]
    except (BenchError, Failed, stack.StackError, urllib.error.URLError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"One scheduled sync, {NEW} new recordings beside those that are known\n")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
