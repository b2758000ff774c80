"""What runs in the engine's process, which has a function's environment and calls the code of the functions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib import import_module
from typing import Any, Final

from pydantic import TypeAdapter

from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.system import now
from recordings.domain.provider_recording import ProviderRecording
from recordings.domain.transfer import Attempt, Segment, TransferPlan, VerifiedFile, part_size_for, segments_for
from recordings.services.transfer.parts import MAX_THREADS
from recordings.services.transfer.provider_file import ProviderFileUrl
from tools.bench.recordings import an_ended_recording

TENANT: Final = "bench"


def register(room_id: str, meeting_id: str, cloudflare_recording_id: str) -> dict[str, Any]:
    """Store a recording that waits for its file. Return the input of an execution for it."""
    recording = an_ended_recording(TENANT, room_id, meeting_id, cloudflare_recording_id, at=now())
    DynamoRecordings().add(recording, lease_nonce=None)
    return {"tenant_id": TENANT, "recording_id": recording.id, "attempt": 1}


def shapes(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return part size and number of segments of files of these sizes."""
    return [(part_size_for(size), len(segments_for(size, part_size_for(size), ranges=True))) for size in sizes]


def threads() -> int:
    """Return how many parts are copied at once."""
    return MAX_THREADS


def url_of(work: dict[str, Any]) -> str:
    """Return the presigned URL of the file, as the engine finds it."""
    copy_segment = import_module("functions.workflow.copy_segment.app").copy_segment
    known = {name: getattr(copy_segment, name) for name in ("recordings", "provider", "clock", "deadlines")}
    return ProviderFileUrl(**known).of_attempt(Attempt(**work))


@dataclass(frozen=True, slots=True)
class _FileElsewhere:
    """A provider whose files are all at one URL; the rest is as the other provider says."""

    provider: Any
    url: str

    def get(self, cloudflare_recording_id: str) -> ProviderRecording:
        found: ProviderRecording = self.provider.get(cloudflare_recording_id)
        return replace(found, download_url=self.url)


def plan_from(url: str, attempt: Attempt) -> TransferPlan:
    """Plan the transfer of a file at this URL, as PlanTransfer does."""
    service = import_module("functions.workflow.plan_transfer.app").plan_transfer
    plan: TransferPlan = replace(service, provider=_FileElsewhere(service.provider, url))(attempt)
    return plan


def copy_from(url: str, attempt: Attempt, plan: TransferPlan, segment: Segment) -> int:
    """Copy a segment of a file at this URL, as CopySegment does."""
    service = import_module("functions.workflow.copy_segment.app").copy_segment
    parts: int = replace(service, provider=_FileElsewhere(service.provider, url))(attempt, plan, segment)
    return parts


def look(work: dict[str, Any]) -> None:
    """Do what CheckUpload does for a recording that is uploaded."""
    check_upload = import_module("functions.workflow.check_upload.app").check_upload
    check_upload(Attempt(**work), token="bench", wait=timedelta(seconds=5))


def mark(work: dict[str, Any], key: str, facts: dict[str, Any]) -> None:
    """Do what MarkReady does with what VerifyTransfer found."""
    found = TypeAdapter(VerifiedFile).validate_python(facts)
    import_module("functions.workflow.mark_ready.app").mark_ready(Attempt(**work), found, key=key, errored=False)


def archive(work: dict[str, Any]) -> None:
    """Store what the API stores before a move begins."""
    recordings = DynamoRecordings()
    ready = recordings.get_including_deleted(work["tenant_id"], work["recording_id"])
    recordings.save(ready, ready.archiving(at=now()))
