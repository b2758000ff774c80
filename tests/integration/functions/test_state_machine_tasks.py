"""The functions of the state machines, called in the order and with the messages of a whole execution."""

from collections.abc import Iterator
from typing import Any

import pytest

from recordings.domain.archive import Archive
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.observability import metrics
from tests.support.builders import NOON, a_file
from tests.support.context import Context
from tests.support.deployed import Deployed

type Json = dict[str, Any]

RECORDING_ID = "rec_01KE9C5RZ0X7Y3M6Q8T2V4W5AB"
CONTENT = b"a film of a meeting" * 50


@pytest.fixture(autouse=True)
def _no_metrics() -> Iterator[None]:
    metrics.clear_metrics()
    yield
    metrics.clear_metrics()


def run(app: Deployed, task: str, **message: Any) -> Json:
    return app.handler(task)(message, Context())


def attempt_of(recording: Recording) -> Json:
    return {"tenant_id": recording.tenant_id, "recording_id": recording.id, "attempt": 1}


def counted(name: str) -> Any:
    return metrics.metric_set.get(name, {}).get("Value")


def recorded(app: Deployed, tenant: str, *, finished: bool = True) -> Recording:
    """Return a recording in processing, whose file Cloudflare has or still uploads."""
    room = app.room(tenant_id=tenant)
    provider_recording = app.standin.begin(room.meeting_id)
    if finished:
        app.standin.finish(provider_recording)
    return app.seed(
        tenant_id=tenant,
        status=Status.PROCESSING,
        meeting_id=room.meeting_id,
        cloudflare_recording_id=provider_recording.id,
        created_at=provider_recording.invoked_at.replace(microsecond=0),
    )


def moving(app: Deployed, tenant: str) -> Recording:
    """Return a recording whose move to the archive is decided, with its file in R2."""
    key = f"{tenant}/source.mp4"
    app.archive.put_object(Bucket="files", Key=key, Body=CONTENT)
    return app.seed(
        tenant_id=tenant,
        status=Status.ARCHIVED,
        archived_at=NOON,
        archive=Archive(state="moving", storage_class="GLACIER", moved_from=key),
        archive_attempt=1,
        file=a_file(key=key, size_bytes=len(CONTENT)),
    )


def test_a_finished_file_is_copied_checked_and_ready(app: Deployed, tenant: str) -> None:
    recording = recorded(app, tenant)
    attempt = attempt_of(recording)

    # The token is unknown to Step Functions, as it is after the state timed out: no error of the task.
    assert run(app, "CheckUpload", attempt=attempt, token="token", wait_seconds=20) == {}
    plan = run(app, "PlanTransfer", attempt=attempt, use_ranges=True)["plan"]
    (segment,) = plan["segments"]
    assert run(app, "CopySegment", attempt=attempt, plan=plan, segment=segment) == {"copied_parts": 1}
    assert counted("BytesCopied") == [plan["size"]]
    assert run(app, "CheckSegment", attempt=attempt, plan=plan, segment=segment) == {"repaired_parts": 0}
    result = run(app, "CompleteTransfer", attempt=attempt, plan=plan, checked=True)["result"]
    file = run(app, "VerifyTransfer", plan=plan, result=result)["file"]
    assert (file["size"], file["content_type"]) == (plan["size"], "video/mp4")
    run(app, "MarkReady", attempt=attempt, key=plan["key"], file=file, partial=False)

    stored = app.recordings.get(tenant, recording.id)
    assert stored.status is Status.READY
    assert stored.file is not None
    assert app.archive.head_object(Bucket="files", Key=stored.file.key)["ContentLength"] == plan["size"]


def test_an_aborted_transfer_leaves_no_upload(app: Deployed) -> None:
    key = f"tenant_1/room_1/{RECORDING_ID}/1/recording.mp4"
    upload_id = app.archive.create_multipart_upload(Bucket="files", Key=key)["UploadId"]
    plan = {
        "source": "",
        "key": key,
        "size": 20 * 1024 * 1024,
        "etag": None,
        "modified": None,
        "ranges": True,
        "content_type": "video/mp4",
        "crc32": None,
        "part_size": 16 * 1024 * 1024,
        "upload_id": upload_id,
        "segments": [[1, 2]],
        "present": False,
    }

    run(app, "AbortTransfer", plan=plan)
    run(app, "AbortTransfer", plan=plan)
    run(app, "AbortTransfer", plan=None)
    assert "Uploads" not in app.archive.list_multipart_uploads(Bucket="files")


def test_a_file_that_is_not_uploaded_leaves_its_token_to_the_webhook(app: Deployed, tenant: str) -> None:
    recording = recorded(app, tenant, finished=False)
    app.standin.world.recordings[str(recording.cloudflare_recording_id)].status = "UPLOADING"
    assert run(app, "CheckUpload", attempt=attempt_of(recording), token="token", wait_seconds=20) == {}
    assert app.recordings.pop_task_token(recording) == "token"


def test_a_decided_move_is_copied_checked_and_finished(app: Deployed, tenant: str) -> None:
    recording = moving(app, tenant)
    attempt = attempt_of(recording)

    assert run(app, "BeginArchive", attempt=attempt)["decided"] is True
    assert run(app, "BeginArchive", attempt=attempt | {"attempt": 2})["decided"] is False
    plan = run(app, "PlanArchive", attempt=attempt)["plan"]
    (segment,) = plan["segments"]
    assert run(app, "CopyToArchive", attempt=attempt, plan=plan, segment=segment) == {"copied_parts": 1}
    assert counted("BytesArchived") == [len(CONTENT)]
    assert run(app, "CheckArchive", attempt=attempt, plan=plan, segment=segment) == {"repaired_parts": 0}
    result = run(app, "CompleteArchive", attempt=attempt, plan=plan, checked=True)["result"]
    run(app, "FinishArchive", attempt=attempt, plan=plan, result=result)

    stored = app.recordings.get(tenant, recording.id)
    assert stored.file is not None
    assert (stored.file.store, stored.archive and stored.archive.state) == ("s3", "stored")
    assert app.archive.head_object(Bucket="archive", Key=stored.file.key)["StorageClass"] == "GLACIER"
    assert "Contents" not in app.archive.list_objects_v2(Bucket="files", Prefix=f"{tenant}/source")
    assert run(app, "PlanArchive", attempt=attempt)["plan"] is None


def test_one_sync_imports_what_cloudflare_recorded_and_excludes_another(app: Deployed, tenant: str) -> None:
    room = app.room(tenant_id=tenant)
    provider_recording = app.standin.begin(room.meeting_id)
    app.standin.finish(provider_recording)

    sync = run(app, "BeginSync", nonce="first")["sync"]
    assert run(app, "BeginSync", nonce="second")["sync"] is None
    scan = run(app, "ScanProviderRecordings", nonce=sync["nonce"], window=sync["window"], page=1)
    assert scan["next_page"] is None
    assert counted("RecordingsRunning") == [0]
    results = [run(app, "ReconcileBatch", nonce=sync["nonce"], items=batch) for batch in scan["batches"]]
    assert sum(result["changed"] for result in results) == 1
    assert counted("RecordingsSynced") == [1]
    end = {"watermark": scan["watermark"], "full_at": sync["started_at"]}
    assert run(app, "EndSync", nonce=sync["nonce"], failed=False, **end) == {}

    imported = app.recordings.find_by_cloudflare_recording_id(provider_recording.id)
    assert imported is not None
    assert (imported.tenant_id, imported.room_id, imported.status) == (tenant, room.id, Status.PROCESSING)
    assert f"{imported.id}-1" in app.runs("PROCESSING_ARN")
    # The second sync starts where the first ended.
    again = run(app, "BeginSync", nonce="third")["sync"]
    assert (again["window"]["full"], again["window"]["watermark"]) == (False, scan["watermark"])
    assert run(app, "EndSync", nonce="third", failed=True, watermark=None, full_at=None) == {}


@pytest.mark.parametrize("page", [1, 2])
def test_only_the_first_scan_of_a_sync_counts_unfinished_recordings(app: Deployed, tenant: str, page: int) -> None:
    recorded(app, tenant)
    nonce = f"scan-{page}"
    sync = run(app, "BeginSync", nonce=nonce)["sync"]
    run(app, "ScanProviderRecordings", nonce=nonce, window=sync["window"], page=page)
    assert counted("RecordingsProcessing") == ([1] if page == 1 else None)
    run(app, "EndSync", nonce=nonce, failed=True, watermark=None, full_at=None)


def test_an_audit_reports_a_recording_without_its_file_and_counts_it(app: Deployed, tenant: str) -> None:
    recording = app.seed(tenant_id=tenant, status=Status.READY, file=a_file(key=f"{tenant}/lost.mp4"))

    output = run(app, "AuditStorage", tenant_id=tenant)
    (report,) = output["reports"]
    assert [phantom["recording_id"] for phantom in report["phantoms"]] == [recording.id]
    assert output["totals"]["phantoms"] == 1
    # One listing alone does not confirm it.
    assert (counted("AuditPhantoms"), counted("AuditUnconfirmedPhantoms")) == ([0], [1])

    progress = run(app, "AuditStorage", tenant_id=tenant, min_age_hours=0, progress_only=True)
    assert "reports" not in progress
    assert (progress["remaining_tenants"], progress["checkpoint"]) == (0, None)


def restore_event(key: str) -> Json:
    return {"detail": {"bucket": {"name": "archive"}, "object": {"key": key}}}


def test_an_event_about_a_restored_file_makes_its_recording_readable(app: Deployed, tenant: str) -> None:
    key = f"recordings/{tenant}/room_1/{RECORDING_ID}/1/recording.mp4"
    recording = app.seed(
        id=RECORDING_ID,
        tenant_id=tenant,
        status=Status.ARCHIVED,
        archived_at=NOON,
        file=a_file(store="s3", key=key, size_bytes=len(CONTENT)),
        archive=Archive(state="restoring", storage_class="GLACIER", tier="standard", days=2),
    )
    app.archive.put_object(Bucket="archive", Key=key, Body=CONTENT, StorageClass="GLACIER")
    app.archive.restore_object(Bucket="archive", Key=key, RestoreRequest={"Days": 2})

    output = run(app, "TrackRestore", **restore_event(key))
    assert output == {"recording_id": recording.id, "version": recording.version + 1}
    stored = app.recordings.get(tenant, recording.id)
    assert stored.archive is not None
    assert stored.archive.state == "restored"


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("somebody/elses.mp4", id="no recording's key"),
        pytest.param(f"recordings/tenant_1/room_1/{RECORDING_ID}/1/recording.mp4", id="purged recording"),
    ],
)
def test_an_event_about_a_file_without_recording_is_ignored(app: Deployed, key: str) -> None:
    assert run(app, "TrackRestore", **restore_event(key)) == {"recording_id": None, "version": None}
