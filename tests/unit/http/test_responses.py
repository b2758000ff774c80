"""What the API returns: the bytes of the first release, for recordings in every state, as docs/openapi.yaml says."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from recordings.domain import errors
from recordings.domain.archive import Archive
from recordings.domain.lifecycle import Status
from recordings.domain.listing import ListedRecording
from recordings.domain.recording import Failure, Progress, Recording
from recordings.http import events
from recordings.http.endpoint import Response, endpoint
from recordings.http.problems import ProblemError
from recordings.http.responses import actions, archive, downloads, problems, recordings, rooms
from recordings.http.responses.base import Document, format_instant, to_dict, to_json
from tests.support.builders import NOON, a_file, a_recording, a_room
from tests.support.context import Context
from tests.support.description import as_sent

type Build = Callable[[Recording], Document]

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
ARCHIVED = [
    a_recording(status=Status.ARCHIVED, archived_at=LATER, archive=archive, file=a_file(store="s3"))
    for archive in ARCHIVES
]
ALL = [
    *(a_recording(status=status) for status in Status),
    *(a_recording(status=status, origin="auto", cloudflare_recording_id=None) for status in Status),
    a_recording(status=Status.PROCESSING, progress=FULL, stalled=True),
    a_recording(status=Status.PROCESSING, progress=Progress(step="waiting_for_upload", attempt=1)),
    a_recording(status=Status.READY, partial=True, duration_seconds=None),
    a_recording(status=Status.READY, archive_error=Failure("archive_failed", "No.")),
    *ARCHIVED,
]
DELETED = [replace(one, deleted_at=LATER) for one in ALL if one.status is not Status.RECORDING]


def of(*statuses: Status) -> list[Recording]:
    return [one for one in ALL if one.status in statuses]


def whole(recording: Recording) -> Document:
    return recordings.RecordingResponse.from_domain(recording, room_name="New name")


def page(recording: Recording) -> Document:
    return recordings.RecordingPage.from_domain(
        [ListedRecording.of(recording)], total=1, limit=20, offset=None, next_cursor="abc"
    )


def download(recording: Recording) -> Document:
    assert recording.file is not None
    url = "https://r2.example.com/file?X-Amz-Signature=0"
    return downloads.Download.from_domain(recording, file=recording.file, url=url, expires_at=LATER)


def blocked(recording: Recording) -> Document:
    return ProblemError.from_domain(errors.RoomAlreadyRecording(blocker=recording)).document("r")


SENT = as_sent()["components"]


def validator(name: str) -> Draft202012Validator:
    """A strict validator of a component: it also refuses fields that the document does not name."""
    schema = {"components": SENT, "$ref": f"#/components/schemas/{name}"}
    return Draft202012Validator(schema, format_checker=FormatChecker())


BUILT: list[tuple[Build, list[Recording]]] = [
    (actions.StartedRecordingResponse.from_domain, of(Status.RECORDING)),
    (actions.StoppedRecordingResponse.from_domain, of(*Status)[1:5]),
    (blocked, ALL),
    (page, ALL),
    (whole, ALL),
    (archive.ArchivedRecordingResponse.from_domain, ARCHIVED),
    (archive.RestoringRecordingResponse.from_domain, ARCHIVED),
    (actions.RecoveringRecordingResponse.from_domain, of(Status.PROCESSING)),
    (actions.DeletedRecordingResponse.from_domain, DELETED),
    (actions.UndeletedRecordingResponse.from_domain, ALL),
    (downloads.DownloadPending.from_domain, of(Status.RECORDING, Status.PROCESSING)),
    (downloads.DownloadArchived.from_domain, ARCHIVED),
    (download, of(Status.READY, Status.ARCHIVED)),
    (lambda one: actions.SyncResponse.from_domain([one, one]), ALL),
]


@pytest.mark.parametrize(("build", "recordings"), BUILT, ids=lambda one: getattr(one, "__qualname__", ""))
def test_a_response_is_what_the_openapi_document_says(build: Build, recordings: list[Recording]) -> None:
    assert recordings
    for recording in recordings:
        document = build(recording)
        check = validator(type(document).__name__)
        sent = json.loads(to_json(document))
        check.validate(sent)
        assert not check.is_valid({**sent, "more": 1})
        for name in sent:
            assert not check.is_valid({key: value for key, value in sent.items() if key != name}), name


@pytest.mark.parametrize(
    "room", [a_room(), a_room(active_recording_id="rec_1", record_on_start=True, lease_nonce="x", lease_until=LATER)]
)
def test_a_room_is_what_the_openapi_document_says(room: Any) -> None:
    for document in (
        rooms.RoomResponse.from_domain(room),
        rooms.RoomPage.from_domain([room], limit=1, next_cursor=None),
        rooms.DeletedRoomResponse.from_domain(room),
    ):
        validator(type(document).__name__).validate(to_dict(document))


def test_a_room_shows_neither_tenant_nor_lease() -> None:
    document = to_dict(rooms.RoomResponse.from_domain(a_room(lease_nonce="secret")))["data"]
    assert [*document] == [
        "id", "name", "cloudflare_meeting_id", "record_on_start", "active_recording_id", "created_at", "updated_at",
    ]  # fmt: skip


def problem_of(error: Exception, query: str = "") -> dict[str, Any]:
    @endpoint(scope=None, actor="webhook")
    def handler(request: Any) -> Response:
        raise error

    event = {"requestContext": {"requestId": "r", "http": {"method": "GET"}}, "rawQueryString": query}
    response = handler(event, Context())
    document: dict[str, Any] = json.loads(response["body"])
    assert document["status"] == response["statusCode"]
    return document


@pytest.mark.parametrize(
    ("error", "query", "name"),
    [
        pytest.param(errors.RecordingsError(), "", "Problem", id="unlisted"),
        pytest.param(errors.Throttled(retry_after=3), "", "Problem", id="throttled"),
        pytest.param(errors.ProviderThrottled(retry_after=3), "", "Problem", id="Cloudflare's limit"),
        pytest.param(RuntimeError("a bug"), "", "Problem", id="bug"),
        pytest.param(ProblemError(HTTPStatus.UNAUTHORIZED, "signature_invalid", "No."), "", "Problem", id="refused"),
        pytest.param(errors.InvalidCursor(), "", "InvalidRequest", id="invalid cursor"),
        pytest.param(RuntimeError("never raised"), "typo=1", "InvalidRequest", id="unknown parameter"),
        pytest.param(errors.RoomAlreadyRecording(), "", "RoomAlreadyRecording", id="starting"),
        pytest.param(errors.RoomIsRecording(blocker=a_recording()), "", "RoomRecording", id="room is recording"),
    ],
)
def test_a_problem_is_what_the_openapi_document_says(error: Exception, query: str, name: str) -> None:
    assert hasattr(problems, name)
    validator(name).validate(problem_of(error, query))


# ---------------------------------------------------------------- bytes and values


def test_a_document_is_written_as_the_first_release_wrote_it() -> None:
    document = downloads.DownloadPending(recording_id="rec_1", status=Status.PROCESSING, message="Ü – 会議")
    assert to_json(document) == (
        '{"recording_id": "rec_1", "status": "processing", "message": "\\u00dc \\u2013 \\u4f1a\\u8b70"}'
    )


def test_a_time_is_written_in_utc_and_whole_seconds() -> None:
    east = datetime(2026, 1, 6, 12, 30, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert format_instant(east) == "2026-01-06T10:30:00Z"


def test_a_value_outside_todays_limits_is_returned_and_no_failure() -> None:
    """An older release may have stored it."""
    odd = a_recording(status=Status.READY, duration_seconds=-1, origin="import", version=0)
    document = to_dict(whole(odd))["data"]
    assert (document["duration_seconds"], document["origin"], document["version"]) == (-1, "import", 0)


def test_an_unknown_value_is_null_and_not_missing() -> None:
    running, ready = to_dict(whole(a_recording(status=Status.RECORDING)))["data"], to_dict(whole(ALL[2]))["data"]
    assert [*running] == [*ready]
    unknown = ("stopped_at", "duration_seconds", "size_bytes", "archived_at", "provider", "failure", "progress")
    assert {running[name] for name in (*unknown, "archive")} == {None}
    assert running["room"] == {"id": "room_1", "name": "New name"}


def test_a_recording_is_written_field_by_field_in_the_order_of_the_first_release() -> None:
    working = a_recording(status=Status.PROCESSING, progress=FULL, stalled=True, archive_error=Failure("x", "No."))
    document = to_dict(whole(replace(working, archive=ARCHIVES[2])))["data"]
    assert [*document] == [
        "id", "room_id", "status", "duration_seconds", "size_bytes", "created_at", "room", "started_at", "stopped_at",
        "archived_at", "provider", "failure", "origin", "version", "partial", "progress", "archive", "archive_error",
        "history",
    ]  # fmt: skip
    assert document["progress"] == {
        "step": "copying",
        "attempt": 2,
        "bytes_done": 1,
        "bytes_total": 2,
        "next_step_due": "2026-01-06T13:00:00Z",
        "stuck_after": "2026-01-06T14:00:00Z",
        "stalled": True,
    }
    assert document["archive"] == {
        "state": "restoring",
        "storage_class": "GLACIER",
        "restored_until": None,
        "expected_at": "2026-01-06T13:00:00Z",
    }
    assert document["archive_error"] == {"code": "x", "message": "No."}
    assert [[*change] for change in document["history"]] == [["status", "at", "cause", "actor"]] * len(working.history)


def test_the_recording_of_an_event_is_the_whole_recording() -> None:
    check = validator("Recording")
    for recording in ALL:
        event = to_dict(events.StatusChanged.from_domain(recording, before=None))
        check.validate(event["recording"])
        assert [*event] == [
            "event_id", "tenant_id", "recording_id", "room_id", "from", "to", "at", "cause", "version", "recording",
        ]  # fmt: skip
