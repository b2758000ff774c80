"""R2 and the S3 client: what a stub responds, and what is sent. test_object_store_contract.py has the rest."""

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from recordings.adapters.storage.r2 import R2Bucket
from recordings.domain.errors import ChecksumMismatch, InfrastructureError, SourceUnavailable
from recordings.domain.objects import UploadedPart

MIB = 1024 * 1024
KEY = "tenant/room/rec_1/1/recording.mp4"
PART = b"p" * 5 * MIB  # the least that S3 takes for any part but the last


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[R2Bucket]:
    with mock_aws():
        monkeypatch.setenv("R2_ENDPOINT", "https://s3.amazonaws.com")
        boto3.client("secretsmanager").create_secret(
            Name="r2-secret", SecretString=json.dumps({"access_key_id": "id", "secret_access_key": "key"})
        )
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="files")
        yield R2Bucket()


@pytest.fixture
def stub(files: R2Bucket) -> Iterator[Stubber]:
    with Stubber(files.client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_a_part_for_an_aborted_upload_raises_source_unavailable(files: R2Bucket, stub: Stubber) -> None:
    stub.add_client_error("upload_part", "NoSuchUpload", http_status_code=404)
    with pytest.raises(SourceUnavailable):
        files.upload_part(KEY, "u", 1, b"x")


def test_bytes_that_the_bucket_rejects_by_their_md5_raise_a_checksum_mismatch(files: R2Bucket, stub: Stubber) -> None:
    stub.add_client_error("put_object", "BadDigest", http_status_code=400)
    with pytest.raises(ChecksumMismatch):
        files.put(KEY, b"x", content_type="video/mp4")
    stub.add_client_error("upload_part", "BadDigest", http_status_code=400)
    with pytest.raises(ChecksumMismatch):
        files.upload_part(KEY, "u", 1, b"x")


def test_all_pages_of_parts_are_read(files: R2Bucket, stub: Stubber) -> None:
    def page(first: int, count: int, following: int | None) -> dict[str, object]:
        parts = [{"PartNumber": n, "Size": n, "ETag": f'"{n:032x}"'} for n in range(first, first + count)]
        more = {"IsTruncated": True, "NextPartNumberMarker": following} if following else {"IsTruncated": False}
        return {"Parts": parts, **more}

    asked = {"Bucket": "files", "Key": KEY, "UploadId": "u"}
    stub.add_response("list_parts", page(1, 1000, 1000), asked)
    stub.add_response("list_parts", page(1001, 500, None), asked | {"PartNumberMarker": 1000})
    parts = files.list_parts(KEY, "u")
    assert parts is not None
    assert list(parts) == list(range(1, 1501))
    assert parts[1500] == UploadedPart(1500, f"{1500:032x}")


def test_the_checksums_that_a_bucket_keeps_of_parts_are_returned(files: R2Bucket, stub: Stubber) -> None:
    crc = base64.b64encode((1234).to_bytes(4)).decode()
    part = {"PartNumber": 1, "Size": 9, "ETag": '"e"', "ChecksumCRC32": crc}
    stub.add_response("list_parts", {"Parts": [part], "IsTruncated": False})
    assert files.list_parts(KEY, "u") == {1: UploadedPart(9, "e", 1234)}


@pytest.mark.parametrize("etag", ['""', '"00000000000000000000000000000000"', f'"{md5(b"other")}"'])
def test_another_etag_than_the_md5_raises_a_checksum_mismatch(files: R2Bucket, stub: Stubber, etag: str) -> None:
    stub.add_response("put_object", {"ETag": etag})
    with pytest.raises(ChecksumMismatch):
        files.put(KEY, b"x", content_type="video/mp4")
    stub.add_response("upload_part", {"ETag": etag})
    with pytest.raises(ChecksumMismatch):
        files.upload_part(KEY, "u", 1, b"x")


def test_every_request_that_stores_bytes_carries_their_md5(files: R2Bucket, stub: Stubber) -> None:
    digest = base64.b64encode(bytes.fromhex(md5(b"x"))).decode()
    sent = {"Bucket": "files", "Key": KEY, "Body": b"x", "ContentMD5": digest}
    stub.add_response("upload_part", {"ETag": md5(b"x")}, sent | {"UploadId": "u", "PartNumber": 7})
    stub.add_response("put_object", {"ETag": md5(b"x")}, sent | {"ContentType": "video/mp4"})
    files.upload_part(KEY, "u", 7, b"x")
    files.put(KEY, b"x", content_type="video/mp4")


@pytest.mark.parametrize("code", ["404", "NoSuchKey", "NotFound"])
def test_every_code_for_an_absent_object_is_none(files: R2Bucket, stub: Stubber, code: str) -> None:
    stub.add_client_error("head_object", code, http_status_code=404)
    assert files.head(KEY) is None


def test_an_error_other_than_absence_is_raised(files: R2Bucket, stub: Stubber) -> None:
    for method in ("head_object", "list_parts", "abort_multipart_upload"):
        stub.add_client_error(method, "AccessDenied", http_status_code=403)
    with pytest.raises(InfrastructureError):
        files.head(KEY)
    with pytest.raises(InfrastructureError):
        files.list_parts(KEY, "u")
    with pytest.raises(InfrastructureError):
        files.abort_upload(KEY, "u")


def test_r2_receives_no_checksum_that_it_rejects(files: R2Bucket) -> None:
    sent: list[dict[str, object]] = []
    events = files.client.meta.events
    events.register("before-sign.s3.*", lambda request, **_: sent.append(dict(request.headers)))
    files.put(KEY, b"x", content_type="video/mp4")
    upload = files.create_upload(KEY, content_type="video/mp4")
    files.upload_part(KEY, upload, 1, b"x")
    assert len(sent) == 3
    names = {name.lower() for headers in sent for name in headers}
    assert "content-md5" in names
    assert not {name for name in names if name.startswith(("x-amz-checksum", "x-amz-sdk-checksum", "x-amz-trailer"))}


# ---------------------------------------------------------------- presigned URLs


def presign(files: R2Bucket, *, file_name: str, seconds: int) -> str:
    return files.presign_download(
        KEY, file_name=file_name, content_type="video/mp4", expires_in_seconds=seconds, now=datetime.now(UTC)
    ).url


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Room one.mp4", "Room one.mp4"),
        ("Zoë/日本.mp4", "Zo____.mp4"),
        ('"; filename="evil.exe', "__ filename__evil.exe"),
        ("a\r\nSet-Cookie: x=1", "a__Set-Cookie_ x_1"),
        ("", ""),
    ],
)
def test_a_url_downloads_under_a_name_that_breaks_no_header(files: R2Bucket, name: str, plain: str) -> None:
    url = presign(files, file_name=name, seconds=3600)
    query = parse_qs(urlsplit(url).query)
    (disposition,) = query["response-content-disposition"]
    assert disposition.startswith(f"attachment; filename=\"{plain}\"; filename*=UTF-8''")
    assert disposition.isascii()
    assert disposition.isprintable()
    assert disposition.count('"') == 2
    assert query["response-content-type"] == ["video/mp4"]


@pytest.mark.parametrize("seconds", [60, 3600, 604_800])
def test_a_url_expires_when_it_says(files: R2Bucket, seconds: int) -> None:
    url = presign(files, file_name="x", seconds=seconds)
    query = parse_qs(urlsplit(url).query)
    assert query["X-Amz-Expires"] == [str(seconds)]
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    signed = datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - signed).total_seconds()) < 60
    assert urlsplit(url).path == f"/files/{KEY}"


@pytest.mark.parametrize("size", [0, 5, 12 * MIB + 7])
def test_a_file_of_any_size_is_copied_within_the_bucket(files: R2Bucket, size: int) -> None:
    files.max_copy_bytes, files.copy_part_bytes = 6 * MIB, 5 * MIB
    content = (b"0123456789abcde" * (size // 15 + 1))[:size]
    source = "ten%2Fant/room%3A1/rec_1/1/recording.mp4"
    files.put(source, content, content_type="video/mp4")
    # Begun by a copy that died.
    left = files.create_upload(f"quarantine/{KEY}", content_type="x")
    files.upload_part(f"quarantine/{KEY}", left, 1, PART)
    for _ in range(2):
        files.copy(source, f"quarantine/{KEY}")
    found = files.head(f"quarantine/{KEY}")
    assert found is not None
    assert found.size == size
    if size:
        assert files.read(f"quarantine/{KEY}", 0, size - 1) == content
    assert boto3.client("s3").head_object(Bucket="files", Key=f"quarantine/{KEY}")["ContentType"] == "video/mp4"
    if size > 6 * MIB:
        assert [*files.list_uploads("quarantine/")] == []


def test_a_copy_of_an_absent_object_raises_an_infrastructure_error(files: R2Bucket) -> None:
    with pytest.raises(InfrastructureError):
        files.copy("nothing", "quarantine/nothing")
