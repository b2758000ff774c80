"""What the rows and tallies of a table must be, counted without their code, and processes that change recordings."""

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from ulid import ULID

from recordings.adapters.dynamodb import layout
from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.layout import Layout
from recordings.adapters.dynamodb.recording_items import RecordingItem
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.dynamodb.writes import delete_item
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from tests.support.builders import NOON, a_file, a_recording, a_room
from tests.support.memory_table import WritableTable
from tests.support.table import plain_items

TENANTS = ("tenant_1", "a#b")
STATUSES = (Status.READY, Status.FAILED, Status.PROCESSING, Status.ARCHIVED)
LETTERS = {"recording": "r", "processing": "p", "ready": "d", "archived": "a", "failed": "f"}

type Lists = tuple[dict[tuple[str, str], dict[str, Any]], Counter[tuple[str, str, str]]]


@contextmanager
def a_table_with_lists() -> Iterator[None]:
    """Answer from an empty table in memory within the block."""
    layout.forget_layout()
    with WritableTable().answering(client):
        yield
    layout.forget_layout()


def fill(
    count: int, *, tenants: tuple[str, ...] = TENANTS, rooms: int = 2, by: Layout = Layout.DAYS
) -> list[Recording]:
    """Store rooms and recordings by a state of the layout, and delete every fifth recording."""
    for tenant in tenants:
        for number in range(rooms):
            DynamoRooms().add(a_room(tenant_id=tenant, id=f"room_{number}", meeting_id=f"{tenant}{number}"))
    layout.store_layout(Layout(by), expected=layout.find_stored_layout())
    found: list[Recording] = []
    for number, tenant in ((number, tenant) for number in range(count) for tenant in tenants):
        at = NOON + timedelta(hours=53 * number)
        recording = a_recording(
            id=f"rec_{str(ULID.from_datetime(at))[:10]}{len(found):016}",
            tenant_id=tenant,
            room_id=f"room_{number % rooms}",
            status=STATUSES[number % len(STATUSES)],
            created_at=at,
            cloudflare_recording_id=f"cloudflare_{tenant}_{number}",
        )
        DynamoRecordings().add(recording, lease_nonce=None)
        if number % 5 == 4:
            deleted = replace(recording, deleted_at=at, version=recording.version + 1)
            DynamoRecordings().save(recording, deleted)
            recording = deleted
        found.append(recording)
    return found


def stored_lists() -> Lists:
    """The rows by key, and the counters by partition, bucket and name. Counters that are zero are left out."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    counters = Counter[tuple[str, str, str]]()
    for item in plain_items():
        kind, key = item.pop("kind", None), (item.pop("pk"), item.pop("sk"))
        if kind in ("row", "room_row"):
            rows[key] = item
        elif kind in ("year_tally", "month_tally", "day_counts"):
            for name, amount in item.items():
                counters[key[0], key[1].split("#")[0], name] += amount
    return rows, Counter({key: amount for key, amount in counters.items() if amount})


def right_lists() -> Lists:
    """The rows and counters that the recordings of the table should have."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    counters = Counter[tuple[str, str, str]]()
    for item in plain_items():
        if not (item["pk"].endswith("#REC") and item["pk"].count("#") == 2):
            continue
        tenant, room, status, letter = item["tenant_id"], item["room_id"], item["status"], LETTERS[item["status"]]
        shown: dict[str, Any] = {
            "seconds": item.get("duration_seconds"),
            "bytes": (item.get("file") or {}).get("size_bytes"),
        }
        shown = {name: value for name, value in shown.items() if value is not None}
        prefix = f"T#{quote(tenant, safe='')}"
        rows[f"{prefix}#ROWS#{status}", item["sk"]] = {"room": room, **shown}
        rows[f"{prefix}#ROWS#{status}#{room}", item["sk"]] = shown
        at = item["created_at"]
        quarter = int(at[11:13]) * 4 + int(at[14:16]) // 15
        for scope in ("", f"#{room}"):
            counters[f"{prefix}#YEARS{scope}", at[:4], f"{at[5:7]}{letter}"] += 1
            counters[f"{prefix}#MONTHS{scope}", at[:7], f"{at[8:10]}{letter}"] += 1
            counters[f"{prefix}#DAYS{scope}", at[:10], f"{quarter:02}{letter}"] += 1
            for name, value in shown.items():
                counters[f"{prefix}#DAYS{scope}", at[:10], name] += value
    return rows, Counter({key: amount for key, amount in counters.items() if amount})


def old_items() -> list[str]:
    """The partitions of the earlier layout that have items."""
    return sorted({item["pk"] for item in plain_items() if item["pk"].split("#")[2:3] in (["DAY"], ["LIST"])})


class Writers:
    """Two processes that change recordings at random, each by the state of the layout that it read last.

    `settled` is what passes while a migration waits: every process has read the state again.
    """

    def __init__(self, seed: int, tenants: tuple[str, ...], recordings: list[Recording]) -> None:
        self._random = random.Random(seed)
        self._tenants = tenants
        self._known = {recording.id: recording for recording in recordings}
        self._caches: list[Any] = [None, None]
        self._number = itertools.count(1000)
        self.changes = Counter[str]()

    def settled(self, _: float = 0) -> None:
        self._caches = [None, None]

    def act(self) -> None:
        """Change one recording in one process."""
        process = self._random.randrange(2)
        before = vars(layout)["_cached"]
        # A cached state may be used for as long as a process likes, until it has settled.
        vars(layout)["_cached"] = self._caches[process] if self._random.random() < 0.9 else None
        try:
            self._change()
        finally:
            self._caches[process] = vars(layout)["_cached"]
            vars(layout)["_cached"] = before

    def _change(self) -> None:
        live = [one for one in self._known.values() if one.deleted_at is None]
        deleted = [one for one in self._known.values() if one.deleted_at is not None]
        choices = ["add"] + ["status"] * 3 + ["plain", "delete", "undelete", "purge"]
        what = self._random.choice(choices)
        if what == "add":
            self._add()
        elif what in ("status", "plain", "delete") and live:
            before = self._random.choice(live)
            self._save(before, getattr(self, f"_{what}")(before))
        elif what == "undelete" and deleted:
            before = self._random.choice(deleted)
            self._save(before, replace(before, deleted_at=None, version=before.version + 1))
        elif what == "purge" and deleted:
            purged = self._known.pop(self._random.choice(deleted).id)
            delete_item(RecordingItem.at(purged))
        else:
            return
        self.changes[what] += 1

    def _add(self) -> None:
        # A recording that is imported may be older than those that were listed before.
        at = NOON + timedelta(minutes=self._random.randrange(600_000))
        number = next(self._number)
        recording = a_recording(
            id=f"rec_{str(ULID.from_datetime(at))[:10]}{number:016}",
            tenant_id=self._random.choice(self._tenants),
            room_id=f"room_{self._random.randrange(3)}",
            status=self._random.choice([Status.PROCESSING, Status.READY, Status.FAILED]),
            created_at=at,
            cloudflare_recording_id=f"cloudflare_{number}",
        )
        DynamoRecordings().add(recording, lease_nonce=None)
        self._known[recording.id] = recording

    def _save(self, before: Recording, after: Recording) -> None:
        DynamoRecordings().save(before, after)
        self._known[after.id] = after

    def _status(self, recording: Recording) -> Recording:
        status = self._random.choice([status for status in Status if status is not Status.RECORDING])
        seconds = self._random.choice([None, 60, 61])
        file = a_file(size_bytes=self._random.randrange(1, 5000)) if self._random.random() < 0.7 else None
        version = recording.version + 1
        return replace(recording, status=status, duration_seconds=seconds, file=file, version=version)

    def _plain(self, recording: Recording) -> Recording:
        return replace(recording, room_name=f"Name {next(self._number)}", version=recording.version + 1)

    def _delete(self, recording: Recording) -> Recording:
        return replace(recording, deleted_at=NOON + timedelta(days=999), version=recording.version + 1)
