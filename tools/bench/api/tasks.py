"""The triggers and workflows that are measured: each function once, with the messages of a whole execution."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.recording_items import RecordingItem
from recordings.adapters.dynamodb.settings import TABLE
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.domain.storage_keys import delivery_key
from tools.bench.api.bench import DAY, TENANT, Bench, BenchError, Case, Json
from tools.bench.api.frozen import NOW

MIB: Final = 1024 * 1024
# The stand-in's ETag is of parts of this size, and the plan takes them. So a file of a few parts is small.
PART_MIB: Final = 5
# How many parts the files have that are copied in parts. Two sizes show what each part costs.
FEW_PARTS: Final = 4
MORE_PARTS: Final = 6
# Two parts of 16 MiB.
DELIVERED_MIB: Final = 20
TTL: Final = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


def _attempt(recording: Recording) -> Json:
    return {"tenant_id": recording.tenant_id, "recording_id": recording.id, "attempt": 1}


def _processing(bench: Bench, size_bytes: int | None, *, delivered: bool = False) -> Recording:
    """A recording in processing whose file Cloudflare has, and our bucket too if it was delivered."""
    room = bench.room()
    bench.app.standin.world.settings.part_mib = PART_MIB
    provider_recording = bench.cloudflare_recording(room)
    provider_recording.media_size = size_bytes
    bench.app.standin.finish(provider_recording)
    place: Json = {}
    if delivered:
        key = delivery_key(TENANT, room.id, provider_recording.file_name)
        media = provider_recording.media
        assert media is not None
        bench.app.archive.put_object(Bucket="files", Key=key, Body=b"".join(media.read(0, media.size - 1)))
        place["delivery_key"] = key
    return bench.recording(
        Status.PROCESSING,
        NOW - timedelta(hours=1),
        meeting_id=room.meeting_id,
        cloudflare_recording_id=provider_recording.id,
        **place,
    )


def _processed(bench: Bench, case: str, recording: Recording, *, checked: bool = False) -> Recording:
    """Measure an execution of the processing workflow. `checked`: the source's ETag proves nothing."""
    attempt = _attempt(recording)
    bench.task("CheckUpload", case, attempt=attempt, token="token", wait_seconds=5)
    plan = bench.task("PlanTransfer", case, attempt=attempt, use_ranges=True)["plan"]
    for segment in plan["segments"]:
        bench.task("CopySegment", case, attempt=attempt, plan=plan, segment=segment)
        if checked:
            bench.task("CheckSegment", case, attempt=attempt, plan=plan, segment=segment)
    result = bench.task("CompleteTransfer", case, attempt=attempt, plan=plan, checked=checked)["result"]
    file = bench.task("VerifyTransfer", case, plan=plan, result=result)["file"]
    bench.task("MarkReady", case, attempt=attempt, key=plan["key"], file=file, partial=False)
    return _in(bench, recording, Status.READY)


def _archived(bench: Bench, case: str, recording: Recording, *, checked: bool = False) -> None:
    """Measure an execution of the archiving workflow."""
    recordings = bench.app.recordings
    recordings.save(recording, recording.archiving(at=NOW))
    attempt = _attempt(recording)
    bench.task("BeginArchive", case, attempt=attempt)
    plan = bench.task("PlanArchive", case, attempt=attempt)["plan"]
    for segment in plan["segments"]:
        bench.task("CopyToArchive", case, attempt=attempt, plan=plan, segment=segment)
        if checked:
            bench.task("CheckArchive", case, attempt=attempt, plan=plan, segment=segment)
    result = bench.task("CompleteArchive", case, attempt=attempt, plan=plan, checked=checked)["result"]
    bench.task("FinishArchive", case, attempt=attempt, plan=plan, result=result)
    _in(bench, recording, Status.ARCHIVED)


def _in(bench: Bench, recording: Recording, status: Status) -> Recording:
    found = bench.app.recordings.get_including_deleted(TENANT, recording.id)
    if found.status is not status:
        raise BenchError(f"the recording is {found.status}, not {status}")
    return found


def small_file(bench: Bench) -> None:
    ready = _processed(bench, "one request", _processing(bench, None), checked=True)
    _archived(bench, "one request", ready, checked=True)


def few_parts(bench: Bench) -> None:
    case = f"{FEW_PARTS} parts"
    ready = _processed(bench, case, _processing(bench, FEW_PARTS * PART_MIB * MIB), checked=True)
    _archived(bench, case, ready, checked=True)


def more_parts(bench: Bench) -> None:
    case = f"{MORE_PARTS} parts"
    _archived(bench, case, _processed(bench, case, _processing(bench, MORE_PARTS * PART_MIB * MIB)))


def delivered(bench: Bench) -> None:
    """Cloudflare has put the file into our bucket. It is read in parts of 16 MiB, for its checksum."""
    _processed(bench, "delivered", _processing(bench, DELIVERED_MIB * MIB, delivered=True))


def waiting(bench: Bench) -> None:
    """Cloudflare still uploads the file."""
    recording = _processing(bench, None)
    provider_recording = bench.app.standin.world.recordings[str(recording.cloudflare_recording_id)]
    provider_recording.status = "UPLOADING"
    bench.task("CheckUpload", "not uploaded", attempt=_attempt(recording), token="token", wait_seconds=20)


def failing(bench: Bench) -> None:
    bench.room()
    stalled = bench.recording(Status.PROCESSING)
    lost = bench.recording(Status.PROCESSING, missing_since=NOW - DAY)
    bench.task("AbortTransfer", "nothing begun", plan=None)
    bench.task("MarkStalled", attempt=_attempt(stalled), error="SourceUnavailable")
    bench.task("MarkFailed", attempt=_attempt(lost), error="ProviderRecordingFailed")
    ready = bench.recording()
    bench.app.recordings.save(ready, ready.archiving(at=NOW))
    bench.task("AbandonArchive", attempt=_attempt(ready))


def scheduled_sync(bench: Bench) -> None:
    room = bench.room()
    for case, new in (("nothing new", 0), ("5 new", 5)):
        for _ in range(new):
            bench.cloudflare_recording(room)
        sync = bench.task("BeginSync", case, nonce=case)["sync"]
        scan = bench.task("ScanProviderRecordings", case, nonce=case, window=sync["window"], page=1)
        for batch in scan["batches"]:
            bench.task("ReconcileBatch", case, nonce=case, items=batch)
        end = {"watermark": scan["watermark"], "full_at": sync["started_at"]}
        bench.task("EndSync", case, nonce=case, failed=False, **end)


def announced(bench: Bench) -> None:
    bench.room()
    began = bench.recording(Status.RECORDING)
    stopped = began.stopped(at=NOW, cause="api_stop")
    records = [
        _change("1", {"NewImage": _image(began)}),
        _change("2", {"OldImage": _image(began), "NewImage": _image(stopped)}),
    ]
    response = bench.task("AnnounceChanges", "2 changes of a status", Records=records)
    if response["batchItemFailures"]:
        raise BenchError("the bus refused an event")
    bench.task(
        "AnnounceChanges",
        "a change of no status",
        Records=[_change("3", {"OldImage": _image(stopped), "NewImage": _image(stopped)})],
    )


def _change(number: str, images: Json) -> Json:
    return {"eventID": number, "eventName": "MODIFY", "dynamodb": {"SequenceNumber": number, **images}}


def _image(recording: Recording) -> Any:
    return RecordingItem.from_domain(recording).serialize()


def purged(bench: Bench) -> None:
    """A deleted recording whose time is over: DynamoDB removed its item."""
    bench.room()
    recording = bench.recording(at=NOW - 60 * DAY)
    bench.file(recording, "files")
    recordings = bench.app.recordings
    recordings.save(recording, recording.deleted(at=NOW - 40 * DAY))
    key = {"pk": {"S": f"T#{TENANT}#TRASH"}, "sk": {"S": recording.id}}
    item = client.get_item(TableName=TABLE, Key=key)["Item"]
    client.delete_item(TableName=TABLE, Key=key)
    removal = {
        **_change("1", {"Keys": key, "OldImage": item}),
        "eventName": "REMOVE",
        "eventSource": "aws:dynamodb",
        "userIdentity": TTL,
    }
    bench.task("PurgeRecording", "one file", Records=[removal])
    if "Contents" in bench.app.archive.list_objects_v2(Bucket="files"):
        raise BenchError("the purge left a file")


def restored(bench: Bench) -> None:
    recording = bench.recording(Status.ARCHIVED)
    bench.file(recording, "archive", StorageClass="GLACIER")
    bench.app.call("RestoreRecording", recording.id, tenant=TENANT)
    assert recording.file is not None
    bench.task("TrackRestore", detail={"bucket": {"name": "archive"}, "object": {"key": recording.file.key}})


def audited(bench: Bench) -> None:
    room = bench.room()
    recording = bench.recording(meeting_id=room.meeting_id)
    bench.file(recording, "files")
    bench.task("AuditStorage", "one recording", tenant_id=TENANT)


CASES: Final[Mapping[str, Case]] = {
    "small file": small_file,
    "few parts": few_parts,
    "more parts": more_parts,
    "delivered": delivered,
    "waiting": waiting,
    "failing": failing,
    "scheduled sync": scheduled_sync,
    "announced": announced,
    "purged": purged,
    "restored": restored,
    "audited": audited,
}
