"""What runs in the engine's process, which has a function's environment and calls the code of the functions."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib import import_module
from inspect import BoundArguments, signature
from pathlib import Path
from typing import Any, Final

import requests.adapters
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from recordings.adapters.aws.clients import shared_session
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.system import new_id, now
from recordings.domain.provider_recording import ProviderRecording
from recordings.domain.recording import Recording
from recordings.domain.transfer import Attempt, Segment, TransferPlan, VerifiedFile, part_size_for, segments_for
from recordings.services.transfer.parts import MAX_THREADS
from recordings.services.transfer.provider_file import ProviderFileUrl

TENANT: Final = "bench"
# The file of the certificate that the engine trusts as well, for TLS over the loopback interface.
AUTHORITY: Final = "BENCH_AUTHORITY"


def serve() -> None:
    """Call what each line of the input names, in JSON, and write the result as a line, until the input ends."""
    if AUTHORITY in os.environ:
        requests.adapters.DEFAULT_CA_BUNDLE_PATH = os.environ[AUTHORITY]
    counted: Counter[str] = Counter()

    def count(**event: Any) -> None:
        _before, service, operation = event["event_name"].split(".")
        counted[f"{service}.{operation}"] += 1
        if operation == "TransactWriteItems":
            counted[f"{service}.TransactedItem"] += len(json.loads(event["request"].body)["TransactItems"])
        if operation == "BatchWriteItem":
            tables = json.loads(event["request"].body)["RequestItems"]
            counted[f"{service}.BatchedItem"] += sum(len(items) for items in tables.values())

    shared_session().register("before-send", count)
    # Log lines of what is called must not come between the results.
    results, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        what, arguments, named = json.loads(line)
        counted.clear()
        try:
            module, name = what.split(":")
            called = getattr(import_module(module), name)
            typed = _typed(called, arguments, named)
            _reset_peak()
            began, worked = time.perf_counter(), time.process_time()
            value = called(*typed.args, **typed.kwargs)
            seconds, cpu = time.perf_counter() - began, time.process_time() - worked
            result = {
                "value": to_jsonable_python(value),
                "seconds": seconds,
                "cpu": cpu,
                "calls": counted,
                "peak_mb": _peak_mb(),
            }
        except Exception as error:
            result = {"error": [type(error).__name__, str(error)]}
        print(json.dumps(result), file=results, flush=True)


def _typed(called: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any]) -> BoundArguments:
    """The JSON values as the types that `called` takes."""
    called_with = signature(called, eval_str=True)
    bound = called_with.bind(*arguments, **named)
    for name, value in bound.arguments.items():
        bound.arguments[name] = TypeAdapter(called_with.parameters[name].annotation).validate_python(value)
    return bound


def _reset_peak() -> None:
    # "5" puts the peak back to what is resident now (proc(5), clear_refs).
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    # Not getrusage: its peak is inherited from the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def register(room_id: str, meeting_id: str, cloudflare_recording_id: str) -> dict[str, Any]:
    """Store a recording that waits for its file. Return the input of an execution for it."""
    at = now()
    recording = Recording.begin(
        id=new_id(at),
        tenant_id=TENANT,
        room_id=room_id,
        room_name=room_id,
        meeting_id=meeting_id,
        cloudflare_recording_id=cloudflare_recording_id,
        origin="auto",
        at=at,
        cause="auto_started",
    ).ended(at=at, cause="capture_ended")
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
