"""What a bucket promises: the fakes, R2 and the archive keep the same promises (ports.storage)."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

import boto3
import pytest
from moto import mock_aws

from recordings.adapters.storage.archive import ArchiveBucket
from recordings.adapters.storage.r2 import R2Bucket
from recordings.domain.errors import InfrastructureError, SourceChanged, SourceUnavailable
from recordings.domain.objects import ObjectHead, RestoreStatus, UploadedPart
from recordings.domain.purge import ItemKind, StoreItem
from recordings.ports.storage import ArchiveStore, ObjectStore
from tests.support.builders import NOON
from tests.support.fakes import MemoryArchiveStore, MemoryObjectStore

KEY = "tenant/room/rec_1/1/recording.mp4"
ROLE = "arn:aws:iam::123456789012:role/download"
PARTS = {1: b"p" * 5 * 1024 * 1024, 2: b"end"}  # S3 accepts smaller parts only at the end


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with mock_aws():
        monkeypatch.setenv("R2_ENDPOINT", "https://s3.amazonaws.com")
        monkeypatch.setenv("R2_BUCKET", "files")
        monkeypatch.setenv("ARCHIVE_BUCKET", "archive")
        boto3.client("secretsmanager").create_secret(
            Name="r2-secret", SecretString=json.dumps({"access_key_id": "id", "secret_access_key": "key"})
        )
        client = boto3.client("s3", region_name="us-east-1")
        for bucket in ("files", "archive"):
            client.create_bucket(Bucket=bucket)
        client.put_bucket_versioning(Bucket="archive", VersioningConfiguration={"Status": "Enabled"})
        yield client


@pytest.fixture(params=["memory", "r2", "memory archive", "archive"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    match request.param:
        case "memory":
            return MemoryObjectStore()
        case "memory archive":
            return MemoryArchiveStore()
        case "r2":
            request.getfixturevalue("s3")
            return R2Bucket()
        case _:
            request.getfixturevalue("s3")
            return ArchiveBucket(download_role_arn=ROLE)


@pytest.fixture(params=["memory", "r2"])
def readable_store(request: pytest.FixtureRequest) -> ObjectStore:
    """A bucket whose objects can be read without a restore."""
    if request.param == "memory":
        return MemoryObjectStore()
    request.getfixturevalue("s3")
    return R2Bucket()


@pytest.fixture(params=["memory", "s3"])
def archive(request: pytest.FixtureRequest) -> ArchiveStore:
    if request.param == "memory":
        return MemoryArchiveStore()
    request.getfixturevalue("s3")
    return ArchiveBucket(download_role_arn=ROLE)


def upload(store: ObjectStore, key: str = KEY) -> tuple[str, dict[int, str], dict[int, int]]:
    """An unfinished upload with its parts: its id, their ETags and their CRC-32s."""
    upload_id = store.create_upload(key, content_type="video/mp4")
    etags = {number: store.upload_part(key, upload_id, number, content) for number, content in PARTS.items()}
    return upload_id, etags, {number: crc32(content) for number, content in PARTS.items()}


@pytest.mark.parametrize("content", [b"", b"x", b"film" * 1000], ids=["empty", "one byte", "more"])
def test_a_small_object_is_stored_whole_and_read_back(readable_store: ObjectStore, content: bytes) -> None:
    assert readable_store.put(KEY, content, content_type="video/mp4") == md5(content)
    assert readable_store.head(KEY) == ObjectHead(len(content), md5(content))
    if content:
        assert readable_store.read(KEY, 0, len(content) - 1, etag=md5(content)) == content
        assert readable_store.read(KEY, 0, 0) == content[:1]


def test_an_object_that_does_not_exist_has_no_head_and_cannot_be_read(store: ObjectStore) -> None:
    assert store.head(KEY) is None
    with pytest.raises(SourceUnavailable):
        store.read(KEY, 0, 0)


def test_an_object_with_another_etag_is_not_read(readable_store: ObjectStore) -> None:
    readable_store.put(KEY, b"film", content_type="video/mp4")
    with pytest.raises(SourceChanged):
        readable_store.read(KEY, 0, 3, etag=md5(b"other"))


def test_parts_become_one_object_whose_etag_is_made_of_theirs(readable_store: ObjectStore) -> None:
    upload_id = readable_store.create_upload(KEY, content_type="video/mp4")
    assert readable_store.list_parts(KEY, upload_id) == {}
    # In any order, and one part twice.
    for number in (2, 1, 2):
        assert readable_store.upload_part(KEY, upload_id, number, PARTS[number]) == md5(PARTS[number])
    parts = {number: UploadedPart(len(content), md5(content)) for number, content in PARTS.items()}
    assert readable_store.list_parts(KEY, upload_id) == parts
    assert readable_store.head(KEY) is None
    etags = {number: part.etag for number, part in parts.items()}
    readable_store.complete_upload(KEY, upload_id, etags, {number: crc32(content) for number, content in PARTS.items()})
    digest = md5(b"".join(bytes.fromhex(etags[number]) for number in (1, 2)))
    assert readable_store.head(KEY) == ObjectHead(len(PARTS[1]) + 3, f"{digest}-2")
    assert readable_store.read(KEY, len(PARTS[1]) - 1, len(PARTS[1]) + 2) == b"pend"
    assert readable_store.list_parts(KEY, upload_id) is None
    assert list(readable_store.list_uploads("")) == []


def test_an_upload_without_one_of_its_parts_is_not_completed(store: ObjectStore) -> None:
    upload_id, etags, checksums = upload(store)
    with pytest.raises(SourceUnavailable):
        store.complete_upload(KEY, upload_id, etags | {3: md5(b"never sent")}, checksums | {3: 0})
    assert store.head(KEY) is None


def test_an_aborted_upload_is_gone_and_may_be_aborted_again(store: ObjectStore) -> None:
    upload_id, _, _ = upload(store)
    for _ in range(2):
        store.abort_upload(KEY, upload_id)
        assert store.list_parts(KEY, upload_id) is None
    assert store.head(KEY) is None


def test_unfinished_uploads_are_listed_by_prefix(store: ObjectStore) -> None:
    created = {(key, store.create_upload(key, content_type="video/mp4")) for key in ("a/1/x.mp4", "a/2/x.mp4")}
    store.create_upload("b/1/x.mp4", content_type="video/mp4")
    assert {(found.key, found.upload_id) for found in store.list_uploads("a/")} == created
    assert list(store.list_uploads("c/")) == []


def test_objects_are_listed_by_key_with_what_their_head_says(store: ObjectStore) -> None:
    for key in ("b/1/x.mp4", "loose", "a/2/y.mp4", "a/1/x.mp4"):
        store.put(key, key.encode(), content_type="video/mp4")
    assert [found.key for found in store.list_objects("a/")] == ["a/1/x.mp4", "a/2/y.mp4"]
    assert [found.key for found in store.list_objects("a/", after="a/1/~")] == ["a/2/y.mp4"]
    for found in store.list_objects(""):
        assert store.head(found.key) == ObjectHead(found.size, found.etag)
        assert found.modified_at.tzinfo is not None
    assert [sorted(store.list_names(prefix)) for prefix in ("", "a/", "c/")] == [
        ["a/", "b/", "loose"],
        ["1/", "2/"],
        [],
    ]


def test_a_deleted_object_is_gone_and_may_be_deleted_again(store: ObjectStore) -> None:
    store.put(KEY, b"x", content_type="video/mp4")
    for _ in range(2):
        store.delete(KEY)
        assert store.head(KEY) is None
        assert list(store.list_objects("")) == []


def test_an_object_is_copied_within_the_bucket(readable_store: ObjectStore) -> None:
    readable_store.put(KEY, b"film", content_type="video/mp4")
    for _ in range(2):
        readable_store.copy(KEY, "quarantine/copy")
        assert readable_store.head("quarantine/copy") == readable_store.head(KEY)
    assert readable_store.read("quarantine/copy", 0, 3) == b"film"


def test_a_key_with_reserved_characters_is_one_key(readable_store: ObjectStore) -> None:
    odd = "a%23b/r%2Fm/rec_1/1/ü +&?.mp4"
    readable_store.put(odd, b"x", content_type="video/mp4")
    assert readable_store.read(odd, 0, 0) == b"x"
    assert [found.key for found in readable_store.list_objects("")] == [odd]


def test_what_is_erased_item_by_item_leaves_nothing(store: ObjectStore) -> None:
    for key in (KEY, f"{KEY}.other", KEY):
        store.put(key, b"x", content_type="video/mp4")
    store.create_upload(KEY, content_type="video/mp4")
    store.delete(KEY)
    items = [item for item in store.list_items(KEY) if item.key == KEY]
    kinds = {item.kind for item in items}
    assert kinds in ({ItemKind.UPLOAD}, {ItemKind.UPLOAD, ItemKind.VERSION, ItemKind.DELETE_MARKER})
    for item in [*items, *items]:
        store.erase(item)
    assert [item.key for item in store.list_items(KEY)] == [f"{KEY}.other"]
    store.erase(next(store.list_items(KEY)))
    assert list(store.list_items("")) == []
    assert list(store.list_objects("")) == []


def test_an_object_of_a_bucket_without_versions_is_erased(store: ObjectStore) -> None:
    store.put(KEY, b"x", content_type="video/mp4")
    (item,) = store.list_items(KEY)
    assert item in (
        StoreItem(store="r2", key=KEY, kind=ItemKind.OBJECT),
        StoreItem(store="s3", key=KEY, kind=ItemKind.VERSION, id=item.id),
    )
    store.erase(item)
    assert store.head(KEY) is None


def test_a_download_url_ends_when_it_says(store: ObjectStore) -> None:
    store.put(KEY, b"x", content_type="video/mp4")
    now = datetime.now(UTC).replace(microsecond=0)
    download = store.presign_download(
        KEY, file_name="Zoë.mp4", content_type="video/mp4", expires_in_seconds=600, now=now
    )
    assert KEY in download.url
    assert (download.expires_at - now).total_seconds() == 600


def test_an_archived_object_can_be_read_after_a_restore(archive: ArchiveStore) -> None:
    assert archive.restore_status(KEY) is None
    archive.put(KEY, b"film", content_type="video/mp4")
    assert archive.restore_status(KEY) == RestoreStatus(False, None, archive.storage_class)
    with pytest.raises(InfrastructureError):
        archive.read(KEY, 0, 3)
    assert archive.request_restore(KEY, days=3, tier="bulk") is True
    status = archive.restore_status(KEY)
    assert status is not None
    assert status.in_progress or status.readable_until is not None
    if isinstance(archive, MemoryArchiveStore):
        with pytest.raises(InfrastructureError):
            archive.read(KEY, 0, 0)
        archive.finish_restore(KEY, until=NOON)
        assert archive.restore_status(KEY) == RestoreStatus(False, NOON, archive.storage_class)
    assert archive.read(KEY, 0, 3) == b"film"
