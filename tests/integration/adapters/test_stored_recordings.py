"""Recordings as earlier releases stored them: the present code reads them, and the last release reads what it writes.

`tests/data/recordings_of_<commit>.json` was recorded from the adapters of that commit, in DynamoDB's own format:
f4069c0 is the first release, a507efa the last one that wrote items without `kind`.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer
from botocore.stub import Stubber

from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.download_links import DynamoDownloadLinks
from recordings.adapters.dynamodb.layout import Layout, store_layout
from recordings.adapters.dynamodb.listings import list_recording
from recordings.adapters.dynamodb.purge_records import MAX_ATTEMPTS, DynamoPurgeRecords, removal_of
from recordings.adapters.dynamodb.recording_items import RecordingItem, UnfinishedItem, recording_of
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.dynamodb.settings import TABLE
from recordings.domain.archive import Archive
from recordings.domain.errors import ConcurrentUpdate
from recordings.domain.lifecycle import Status
from recordings.domain.listing import ListedRecording
from recordings.domain.purge import ItemKind, PurgeRecord, Removal, StoreItem
from recordings.domain.recording import Failure, Progress, Recording
from recordings.domain.stored_file import HeldFile
from recordings.ports.repositories import Filter
from tests.support.builders import NOON, a_file, a_recording, a_room
from tests.support.last_release import facts_read_by_the_last_release
from tests.support.table import a_table, interrupted, items, plain_items
from tests.support.template import ROOT
from tools.bench.units import WRITE_UNIT_BYTES, item_size
from tools.listings import faults_of_lists

type Stored = list[dict[str, Any]]

LATER = NOON + timedelta(hours=1)
FIRST, LAST = "f4069c0", "a507efa"
FILE = a_file(crc32="0badcafe", sha256="5" * 64, etag="e-2")
COLD = replace(FILE, store="s3", key="recordings/t/r/1/recording.mp4")


def made(number: int, status: Status, **facts: Any) -> Recording:
    ids = {"id": f"rec_01KE9JV8G0000000000000001{number:X}", "cloudflare_recording_id": f"recorded_{number}"}
    return a_recording(**ids | {"status": status} | facts)


# One of each kind of recording that there is.
RECORDINGS = [
    made(0, Status.RECORDING, delivery_key="delivered/tenant_1/room_1/file.mp4", stop_requested_at=LATER),
    made(
        1,
        Status.PROCESSING,
        attempt=2,
        recovered_at=LATER,
        stalled=True,
        automatic_attempts=5,
        missing_since=LATER,
        progress=Progress(
            step="copying",
            attempt=2,
            bytes_done=0,
            bytes_total=7 * 2**40,
            next_step_due=LATER,
            stuck_after=LATER + timedelta(hours=1),
        ),
    ),
    made(2, Status.PROCESSING, origin="auto", cloudflare_recording_id=None, held=HeldFile(FILE, None)),
    made(
        3,
        Status.READY,
        file=FILE,
        partial=True,
        archive_error=Failure("archive_failed", "No."),
        archive_attempt=1,
    ),
    made(4, Status.FAILED, room_name="Zoë 🎬"),
    made(
        5,
        Status.ARCHIVED,
        archived_at=LATER,
        archive_attempt=1,
        archive=Archive(state="moving", moved_from="key"),
        progress=Progress(step="planning", attempt=1),
    ),
    made(
        6,
        Status.ARCHIVED,
        archived_at=LATER,
        file=COLD,
        archive_attempt=2,
        archive=Archive(state="stored", storage_class="GLACIER", moved_from="key", source_kept_until=LATER),
    ),
    made(
        7,
        Status.ARCHIVED,
        archived_at=LATER,
        file=COLD,
        archive=Archive(
            state="restoring",
            storage_class="DEEP_ARCHIVE",
            expected_at=LATER,
            tier="bulk",
            days=3,
            moved_from="key",
            pending_since=LATER,
        ),
    ),
    made(
        8,
        Status.ARCHIVED,
        archived_at=LATER,
        file=COLD,
        archive=Archive(
            state="restored", storage_class="GLACIER", restored_until=LATER, tier="expedited", days=1, moved_from="key"
        ),
    ),
    made(9, Status.READY),
    made(10, Status.PROCESSING),
]
DELETED = {RECORDINGS[9].id, RECORDINGS[10].id}
READY = RECORDINGS[3]
PURGED = replace(
    PurgeRecord.of(replace(READY, deleted_at=NOON), deleted_at=NOON, at=LATER),
    found=(StoreItem(store="r2", key="key", kind=ItemKind.UPLOAD, id="u"),),
)


def as_stored(recording: Recording, release: str) -> Recording:
    """The recording as a release stored it: none had actors, and the first one had fewer facts."""
    stored = recording.deleted(at=LATER) if recording.id in DELETED else recording
    stored = replace(stored, changed_by=None, history=tuple(replace(change, actor=None) for change in stored.history))
    if release == LAST:
        return stored
    archive = stored.archive and replace(stored.archive, pending_since=None, source_kept_until=None)
    return replace(stored, stop_requested_at=None, automatic_attempts=1, held=None, missing_since=None, archive=archive)


def stored_by(release: str) -> Stored:
    found: Stored = json.loads((ROOT / f"tests/data/recordings_of_{release}.json").read_text())
    return found


@pytest.fixture(params=[FIRST, LAST])
def release(request: pytest.FixtureRequest) -> Iterator[str]:
    """The table with what a release stored."""
    with a_table(Layout.DAYS):
        for item in stored_by(request.param):
            client.put_item(TableName=TABLE, Item=item)
        yield request.param


def test_every_recording_is_read_with_every_fact(release: str) -> None:
    recordings = DynamoRecordings()
    wanted = [as_stored(recording, release) for recording in RECORDINGS]
    assert [recordings.get_including_deleted("tenant_1", one.id) for one in wanted] == wanted
    linked = {one.cloudflare_recording_id: one for one in wanted if one.cloudflare_recording_id is not None}
    assert recordings.find_by_cloudflare_recording_ids([*linked]) == linked
    assert all(recordings.find_by_cloudflare_recording_id(name) == one for name, one in linked.items())
    live = [one for one in wanted[::-1] if one.deleted_at is None]
    assert [*recordings.list_all("tenant_1")] == [*live, *(one for one in wanted[::-1] if one.deleted_at is not None)]


def test_lists_and_tallies_are_read(release: str) -> None:
    recordings = DynamoRecordings()
    live = [as_stored(one, release) for one in RECORDINGS[::-1] if one.id not in DELETED]
    for only in (Filter(), Filter(room_id="room_1"), Filter(statuses=frozenset({Status.ARCHIVED}))):
        wanted = [one for one in live if one.status in only.statuses or not only.statuses]
        page = recordings.page("tenant_1", only, limit=3, offset=1)
        assert (page.items, page.total) == ([ListedRecording.of(one) for one in wanted[1:4]], len(wanted))
    unfinished = {one.id for one in (as_stored(one, release) for one in RECORDINGS) if one.unfinished}
    listed = [one.id for one in recordings.list_unfinished()]
    assert (len(listed), {*listed}) == (len(unfinished), unfinished)


def test_every_recording_is_changed_and_then_has_a_kind(release: str) -> None:
    """A change finds its item, its tallies and its room by the keys of that release."""
    recordings, rooms = DynamoRecordings(), DynamoRooms()
    rooms.add(a_room())
    client.update_item(
        TableName=TABLE,
        Key={"pk": {"S": "T#tenant_1#ROOM"}, "sk": {"S": "room_1"}},
        UpdateExpression="SET active_recording_id = :id",
        ExpressionAttributeValues={":id": {"S": RECORDINGS[0].id}},
    )
    running, *others = [as_stored(recording, release) for recording in RECORDINGS]
    recordings.save(running, running.stopped(at=LATER, cause="api_stop"))
    for one in others:
        recordings.note_progress(one, one.progress, stalled=one.stalled)
        recordings.note_missing(one, LATER if one.missing_since is None else None)
        one = recordings.get_including_deleted("tenant_1", one.id)
        recordings.save(one, one.undeleted() if one.deleted_at else one.deleted(at=LATER))
    assert rooms.get("tenant_1", "room_1").active_recording_id is None
    assert recordings.page("tenant_1", limit=10).total == 3
    owned = {one.id for one in RECORDINGS}
    kept = [item for item in items() if item["sk"]["S"] in owned and "history" in item]
    assert len(kept) == len(RECORDINGS)
    assert {item["kind"]["S"] for item in kept} == {"recording"}


@pytest.mark.parametrize("release", [FIRST, LAST])
def test_the_stream_knows_a_recording_by_its_key_and_by_its_kind(release: str) -> None:
    with_kind = [item | {"kind": {"S": kind_of(item)}} for item in stored_by(release)]
    for images in (stored_by(release), with_kind):
        found = [recording for item in images if (recording := recording_of(item)) is not None]
        assert {one.id: one for one in found} == {one.id: as_stored(one, release) for one in RECORDINGS}


def kind_of(item: dict[str, Any]) -> str:
    """The kind that the present code gives the item of such a key."""
    names = {"REC": "recording", "TRASH": "recording", "LIST": "room_list", "DAY": "day_tally"}
    names |= {"URLS": "download_link", "PURGED": "purge_record"}
    match item["pk"]["S"].split("#"):
        case ["OPEN"]:
            return "unfinished"
        case ["CLOUDFLARE", _]:
            return "cloudflare_link"
        case [_, _, name, *_]:
            return names[name]
    raise AssertionError(item["pk"])


@pytest.mark.parametrize("release", [LAST], indirect=True)
def test_links_and_purge_records_are_read(release: str) -> None:
    assert DynamoDownloadLinks().find_latest_expiry(READY) == LATER
    again = replace(PURGED, purged_at=LATER + timedelta(hours=1), found=())
    assert DynamoPurgeRecords().note(again) == PURGED


def test_removed_items_are_read_from_the_stream() -> None:
    def removed(pk: str, recording_id: str) -> Removal | PurgeRecord | None:
        (image,) = [item for item in stored_by(LAST) if (item["pk"]["S"], item["sk"]["S"]) == (pk, recording_id)]
        return removal_of(image, by_time_to_live=True)

    deleted = as_stored(RECORDINGS[9], LAST)
    expires_at = datetime(2026, 2, 5, 13, tzinfo=UTC)
    assert removed("T#tenant_1#TRASH", deleted.id) == Removal(
        recording=deleted, by_time_to_live=True, expires_at=expires_at
    )
    assert removed("T#tenant_1#PURGED", READY.id) == PURGED
    assert removed("T#tenant_1#URLS", READY.id) is None


def test_the_present_code_writes_what_the_last_release_wrote_and_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the last release can be put back: see the next test for NULLs."""
    monkeypatch.setenv("RETENTION_DAYS", "30")
    with a_table(Layout.DAYS):
        DynamoRooms().add(a_room())
        recordings = DynamoRecordings()
        for one in RECORDINGS:
            recordings.add(one, lease_nonce=None)
            if one.id in DELETED:
                recordings.save(one, one.deleted(at=LATER))
        assert DynamoDownloadLinks().note_expiry(READY, until=LATER)
        DynamoPurgeRecords().note(PURGED)
        now = {(item["pk"]["S"], item["sk"]["S"]): item for item in items()}
    for then in stored_by(LAST):
        item = now[then["pk"]["S"], then["sk"]["S"]]
        assert item.pop("kind") == {"S": kind_of(then)}
        # The last release stored no actor.
        item.pop("by", None)
        for change in item.get("history", {"L": []})["L"]:
            del change["M"]["by"]
        assert item == without_nulls(then)


@pytest.mark.parametrize("release", [FIRST, LAST])
def test_the_last_release_reads_an_attribute_that_is_absent_as_null(release: str) -> None:
    plain = TypeDeserializer().deserialize
    stored = [item for item in stored_by(release) if "history" in item]
    assert len(stored) == len(RECORDINGS)
    for item in stored:
        present = without_nulls(item)
        assert release != LAST or present != item
        with_nulls, without = ({name: plain(value) for name, value in found.items()} for found in (item, present))
        assert facts_read_by_the_last_release(without) == facts_read_by_the_last_release(with_nulls)


def without_nulls(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if "NULL" not in value}


def test_a_usual_recording_is_smaller_than_the_unit_that_a_write_is_billed_in() -> None:
    usual = replace(
        READY,
        id="rec_01KE9JV8G0W6S3QH8M5T7XZB2C",
        tenant_id="a5f0c1d2-7b3e-4f86-9c1a-2d8e5b7f3a60",
        room_id="lecture-hall-b-room-204",
        room_name="Introduction to Computer Science",
        meeting_id="bbb3c7f9-51f8-4c5e-9f0b-6a2d7e1c8d34",
        cloudflare_recording_id="0c9e7d15-2f64-4d38-8b7a-5e1f3c6a9b02",
        file=a_file(
            key="a5f0c1d2-7b3e-4f86-9c1a-2d8e5b7f3a60/lecture-hall-b-room-204/rec_01KE9JV8G0W6S3QH8M5T7XZB2C/1/recording.mp4",
            size_bytes=734003200,
            crc32="0badcafe",
            etag='"5d41402abc4b2a76b9719d911017c592-88"',
        ),
        partial=False,
        archive_error=None,
        archive_attempt=0,
    )
    with a_table():
        DynamoRecordings().add(usual, lease_nonce=None)
        (item,) = [item for item in items() if "history" in item]
    assert item_size(item) < WRITE_UNIT_BYTES < item_size({name: {"NULL": True} for name in NULLABLE} | item)


NULLABLE = [attribute.attr_name for attribute in RecordingItem.get_attributes().values() if attribute.null]


def test_what_a_release_stored_is_listed_by_a_migration(release: str) -> None:
    store_layout(Layout.BOTH, expected=Layout.DAYS)
    listed = [list_recording(one) for one in DynamoRecordings().list_all("tenant_1")]
    assert sum(listed) == len(RECORDINGS) - len(DELETED)
    assert [*faults_of_lists(plain_items())] == []


def test_a_plain_write_adds_only_its_nonce_until_the_next_transaction() -> None:
    with a_table():
        recordings, one = DynamoRecordings(), made(10, Status.PROCESSING)
        recordings.add(one, lease_nonce=None)
        (before,) = [item for item in items() if "history" in item]
        again = one.recovered(at=LATER)
        recordings.save(one, again)
        (after,) = [item for item in items() if "history" in item]
        assert after.keys() - before.keys() == {"saved_by", "recovered_at"}
        recordings.save(again, again.deleted(at=LATER))
        (last,) = [item for item in items() if "history" in item]
    assert "saved_by" not in last


def test_two_purges_at_the_same_time_keep_what_both_found() -> None:
    other = replace(PURGED, found=(StoreItem(store="s3", key="cold", kind=ItemKind.VERSION, id="v"),))
    with a_table():
        records = DynamoPurgeRecords()
        with interrupted("UpdateItem", lambda: records.note(other)):
            both = records.note(PURGED)
    assert both == replace(other, found=(*other.found, *PURGED.found))


def test_purges_that_conflict_without_end_are_refused() -> None:
    with Stubber(client) as stub:
        for _ in range(MAX_ATTEMPTS):
            stub.add_response("get_item", {})
            stub.add_client_error("update_item", "ConditionalCheckFailedException", http_status_code=400)
        with pytest.raises(ConcurrentUpdate):
            DynamoPurgeRecords().note(PURGED)
        stub.assert_no_pending_responses()


def test_an_item_is_not_read_as_one_of_another_kind() -> None:
    link = next(item for item in stored_by(LAST) if item["pk"]["S"].startswith("CLOUDFLARE#"))
    with pytest.raises(ValueError, match="CloudflareLinkItem was read as UnfinishedItem"):
        UnfinishedItem.from_raw_data(link | {"kind": {"S": "cloudflare_link"}})
