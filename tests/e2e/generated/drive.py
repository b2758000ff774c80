"""A recording's whole life through the client that openapi-python-client makes of docs/openapi.yaml.

Run beside the generated package `recordings_api`, with the settings of test_generated_clients.py in DRIVE. It ends with
an error at the first answer that is not as its type says, and otherwise prints the id of the recording.
"""

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import httpx
from recordings_api import models
from recordings_api.api.recordings import (
    archive_recording,
    delete_recording,
    download_recording,
    get_recording,
    list_recordings,
    restore_recording,
    start_recording,
    stop_recording,
    undelete_recording,
)
from recordings_api.api.rooms import list_rooms, put_room
from recordings_api.client import AuthenticatedClient
from recordings_api.types import Response

ROOM = "room_1"
UNKNOWN = "rec_unknown"


def client(base_url: str, token: str) -> AuthenticatedClient:
    """A strict one: a status that is not documented is an error."""
    return AuthenticatedClient(
        base_url=base_url, token=token, raise_on_unexpected_status=True, timeout=httpx.Timeout(120)
    )


def answered[T](response: Response[Any], status: HTTPStatus, kind: type[T]) -> T:
    """What was answered, read as its model; anything else is an error."""
    assert response.status_code == status, response.content
    assert isinstance(response.parsed, kind), response.content
    return response.parsed


def until[T](look: Callable[[], T | None]) -> T:
    """Look until something is there."""
    end = time.monotonic() + 120
    while (found := look()) is None:
        assert time.monotonic() < end, "it did not come in two minutes"
        time.sleep(0.5)
    return found


def recording_of(api: AuthenticatedClient, recording_id: str) -> models.Recording:
    response = get_recording.sync_detailed(recording_id, client=api)
    return answered(response, HTTPStatus.OK, models.RecordingResponse).data


def started(api: AuthenticatedClient) -> str:
    """Before there is a file: a room, a start, and what it blocks."""
    made = put_room.sync_detailed(ROOM, client=api, body=models.PutRoomBody(name="CS101"))
    assert answered(made, HTTPStatus.CREATED, models.RoomResponse).data.name == "CS101"

    start = start_recording.sync_detailed(ROOM, client=api, idempotency_key="start-1")
    recording = answered(start, HTTPStatus.CREATED, models.StartedRecordingResponse).data
    assert recording.status == "recording"
    assert recording.started_at.tzinfo is not None
    assert start.headers["location"] == f"/api/v1/recordings/{recording.id}"
    assert start.headers["x-request-id"]

    again = start_recording.sync_detailed(ROOM, client=api)
    conflict = answered(again, HTTPStatus.CONFLICT, models.RoomAlreadyRecording)
    assert isinstance(conflict.recording, models.Blocker)
    assert (conflict.recording.id, conflict.recording.origin) == (recording.id, models.BlockerOrigin.API)

    early = download_recording.sync_detailed(recording.id, client=api)
    assert answered(early, HTTPStatus.ACCEPTED, models.DownloadPending).status == "processing"
    assert int(early.headers["retry-after"]) > 0
    return recording.id


def refusals(api: AuthenticatedClient, reader: AuthenticatedClient, nobody: AuthenticatedClient) -> None:
    """What the API refuses, each with the model of its own."""
    bad = answered(list_recordings.sync_detailed(client=api, limit=1000), HTTPStatus.BAD_REQUEST, models.InvalidRequest)
    assert [one.field for one in bad.errors] == ["limit"]
    missing = get_recording.sync_detailed(UNKNOWN, client=api)
    assert answered(missing, HTTPStatus.NOT_FOUND, models.Problem).code == "recording_not_found"
    forbidden = delete_recording.sync_detailed(UNKNOWN, client=reader)
    assert answered(forbidden, HTTPStatus.FORBIDDEN, models.GatewayMessage).message == "Forbidden"
    unauthorized = list_rooms.sync_detailed(client=nobody)
    assert answered(unauthorized, HTTPStatus.UNAUTHORIZED, models.GatewayMessage).message == "Unauthorized"


def life(api: AuthenticatedClient, recording_id: str) -> None:
    """From a file in R2 to one in cold storage, and out of all lists and back."""
    stopped = stop_recording.sync_detailed(ROOM, client=api)
    assert answered(stopped, HTTPStatus.OK, models.StoppedRecordingResponse).data.id == recording_id

    def ready() -> models.Recording | None:
        found = recording_of(api, recording_id)
        assert found.status is not models.Status.FAILED, found.failure
        return found if found.status is models.Status.READY else None

    history = [change.status for change in until(ready).history]
    assert history == [models.Status.RECORDING, models.Status.PROCESSING, models.Status.READY]

    listed = list_recordings.sync_detailed(
        client=api,
        limit=5,
        room_id=ROOM,
        status=[models.Status.READY, models.Status.FAILED],
        created_after=datetime(2026, 1, 1, tzinfo=UTC),
    )
    page = answered(listed, HTTPStatus.OK, models.RecordingPage)
    assert (page.meta.total, page.meta.next_cursor, [row.id for row in page.data]) == (1, None, [recording_id])

    link = download_recording.sync_detailed(recording_id, client=api, expires_in=600)
    file = answered(link, HTTPStatus.OK, models.Download)
    assert len(httpx.get(file.download_url, timeout=60).content) == file.file_size

    archived = archive_recording.sync_detailed(recording_id, client=api)
    assert answered(archived, HTTPStatus.OK, models.ArchivedRecordingResponse).data.status == "archived"

    def stored() -> models.Archive | None:
        archive = recording_of(api, recording_id).archive
        return archive if archive is not None and archive.state is models.ArchiveState.STORED else None

    assert until(stored).storage_class
    cold = download_recording.sync_detailed(recording_id, client=api)
    assert answered(cold, HTTPStatus.ACCEPTED, models.DownloadArchived).status == "archived"
    body = models.RestoreRecordingBody(days=1, tier=models.RestoreRecordingBodyTier.BULK)
    restore = restore_recording.sync_detailed(recording_id, client=api, body=body)
    assert (
        answered(restore, HTTPStatus.ACCEPTED, models.RestoringRecordingResponse).data.archive.expected_at is not None
    )

    deleted = delete_recording.sync_detailed(recording_id, client=api)
    assert answered(deleted, HTTPStatus.OK, models.DeletedRecordingResponse).data.deleted is True
    missing = get_recording.sync_detailed(recording_id, client=api)
    assert answered(missing, HTTPStatus.NOT_FOUND, models.Problem).code == "recording_not_found"
    undeleted = undelete_recording.sync_detailed(recording_id, client=api)
    assert answered(undeleted, HTTPStatus.OK, models.UndeletedRecordingResponse).data.status is models.Status.ARCHIVED


def later(api: AuthenticatedClient, recording_id: str) -> None:
    """The same client and a later version of the API."""
    recording = recording_of(api, recording_id)
    assert recording.status is models.Status.ARCHIVED
    assert "new_field" in recording.additional_properties
    assert "new_field" in recording.room.additional_properties
    page = answered(list_recordings.sync_detailed(client=api), HTTPStatus.OK, models.RecordingPage)
    assert [row.id for row in page.data] == [recording_id]
    missing = get_recording.sync_detailed(UNKNOWN, client=api)
    assert answered(missing, HTTPStatus.NOT_FOUND, models.Problem).code == "a_code_to_come"


def main() -> None:
    settings = json.loads(os.environ["DRIVE"])
    api = client(settings["api_url"], settings["token"])
    recording_id = started(api)
    refusals(api, client(settings["api_url"], settings["reader"]), client(settings["api_url"], "nobody"))
    life(api, recording_id)
    later(client(settings["later_url"], settings["token"]), recording_id)
    print(recording_id)


if __name__ == "__main__":
    main()
