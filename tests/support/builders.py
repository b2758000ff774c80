"""Short ways to say "some recording", "some room" and "some capture", naming only what the test is about."""

from datetime import UTC, datetime
from typing import Any

from ulid import ULID

from recordings.domain.actor import system
from recordings.domain.admission import Proof
from recordings.domain.history import Change
from recordings.domain.lifecycle import Status
from recordings.domain.provider_recording import ProviderRecording, ProviderStatus
from recordings.domain.recording import Failure, Recording
from recordings.domain.room import Room
from recordings.domain.stored_file import StoredFile
from recordings.domain.transfer import VerifiedFile

# Who acts in tests that say nothing else.
WORKFLOW = system("workflow")
NOON = datetime(2026, 1, 6, 12, tzinfo=UTC)

# How a recording came to be where it is, by the shortest way.
PATHS = {
    Status.RECORDING: (Status.RECORDING,),
    Status.PROCESSING: (Status.RECORDING, Status.PROCESSING),
    Status.READY: (Status.RECORDING, Status.PROCESSING, Status.READY),
    Status.ARCHIVED: (Status.RECORDING, Status.PROCESSING, Status.READY, Status.ARCHIVED),
    Status.FAILED: (Status.RECORDING, Status.FAILED),
}


def a_recording(**changes: Any) -> Recording:
    """A recording of `room_1` that began at noon; status, times and history fit each other."""
    status = changes.get("status", Status.RECORDING)
    began = changes.get("created_at", NOON)
    path = PATHS[status]
    reported: dict[str, Any] = {
        # An id tells the time that its recording began.
        "id": f"rec_{str(ULID.from_datetime(began))[:10]}{0:016}",
        "tenant_id": "tenant_1",
        "room_id": "room_1",
        "room_name": "Room one",
        "meeting_id": "meeting_1",
        "status": status,
        "origin": "api",
        "created_at": began,
        "started_at": began,
        "cloudflare_recording_id": "capture_1",
        "history": tuple(Change(entered, began, "test", WORKFLOW) for entered in path),
        "changed_by": WORKFLOW,
        "version": len(path),
    }
    if status is not Status.RECORDING:
        reported["stopped_at"] = began
    if status in {Status.READY, Status.ARCHIVED}:
        reported |= {"file": a_file(), "duration_seconds": 60}
    if status is Status.FAILED:
        reported["failure"] = Failure("capture_failed", "Lost.")
    return Recording(**reported | changes)


def a_file(**changes: Any) -> StoredFile:
    reported: dict[str, Any] = {"store": "r2", "key": "key", "size_bytes": 1000, "content_type": "video/mp4"}
    return StoredFile(**reported | changes)


def a_room(**changes: Any) -> Room:
    """A free room with a meeting of its own."""
    reported: dict[str, Any] = {
        "id": "room_1",
        "tenant_id": "tenant_1",
        "name": "Room one",
        "meeting_id": "meeting_1",
        "record_on_start": False,
        "changed_by": WORKFLOW,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Room(**reported | changes)


def a_capture(**changes: Any) -> ProviderRecording:
    """A capture that Cloudflare is making on request."""
    reported: dict[str, Any] = {
        "cloudflare_recording_id": "capture_1",
        "status": ProviderStatus.RECORDING,
        "invoked_at": NOON,
        "started_at": NOON,
        "auto_started": False,
        "meeting_id": "meeting_1",
    }
    return ProviderRecording(**reported | changes)


def a_verified_file(**changes: Any) -> VerifiedFile:
    """What VerifyTransfer finds of media that two reads verify and of which Cloudflare announced nothing."""
    facts: dict[str, Any] = {
        "size": 1000,
        "content_type": "video/mp4",
        "duration": 60,
        "crc32": None,
        "sha256": None,
        "proof": Proof.READS,
    }
    return VerifiedFile(**facts | changes)
