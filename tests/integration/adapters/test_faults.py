"""Requests that nobody answers, and answers that get lost after the work is done, against the real adapters."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, NoCredentialsError
from moto import mock_aws
from moto.core.models import botocore_stubber, patch_client

from recordings.adapters.aws import event_bus as events
from recordings.adapters.aws import secrets, step_functions
from recordings.adapters.aws.executions import ArchivingStateMachine, ProcessingStateMachine
from recordings.adapters.aws.task_tokens import StepFunctionsTasks, complete_task, fail_task
from recordings.adapters.dynamodb.audit import DynamoOpenFindings, DynamoTenants
from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
from recordings.adapters.dynamodb.rate_limit import DynamoRateLimiter
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.retry_queue import DynamoRetryQueue
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.dynamodb.sync_lease import DynamoSyncLease
from recordings.adapters.storage.archive import ArchiveBucket
from recordings.adapters.storage.bucket import Bucket
from recordings.adapters.storage.r2 import R2Bucket
from recordings.domain.errors import (
    ConcurrentUpdate,
    InfrastructureError,
    RequestInProgress,
    SourceUnavailable,
    Throttled,
)
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Progress
from recordings.domain.sync import SyncItem
from tests.support.builders import NOON, a_recording, a_room
from tests.support.context import Context
from tests.support.faults import failing, losing, no_pauses
from tests.support.functions import handler_of
from tests.support.table import a_table
from tests.support.template import ROOT

__all__ = ["no_pauses"]

MIB = 1024 * 1024
KEY = "tenant/room/rec_1/1/recording.mp4"
PARTS = {1: b"p" * 5 * MIB, 2: b"end"}

pytestmark = pytest.mark.usefixtures("no_pauses")

ROOM, RECORDING = a_room(), a_recording()
LATER = NOON + timedelta(minutes=1)
PROGRESS = Progress(step="copying", attempt=1)
rooms, recordings, keys = DynamoRooms(), DynamoRecordings(), DynamoIdempotencyKeys()
suspects, kept, checksums = DynamoOpenFindings(), DynamoRetryQueue(), DynamoPartChecksums()
TABLE_CALLS: dict[str, Callable[[], object]] = {
    "rooms.add": lambda: rooms.add(ROOM),
    "rooms.get": lambda: rooms.get("tenant_1", "room_1"),
    "rooms.save": lambda: rooms.save(ROOM, replace(ROOM, name="x", version=2)),
    "rooms.remove": lambda: rooms.remove(ROOM),
    "rooms.list": lambda: rooms.list("tenant_1", limit=10),
    "rooms.acquire_creation_lock": lambda: rooms.acquire_creation_lock(
        "tenant_1", "room_1", nonce="n", now=NOON, until=LATER
    ),
    "rooms.note_meeting": lambda: rooms.note_meeting("tenant_1", "room_1", nonce="n", meeting_id="m"),
    "rooms.release_creation_lock": lambda: rooms.release_creation_lock("tenant_1", "room_1", nonce="n"),
    "rooms.acquire_lock": lambda: rooms.acquire_lock("tenant_1", "room_1", nonce="n", now=NOON, until=LATER),
    "rooms.release_lock": lambda: rooms.release_lock("tenant_1", "room_1", nonce="n"),
    "rooms.find_by_meeting_id": lambda: rooms.find_by_meeting_id("meeting_1"),
    "recordings.add": lambda: recordings.add(RECORDING, lease_nonce=None),
    "recordings.get": lambda: recordings.get("tenant_1", RECORDING.id),
    "recordings.get_including_deleted": lambda: recordings.get_including_deleted("tenant_1", RECORDING.id),
    "recordings.save": lambda: recordings.save(RECORDING, replace(RECORDING, partial=True, version=2)),
    "recordings.note_progress": lambda: recordings.note_progress(RECORDING, PROGRESS),
    "recordings.note_missing": lambda: recordings.note_missing(RECORDING, NOON),
    "recordings.put_back": lambda: recordings.put_back(RECORDING),
    "recordings.page": lambda: recordings.page("tenant_1", limit=10),
    "recordings.find_by_cloudflare_recording_id": lambda: recordings.find_by_cloudflare_recording_id("cf_1"),
    "recordings.list_unfinished": lambda: list(recordings.list_unfinished()),
    "recordings.list_all": lambda: list(recordings.list_all("tenant_1")),
    "recordings.find_by_cloudflare_recording_ids": lambda: recordings.find_by_cloudflare_recording_ids(["cf_1"]),
    "recordings.store_task_token": lambda: recordings.store_task_token(RECORDING, "t"),
    "recordings.pop_task_token": lambda: recordings.pop_task_token(RECORDING),
    "keys.reserve": lambda: keys.reserve("tenant_1", "k", fingerprint="f", now=NOON),
    "keys.store_response": lambda: keys.store_response("tenant_1", "k", response={}, now=NOON),
    "keys.release": lambda: keys.release("tenant_1", "k"),
    "sums.store": lambda: checksums.store("u", {1: 0}),
    "sums.get_all": lambda: checksums.get_all("u"),
    "retry_queue.list_all": kept.list_all,
    "retry_queue.add": lambda: kept.add(SyncItem.of_meeting("m")),
    "retry_queue.remove": lambda: kept.remove(SyncItem.of_meeting("m")),
    "tenants.get_all": DynamoTenants().get_all,
    "tenants.note_audit": lambda: DynamoTenants().note_audit("tenant_1", at=NOON),
    "suspects.get_all": lambda: suspects.get_all("tenant_1"),
    "suspects.add": lambda: suspects.add("tenant_1", ["k"], at=NOON),
    "suspects.remove": lambda: suspects.remove("tenant_1", ["k"]),
    "lease.acquire": lambda: DynamoSyncLease().acquire(nonce="n", now=NOON, until=LATER),
    "lease.renew": lambda: DynamoSyncLease().renew(nonce="n", until=LATER),
    "lease.release": lambda: DynamoSyncLease().release(nonce="n", watermark=None, full_at=None),
    "budget.spend": lambda: DynamoRateLimiter().acquire(),
    "budget.block": lambda: DynamoRateLimiter().block(300),
}


@pytest.mark.parametrize("call", TABLE_CALLS.values(), ids=TABLE_CALLS)
def test_a_table_that_does_not_respond_is_a_passing_error(call: Callable[[], object]) -> None:
    with failing(client, "*"), pytest.raises(Throttled):
        call()


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        (EndpointConnectionError(endpoint_url="https://dynamodb"), Throttled),
        (ConnectTimeoutError(endpoint_url="https://dynamodb"), Throttled),
        (NoCredentialsError(), InfrastructureError),
    ],
    ids=lambda given: type(given).__name__,
)
def test_a_write_without_a_response_is_classed_by_its_fault(fault: Exception, wanted: type[Exception]) -> None:
    def fail(**_: Any) -> None:
        raise fault

    with failing(client, "*", fail), pytest.raises(wanted) as reported:
        rooms.add(ROOM)
    assert reported.value.__cause__ is fault


def test_an_api_whose_table_does_not_respond_says_when_to_retry() -> None:
    event = json.loads((ROOT / "events/get_room.json").read_text())
    with a_table(), failing(client, "GetItem"):
        received = handler_of("api/get_room")(event, Context())
    assert (received["statusCode"], json.loads(received["body"])["code"]) == (503, "throttled")
    assert int(received["headers"]["retry-after"]) >= 1


def test_an_api_that_may_not_read_its_table_shows_no_details() -> None:
    def deny(**_: Any) -> None:
        raise NoCredentialsError

    event = json.loads((ROOT / "events/get_room.json").read_text())
    with a_table(), failing(client, "GetItem", deny):
        received = handler_of("api/get_room")(event, Context())
    assert received["statusCode"] == 500
    assert json.loads(received["body"])["code"] == "internal_error"
    assert "credentials" not in received["body"].lower()


# ---------------------------------------------------------------- answers that get lost: the table


def test_a_lock_with_an_unknown_outcome_is_released() -> None:
    """The table takes it and its answer never comes; the answer to its release does."""
    with a_table():
        rooms.add(ROOM)
        with losing(client, "UpdateItem", times=3), pytest.raises(Throttled):
            rooms.acquire_lock("tenant_1", "room_1", nonce="a", now=NOON, until=LATER)
        assert rooms.acquire_lock("tenant_1", "room_1", nonce="b", now=NOON, until=LATER).lease_nonce == "b"
        # Another's is not touched.
        with losing(client, "UpdateItem", times=3), pytest.raises(Throttled):
            rooms.acquire_lock("tenant_1", "room_1", nonce="c", now=NOON, until=LATER)
        assert rooms.get("tenant_1", "room_1").lease_nonce == "b"


def test_a_lock_whose_room_cannot_be_read_is_released() -> None:
    with a_table():
        rooms.add(ROOM)
        with failing(client, "GetItem"), pytest.raises(Throttled):
            rooms.acquire_lock("tenant_1", "room_1", nonce="a", now=NOON, until=LATER)
        assert rooms.get("tenant_1", "room_1").lease_nonce is None


def test_a_creation_lock_with_an_unknown_outcome_is_released() -> None:
    with a_table():
        with losing(client, "UpdateItem", times=3), pytest.raises(Throttled):
            rooms.acquire_creation_lock("tenant_1", "room_2", nonce="a", now=NOON, until=LATER)
        assert rooms.acquire_creation_lock("tenant_1", "room_2", nonce="b", now=NOON, until=LATER) is None


def test_an_idempotency_key_with_an_unknown_reservation_is_free() -> None:
    with a_table():
        with losing(client, "PutItem", times=3), pytest.raises(Throttled):
            keys.reserve("tenant_1", "k", fingerprint="f", now=NOON)
        assert keys.reserve("tenant_1", "k", fingerprint="f", now=NOON) is None
        with losing(client, "PutItem", times=3), pytest.raises(Throttled):
            keys.reserve("tenant_1", "k", fingerprint="f", now=NOON)
        with pytest.raises(RequestInProgress):
            keys.reserve("tenant_1", "k", fingerprint="f", now=NOON)


def test_a_token_whose_removal_is_unknown_is_not_lost() -> None:
    with a_table():
        recordings.store_task_token(RECORDING, "t")
        with losing(client, "DeleteItem"):
            assert recordings.pop_task_token(RECORDING) == "t"
        assert recordings.pop_task_token(RECORDING) is None


def test_a_change_of_one_item_whose_response_is_lost_is_stored_once() -> None:
    with a_table():
        stored = replace(RECORDING, status=Status.PROCESSING)
        recordings.add(stored, lease_nonce=None)
        after = stored.recovered(at=LATER)
        with losing(client, "PutItem"):
            recordings.save(stored, after)
        assert recordings.get(stored.tenant_id, stored.id) == after
        with pytest.raises(ConcurrentUpdate):
            recordings.save(stored, after)


def test_progress_whose_response_is_lost_is_stored() -> None:
    with a_table():
        stored = replace(RECORDING, status=Status.PROCESSING)
        recordings.add(stored, lease_nonce=None)
        with losing(client, "UpdateItem"):
            recordings.note_progress(stored, PROGRESS)
        with losing(client, "UpdateItem"):
            recordings.note_missing(stored, NOON)
        noted = replace(stored, progress=PROGRESS, missing_since=NOON)
        assert recordings.get(stored.tenant_id, stored.id) == noted
        with losing(client, "PutItem"):
            recordings.put_back(a_recording(id="rec_02", status=Status.READY, deleted_at=NOON))
        assert recordings.get_including_deleted("tenant_1", "rec_02").deleted_at == NOON


def test_a_sync_recognises_its_own_write_when_it_begins() -> None:
    with a_table():
        assert DynamoSyncLease().acquire(nonce="a", now=NOON, until=LATER) is not None
        DynamoSyncLease().release(nonce="a", watermark=NOON, full_at=NOON)
        with losing(client, "UpdateItem"):
            started = DynamoSyncLease().acquire(nonce="b", now=LATER, until=LATER + timedelta(minutes=9))
        assert started is not None
        # When the one before it began was in the answer that got lost: not known, and not now.
        assert (started.watermark, started.full, started.previous_started_at) == (NOON, False, None)
        with losing(client, "UpdateItem"):
            DynamoSyncLease().release(nonce="b", watermark=LATER, full_at=None)
        assert DynamoSyncLease().acquire(nonce="c", now=LATER, until=LATER) is not None


def test_the_rate_limit_counts_a_call_whose_response_is_lost() -> None:
    with a_table():
        for _ in range(2):
            with losing(client, "UpdateItem", times=2):
                DynamoRateLimiter().acquire()
        with losing(client, "UpdateItem"):
            DynamoRateLimiter().block(60)


@pytest.mark.parametrize(
    ("reasons", "wanted"),
    [
        (["None", "TransactionConflict"], Throttled),
        (["ThrottlingError"], Throttled),
        (["ProvisionedThroughputExceeded"], Throttled),
        (["ConditionalCheckFailed", "TransactionConflict"], ConcurrentUpdate),
        (["ValidationError"], InfrastructureError),
        (["ItemCollectionSizeLimitExceeded"], InfrastructureError),
        (["AccessDenied"], InfrastructureError),
        ([], InfrastructureError),
    ],
    ids=str,
)
def test_every_reason_of_a_cancellation_has_its_class(
    monkeypatch: pytest.MonkeyPatch, reasons: list[str], wanted: type[Exception]
) -> None:
    """The reasons that DynamoDB knows (API reference, TransactWriteItems)."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)

    def cancel(**_: Any) -> None:
        reported = [{"Code": reason} for reason in reasons]
        refused: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reported}
        raise ClientError(refused, "TransactWriteItems")

    with failing(client, "TransactWriteItems", cancel), pytest.raises(wanted):
        rooms.save(ROOM, replace(ROOM, version=2))


# ---------------------------------------------------------------- answers that get lost: the buckets


@pytest.fixture(params=["r2", "s3"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with mock_aws():
        monkeypatch.setenv("R2_ENDPOINT", "https://s3.amazonaws.com")
        monkeypatch.setenv("ARCHIVE_BUCKET", "files")
        boto3.client("secretsmanager").create_secret(
            Name="r2-secret", SecretString=json.dumps({"access_key_id": "id", "secret_access_key": "key"})
        )
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="files")
        yield R2Bucket() if request.param == "r2" else ArchiveBucket()


def no_such_upload(**_: Any) -> None:
    raise ClientError({"Error": {"Code": "NoSuchUpload", "Message": ""}}, "CompleteMultipartUpload")


def an_upload(bucket: Bucket) -> tuple[str, dict[int, str]]:
    upload = bucket.create_upload(KEY, content_type="video/mp4")
    return upload, {number: bucket.upload_part(KEY, upload, number, content) for number, content in PARTS.items()}


def test_an_upload_whose_completion_response_is_lost_is_complete(bucket: Bucket) -> None:
    """The repeat is answered with NoSuchUpload: the upload has ended (S3 API reference, CompleteMultipartUpload)."""
    upload, etags = an_upload(bucket)
    bucket.complete_upload(KEY, upload, etags, {1: 0, 2: 0})
    with failing(bucket.client, "CompleteMultipartUpload", no_such_upload):
        assert bucket.complete_upload(KEY, upload, etags, {1: 0, 2: 0}) is None


def test_the_completion_of_a_missing_upload_is_an_error(bucket: Bucket) -> None:
    upload, etags = an_upload(bucket)
    with failing(bucket.client, "CompleteMultipartUpload", no_such_upload):
        with pytest.raises(SourceUnavailable):
            bucket.complete_upload(KEY, upload, etags, {1: 0, 2: 0})
        # What lies there is another upload's.
        bucket.put(KEY, b"other", content_type="video/mp4")
        with pytest.raises(SourceUnavailable):
            bucket.complete_upload(KEY, upload, etags, {1: 0, 2: 0})


def test_a_copy_in_parts_whose_completion_response_is_lost_is_complete(bucket: Bucket) -> None:
    bucket.max_copy_bytes = bucket.copy_part_bytes = 5 * MIB
    upload, etags = an_upload(bucket)
    bucket.complete_upload(KEY, upload, etags, {1: 0, 2: 0})

    def lost(event_name: str, request: Any, **_: Any) -> None:
        botocore_stubber(event_name, request)
        no_such_upload()

    with failing(bucket.client, "CompleteMultipartUpload", lost):
        bucket.copy(KEY, "copy")
    assert bucket.head("copy") == bucket.head(KEY)


def test_an_upload_that_is_created_twice_leaves_one_upload(bucket: Bucket) -> None:
    with losing(bucket.client, "CreateMultipartUpload") as sent:
        upload = bucket.create_upload(KEY, content_type="video/mp4")
    assert len(sent) == 2
    assert [(found.key, found.upload_id) for found in bucket.list_uploads("")] == [(KEY, upload)]


@pytest.mark.parametrize("operation", ["PutObject", "UploadPart", "DeleteObject", "AbortMultipartUpload"])
def test_a_repeated_operation_has_the_effect_of_one(bucket: Bucket, operation: str) -> None:
    upload = bucket.create_upload(KEY, content_type="video/mp4")
    with losing(bucket.client, operation):
        assert bucket.put("a", b"x", content_type="video/mp4") == md5(b"x", usedforsecurity=False).hexdigest()
        bucket.upload_part(KEY, upload, 1, b"x")
        bucket.delete("a")
        bucket.abort_upload(KEY, upload)
    assert bucket.head("a") is None
    assert bucket.list_parts(KEY, upload) is None


@pytest.mark.parametrize("bucket", ["s3"], indirect=True)
def test_a_repeated_restore_request_is_no_error(bucket: ArchiveBucket) -> None:
    bucket.put(KEY, b"film", content_type="video/mp4")
    with losing(bucket.client, "RestoreObject"):
        bucket.request_restore(KEY, days=3, tier="bulk")
    assert (status := bucket.restore_status(KEY)) is not None
    assert status.in_progress or status.readable_until is not None


ARCHIVE = ArchiveBucket()
BUCKET_CALLS: dict[str, Callable[[Bucket], object]] = {
    "head": lambda b: b.head(KEY),
    "read": lambda b: b.read(KEY, 0, 3),
    "put": lambda b: b.put(KEY, b"x", content_type="video/mp4"),
    "create_upload": lambda b: b.create_upload(KEY, content_type="video/mp4"),
    "upload_part": lambda b: b.upload_part(KEY, "u", 1, b"x"),
    "list_parts": lambda b: b.list_parts(KEY, "u"),
    "complete_upload": lambda b: b.complete_upload(KEY, "u", {1: "00" * 16}, {1: 0}),
    "abort_upload": lambda b: b.abort_upload(KEY, "u"),
    "list_uploads": lambda b: list(b.list_uploads("")),
    "list_objects": lambda b: list(b.list_objects("")),
    "list_names": lambda b: list(b.list_names("")),
    "list_items": lambda b: list(b.list_items("")),
    "delete": lambda b: b.delete(KEY),
}


@pytest.mark.parametrize("call", BUCKET_CALLS.values(), ids=BUCKET_CALLS)
def test_a_bucket_that_does_not_respond_is_a_passing_error(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[Bucket], object]
) -> None:
    monkeypatch.setenv("ARCHIVE_BUCKET", "files")
    with failing(ARCHIVE.client, "*"), pytest.raises((Throttled, SourceUnavailable)):
        call(ARCHIVE)


# ---------------------------------------------------------------- the others


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with mock_aws():
        patch_client(step_functions.client)
        definition = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1, "End": True}}}
        arn = boto3.client("stepfunctions").create_state_machine(
            name="m", definition=json.dumps(definition), roleArn="arn:aws:iam::123456789012:role/m"
        )["stateMachineArn"]
        monkeypatch.setenv("PROCESSING_ARN", arn)
        monkeypatch.setenv("ARCHIVING_ARN", arn)
        yield arn


RUN_CALLS: dict[str, Callable[[], object]] = {
    "start": lambda: ProcessingStateMachine().start(RECORDING),
    "replace": lambda: ProcessingStateMachine().replace(RECORDING, replace(RECORDING, attempt=2)),
    "alive": lambda: ProcessingStateMachine().is_running(RECORDING),
    "check_again": lambda: StepFunctionsTasks().check_again("t"),
    "archive": lambda: ArchivingStateMachine().start(RECORDING),
    "revive": lambda: ArchivingStateMachine().restart(RECORDING),
    "complete_task": lambda: complete_task("t", {}),
    "fail_task": lambda: fail_task("t", "E", "c"),
}


@pytest.mark.parametrize("call", RUN_CALLS.values(), ids=RUN_CALLS)
def test_step_functions_that_does_not_respond_is_a_passing_error(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[], object]
) -> None:
    monkeypatch.setenv("ARCHIVING_ARN", "arn:aws:states:eu-west-1:123456789012:stateMachine:archiving")
    with failing(step_functions.client, "*"), pytest.raises(Throttled):
        call()


def test_a_start_whose_response_is_lost_starts_one_execution(machine: str) -> None:
    with losing(step_functions.client, "StartExecution"):
        ProcessingStateMachine().start(RECORDING)
    (run,) = boto3.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    assert run["name"] == f"{RECORDING.id}-1"


def test_a_bus_or_a_secret_that_does_not_respond_is_a_passing_error() -> None:
    with mock_aws(), ExitStack() as faults:
        for client in (events._client, secrets._client()):
            patch_client(client)
            faults.enter_context(failing(client, "*"))
        with pytest.raises(Throttled):
            events.EventBridgeBus().publish("recording.purged", [{"at": datetime.now(UTC).isoformat()}])
        with pytest.raises(Throttled):
            secrets.Secret("r2-secret", ttl=timedelta(minutes=5)).read()
