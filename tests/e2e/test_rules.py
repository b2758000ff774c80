"""The running stack refuses what AWS and R2 refuse: one example of each rule, seen through boto3."""

import base64
import json
import uuid
import zlib
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.support import Json, outcome
from tools.local import stack

PART = bytes(5 * 1024 * 1024)


def refusal(call: Any, **arguments: Any) -> str:
    """The code of the error that a call must end in."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"])


@pytest.fixture
def key() -> str:
    return f"rules/{uuid.uuid4().hex}"


def test_r2_wants_equal_parts_and_knows_no_tags(running: Json, key: str) -> None:
    r2, where = stack.client(running, "r2"), {"Bucket": running["buckets"]["r2"], "Key": key}
    upload = where | {"UploadId": r2.create_multipart_upload(**where)["UploadId"]}
    parts = [
        {"PartNumber": number, "ETag": r2.upload_part(**upload, PartNumber=number, Body=content)["ETag"]}
        for number, content in enumerate([PART, PART + b"1", b"end"], start=1)
    ]
    assert refusal(r2.complete_multipart_upload, **upload, MultipartUpload={"Parts": parts}) == "InvalidPart"
    r2.complete_multipart_upload(**upload, MultipartUpload={"Parts": [parts[0], parts[2]]})
    assert refusal(r2.put_object_tagging, **where, Tagging={"TagSet": []}) == "NotImplemented"
    assert refusal(r2.put_object, **where, Body=b"a", StorageClass="GLACIER") == "InvalidStorageClass"
    r2.delete_object(**where)


def test_s3_compares_checksums(running: Json, key: str) -> None:
    s3, where = stack.client(running, "s3"), {"Bucket": running["buckets"]["ArchiveBucket"], "Key": key}
    plain = where | {"UploadId": s3.create_multipart_upload(**where)["UploadId"]}
    crc = base64.b64encode(zlib.crc32(b"end").to_bytes(4)).decode()
    assert (
        refusal(s3.upload_part, **plain, PartNumber=1, Body=b"end", ChecksumSHA256="a" * 43 + "=") == "InvalidRequest"
    )
    s3.abort_multipart_upload(**plain)
    started = s3.create_multipart_upload(**where, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    upload = where | {"UploadId": started["UploadId"]}
    tag = s3.upload_part(**upload, PartNumber=1, Body=b"end", ChecksumCRC32=crc)["ETag"]
    parts = [{"PartNumber": 1, "ETag": tag, "ChecksumCRC32": crc}]
    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert (done["ChecksumType"], done["ChecksumCRC32"]) == ("FULL_OBJECT", crc)
    s3.delete_object(**where)


def test_an_execution_is_started_once_for_each_name(running: Json) -> None:
    machines = stack.client(running, "stepfunctions")
    wanted = {
        "stateMachineArn": running["state_machines"]["Archiving"],
        "name": f"test-{uuid.uuid4().hex}",
        "input": json.dumps({"tenant_id": "nobody", "recording_id": "rec_nobody", "attempt": 1}),
    }
    first = machines.start_execution(**wanted)["executionArn"]
    assert machines.start_execution(**wanted)["executionArn"] == first
    assert refusal(machines.start_execution, **wanted | {"input": "{}"}) == "ExecutionAlreadyExists"
    outcome(running, first)
    assert refusal(machines.start_execution, **wanted) == "ExecutionAlreadyExists"
    assert refusal(machines.start_execution, **wanted | {"name": "a b"}) == "InvalidName"


def test_payloads_and_events_have_their_sizes(running: Json) -> None:
    functions, events = stack.client(running, "lambda"), stack.client(running, "events")
    payload = json.dumps({"a": "x" * 6 * 1024 * 1024}).encode()
    wanted = {"FunctionName": running["functions"]["GetRoom"], "Payload": payload}
    assert refusal(functions.invoke, **wanted) == "RequestTooLargeException"
    entry = {"Source": "test", "DetailType": "t", "Detail": "no JSON"}
    assert events.put_events(Entries=[entry])["Entries"][0]["ErrorCode"] == "MalformedDetail"
    large = entry | {"Detail": json.dumps({"a": "x" * 1024 * 1024})}
    assert refusal(events.put_events, Entries=[large]) == "ValidationException"
