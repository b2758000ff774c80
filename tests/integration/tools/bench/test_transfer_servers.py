"""The two ends of the transfer benchmark: what they refuse, and that what arrives is what was sent."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from tools.bench.transfer.errors import BenchError
from tools.bench.transfer.measure import BUCKET, Ends, Scheme, ends
from tools.bench.transfer.servers import file_of

MIB = 1024 * 1024
SIZE = 3 * MIB + 17


@pytest.fixture(scope="module", params=["http", "TLS"])
def both(request: pytest.FixtureRequest) -> Iterator[Ends]:
    scheme: Scheme = request.param
    with ends(scheme, SIZE, MIB) as both:
        yield both


def trusted(both: Ends) -> str | bool:
    return str(both.certificate.authority) if both.certificate else True


def test_the_source_serves_the_file_whole_and_any_range_of_it(both: Ends) -> None:
    content = b"".join(file_of(SIZE).read(0, SIZE - 1))

    whole = requests.get(both.source, verify=trusted(both), timeout=30)
    part = requests.get(both.source, headers={"Range": "bytes=5-1048580"}, verify=trusted(both), timeout=30)

    assert (whole.status_code, whole.content) == (200, content)
    assert (part.status_code, part.content) == (206, content[5:1048581])
    assert part.headers["Content-Range"] == f"bytes 5-1048580/{SIZE}"
    assert whole.headers["ETag"] == f'"{file_of(SIZE).etag(MIB)}"'


def test_the_bucket_makes_an_object_of_parts_and_refuses_damaged_ones(both: Ends) -> None:
    content = b"".join(file_of(SIZE).read(0, SIZE - 1))
    bucket: Any = boto3.client(
        "s3",
        endpoint_url=both.bucket,
        aws_access_key_id="x",
        aws_secret_access_key="x",
        region_name="auto",
        verify=trusted(both),
        config=Config(request_checksum_calculation="when_required", s3={"addressing_style": "path"}),
    )
    place = {"Bucket": BUCKET, "Key": "a/b.mp4"}
    upload = place | {"UploadId": bucket.create_multipart_upload(**place)["UploadId"]}
    parts = []
    for number, first in enumerate(range(0, SIZE, MIB), start=1):
        part = content[first : first + MIB]
        md5 = base64.b64encode(hashlib.md5(part).digest()).decode()
        etag = bucket.upload_part(**upload, PartNumber=number, Body=part, ContentMD5=md5)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    with pytest.raises(ClientError, match="BadDigest"):
        bucket.upload_part(**upload, PartNumber=1, Body=b"damaged", ContentMD5=md5)
    with pytest.raises(ClientError, match="InvalidPart"):
        bucket.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts[:-1]})
    assert [part["Size"] for part in bucket.list_parts(**upload)["Parts"]] == [MIB, MIB, MIB, 17]

    bucket.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})

    assert bucket.get_object(**place, Range="bytes=3-9")["Body"].read() == content[3:10]
    with pytest.raises(BenchError):
        both.require_stored("a/b.mp4", SIZE + 1, file_of(SIZE).etag(MIB))
    both.require_stored("a/b.mp4", SIZE, file_of(SIZE).etag(MIB))
    with pytest.raises(ClientError):
        bucket.head_object(**place)
