"""Files in R2, by moto's S3, and what R2 may answer otherwise, by a stub."""

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

from recordings.adapters.storage import bucket as object_store
from recordings.adapters.storage.bucket import R2Bucket
from recordings.domain.errors import ChecksumMismatch, InfrastructureError, SourceUnavailable

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


@pytest.mark.parametrize("content", [b"", b"x", b"film" * 1000])
def test_a_small_file_is_stored_whole_and_read_back(files: R2Bucket, content: bytes) -> None:
    assert files.put(KEY, content, content_type="video/mp4") == md5(content)
    assert files.head(KEY) == (len(content), md5(content))
    if content:
        assert files.read(KEY, 0, len(content) - 1) == content
        assert files.read(KEY, 0, 0) == content[:1]
    told = boto3.client("s3").head_object(Bucket="files", Key=KEY)
    assert told["ContentType"] == "video/mp4"


def test_a_file_that_is_not_there_is_none(files: R2Bucket) -> None:
    assert files.head(KEY) is None


def test_parts_become_one_object_with_the_etag_of_their_sums(files: R2Bucket) -> None:
    upload = files.create_upload(KEY, content_type="video/mp4")
    assert files.parts(KEY, upload) == {}
    # In any order, and once more.
    for number, content in ((2, b"end"), (1, PART), (2, b"end")):
        assert files.upload_part(KEY, upload, number, content) == md5(content)
    parts = files.parts(KEY, upload)
    assert parts == {1: (len(PART), md5(PART)), 2: (3, md5(b"end"))}
    assert files.head(KEY) is None
    assert files.complete(KEY, upload, {2: md5(b"end"), 1: md5(PART)}, {1: 0, 2: 0}) is None
    sums = md5(bytes.fromhex(md5(PART)) + bytes.fromhex(md5(b"end")))
    assert files.head(KEY) == (len(PART) + 3, f"{sums}-2")
    assert files.read(KEY, len(PART) - 1, len(PART) + 2) == b"pend"
    assert boto3.client("s3").head_object(Bucket="files", Key=KEY)["ContentType"] == "video/mp4"
    assert files.parts(KEY, upload) is None


def test_an_upload_that_is_dropped_is_gone_and_may_be_dropped_again(files: R2Bucket) -> None:
    upload = files.create_upload(KEY, content_type="video/mp4")
    files.upload_part(KEY, upload, 1, b"x")
    files.abort(KEY, upload)
    assert files.parts(KEY, upload) is None
    files.abort(KEY, upload)
    assert files.head(KEY) is None


def test_unfinished_uploads_are_found_by_the_beginning_of_their_key(files: R2Bucket) -> None:
    recording = {(key, files.create_upload(key, content_type="video/mp4")) for key in ("a/1/x.mp4", "a/2/x.mp4")}
    files.create_upload("b/1/x.mp4", content_type="video/mp4")
    assert set(files.uploads("a/")) == recording
    assert list(files.uploads("c/")) == []


def test_files_are_listed_with_what_a_look_at_each_would_tell(files: R2Bucket) -> None:
    upload = files.create_upload("a/2/y.mp4", content_type="video/mp4")
    files.upload_part("a/2/y.mp4", upload, 1, b"end")
    files.complete("a/2/y.mp4", upload, {1: md5(b"end")}, {1: 0})
    for key in ("a/1/x.mp4", "b/1/x.mp4", "loose"):
        files.put(key, b"x", content_type="video/mp4")
    assert [key for key, *_ in files.objects("a/", after="a/1/~")] == ["a/2/y.mp4"]
    listed = {key: (size, etag) for key, size, etag, _ in files.objects("a/")}
    assert listed == {key: files.head(key) for key in ("a/1/x.mp4", "a/2/y.mp4")}
    assert all(abs((datetime.now(UTC) - at).total_seconds()) < 60 for *_, at in files.objects("a/"))
    assert [sorted(files.entries(prefix)) for prefix in ("", "a/", "c/")] == [["a/", "b/", "loose"], ["1/", "2/"], []]


def test_a_deleted_file_is_gone_and_may_be_deleted_again(files: R2Bucket) -> None:
    files.put(KEY, b"x", content_type="video/mp4")
    for _ in range(2):
        files.delete(KEY)
        assert files.head(KEY) is None


def test_a_part_of_an_upload_that_is_gone_is_told(files: R2Bucket, stub: Stubber) -> None:
    stub.add_client_error("upload_part", "NoSuchUpload", http_status_code=404)
    with pytest.raises(SourceUnavailable):
        files.upload_part(KEY, "u", 1, b"x")


def test_bytes_that_storage_refuses_by_their_sum_are_caught(files: R2Bucket, stub: Stubber) -> None:
    stub.add_client_error("put_object", "BadDigest", http_status_code=400)
    with pytest.raises(ChecksumMismatch):
        files.put(KEY, b"x", content_type="video/mp4")
    stub.add_client_error("upload_part", "BadDigest", http_status_code=400)
    with pytest.raises(ChecksumMismatch):
        files.upload_part(KEY, "u", 1, b"x")


def test_all_parts_are_told_however_many_pages_they_take(files: R2Bucket, stub: Stubber) -> None:
    def page(first: int, count: int, following: int | None) -> dict[str, object]:
        parts = [{"PartNumber": n, "Size": n, "ETag": f'"{n:032x}"'} for n in range(first, first + count)]
        more = {"IsTruncated": True, "NextPartNumberMarker": following} if following else {"IsTruncated": False}
        return {"Parts": parts, **more}

    asked = {"Bucket": "files", "Key": KEY, "UploadId": "u"}
    stub.add_response("list_parts", page(1, 1000, 1000), asked)
    stub.add_response("list_parts", page(1001, 500, None), asked | {"PartNumberMarker": 1000})
    parts = files.parts(KEY, "u")
    assert parts is not None
    assert list(parts) == list(range(1, 1501))
    assert parts[1500] == (1500, f"{1500:032x}")


@pytest.mark.parametrize("etag", ['""', '"00000000000000000000000000000000"', f'"{md5(b"other")}"'])
def test_a_file_that_is_stored_as_something_else_is_caught(files: R2Bucket, stub: Stubber, etag: str) -> None:
    stub.add_response("put_object", {"ETag": etag})
    with pytest.raises(ChecksumMismatch):
        files.put(KEY, b"x", content_type="video/mp4")
    stub.add_response("upload_part", {"ETag": etag})
    with pytest.raises(ChecksumMismatch):
        files.upload_part(KEY, "u", 1, b"x")


def test_storage_checks_what_arrives_against_our_sum(files: R2Bucket, stub: Stubber) -> None:
    digest = base64.b64encode(bytes.fromhex(md5(b"x"))).decode()
    sent = {"Bucket": "files", "Key": KEY, "Body": b"x", "ContentMD5": digest}
    stub.add_response("upload_part", {"ETag": md5(b"x")}, sent | {"UploadId": "u", "PartNumber": 7})
    stub.add_response("put_object", {"ETag": md5(b"x")}, sent | {"ContentType": "video/mp4"})
    files.upload_part(KEY, "u", 7, b"x")
    files.put(KEY, b"x", content_type="video/mp4")


@pytest.mark.parametrize("code", ["404", "NoSuchKey", "NotFound"])
def test_absence_has_many_names(files: R2Bucket, stub: Stubber, code: str) -> None:
    stub.add_client_error("head_object", code, http_status_code=404)
    assert files.head(KEY) is None


def test_what_is_not_absence_is_told(files: R2Bucket, stub: Stubber) -> None:
    for method in ("head_object", "list_parts", "abort_multipart_upload"):
        stub.add_client_error(method, "AccessDenied", http_status_code=403)
    with pytest.raises(InfrastructureError):
        files.head(KEY)
    with pytest.raises(InfrastructureError):
        files.parts(KEY, "u")
    with pytest.raises(InfrastructureError):
        files.abort(KEY, "u")


def test_no_checksum_is_sent_that_r2_refuses(files: R2Bucket) -> None:
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
    url = files.presign(KEY, file_name=name, content_type="video/mp4", expires_in=3600)
    query = parse_qs(urlsplit(url).query)
    (disposition,) = query["response-content-disposition"]
    assert disposition.startswith(f"attachment; filename=\"{plain}\"; filename*=UTF-8''")
    assert disposition.isascii()
    assert disposition.isprintable()
    assert disposition.count('"') == 2
    assert query["response-content-type"] == ["video/mp4"]


@pytest.mark.parametrize("seconds", [60, 3600, 604_800])
def test_a_url_lives_as_long_as_it_says(files: R2Bucket, seconds: int) -> None:
    url = files.presign(KEY, file_name="x", content_type="video/mp4", expires_in=seconds)
    query = parse_qs(urlsplit(url).query)
    assert query["X-Amz-Expires"] == [str(seconds)]
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    signed = datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - signed).total_seconds()) < 60
    assert urlsplit(url).path == f"/files/{KEY}"


def test_a_key_with_odd_signs_is_one_key(files: R2Bucket) -> None:
    odd = "a%23b/r%2Fm/rec_1/1/ü +&?.mp4"
    files.put(odd, b"x", content_type="video/mp4")
    assert files.read(odd, 0, 0) == b"x"
    assert [o["Key"] for o in boto3.client("s3").list_objects_v2(Bucket="files")["Contents"]] == [odd]


@pytest.mark.parametrize("size", [0, 5, 12 * MIB + 7])
def test_a_file_is_copied_within_the_bucket(files: R2Bucket, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "MAX_COPY_BYTES", 6 * MIB)
    monkeypatch.setattr(object_store, "COPY_PART_BYTES", 5 * MIB)
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
    assert found[0] == size
    if size:
        assert files.read(f"quarantine/{KEY}", 0, size - 1) == content
    assert boto3.client("s3").head_object(Bucket="files", Key=f"quarantine/{KEY}")["ContentType"] == "video/mp4"
    if size > 6 * MIB:
        assert [*files.uploads("quarantine/")] == []


def test_a_copy_of_what_is_not_there_is_an_error(files: R2Bucket) -> None:
    with pytest.raises(InfrastructureError):
        files.copy("nothing", "quarantine/nothing")
