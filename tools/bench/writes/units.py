"""Write units of the changes in a recording's life, from the items that they write."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from recordings.adapters.dynamodb.layout import Layout, forget_layout, store_layout
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.dynamodb.settings import TABLE
from recordings.domain.actor import system
from recordings.domain.recording import Recording
from recordings.domain.room import Room
from recordings.domain.stored_file import StoredFile
from recordings.request_context import request_context
from tools.bench.units import item_size, write_units

WRITES: Final = ("TransactWriteItems", "PutItem", "UpdateItem", "DeleteItem")

BEGAN: Final = datetime(2026, 3, 17, 14, 20, 5, tzinfo=UTC)
ROOM: Final = Room(
    id="lecture-hall-b-room-204",
    tenant_id="a5f0c1d2-7b3e-4f86-9c1a-2d8e5b7f3a60",
    name="Introduction to Computer Science",
    meeting_id="bbb3c7f9-51f8-4c5e-9f0b-6a2d7e1c8d34",
    record_on_start=False,
    created_at=BEGAN,
    updated_at=BEGAN,
)


@dataclass(frozen=True)
class Cost:
    """One change: its units, the items that it writes or checks, and the bytes of the recording's item after it."""

    change: str
    units: int
    items: int
    recording_bytes: int


def life() -> Iterator[tuple[str, Recording]]:
    """Yield a usual recording after each change that lists depend on, with the change's name."""
    recording_id = "rec_01KKY9E2K8W6S3QH8M5T7XZB2C"
    one = Recording.begin(
        id=recording_id,
        tenant_id=ROOM.tenant_id,
        room_id=ROOM.id,
        room_name=ROOM.name,
        meeting_id=ROOM.meeting_id,
        cloudflare_recording_id="0c9e7d15-2f64-4d38-8b7a-5e1f3c6a9b02",
        origin="api",
        at=BEGAN,
        cause="api_start",
    )
    yield "start", one
    one = one.stopped(at=BEGAN + timedelta(minutes=50), cause="api_stop")
    yield "stop", one
    file = StoredFile(
        store="r2",
        key=f"{ROOM.tenant_id}/{ROOM.id}/{recording_id}/1/recording.mp4",
        size_bytes=734003200,
        content_type="video/mp4",
        crc32="0badcafe",
        etag='"5d41402abc4b2a76b9719d911017c592-88"',
    )
    one = one.stored(file, duration_seconds=3000, partial=False, at=BEGAN + timedelta(minutes=53), cause="file_stored")
    yield "ready", one
    one = one.archiving(at=BEGAN + timedelta(days=30))
    yield "archive", one
    cold = replace(file, store="s3", key=f"recordings/{file.key}")
    one = one.archive_completed(cold, storage_class="GLACIER", at=BEGAN + timedelta(days=30, minutes=5))
    yield "archived", one
    one = one.deleted(at=BEGAN + timedelta(days=60))
    yield "delete", one
    yield "undelete", one.undeleted()


@request_context(tenant_id=None, actor=system("workflow"))
def costs(client: Any, layout: Layout) -> list[Cost]:
    """Return what each change costs in a state of the layout. The table is empty, and moto's."""
    forget_layout()
    store_layout(layout, expected=None)
    DynamoRooms().add(ROOM)
    recordings = DynamoRecordings()
    # An earlier recording of the same day: the counters exist.
    (_, first), *rest = life()
    earlier = replace(first, id="rec_01KKY9E2K8W6S3QH8M5T7XZB2B", cloudflare_recording_id="1")
    recordings.add(earlier, lease_nonce=None)
    recordings.save(earlier, earlier.stopped(at=BEGAN, cause="api_stop"))
    found = []
    with _counted(client) as units:
        recordings.add(first, lease_nonce=None)
    found.append(Cost("start", sum(units), len(units), _size(client, first)))
    for (_, before), (name, after) in pairwise([("start", first), *rest]):
        with _counted(client) as units:
            recordings.save(before, after)
        found.append(Cost(name, sum(units), len(units), _size(client, after)))
    return found


@contextmanager
def _counted(client: Any) -> Iterator[list[int]]:
    """Collect the units of each item that the writes within the block write or check."""
    units: list[int] = []
    before: list[Any] = []

    def read(keys: list[Any]) -> list[Any]:
        return [client.get_item(TableName=TABLE, Key=key).get("Item") for key in keys]

    def note_old(params: Mapping[str, Any], model: Any, **_: Any) -> None:
        if model.name in WRITES:
            before[:] = read(_keys_of(model.name, json.loads(params["body"])))
            before.append(_keys_of(model.name, json.loads(params["body"])))

    def note_new(model: Any, **_: Any) -> None:
        if model.name in WRITES:
            *old, keys = before
            pairs = zip(old, read(keys), strict=True)
            units.extend(write_units(was, now, transaction=model.name == "TransactWriteItems") for was, now in pairs)

    events: dict[str, Callable[..., None]] = {"before-call.dynamodb": note_old, "after-call.dynamodb": note_new}
    for event, note in events.items():
        client.meta.events.register(event, note)
    try:
        yield units
    finally:
        for event, note in events.items():
            client.meta.events.unregister(event, note)


def _keys_of(operation: str, arguments: Mapping[str, Any]) -> list[Any]:
    actions = [arguments]
    if operation == "TransactWriteItems":
        actions = [next(iter(action.values())) for action in arguments["TransactItems"]]
    keys = [action.get("Key") or action["Item"] for action in actions]
    return [{"pk": key["pk"], "sk": key["sk"]} for key in keys]


def _size(client: Any, recording: Recording) -> int:
    names = ["TRASH" if recording.deleted_at else "REC"]
    key = {"pk": {"S": f"T#{recording.tenant_id}#{names[0]}"}, "sk": {"S": recording.id}}
    return item_size(client.get_item(TableName=TABLE, Key=key)["Item"])
