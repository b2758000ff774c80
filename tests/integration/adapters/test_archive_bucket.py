"""Cold storage: what S3 says of a file, and what it may answer to a restore."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zlib import crc32

import boto3
import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws

from recordings.adapters.storage.archive import STORAGE_CLASS, TIERS, ArchiveBucket
from recordings.domain.errors import InfrastructureError, Throttled
from recordings.domain.objects import RestoreStatus
from tests.support.builders import NOON

KEY = "recordings/tenant/room/rec_1/1/recording.mp4"
ROLE = "arn:aws:iam::123456789012:role/download"
PARTS = {1: b"fi", 2: b"lm"}
UNTIL = 'expiry-date="Fri, 23 Jan 2026 00:00:00 GMT"'


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveBucket]:
    with mock_aws():
        monkeypatch.setenv("ARCHIVE_BUCKET", "archive")
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="archive")
        yield ArchiveBucket(download_role_arn=ROLE)


@pytest.fixture
def stub(bucket: ArchiveBucket) -> Iterator[Stubber]:
    with Stubber(bucket.client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_an_object_is_stored_in_its_glacier_class_at_once(bucket: ArchiveBucket) -> None:
    assert bucket.restore_status(KEY) is None
    bucket.put(KEY, b"film", content_type="video/mp4")
    upload = bucket.create_upload("parts", content_type="video/mp4")
    etag = bucket.upload_part("parts", upload, 1, b"film")
    bucket.complete_upload("parts", upload, {1: etag}, {1: crc32(b"film")})
    for key in (KEY, "parts"):
        assert bucket.restore_status(key) == RestoreStatus(False, None, STORAGE_CLASS)
        assert bucket.head(key) is not None


def test_every_checksum_has_the_algorithm_that_the_upload_was_created_with(
    bucket: ArchiveBucket, stub: Stubber
) -> None:
    """S3 refuses a part whose checksum the upload does not expect; no emulator does."""
    checksums = {number: base64.b64encode(crc32(content).to_bytes(4)).decode() for number, content in PARTS.items()}
    etags = {number: md5(content, usedforsecurity=False).hexdigest() for number, content in PARTS.items()}
    asked: dict[str, Any] = {"Bucket": "archive", "Key": KEY}
    stub.add_response(
        "create_multipart_upload",
        {"UploadId": "u"},
        asked
        | {"ContentType": "video/mp4", "StorageClass": STORAGE_CLASS}
        | {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"},
    )
    for number, content in PARTS.items():
        stub.add_response(
            "upload_part",
            {"ETag": etags[number]},
            asked
            | {"UploadId": "u", "PartNumber": number, "Body": content, "ChecksumCRC32": checksums[number]}
            | {"ContentMD5": ANY},
        )
    parts = [{"PartNumber": n, "ETag": f'"{etags[n]}"', "ChecksumCRC32": checksums[n]} for n in PARTS]
    whole = crc32(b"".join(PARTS.values())).to_bytes(4)
    stub.add_response(
        "complete_multipart_upload",
        {"ChecksumCRC32": base64.b64encode(whole).decode(), "ChecksumType": "FULL_OBJECT"},
        asked | {"UploadId": "u", "MultipartUpload": {"Parts": parts}},
    )
    upload = bucket.create_upload(KEY, content_type="video/mp4")
    for number, content in PARTS.items():
        bucket.upload_part(KEY, upload, number, content)
    crcs = {number: crc32(content) for number, content in PARTS.items()}
    assert bucket.complete_upload(KEY, upload, etags, crcs) == whole.hex()


def test_a_composite_checksum_is_not_returned_as_that_of_the_whole(bucket: ArchiveBucket, stub: Stubber) -> None:
    stub.add_response("complete_multipart_upload", {"ChecksumCRC32": "AAAAAA==-1", "ChecksumType": "COMPOSITE"})
    assert bucket.complete_upload(KEY, "u", {1: "e"}, {1: 0}) is None


@pytest.mark.parametrize(
    ("expected", "wanted"),
    [
        ({}, RestoreStatus(False, None, "STANDARD")),
        ({"StorageClass": "DEEP_ARCHIVE"}, RestoreStatus(False, None, "DEEP_ARCHIVE")),
        ({"StorageClass": "GLACIER", "Restore": 'ongoing-request="true"'}, RestoreStatus(True, None, "GLACIER")),
        (
            {"StorageClass": "GLACIER", "Restore": f'ongoing-request="false", {UNTIL}'},
            RestoreStatus(False, datetime(2026, 1, 23, tzinfo=UTC), "GLACIER"),
        ),
        ({"StorageClass": "GLACIER", "Restore": 'ongoing-request="false"'}, RestoreStatus(False, None, "GLACIER")),
    ],
)
def test_the_restore_header_is_parsed(
    bucket: ArchiveBucket, stub: Stubber, expected: dict[str, Any], wanted: RestoreStatus
) -> None:
    stub.add_response("head_object", expected, {"Bucket": "archive", "Key": KEY})
    assert bucket.restore_status(KEY) == wanted


@pytest.mark.parametrize("tier", TIERS)
def test_each_tier_is_requested_by_its_name(bucket: ArchiveBucket, stub: Stubber, tier: Any) -> None:
    request = {"Days": 7, "GlacierJobParameters": {"Tier": tier.title()}}
    stub.add_response("restore_object", {}, {"Bucket": "archive", "Key": KEY, "RestoreRequest": request})
    assert bucket.request_restore(KEY, days=7, tier=tier) is True


def test_a_restore_in_progress_is_no_error(bucket: ArchiveBucket, stub: Stubber) -> None:
    stub.add_client_error("restore_object", "RestoreAlreadyInProgress", http_status_code=409)
    assert bucket.request_restore(KEY, days=7, tier="standard") is False


def test_an_expedited_tier_without_capacity_says_when_to_retry(bucket: ArchiveBucket, stub: Stubber) -> None:
    stub.add_client_error("restore_object", "GlacierExpeditedRetrievalNotAvailable", http_status_code=503)
    with pytest.raises(Throttled) as expected:
        bucket.request_restore(KEY, days=7, tier="expedited")
    assert expected.value.retry_after == 300


@pytest.mark.parametrize(
    ("code", "status", "wanted"),
    [
        ("AccessDenied", 403, InfrastructureError),
        ("InvalidObjectState", 403, InfrastructureError),
        ("InternalError", 500, Throttled),
    ],
)
def test_any_other_fault_is_raised(
    bucket: ArchiveBucket, stub: Stubber, code: str, status: int, wanted: type[Exception]
) -> None:
    stub.add_client_error("restore_object", code, http_status_code=status)
    with pytest.raises(wanted):
        bucket.request_restore(KEY, days=7, tier="bulk")
    stub.add_client_error("head_object", code, http_status_code=status)
    with pytest.raises(wanted):
        bucket.restore_status(KEY)


@pytest.mark.parametrize(("asked", "most"), [(600, 600), (604_800, 3600)])
def test_a_url_of_a_restored_copy_expires_when_it_says_and_never_after_its_credentials(
    bucket: ArchiveBucket, asked: int, most: int
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    download = bucket.presign_download(
        KEY, file_name="Zoë 1.mp4", content_type="video/mp4", expires_in_seconds=asked, now=now
    )
    url, ends = download.url, download.expires_at
    query = parse_qs(urlsplit(url).query)
    assert now + timedelta(seconds=most - 2) <= ends <= now + timedelta(seconds=asked)
    # Credentials last from when they were given, which is after `now`.
    assert ends <= datetime.now(UTC) + timedelta(seconds=most)
    assert ends == now + timedelta(seconds=int(query["X-Amz-Expires"][0]))
    assert urlsplit(url).path.endswith(KEY)
    assert "X-Amz-Security-Token" in query
    assert query["response-content-type"] == ["video/mp4"]
    assert "Zo%C3%AB%201.mp4" in query["response-content-disposition"][0]
    assert now > NOON


def test_without_a_role_no_download_is_signed() -> None:
    with pytest.raises(InfrastructureError):
        ArchiveBucket().presign_download(
            KEY, file_name="a.mp4", content_type="video/mp4", expires_in_seconds=60, now=NOON
        )
