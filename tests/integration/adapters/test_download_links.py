"""When URLs end is stored while the file is where they lead. The fake and DynamoDB pass the same tests."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.download_links import DynamoDownloadLinks
from recordings.adapters.dynamodb.recording_items import recording_of
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.settings import TABLE
from recordings.domain.archive import Archive
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.ports.repositories import DownloadLinks, Recordings
from tests.support.builders import NOON, a_file, a_recording
from tests.support.fakes import Memory, MemoryDownloadLinks, MemoryRecordings
from tests.support.table import a_table

HOUR = timedelta(hours=1)
READY = a_recording(status=Status.READY)


@pytest.fixture(params=["memory", "dynamo"])
def stores(request: pytest.FixtureRequest) -> Iterator[tuple[Recordings, DownloadLinks]]:
    if request.param == "memory":
        memory = Memory()
        yield MemoryRecordings(memory), MemoryDownloadLinks(memory)
        return
    with a_table():
        yield DynamoRecordings(), DynamoDownloadLinks()


def saved(recordings: Recordings, recording: Recording = READY) -> Recording:
    recordings.add(recording, lease_nonce=None)
    return recording


def test_the_latest_expiry_is_stored(stores: tuple[Recordings, DownloadLinks]) -> None:
    recordings, links = stores
    one = saved(recordings)
    assert links.find_latest_expiry(one) is None
    for until, latest in ((NOON + HOUR, NOON + HOUR), (NOON + 3 * HOUR, NOON + 3 * HOUR), (NOON, NOON + 3 * HOUR)):
        assert links.note_expiry(one, until=until) is True
        assert links.find_latest_expiry(one) == latest
    assert links.find_latest_expiry(replace(one, tenant_id="tenant_2")) is None


def test_a_file_that_is_being_archived_is_still_in_r2(stores: tuple[Recordings, DownloadLinks]) -> None:
    recordings, links = stores
    one = saved(recordings)
    moving = one.archiving(at=NOON)
    recordings.save(one, moving)
    assert links.note_expiry(one, until=NOON + HOUR) is True
    assert links.note_expiry(moving, until=NOON + 2 * HOUR) is True


def test_no_expiry_is_stored_for_a_file_that_has_left_r2(stores: tuple[Recordings, DownloadLinks]) -> None:
    recordings, links = stores
    one = saved(recordings)
    assert links.note_expiry(one, until=NOON + HOUR) is True
    moving = one.archiving(at=NOON)
    recordings.save(one, moving)
    stored = moving.archive_completed(a_file(store="s3", key="cold"), storage_class="GLACIER", at=NOON)
    recordings.save(moving, stored)
    for read in (one, moving, stored):
        # A URL that ends before the stored one, and a URL that ends after it.
        for until in (NOON, NOON + 9 * HOUR):
            assert links.note_expiry(read, until=until) is False
    assert links.find_latest_expiry(stored) == NOON + HOUR


@pytest.mark.parametrize("change", ["deleted", "purged", "another file"])
def test_no_expiry_is_stored_for_a_file_that_is_gone(stores: tuple[Recordings, DownloadLinks], change: str) -> None:
    recordings, links = stores
    one = a_recording(status=Status.READY)
    if change != "purged":
        saved(recordings)
    if change == "deleted":
        recordings.save(one, one.deleted(at=NOON))
    other = replace(one, file=a_file(key="another")) if change == "another file" else one
    assert links.note_expiry(other, until=NOON + HOUR) is False
    assert links.find_latest_expiry(one) is None
    assert links.note_expiry(replace(one, file=None), until=NOON) is False


def test_ttl_deletes_an_expiry_long_after_it_is_needed() -> None:
    with a_table():
        one = saved(DynamoRecordings())
        DynamoDownloadLinks().note_expiry(one, until=NOON + HOUR)
        pages = client.get_paginator("scan").paginate(TableName=TABLE)
        (item,) = [item for page in pages for item in page["Items"] if item["pk"]["S"].endswith("#URLS")]
        expires = datetime.fromtimestamp(int(item["expires_at"]["N"]), UTC)
        assert expires > NOON + HOUR + timedelta(days=8)
        # The purge must not take it for a recording.
        assert recording_of(item) is None


def test_an_archive_with_pending_work_is_stored_and_listed(stores: tuple[Recordings, DownloadLinks]) -> None:
    recordings, _ = stores
    file = a_file(store="s3", key="cold")
    one = saved(
        recordings,
        a_recording(status=Status.ARCHIVED, file=file, archive=Archive(state="stored", storage_class="GLACIER")),
    )
    asked = one.restoring(tier="bulk", days=3, expected_at=NOON + HOUR, at=NOON)
    assert asked.archive is not None
    recordings.save(one, asked)
    assert [*recordings.list_unfinished()] == [asked]
    done = asked.restore_requested(asked.archive, until=None)
    recordings.save(asked, done)
    assert [*recordings.list_unfinished()] == []
    kept = replace(done, version=done.version + 1, archive=Archive(state="stored", source_kept_until=NOON))
    recordings.save(done, kept)
    assert [*recordings.list_unfinished()] == [kept]
    recordings.save(kept, kept.source_emptied())
    assert [*recordings.list_unfinished()] == []
    assert recordings.get_including_deleted(one.tenant_id, one.id) == kept.source_emptied()


def test_a_requested_stop_is_stored(stores: tuple[Recordings, DownloadLinks]) -> None:
    recordings, _ = stores
    one = saved(recordings, a_recording(status=Status.PROCESSING, stop_requested_at=NOON))
    assert recordings.get(one.tenant_id, one.id) == one
