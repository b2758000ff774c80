"""What the API's views make, held against what its document promises: strictly, of recordings in every state."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from recordings.domain.errors import (
    InvalidCursor,
    ProviderThrottled,
    RecordingsError,
    RoomAlreadyRecording,
    Throttled,
)
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Archive, Failure, Progress, Recording
from recordings.http import schemas
from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.problems import refused
from tests.support.builders import NOON, a_file, a_recording, a_room
from tests.support.context import Context
from tools.openapi import answers

type View = Callable[[Recording], Mapping[str, Any]]

LATER = NOON + timedelta(hours=1)
FULL = Progress(
    step="copying", attempt=2, bytes_done=1, bytes_total=2, next_step_due=LATER, stuck_after=LATER + timedelta(hours=1)
)
ARCHIVES = [
    Archive(state="moving", moved_from="key"),
    Archive(state="stored", storage_class="GLACIER"),
    Archive(state="restoring", storage_class="GLACIER", expected_at=LATER, tier="bulk", days=7),
    Archive(state="restored", storage_class="DEEP_ARCHIVE", restored_until=LATER, tier="bulk", days=7),
]
ALL = [
    *(a_recording(status=status) for status in Status),
    *(a_recording(status=status, origin="auto", cloudflare_recording_id=None) for status in Status),
    a_recording(status=Status.PROCESSING, progress=FULL, stalled=True),
    a_recording(status=Status.PROCESSING, progress=Progress(step="waiting_for_upload", attempt=1)),
    a_recording(status=Status.READY, partial=True, duration_seconds=None),
    a_recording(status=Status.READY, archive_error=Failure("archive_failed", "No.")),
    *(
        a_recording(status=Status.ARCHIVED, archived_at=LATER, archive=archive, file=a_file(provider="s3"))
        for archive in ARCHIVES
    ),
]
DELETED = [replace(one, deleted_at=LATER) for one in ALL if one.status is not Status.RECORDING]


def of(*statuses: Status) -> list[Recording]:
    return [one for one in ALL if one.status in statuses]


def whole(recording: Recording) -> Mapping[str, Any]:
    return schemas.recording_view(recording, room_name="New name")


def download(recording: Recording) -> Mapping[str, Any]:
    assert recording.file is not None
    return schemas.download_view(recording, recording.file, "https://r2.example.com/file?X-Amz-Signature=0", LATER)


ARCHIVED = [one for one in of(Status.ARCHIVED) if one.archived_at is not None]
VIEWS: list[tuple[View, type[Struct], list[Recording]]] = [
    (schemas.started_view, answers.Started, of(Status.RECORDING)),
    (
        schemas.stopped_view,
        answers.Stopped,
        of(Status.PROCESSING, Status.READY, Status.ARCHIVED, Status.FAILED),
    ),
    (schemas.blocker_view, answers.Blocker, ALL),
    (schemas.row_view, answers.RecordingRow, ALL),
    (whole, answers.Recording, ALL),
    (schemas.archiving_view, answers.Archiving, ARCHIVED),
    (schemas.restoring_view, answers.Restoring, ARCHIVED),
    (schemas.recovering_view, answers.Recovering, of(Status.PROCESSING)),
    (schemas.deleted_view, answers.DeletedRecording, DELETED),
    (schemas.undeleted_view, answers.Undeleted, ALL),
    (schemas.waiting_view, answers.Waiting, of(Status.RECORDING, Status.PROCESSING)),
    (schemas.archived_view, answers.Archived, ARCHIVED),
    (download, answers.Download, of(Status.READY, Status.ARCHIVED)),
]


def sent(document: Mapping[str, Any], model: type[Struct]) -> Struct:
    """The document as a strict reader takes it."""
    return msgspec.json.decode(json.dumps(document), type=model, strict=True)


@pytest.mark.parametrize(("view", "model", "recordings"), VIEWS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_view_is_what_the_document_promises(view: View, model: type[Struct], recordings: list[Recording]) -> None:
    assert recordings
    for recording in recordings:
        made = view(recording)
        assert msgspec.to_builtins(sent(made, model)) == json.loads(json.dumps(made))


@pytest.mark.parametrize(("view", "model", "recordings"), VIEWS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_field_more_or_less_is_noticed(view: View, model: type[Struct], recordings: list[Recording]) -> None:
    made = view(recordings[0])

    with pytest.raises(msgspec.ValidationError):
        sent({**made, "more": 1}, model)
    for name in made:
        with pytest.raises(msgspec.ValidationError):
            sent({key: value for key, value in made.items() if key != name}, model)


def test_every_view_of_a_recording_is_held_against_a_model() -> None:
    told = {view.__name__ for view, _, _ in VIEWS} | {"recording_view", "download_view"}
    elsewhere = {"room_view", "failure_view", "archive_view", "synced_view", "change_view", "purged_view"}
    assert {name for name in vars(schemas) if name.endswith("_view")} <= told | elsewhere


@pytest.mark.parametrize(
    "room", [a_room(), a_room(active_recording_id="rec_1", record_on_start=True, lease_nonce="x", lease_until=LATER)]
)
def test_a_room_is_what_the_document_promises(room: Any) -> None:
    sent(schemas.room_view(room), answers.Room)
    sent({"data": schemas.room_view(room)}, answers.RoomAnswer)


def test_a_sync_is_what_the_document_promises() -> None:
    sent(schemas.synced_view(ALL), answers.Synced)
    sent(schemas.synced_view([]), answers.Synced)


def test_the_recording_of_an_event_is_the_whole_view() -> None:
    for recording in ALL:
        sent(schemas.change_view(None, recording)["recording"], answers.Recording)


def problem(error: Exception, *, query: str = "") -> Mapping[str, Any]:
    """What a caller hears of an error."""

    @endpoint(scope=None)
    def handler(request: Request[schemas.Nothing, schemas.Nothing]) -> Response:
        raise error

    event = {"requestContext": {"requestId": "r", "http": {"method": "GET"}}, "rawQueryString": query}
    answer = handler(event, Context())
    document: dict[str, Any] = json.loads(answer["body"])
    assert document["status"] == answer["statusCode"]
    return document


@pytest.mark.parametrize(
    ("error", "model"),
    [
        (RecordingsError(), answers.Problem),
        (Throttled(retry_after=3), answers.Problem),
        (ProviderThrottled(retry_after=3), answers.Problem),
        (RuntimeError("a bug"), answers.Problem),
        (refused(HTTPStatus.UNAUTHORIZED, "signature_invalid", "No."), answers.Problem),
        (InvalidCursor(), answers.InvalidRequest),
        (RoomAlreadyRecording(), answers.RoomAlreadyRecording),
        (RoomAlreadyRecording(blocker=a_recording()), answers.RoomAlreadyRecording),
    ],
    ids=lambda one: getattr(one, "__name__", type(one).__name__),
)
def test_a_problem_is_what_the_document_promises(error: Exception, model: type[Struct]) -> None:
    sent(problem(error), model)


def test_invalid_input_is_what_the_document_promises() -> None:
    told = sent(problem(RuntimeError("never raised"), query="typo=1"), answers.InvalidRequest)
    assert isinstance(told, answers.InvalidRequest)
    assert [error.field for error in told.errors] == ["typo"]
