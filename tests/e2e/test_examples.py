"""Every example in events/ does on the deployed stack what it is an example of."""

import json
from typing import Any

import pytest

from recordings.services.audit.report import KINDS
from tests.e2e.conftest import NAME
from tests.support.template import ROOT, resources
from tools.local import stack

FUNCTIONS = resources("AWS::Serverless::Function")
# What a function answers to its example on a stack that knows none of its ids: status, error's name, or answer.
ANSWERS: dict[str, object] = {
    "PutRoom": 201,
    "ListRooms": 200,
    "ListRecordings": 200,
    "GetRoom": 404,
    "DeleteRoom": 404,
    "StartRecording": 404,
    "StopRecording": 404,
    "SyncRecordings": 404,
    "GetRecording": 404,
    "DownloadRecording": 404,
    "ListAccess": 404,
    "ArchiveRecording": 404,
    "RestoreRecording": 404,
    "RecoverRecording": 404,
    "DeleteRecording": 404,
    "UndeleteRecording": 404,
    "ReceiveWebhook": 401,
    "CheckUpload": {},
    "PlanTransfer": "RecordingNotFound",
    "CopySegment": "RecordingNotFound",
    "CompleteTransfer": "RecordingNotFound",
    "VerifyTransfer": "ChecksumMismatch",
    "MarkReady": "RecordingNotFound",
    "MarkFailed": "RecordingNotFound",
    "MarkStalled": "RecordingNotFound",
    "AbortTransfer": {},
    "BeginArchive": "RecordingNotFound",
    "PlanArchive": "RecordingNotFound",
    "CheckSegment": "RecordingNotFound",
    "CopyToArchive": "RecordingNotFound",
    "CheckArchive": "RecordingNotFound",
    "CompleteArchive": "RecordingNotFound",
    "FinishArchive": "ChecksumMismatch",
    "AbandonArchive": "RecordingNotFound",
    "BeginSync": "started",
    "ScanProviderRecordings": {"batches", "watermark", "next_page"},
    "ReconcileBatch": {"changed": 0, "queued": 0},
    "EndSync": {},
    "AuditStorage": dict.fromkeys(KINDS, 0),
    "TrackRestore": {"recording_id": None, "version": None},
    "AnnounceChanges": {"batchItemFailures": []},
    "PurgeRecording": {"batchItemFailures": []},
}


def own(event: dict[str, Any], tenant: str) -> dict[str, Any]:
    """The example, asked by a tenant that nobody else is."""
    claims = event.get("requestContext", {}).get("authorizer", {}).get("jwt", {}).get("claims")
    if claims is not None:
        claims["tenant_id"] = tenant
        event["pathParameters"] = event.get("pathParameters") and {"id": f"{tenant}-unknown"}
    return event


def outcome(response: dict[str, Any]) -> object:
    if "next_page" in response:
        # What it found is other tests' doing.
        return response.keys()
    if "sync" in response:
        return "started" if response["sync"] is not None else "another sync runs"
    if "totals" in response:
        return response["totals"]
    return response.get("statusCode") or response.get("errorType") or response


def test_every_function_is_in_the_list() -> None:
    assert FUNCTIONS.keys() == ANSWERS.keys()


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_example_is_answered(name: str, tenant: str) -> None:
    path = ROOT / "events" / f"{FUNCTIONS[name]['CodeUri'].rpartition('/')[2]}.json"
    event = own(json.loads(path.read_text()), tenant)
    assert outcome(stack.invoke(NAME, name, json.dumps(event).encode())) == ANSWERS[name]
