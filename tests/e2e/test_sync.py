"""The scheduled sync of the deployed stack: what webhooks lost, what got stuck and what came from before its room."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest

from tests.e2e.conftest import Client
from tests.e2e.support import (
    Json,
    a_room,
    begin_sync,
    downloaded,
    fault,
    free_the_sync,
    get,
    in_status,
    lose_unfinished,
    make,
    outcome,
    provider_recordings,
    scanned,
    settle,
    start,
    stop,
    sync_all,
    total,
    until,
)
from tools.local import functions, stack

DEADLINES = ("ScanProviderRecordings", "ReconcileBatch")
BEGAN_LONG_AGO = timedelta(hours=5)


def entered(running: Json, execution: str) -> list[str]:
    """The states that a run entered, in their order."""
    machines = stack.client(running, "stepfunctions")
    pages = machines.get_paginator("get_execution_history").paginate(executionArn=execution)
    events = [event for page in pages for event in page["events"]]
    return [event["stateEnteredEventDetails"]["name"] for event in events if event["type"].endswith("StateEntered")]


def execution_of(running: Json, recording_id: str, attempt: int = 1) -> str:
    """The processing run of a recording."""
    machine = running["state_machines"]["Processing"].replace(":stateMachine:", ":execution:")
    return f"{machine}:{recording_id}-{attempt}"


@pytest.fixture(autouse=True)
def quiet(running: Json, cloudflare: httpx.Client) -> Iterator[None]:
    """No webhook helps, and what other tests left behind has been brought in line before."""
    lose_unfinished(cloudflare)
    settle(cloudflare, webhooks=False)
    free_the_sync(running)
    sync_all(running)
    yield
    lose_unfinished(cloudflare)


@contextmanager
def deadlines(running: Json, **seconds: int) -> Iterator[None]:
    """The sync's functions with other deadlines."""
    changed = {f"{name.upper()}_DEADLINE_SECONDS": str(value) for name, value in seconds.items()}
    names = [running["functions"][one] for one in DEADLINES]
    with functions.variables_set(stack.client(running, "lambda"), names, changed):
        yield


def only(cloudflare: httpx.Client, room: Json) -> Json:
    (made,) = provider_recordings(cloudflare, room["cloudflare_meeting_id"])
    return made


def test_what_began_and_ended_without_a_word_comes_in(
    running: Json, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    room = a_room(api)
    cloudflare.post("/auto-start", json={"meeting_id": room["cloudflare_meeting_id"]}).raise_for_status()
    until(lambda: only(cloudflare, room)["status"] == "RECORDING")

    sync_all(running)

    (row,) = api.get("/recordings").json()["data"]
    found = get(api, row["id"])
    assert (found["status"], found["origin"]) == ("recording", "auto")
    made = only(cloudflare, room)
    cloudflare.post(f"/recordings/{made['id']}/end").raise_for_status()
    until(lambda: only(cloudflare, room)["status"] == "UPLOADED")

    sync_all(running)

    ready = in_status(api, row["id"], "ready")
    assert downloaded(api, row["id"]) == only(cloudflare, room)["sha256"]
    assert api.get("/rooms/room_1").json()["data"]["active_recording_id"] is None
    assert [one["status"] for one in ready["history"]] == ["recording", "processing", "ready"]
    before = get(api, row["id"])
    sync_all(running)
    assert get(api, row["id"]) == before


def test_what_was_recorded_while_no_room_held_its_meeting_comes_in_once_one_does_again(
    running: Json, client: Client, cloudflare: httpx.Client
) -> None:
    api = client(scope="recordings:read recordings:write recordings:adopt")
    meeting_id = str(uuid.uuid4())
    cloudflare.post("/meetings", json={"meeting_id": meeting_id}).raise_for_status()
    # From before it was anybody's: nobody is ever shown it.
    make(cloudflare, meeting_id, count=3, age_seconds=BEGAN_LONG_AGO.total_seconds(), apart_seconds=60)
    named = {"name": "Late", "cloudflare_meeting_id": meeting_id}
    assert api.put("/rooms/first", json=named).status_code == 201
    assert api.delete("/rooms/first").status_code == 200
    made = make(cloudflare, meeting_id, age_seconds=0)

    assert api.put("/rooms/late", json=named).status_code == 201
    sync_all(running)

    (row,) = api.get("/recordings").json()["data"]
    # Times are whole seconds: it may have begun in the one in which the first room let the meeting go.
    assert row["room_id"] in {"first", "late"}
    (link,) = [row for row in scanned(running, of=made["id"]) if row["pk"]["S"] == f"CLOUDFLARE#{made['id']}"]
    in_status(api, link["recording_id"]["S"], "ready")
    # It is walked once.
    cloudflare.delete("/requests").raise_for_status()
    sync_all(running)
    asked = cloudflare.get("/requests").json()["data"]
    assert [one for one in asked if meeting_id in one["path"]] == []


def records(cloudflare: httpx.Client, room: Json) -> bool:
    return bool(only(cloudflare, room)["status"] == "RECORDING")


def test_a_recording_whose_session_is_over_is_stopped(
    running: Json, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    room, other = a_room(api), a_room(api, "room_2")
    started_at = datetime.fromisoformat(get(api, start(api))["started_at"])
    start(api, "room_2")
    for one in (room, other):
        until(partial(records, cloudflare, one))
    gone = datetime.now(UTC) - timedelta(minutes=10)
    made = only(cloudflare, room)
    cloudflare.patch(f"/recordings/{made['id']}", json={"session_ended_at": gone.isoformat()}).raise_for_status()
    # The session of a recording is checked when the recording runs for longer than this deadline.
    until(lambda: datetime.now(UTC) > started_at + timedelta(seconds=1))

    with deadlines(running, session=1):
        sync_all(running)

    # What goes on in the other room is left alone.
    assert only(cloudflare, room)["status"] in {"UPLOADING", "UPLOADED"}
    assert only(cloudflare, other)["status"] == "RECORDING"
    sync_all(running)
    (ended,) = api.get("/recordings", params={"room_id": "room_1"}).json()["data"]
    in_status(api, ended["id"], "ready")
    stop(api, "room_2")


def test_a_capture_that_neither_begins_nor_stops_is_given_up_and_holds_up_nobody(
    running: Json, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    settle(cloudflare, webhooks=False, stall_in="INVOKED")
    a_room(api)
    recording_id = start(api)
    fault(cloudflare, "stop", "answer", status=409)

    with deadlines(running, begin=1):
        until(lambda: _given_up(running, api, recording_id), every=1)

    assert get(api, recording_id)["failure"]["code"] == "never_started"
    assert api.get("/rooms/room_1").json()["data"]["active_recording_id"] is None


def _given_up(running: Json, api: httpx.Client, recording_id: str) -> bool:
    sync_all(running)
    return bool(get(api, recording_id)["status"] == "failed")


def test_a_run_that_died_is_followed_by_a_new_attempt(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, tenant: str
) -> None:
    settle(cloudflare, stall_in="UPLOADING")
    room = a_room(api)
    recording_id = start(api)
    stop(api)
    machines = stack.client(running, "stepfunctions")
    machines.stop_execution(executionArn=execution_of(running, recording_id))
    provider_recording = only(cloudflare, room)
    cloudflare.post(f"/recordings/{provider_recording['id']}/status", json={"status": "UPLOADED"}).raise_for_status()
    # A run that is young is not asked after: this one is made older.
    earlier = (datetime.now(UTC) - timedelta(minutes=20)).strftime("%Y-%m-%dT%H:%M:%SZ")
    stack.client(running, "dynamodb").update_item(
        TableName=running["tables"]["Table"],
        Key={"pk": {"S": f"T#{tenant}#REC"}, "sk": {"S": recording_id}},
        UpdateExpression="SET stopped_at = :at, started_at = :at",
        ExpressionAttributeValues={":at": {"S": earlier}},
    )
    assert get(api, recording_id)["status"] == "processing"

    sync_all(running)

    in_status(api, recording_id, "ready")
    assert downloaded(api, recording_id) == only(cloudflare, room)["sha256"]
    assert outcome(running, execution_of(running, recording_id, 2)) == "SUCCEEDED"


def test_of_two_runs_at_once_one_does_the_work(running: Json, cloudflare: httpx.Client) -> None:
    fault(cloudflare, "list", "hold")
    first = begin_sync(running)
    until(lambda: "ScanProviderRecordings" in entered(running, first))

    second = begin_sync(running)

    assert outcome(running, second) == "SUCCEEDED"
    assert "ScanProviderRecordings" not in entered(running, second)
    cloudflare.delete("/faults").raise_for_status()
    assert outcome(running, first) == "SUCCEEDED"


def test_a_run_that_cloudflare_fails_leaves_all_to_the_next(
    running: Json, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    room = a_room(api)
    make(cloudflare, room["cloudflare_meeting_id"], count=3)
    # Each is asked for three times by the client, and the look is kept. Nobody else uses the fault up.
    meeting_id = room["cloudflare_meeting_id"]
    fault(cloudflare, "get", "answer", status=502, body="html", times=3, meeting_id=meeting_id)
    sync_all(running)
    assert total(api) == 2
    sync_all(running)
    assert total(api) == 3
    until(lambda: total(api, status="ready") == 3)


@pytest.mark.parametrize("webhooks", [True, False])
def test_from_uploaded_to_ready_a_webhook_leaves_no_wait_and_none_costs_one_interval(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, webhooks: bool
) -> None:
    settle(cloudflare, webhooks=webhooks, stall_in="UPLOADING")
    room = a_room(api)
    recording_id = start(api)
    stop(api)
    until(lambda: _waits_long(api, recording_id))
    provider_recording = only(cloudflare, room)
    cloudflare.post(f"/recordings/{provider_recording['id']}/status", json={"status": "UPLOADED"}).raise_for_status()
    in_status(api, recording_id, "ready")

    steps = entered(running, execution_of(running, recording_id))
    looks = [one for one in steps[: steps.index("PlanTransfer")] if one.startswith("CheckUpload")]
    assert looks[:2] == ["CheckUpload", "CheckUploadAgain"]
    # The file may have come in the middle of the second look: then that one sees it, and nothing is waited for.
    if webhooks:
        # The webhook breaks the second wait off: the run looks again at once.
        assert looks[2:] in (["CheckUpload"], [])
    else:
        assert looks[2:] in (["CheckUploadSlowly"], [])
    assert downloaded(api, recording_id) == only(cloudflare, room)["sha256"]


def _waits_long(api: httpx.Client, recording_id: str) -> bool:
    """Whether the run is in its second wait: the first is 20 s, the second is 30 s."""
    progress = get(api, recording_id)["progress"]
    due = progress and progress["next_step_due"]
    return bool(due) and datetime.fromisoformat(due) > datetime.now(UTC) + timedelta(seconds=21)
