"""The local S3 and R2 check uploads as the real ones do."""

import hashlib
import json
import zlib
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from ministack.services import s3

from tools.local.rules import uploads

MIB = 1024 * 1024
PART = bytes(5 * MIB)


@pytest.fixture(params=["s3", "r2"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The rules in place, and a bucket in S3 or in R2."""
    for name, rule in {
        "_dispatch": uploads.dispatch,
        "_create_multipart_upload": uploads.create,
        "_upload_part": uploads.upload_part,
        "_complete_multipart_upload": uploads.complete,
        "_composite_checksum": uploads.composite,
    }.items():
        monkeypatch.setattr(s3, name, rule)
    monkeypatch.setattr(uploads, "is_r2", lambda: request.param == "r2")
    s3.reset()
    assert call("PUT")[0] == 200
    yield request.param
    s3.reset()


def call(method: str, key: str = "", query: str = "", body: bytes = b"", /, **headers: str) -> tuple[int, Any, bytes]:
    parts = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response: tuple[int, Any, bytes] = s3._dispatch(
        method, "bucket", key, named, body, {name: [value] for name, value in parts.items()}
    )
    return response


def code(response: tuple[int, Any, bytes]) -> str:
    found = ElementTree.fromstring(response[2]).findtext("Code")
    return found or ""


def started(**headers: str) -> str:
    status, _, body = call("POST", "k", "uploads", **headers)
    assert status == 200, body
    return body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()


def sent(upload: str, number: int, content: bytes, **headers: str) -> tuple[int, Any, bytes]:
    return call("PUT", "k", f"partNumber={number}&uploadId={upload}", content, **headers)


def completed(upload: str, parts: list[tuple[int, bytes]], checksums: str = "") -> tuple[int, Any, bytes]:
    rows = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{hashlib.md5(content).hexdigest()}</ETag>"
        + (f"<ChecksumCRC32>{crc(content)}</ChecksumCRC32>" if checksums else "")
        + "</Part>"
        for number, content in parts
    )
    document = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
    return call("POST", "k", f"uploadId={upload}", document)


def crc(content: bytes) -> str:
    return b64encode(zlib.crc32(content).to_bytes(4)).decode()


def whole(parts: list[bytes]) -> tuple[int, Any, bytes]:
    """Upload and complete these parts."""
    upload = started()
    for number, content in enumerate(parts, start=1):
        assert sent(upload, number, content)[0] == 200
    return completed(upload, [*enumerate(parts, start=1)])


def test_every_part_but_the_last_has_five_mebibytes(store: str) -> None:
    assert code(whole([PART[:-1], b"end"])) == "EntityTooSmall"
    assert whole([PART, b"end"])[0] == 200


@pytest.mark.parametrize("parts", [[PART + b"1", PART, b"end"], [PART, PART + b"1"]])
def test_r2_wants_equal_parts(store: str, parts: list[bytes]) -> None:
    response = whole(parts)
    assert (response[0] == 200) if store == "s3" else (code(response) == "InvalidPart")


def test_parts_are_named_in_their_order_and_as_they_were_stored(store: str) -> None:
    upload = started()
    for number in (1, 2):
        sent(upload, number, PART)
    assert code(completed(upload, [(2, PART), (1, PART)])) == "InvalidPartOrder"
    assert code(completed(upload, [(1, PART), (1, PART)])) == "InvalidPartOrder"
    assert code(completed(upload, [(1, PART), (2, b"other")])) == "InvalidPart"
    assert code(completed(upload, [(1, PART), (3, PART)])) == "InvalidPart"
    assert code(completed(upload, [])) == "MalformedXML"
    assert completed(upload, [(1, PART), (2, PART)])[0] == 200


def test_a_part_has_the_checksum_that_its_upload_was_begun_with(store: str) -> None:
    response = sent(started(), 1, b"a", x_amz_checksum_crc32=crc(b"a"))
    assert code(response) == "InvalidRequest"
    assert b"expected checksum Type: null, actual checksum Type: crc32" in response[2]

    upload = started(x_amz_checksum_algorithm="CRC32")
    response = sent(upload, 1, b"a")
    assert b"expected checksum Type: crc32, actual checksum Type: null" in response[2]
    assert sent(upload, 1, b"a", x_amz_checksum_crc32=crc(b"a"))[0] == 200
    assert code(completed(upload, [(1, b"a")])) == "InvalidRequest"
    status, _, body = completed(upload, [(1, b"a")], checksums="CRC32")
    assert status == 200
    assert b"<ChecksumType>COMPOSITE<" in body
    assert b"-1</ChecksumCRC32>" in body


def test_a_checksum_of_the_whole_object_is_that_of_its_bytes(store: str) -> None:
    if store == "r2":
        response = call("POST", "k", "uploads", x_amz_checksum_algorithm="CRC32", x_amz_checksum_type="FULL_OBJECT")
        assert code(response) == "InvalidRequest"
        return
    upload = started(x_amz_checksum_algorithm="CRC32", x_amz_checksum_type="FULL_OBJECT")
    parts = [PART, b"end"]
    for number, content in enumerate(parts, start=1):
        assert sent(upload, number, content, x_amz_checksum_crc32=crc(content))[0] == 200
    first = completed(upload, [*enumerate(parts, start=1)], checksums="CRC32")
    assert first[0] == 200
    assert f"<ChecksumCRC32>{crc(b''.join(parts))}<".encode() in first[2]
    assert b"<ChecksumType>FULL_OBJECT<" in first[2]
    assert completed(upload, [*enumerate(parts, start=1)], checksums="CRC32")[2] == first[2]
    _, headers, _ = call("HEAD", "k", x_amz_checksum_mode="ENABLED")
    assert headers["x-amz-checksum-crc32"] == crc(b"".join(parts))
    assert headers["x-amz-checksum-type"] == "FULL_OBJECT"


@pytest.mark.parametrize(
    ("algorithm", "kind"), [("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"), ("", "COMPOSITE")]
)
def test_types_of_checksums_that_do_not_exist(store: str, algorithm: str, kind: str) -> None:
    headers = {"x_amz_checksum_type": kind} | ({"x_amz_checksum_algorithm": algorithm} if algorithm else {})
    assert code(call("POST", "k", "uploads", **headers)) == "InvalidRequest"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-acl": "private"},
        {"x-amz-grant-read": "id=1"},
        {"x-amz-tagging": "a=1"},
        {"x-amz-object-lock-mode": "GOVERNANCE"},
        {"x-amz-expected-bucket-owner": "000000000000"},
        {"x-amz-website-redirect-location": "/"},
        {"x-amz-server-side-encryption": "aws:kms"},
        {"x-amz-trailer": "x-amz-checksum-crc32"},
    ],
    ids=json.dumps,
)
def test_r2_lacks_much_that_s3_has(store: str, headers: dict[str, str]) -> None:
    response = call("PUT", "k", "", b"a", **{name.replace("-", "_"): value for name, value in headers.items()})
    assert (response[0] == 501 and code(response) == "NotImplemented") == (store == "r2"), response


@pytest.mark.parametrize("query", ["tagging", "acl", "versionId=1", "retention", "attributes"])
def test_r2_lacks_subresources(store: str, query: str) -> None:
    call("PUT", "k", "", b"a")
    response = call("GET", "k", query)
    assert (response[0] == 501) == (store == "r2"), response


def test_r2_has_two_storage_classes(store: str) -> None:
    assert call("PUT", "k", "", b"a", x_amz_storage_class="STANDARD_IA")[0] == 200
    assert (call("PUT", "k", "", b"a", x_amz_storage_class="GLACIER")[0] == 200) == (store == "s3")


def test_content_is_compared_with_its_md5(store: str) -> None:
    wrong = b64encode(hashlib.md5(b"b").digest()).decode()
    assert code(call("PUT", "k", "", b"a", content_md5=wrong)) == "BadDigest"
    assert code(sent(started(), 1, b"a", content_md5=wrong)) == "BadDigest"
