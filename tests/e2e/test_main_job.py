"""A room recorded from start to download, and what refuses."""

import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Client
from tests.e2e.support import MAX_WAIT_SECONDS, a_room, in_status, provider_recordings, repeated, until


def test_a_room_is_recorded_processed_listed_and_downloaded(api: httpx.Client, cloudflare: httpx.Client) -> None:
    room = a_room(api)

    started = api.post("/rooms/room_1/recordings/start")
    assert started.status_code == 201, started.text
    recording = started.json()["data"]
    assert recording.keys() == {"id", "room_id", "status", "started_at"}
    assert (recording["room_id"], recording["status"]) == ("room_1", "recording")
    assert started.headers["location"] == f"/api/v1/recordings/{recording['id']}"

    early = api.get(f"/recordings/{recording['id']}/download")
    assert early.status_code == 202
    assert early.json()["status"] == "processing"
    assert int(early.headers["retry-after"]) > 0

    again = api.post("/rooms/room_1/recordings/start")
    assert again.status_code == 409
    assert again.headers["content-type"] == "application/problem+json"
    assert again.json()["code"] == "room_already_recording"
    assert again.json()["recording"]["id"] == recording["id"]

    until(lambda: provider_recordings(cloudflare, room["cloudflare_meeting_id"])[0]["status"] == "RECORDING")
    stopped = api.post("/rooms/room_1/recordings/stop")
    assert stopped.status_code == 200, stopped.text
    assert stopped.json()["data"].keys() == {"id", "room_id", "status", "stopped_at"}

    ready = in_status(api, recording["id"], "ready")
    assert [one["status"] for one in ready["history"]] == ["recording", "processing", "ready"]
    # The order to stop is stored before Cloudflare has it.
    assert ready["version"] == 4
    assert ready["room"] == {"id": "room_1", "name": "Room room_1"}

    page = api.get("/recordings").json()
    assert page["meta"]["total"] == 1
    assert page["data"][0].keys() >= {"id", "room_id", "status", "duration_seconds", "size_bytes", "created_at"}

    (made,) = provider_recordings(cloudflare, room["cloudflare_meeting_id"])
    link = api.get(f"/recordings/{recording['id']}/download").json()
    assert (link["provider"], link["file_size"]) == ("r2", made["size"])
    file = httpx.get(link["download_url"], timeout=MAX_WAIT_SECONDS)
    assert file.status_code == 200
    assert hashlib.sha256(file.content).hexdigest() == made["sha256"]
    part = httpx.get(link["download_url"], headers={"Range": "bytes=10-19"}, timeout=MAX_WAIT_SECONDS)
    assert (part.status_code, part.content) == (206, file.content[10:20])

    assert api.post("/rooms/room_1/recordings/stop").json()["code"] == "no_active_recording"


def test_of_many_starts_at_once_one_wins(api: httpx.Client, cloudflare: httpx.Client) -> None:
    room = a_room(api)

    with ThreadPoolExecutor(64) as pool:
        responses = [*pool.map(lambda _: repeated(lambda: api.post("/rooms/room_1/recordings/start")), range(64))]

    statuses = Counter(response.status_code for response, _ in responses)
    # On a machine that is too busy to answer in time, the call that won may have been answered with a 503 or 504.
    assert statuses == {201: 1, 409: 63} or (any(refused for _, refused in responses) and statuses == {409: 64})
    assert len(provider_recordings(cloudflare, room["cloudflare_meeting_id"])) == 1
    assert api.get("/recordings").json()["meta"]["total"] == 1


def test_many_rooms_started_at_once_are_counted_exactly(api: httpx.Client) -> None:
    rooms = [f"room_{number}" for number in range(64)]
    with ThreadPoolExecutor(16) as pool:
        made = [*pool.map(lambda room: repeated(lambda: api.put(f"/rooms/{room}", json={"name": room})), rooms)]
    # On a machine that is too busy to answer in time, what a 503 or 504 left open was done after all.
    assert all(
        response.status_code == 201 or (refused and response.status_code == 200) for response, refused in made
    ), made

    with ThreadPoolExecutor(64) as pool:
        responses = [*pool.map(lambda room: repeated(lambda: api.post(f"/rooms/{room}/recordings/start")), rooms)]

    for response, refused in responses:
        assert response.status_code == 201 or (refused and response.json()["code"] == "room_already_recording"), (
            response.text
        )
    page = api.get("/recordings", params={"limit": 100}).json()
    assert page["meta"]["total"] == len(page["data"]) == 64
    walked = [
        one["id"]
        for offset in range(0, 70, 7)
        for one in api.get("/recordings", params={"limit": 7, "offset": offset}).json()["data"]
    ]
    assert walked == [one["id"] for one in page["data"]]


def test_a_meeting_that_cloudflare_records_by_itself_is_imported_by_its_webhook(
    api: httpx.Client, cloudflare: httpx.Client
) -> None:
    room = a_room(api)
    opened = cloudflare.post("/auto-start", json={"meeting_id": room["cloudflare_meeting_id"]})
    assert opened.is_success, opened.text

    found = until(lambda: api.get("/recordings").json()["data"])

    assert api.get(f"/recordings/{found[0]['id']}").json()["data"]["origin"] == "auto"
    assert api.post("/rooms/room_1/recordings/stop").status_code == 200
    in_status(api, found[0]["id"], "ready")


def test_a_repeated_start_with_its_key_gives_the_first_answer(api: httpx.Client) -> None:
    a_room(api)
    a_room(api, "room_2")
    key = {"Idempotency-Key": "start-1"}

    first = api.post("/rooms/room_1/recordings/start", headers=key)
    second = api.post("/rooms/room_1/recordings/start", headers=key)
    other = api.post("/rooms/room_2/recordings/start", headers=key)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_another_tenants_things_do_not_exist(client: Client, api: httpx.Client) -> None:
    a_room(api)
    recording = api.post("/rooms/room_1/recordings/start").json()["data"]
    stranger = client(of="stranger")

    for path in (f"/recordings/{recording['id']}", f"/recordings/{recording['id']}/download"):
        provider_recording, unknown = stranger.get(path), stranger.get(path.replace(recording["id"], "rec_unknown"))
        assert (provider_recording.status_code, unknown.status_code) == (404, 404)
        assert provider_recording.json() | {"request_id": ""} == unknown.json() | {"request_id": ""}
    assert stranger.get("/rooms/room_1").json()["code"] == "room_not_found"
    assert stranger.post("/rooms/room_1/recordings/stop").json()["code"] == "room_not_found"
    assert stranger.get("/recordings").json()["meta"]["total"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/recordings?limit=0", None, 400, "invalid_request"),
        ("GET", "/recordings?limit=101", None, 400, "invalid_request"),
        ("GET", "/recordings?offset=-1", None, 400, "invalid_request"),
        ("GET", "/recordings?ofset=1", None, 400, "invalid_request"),
        ("GET", "/recordings/rec_x/download?expires_in=59", None, 400, "invalid_request"),
        ("GET", "/recordings/rec_x", None, 404, "recording_not_found"),
        ("GET", "/recordings/" + "x" * 3000, None, 404, "recording_not_found"),
        ("POST", "/rooms/unknown/recordings/start", None, 404, "room_not_found"),
        ("POST", "/rooms/unknown/recordings/stop", None, 404, "room_not_found"),
        ("POST", "/rooms/unknown/recordings/start", b"{", 400, "invalid_request"),
        ("POST", "/rooms/unknown/recordings/start", b'{"max_duration_seconds": "60"}', 400, "invalid_request"),
        ("POST", "/rooms/unknown/recordings/start", b'{"max_duration_seconds": 59}', 400, "invalid_request"),
        ("POST", "/rooms/unknown/recordings/start", b'{"typo": 1}', 400, "invalid_request"),
        ("PUT", "/rooms/room_1", b"{}", 400, "invalid_request"),
        ("PUT", "/rooms/room_1", b'{"name": ""}', 400, "invalid_request"),
        ("PUT", "/rooms/room_1", b'{"name": "' + b"x" * 1_000_000 + b'"}', 413, "body_too_large"),
        ("DELETE", "/rooms/unknown", None, 404, "room_not_found"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(
    api: httpx.Client, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    response = api.request(method, path, content=body, headers={"Content-Type": "application/json"} if body else {})
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.headers["x-request-id"] == response.json()["request_id"]
    assert api.get("/rooms").json()["data"] == []


def test_an_offset_beyond_everything_is_an_empty_page(api: httpx.Client) -> None:
    response = api.get("/recordings", params={"offset": 2**53 - 1})
    assert (response.status_code, response.json()["data"]) == (200, [])


def test_tokens_are_checked(client: Client, running: dict[str, Any]) -> None:
    assert httpx.get(f"{running['api_url']}/api/v1/recordings", timeout=MAX_WAIT_SECONDS).status_code == 401
    reader = client(scope="recordings:read")
    assert reader.get("/recordings").status_code == 200
    assert reader.put("/rooms/room_1", json={"name": "x"}).status_code == 403
    good = reader.headers["Authorization"]
    forged = good[:-8] + ("A" * 8 if good[-8:] != "A" * 8 else "B" * 8)
    assert reader.get("/recordings", headers={"Authorization": forged}).status_code == 401


def test_an_unsigned_webhook_is_refused(running: dict[str, Any]) -> None:
    response = httpx.post(f"{running['api_url']}/webhooks/cloudflare", content=b"{}", timeout=MAX_WAIT_SECONDS)
    assert response.status_code == 401
