"""A task counts what it has stored: after the act, and once however often it is repeated."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from recordings.adapters.dynamodb.connection import client
from recordings.domain.archive import Archive
from recordings.domain.errors import Throttled
from recordings.domain.lifecycle import Status
from recordings.observability import metrics
from tests.support.builders import NOON
from tests.support.context import Context
from tests.support.deployed import Deployed
from tests.support.faults import failing, no_pauses

__all__ = ["no_pauses"]

WRITES = ("TransactWriteItems", "UpdateItem", "PutItem")

type Json = dict[str, Any]

FILE: Json = {
    "size": 1000,
    "content_type": "video/mp4",
    "duration": 60,
    "crc32": "3610a686",
    "sha256": None,
    "etag": "e",
    "truncated": False,
    "proof": "source",
    "announced": {"size": 1000, "seconds": 60, "errored": False, "expires_at": None},
}
PLAN: Json = {
    "size": 1000,
    "etag": None,
    "modified": None,
    "ranges": True,
    "content_type": "video/mp4",
    "crc32": None,
    "part_size": 16 * 1024 * 1024,
    "upload_id": "",
    "segments": [[1, 1]],
    "present": False,
}
MOVING: Json = {
    "status": Status.ARCHIVED,
    "archived_at": NOON,
    "archive": Archive(state="moving", storage_class="GLACIER"),
    "archive_attempt": 1,
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A task, the recording that it finds, what it receives beside the attempt, and what it counts."""

    task: str
    recording: Json
    message: Json
    counted: Json


CASES = [
    Case(
        task="MarkReady",
        recording={"status": Status.PROCESSING},
        message={"key": "key", "file": FILE, "partial": False},
        counted={"RecordingsReady": [1], "BytesStored": [1000]},
    ),
    Case(
        task="MarkReady",
        recording={"status": Status.PROCESSING},
        message={"key": "key", "file": FILE | {"size": 900}, "partial": False},
        counted={"FilesRefused": [1]},
    ),
    Case(
        task="MarkFailed",
        recording={"status": Status.PROCESSING, "missing_since": NOON},
        message={"error": "SourceExpired"},
        counted={"RecordingsFailed": [1]},
    ),
    Case(
        task="MarkStalled",
        recording={"status": Status.PROCESSING},
        message={"error": "SourceUnavailable"},
        counted={"RecordingsStalled": [1]},
    ),
    Case(task="AbandonArchive", recording=MOVING, message={}, counted={"ArchivesAbandoned": [1]}),
]


@pytest.fixture(autouse=True)
def _no_metrics() -> Iterator[None]:
    metrics.clear_metrics()
    yield
    metrics.clear_metrics()


def counted() -> Json:
    """What was counted since the last call, but for what every call of Cloudflare or the table may count."""
    found = {name: metric["Value"] for name, metric in metrics.metric_set.items() if name in NAMES}
    metrics.clear_metrics()
    return found


NAMES = {"RecordingsArchived", *(name for case in CASES for name in case.counted)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.task} {' '.join(case.counted)}")
@pytest.mark.usefixtures("no_pauses")
def test_a_repeated_task_counts_once_and_never_before_the_act(app: Deployed, tenant: str, case: Case) -> None:
    recording = app.seed(tenant_id=tenant, **case.recording)
    event = {"attempt": {"tenant_id": tenant, "recording_id": recording.id, "attempt": 1}, **case.message}
    handler = app.handler(case.task)

    with ExitStack() as faults:
        for operation in WRITES:
            faults.enter_context(failing(client, operation))
        with pytest.raises(Throttled):
            handler(event, Context())
    assert counted() == {}
    handler(event, Context())
    assert counted() == case.counted
    handler(event, Context())
    assert counted() == {}


def test_a_task_whose_attempt_was_replaced_counts_nothing(app: Deployed, tenant: str) -> None:
    recording = app.seed(tenant_id=tenant, status=Status.PROCESSING, attempt=2, missing_since=NOON)
    attempt = {"tenant_id": tenant, "recording_id": recording.id, "attempt": 1}
    for task, message in (("MarkFailed", {"error": "SourceExpired"}), ("MarkStalled", {"error": "SourceUnavailable"})):
        app.handler(task)({"attempt": attempt, **message}, Context())
    assert counted() == {}
    assert app.recordings.get_including_deleted(tenant, recording.id) == recording


@pytest.mark.usefixtures("no_pauses")
def test_a_move_counts_once_when_the_recording_points_to_the_copy(app: Deployed, tenant: str) -> None:
    recording = app.seed(tenant_id=tenant, **MOVING)
    app.archive.put_object(Bucket="archive", Key="copy", Body=b"x" * 1000)
    plan = PLAN | {"source": "key", "key": "copy"}
    event = {
        "attempt": {"tenant_id": tenant, "recording_id": recording.id, "attempt": 1},
        "plan": plan,
        "result": {"etag": None, "crc32": None, "verified": True},
    }
    handler = app.handler("FinishArchive")

    handler(event, Context())
    assert counted() == {"RecordingsArchived": [1]}
    handler(event, Context())
    assert counted() == {}
