"""The client of today and the API of tomorrow: new fields, statuses, codes and words are read, never refused."""

import copy
import json
import pickle
from typing import Any

import pytest
from recordings_client import errors
from recordings_client.cli import Exit, app, plain
from recordings_client.models import Recording, Status
from typer.testing import CliRunner

from tests.integration.client.support import (
    ARCHIVED,
    LINK,
    NOON,
    RECORDING,
    ROOM,
    ROW,
    WAIT,
    Caller,
    Reply,
    Script,
    Server,
    a_recording,
    data,
    problem,
)
from tests.integration.client.test_client import BACK, DELETED, MOVED, RECOVERING, RESTORING, STARTED, STOPPED, SYNCED

NEW: dict[str, Any] = {"new_field": {"of": ["a later", "version"]}}
FULL = {
    **RECORDING,
    "failure": {"code": "brand_new", "message": "No."},
    "archive_error": {"code": "brand_new", "message": "No."},
    "progress": {
        "step": "brand_new",
        "attempt": 1,
        "bytes_done": 1,
        "bytes_total": 2,
        "next_step_due": NOON,
        "stuck_after": NOON,
        "stalled": False,
    },
    "archive": RESTORING["archive"],
}
CALLS: list[tuple[str, dict[str, Any], Any]] = [
    ("get_room", {}, {"data": ROOM}),
    ("list_rooms", {}, {"data": [ROOM], "meta": {"limit": 20, "next_cursor": None}}),
    ("start", {}, {"data": STARTED}),
    ("stop", {}, {"data": STOPPED}),
    ("sync", {}, {"data": SYNCED}),
    ("list_recordings", {}, {"data": [ROW], "meta": {"limit": 20, "total": 1, "offset": 0, "next_cursor": None}}),
    ("get", {}, {"data": FULL}),
    ("download_url", {}, LINK),
    ("archive", {}, {"data": MOVED}),
    ("restore", {}, {"data": RESTORING}),
    ("recover", {}, {"data": RECOVERING}),
    ("delete", {}, {"data": DELETED}),
    ("undelete", {}, {"data": BACK}),
]


def grown(value: Any) -> Any:
    """The same document with a field more in every object of it."""
    match value:
        case dict():
            return {**{name: grown(one) for name, one in value.items()}, **NEW}
        case list():
            return [grown(one) for one in value]
        case _:
            return value


def with_status(value: Any, status: str) -> Any:
    """The same document with another status wherever it has one."""
    match value:
        case dict():
            return {name: status if name == "status" else with_status(one, status) for name, one in value.items()}
        case list():
            return [with_status(one, status) for one in value]
        case _:
            return value


def asked(call: Caller, name: str, given: dict[str, Any], document: Any) -> Any:
    arguments = [] if name.startswith("list_") else ["id_1"]
    return call(Script(Reply(200, document)), name, *arguments, **given)


@pytest.mark.parametrize(("name", "given", "document"), CALLS, ids=[name for name, _, _ in CALLS])
def test_a_new_field_changes_nothing(call: Caller, name: str, given: dict[str, Any], document: Any) -> None:
    assert asked(call, name, given, grown(document)) == asked(call, name, given, document)


@pytest.mark.parametrize(("name", "given", "document"), CALLS, ids=[name for name, _, _ in CALLS])
def test_a_new_status_keeps_its_text(call: Caller, name: str, given: dict[str, Any], document: Any) -> None:
    found = plain(asked(call, name, given, with_status(document, "quarantined")))
    assert ("quarantined" in json.dumps(found)) is ('"status"' in json.dumps(document))
    for one in Status:
        assert f'"{one}"' not in json.dumps(found)


def test_an_unknown_status_says_that_it_is_unknown() -> None:
    status = Recording.of(with_status(FULL, "quarantined")).status

    assert (status, str(status), status.is_known) == ("quarantined", "quarantined", False)
    assert isinstance(status, Status)
    assert status not in list(Status)
    assert status != Status.READY
    assert all(one.is_known for one in Status)
    # It can be looked up, sent and kept like any other.
    assert {Status("quarantined"): 1}[status] == 1
    assert json.loads(json.dumps({"status": status})) == {"status": "quarantined"}
    assert pickle.loads(pickle.dumps(status)) == copy.deepcopy(status) == status


@pytest.mark.parametrize("status", [None, 7, True, ["ready"]])
def test_a_status_that_is_no_text_is_an_unexpected_answer(call: Caller, status: Any) -> None:
    with pytest.raises(errors.UnexpectedAnswer, match="status"):
        call(Script(Reply(200, {"data": {**RECORDING, "status": status}})), "get", "rec_1")


@pytest.mark.parametrize("document", [WAIT, ARCHIVED], ids=["processing", "archived"])
def test_an_unknown_reason_without_a_file_is_not_ready(call: Caller, document: dict[str, Any]) -> None:
    with pytest.raises(errors.NotReady) as caught:
        call(Script(Reply(202, {**grown(document), "status": "quarantined"})), "download_url", "rec_1")
    assert caught.value.recording_status == "quarantined"


def test_waiting_continues_at_an_unknown_status(call: Caller) -> None:
    quarantined = Reply(202, {**WAIT, "status": "quarantined"}, {"Retry-After": "3"})
    api = Script(quarantined, quarantined, Reply(200, LINK), Reply(200, {"data": RECORDING}))
    assert call(api, "wait_until_ready", "rec_1").status is Status.READY
    assert call.slept == [3, 3]


def test_watching_continues_at_an_unknown_status(server: Server) -> None:
    statuses = ["processing", "quarantined", "ready"]
    server.route("GET", "/api/v1/recordings/rec_1", [data(a_recording(status=status)) for status in statuses])
    environment = {"RECORDINGS_URL": server.url, "RECORDINGS_TOKEN": "secret"}

    result = CliRunner().invoke(app, ["watch", "rec_1", "--interval", "0.01", "--json"], env=environment)

    assert [json.loads(line)["status"] for line in result.stdout.splitlines()] == statuses
    assert result.exit_code == Exit.OK


def test_an_error_with_more_fields_and_a_new_code_keeps_its_class(call: Caller) -> None:
    blocker = {"id": "rec_1", "status": "quarantined", "started_at": NOON, "origin": "brand_new", **NEW}
    with pytest.raises(errors.RoomAlreadyRecording) as caught:
        call(Script(problem(409, "room_already_recording", recording=blocker, **NEW)), "start", "room_1")
    assert caught.value.recording is not None
    assert (caught.value.recording.status, caught.value.recording.origin) == ("quarantined", "brand_new")

    with pytest.raises(errors.Conflict) as new:
        call(Script(problem(409, "brand_new", **NEW)), "start", "room_1")
    assert (type(new.value), new.value.code) == (errors.Conflict, "brand_new")
    assert new.value.document["new_field"] == NEW["new_field"]

    fields = [{"field": "limit", "message": "No.", **NEW}]
    with pytest.raises(errors.InvalidRequest) as invalid:
        call(Script(problem(400, "invalid_request", errors=fields, **NEW)), "start", "room_1")
    assert [error.field for error in invalid.value.errors] == ["limit"]
