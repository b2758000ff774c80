"""The client against the API of the same repository: what one writes, the other reads, and nothing gets lost."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from recordings_client.cli import Exit, plain
from recordings_client.client import Client
from recordings_client.errors import BY_CODE
from recordings_client.models import (
    ActiveRecording,
    Archived,
    Download,
    Recording,
    RecordingStatus,
    RecordingSummary,
    Recovering,
    Restoring,
    Room,
    Started,
    Stopped,
    Synced,
)

from recordings.domain import errors as served
from recordings.domain.archive import Archive
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Failure, Progress
from recordings.http.responses import actions, archive, downloads, problems, recordings, rooms
from recordings.http.responses.base import Document, to_dict
from tests.support.builders import NOON, a_file, a_recording, a_room

README = (Path(__file__).parents[3] / "clients/python/README.md").read_text("utf-8")

# Bases that are never answered, and the one that is answered as invalid_request.
NEVER_ANSWERED = {"recordings_error", "provider_failure"}

LATER = NOON + timedelta(hours=1)
AT_WORK = Progress(
    step="copy", attempt=2, bytes_done=5, bytes_total=10, next_step_due=LATER, stuck_after=LATER + timedelta(hours=1)
)
LIVES = [
    *(a_recording(status=status) for status in Status),
    a_recording(status=Status.PROCESSING, progress=AT_WORK, stalled=True),
    a_recording(status=Status.READY, partial=True, archive_error=Failure("refused", "No."), origin="auto"),
    a_recording(
        status=Status.ARCHIVED,
        archived_at=LATER,
        archive=Archive(state="restoring", storage_class="GLACIER", expected_at=LATER),
    ),
    a_recording(
        status=Status.ARCHIVED, archive=Archive(state="restored", storage_class="GLACIER", restored_until=LATER)
    ),
]


def data_of(response: Document) -> dict[str, Any]:
    """What is in the envelope of a response."""
    data: dict[str, Any] = to_dict(response)["data"]
    return data


@pytest.mark.parametrize("recording", LIVES, ids=lambda one: one.status)
def test_a_recording_is_read_as_it_was_written(recording: Any) -> None:
    document = data_of(recordings.RecordingResponse.from_domain(recording, room_name="Algebra"))

    assert plain(Recording.of(document)) == document


READY = a_recording(status=Status.READY)
LINK = downloads.Download.from_domain(READY, file=a_file(), url="https://files.test", expires_at=LATER)
ROUND_TRIPS: list[tuple[Callable[[object], object], dict[str, Any]]] = [
    (Room.of, data_of(rooms.RoomResponse.from_domain(a_room()))),
    (RecordingSummary.of, to_dict(recordings.RecordingRow.model_validate(READY))),
    (Started.of, data_of(actions.StartedRecordingResponse.from_domain(READY))),
    (Stopped.of, data_of(actions.StoppedRecordingResponse.from_domain(READY))),
    (Synced.of, data_of(actions.SyncResponse.from_domain([READY, LIVES[0]]))),
    (Archived.of, data_of(archive.ArchivedRecordingResponse.from_domain(LIVES[-2]))),
    (Restoring.of, data_of(archive.RestoringRecordingResponse.from_domain(LIVES[-2]))),
    (Recovering.of, data_of(actions.RecoveringRecordingResponse.from_domain(READY))),
    (ActiveRecording.of, to_dict(problems.Blocker.model_validate(READY))),
    (Download.of, to_dict(LINK)),
]


@pytest.mark.parametrize(("read", "document"), ROUND_TRIPS)
def test_a_response_is_read_as_it_was_written(read: Callable[[object], object], document: dict[str, Any]) -> None:
    assert plain(read(document)) == document


def test_an_undeleted_recording_is_read() -> None:
    undeleted = data_of(actions.UndeletedRecordingResponse.from_domain(READY))
    assert RecordingStatus.of(undeleted).status == "ready"


def every_code(kind: type[served.RecordingsError] = served.RecordingsError) -> set[str]:
    return {kind.code}.union(*(every_code(below) for below in kind.__subclasses__()))


def test_every_code_of_the_api_has_its_class() -> None:
    assert every_code() - NEVER_ANSWERED <= set(BY_CODE)


def test_the_readme_names_every_method() -> None:
    methods = {name for name in vars(Client) if not name.startswith("_")} - {"close"}

    assert methods <= set(re.findall(r"\w+", README.partition("### Errors")[0]))


def test_the_readme_names_every_exit_code() -> None:
    assert re.findall(r"^\| (\d) \|", README, re.MULTILINE) == [str(int(code)) for code in Exit]
