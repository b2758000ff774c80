"""Nobody reaches another tenant through a meeting, and a room lets none go before Cloudflare was asked."""

import uuid
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Client
from tests.e2e.support import (
    Json,
    a_room,
    get,
    in_status,
    make,
    provider_recordings,
    scanned,
    settle,
    start,
    stop,
    sync,
    total,
    until,
)
from tools.local import stack

ADOPT = "recordings:read recordings:write recordings:adopt"


@pytest.fixture
def provider_recording(client: Client, tenant: str) -> httpx.Client:
    """The tenant that is attacked; `api` is the one that attacks."""
    return client(of=f"victim-of-{tenant}", scope=ADOPT)


@pytest.fixture
def attacker(client: Client) -> httpx.Client:
    return client(scope=ADOPT)


def put(api: httpx.Client, room_id: str = "room_1", **asked: Any) -> httpx.Response:
    return api.put(f"/rooms/{room_id}", json={"name": "Room", **asked})


def refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def records_by_itself(cloudflare: httpx.Client, meeting_id: str) -> bool:
    found = {one["meeting_id"]: one["record_on_start"] for one in cloudflare.get("/meetings").json()["data"]}
    return bool(found[meeting_id])


def a_meeting(cloudflare: httpx.Client, *, record_on_start: bool = False) -> str:
    meeting_id = str(uuid.uuid4())
    asked = {"meeting_id": meeting_id, "record_on_start": record_on_start}
    cloudflare.post("/meetings", json=asked).raise_for_status()
    return meeting_id


def test_a_start_and_a_stop_do_not_reach_another_tenants_recording(
    running: Json, provider_recording: httpx.Client, attacker: httpx.Client, cloudflare: httpx.Client
) -> None:
    """Also not where the table of an earlier release lets the meeting go while it is recorded."""
    meeting_id = a_room(provider_recording)["cloudflare_meeting_id"]
    recording_id = start(provider_recording)
    moved = put(provider_recording, cloudflare_meeting_id=a_meeting(cloudflare))
    assert refusal(moved) == (409, "room_recording")
    assert moved.json()["recording"]["id"] == recording_id
    assert refusal(put(attacker, cloudflare_meeting_id=meeting_id)) == (409, "meeting_in_use")
    table = stack.client(running, "dynamodb")
    table.delete_item(
        TableName=running["tables"]["Table"], Key={"pk": {"S": f"MEETING#{meeting_id}"}, "sk": {"S": "LINK"}}
    )
    assert put(attacker, cloudflare_meeting_id=meeting_id).status_code == 201

    started = attacker.post("/rooms/room_1/recordings/start")
    stopped = attacker.post("/rooms/room_1/recordings/stop")

    assert refusal(started) == (409, "room_already_recording")
    assert started.json()["recording"] is None
    assert refusal(stopped) == (404, "no_active_recording")
    assert sync(attacker)["recordings"] == []
    (cloudflare_recording,) = provider_recordings(cloudflare, meeting_id)
    assert cloudflare_recording["status"] in {"INVOKED", "RECORDING"}
    assert get(provider_recording, recording_id)["status"] == "recording"
    stop(provider_recording)
    in_status(provider_recording, recording_id, "ready")
    assert total(attacker) == 0


@pytest.mark.parametrize("wanted", [True, False])
def test_a_refused_call_leaves_a_strangers_meeting_as_it_is(
    provider_recording: httpx.Client, attacker: httpx.Client, cloudflare: httpx.Client, wanted: bool
) -> None:
    made = put(provider_recording, record_on_start=not wanted).json()["data"]
    meeting_id = made["cloudflare_meeting_id"]

    refused = put(attacker, cloudflare_meeting_id=meeting_id, record_on_start=wanted)

    assert refusal(refused) == (409, "meeting_in_use")
    assert records_by_itself(cloudflare, meeting_id) is not wanted
    assert attacker.get("/rooms/room_1").status_code == 404


def test_nobody_inherits_what_was_recorded_in_a_deleted_rooms_meeting(
    provider_recording: httpx.Client, attacker: httpx.Client, cloudflare: httpx.Client
) -> None:
    settle(cloudflare, webhooks=False)
    meeting_id = a_room(provider_recording)["cloudflare_meeting_id"]
    made = make(cloudflare, meeting_id)
    assert provider_recording.delete("/rooms/room_1").status_code == 200

    assert refusal(put(attacker, cloudflare_meeting_id=meeting_id)) == (409, "meeting_in_use")
    a_room(attacker)
    assert sync(attacker)["synced_count"] == 0

    # The room let its meeting go only after what it held was imported.
    (row,) = provider_recording.get("/recordings").json()["data"]
    assert in_status(provider_recording, row["id"], "ready")["room"] == {"id": "room_1", "name": "Room room_1"}
    assert made["meeting_id"] == meeting_id
    assert total(attacker) == 0
    # Its own tenant may take it up again.
    assert put(provider_recording, "room_2", cloudflare_meeting_id=meeting_id).status_code == 201
    assert sync(provider_recording, "room_2")["synced_count"] == 0


def test_what_was_recorded_before_a_meeting_was_adopted_is_nobodys(
    attacker: httpx.Client, cloudflare: httpx.Client
) -> None:
    settle(cloudflare, webhooks=False)
    meeting_id = a_meeting(cloudflare)
    make(cloudflare, meeting_id, age_seconds=60)
    assert put(attacker, cloudflare_meeting_id=meeting_id).status_code == 201
    assert sync(attacker)["synced_count"] == 0
    cloudflare.post("/auto-start", json={"meeting_id": meeting_id}).raise_for_status()
    (row,) = sync(attacker)["recordings"]
    assert row["status"] == "recording"
    stop(attacker)
    assert total(attacker) == 1


def test_naming_a_meeting_needs_its_scope(api: httpx.Client, attacker: httpx.Client, cloudflare: httpx.Client) -> None:
    meeting_id = a_meeting(cloudflare)
    for named in (meeting_id, str(uuid.uuid4())):
        assert refusal(put(api, cloudflare_meeting_id=named)) == (403, "scope_missing")
    assert put(attacker, cloudflare_meeting_id=meeting_id).status_code == 201
    assert put(api, cloudflare_meeting_id=meeting_id).status_code == 200
    assert refusal(put(api, cloudflare_meeting_id=a_meeting(cloudflare))) == (403, "scope_missing")


@pytest.mark.parametrize("method", ["DELETE", "PUT"])
def test_a_room_that_cloudflare_records_unheard_keeps_its_meeting(
    attacker: httpx.Client, cloudflare: httpx.Client, method: str
) -> None:
    settle(cloudflare, webhooks=False)
    room = put(attacker, record_on_start=True).json()["data"]
    meeting_id = room["cloudflare_meeting_id"]
    started = cloudflare.post("/auto-start", json={"meeting_id": meeting_id}).json()["data"]

    def let_go() -> httpx.Response:
        if method == "DELETE":
            return attacker.delete("/rooms/room_1")
        return put(attacker, cloudflare_meeting_id=a_meeting(cloudflare))

    refused = let_go()
    assert refusal(refused) == (409, "room_recording")
    blocker = refused.json()["recording"]
    assert (blocker["status"], blocker["origin"]) == ("recording", "auto")
    assert records_by_itself(cloudflare, meeting_id) is True
    assert attacker.get("/rooms/room_1").json()["data"]["active_recording_id"] == blocker["id"]
    cloudflare.post(f"/recordings/{started['id']}/end").raise_for_status()
    until(lambda: sync(attacker)["recordings"] or get(attacker, blocker["id"])["status"] != "recording")
    assert let_go().status_code == 200
    assert records_by_itself(cloudflare, meeting_id) is False
    in_status(attacker, blocker["id"], "ready")


def test_what_is_recorded_by_itself_ends_the_same_here_and_at_cloudflare(
    attacker: httpx.Client, cloudflare: httpx.Client
) -> None:
    # Adopted without a word: the room says what the meeting does.
    meeting_id = a_meeting(cloudflare, record_on_start=True)
    assert put(attacker, cloudflare_meeting_id=meeting_id).json()["data"]["record_on_start"] is True
    # Named: it is sent, whatever is stored.
    assert put(attacker, record_on_start=False).json()["data"]["record_on_start"] is False
    assert records_by_itself(cloudflare, meeting_id) is False
    cloudflare.post("/meetings", json={"meeting_id": meeting_id, "record_on_start": True}).raise_for_status()
    assert put(attacker, record_on_start=False).json()["data"]["record_on_start"] is False
    assert records_by_itself(cloudflare, meeting_id) is False
    # Changed elsewhere: the room's sync repairs it.
    cloudflare.post("/meetings", json={"meeting_id": meeting_id, "record_on_start": True}).raise_for_status()
    assert sync(attacker)["synced_count"] == 0
    assert records_by_itself(cloudflare, meeting_id) is False
    # Moved without a word: the next meeting does what the room says, and the old one nothing.
    assert put(attacker, record_on_start=True).status_code == 200
    other = a_meeting(cloudflare)
    assert put(attacker, cloudflare_meeting_id=other).json()["data"]["record_on_start"] is True
    assert (records_by_itself(cloudflare, meeting_id), records_by_itself(cloudflare, other)) == (False, True)
    assert attacker.delete("/rooms/room_1").status_code == 200
    assert records_by_itself(cloudflare, other) is False


def test_a_meeting_that_a_deleted_room_had_stays_its_tenants(
    running: Json, provider_recording: httpx.Client, attacker: httpx.Client, tenant: str
) -> None:
    meeting_id = a_room(provider_recording)["cloudflare_meeting_id"]
    assert provider_recording.delete("/rooms/room_1").status_code == 200
    (link,) = [row for row in scanned(running, of="") if row["pk"]["S"] == f"MEETING#{meeting_id}"]
    assert link["tenant_id"]["S"] == f"victim-of-{tenant}"
    for _ in range(2):
        assert refusal(put(attacker, cloudflare_meeting_id=meeting_id)) == (409, "meeting_in_use")
