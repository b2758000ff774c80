"""What belongs to another tenant does not exist: the same answer, byte for byte, as for what nobody has."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Client
from tests.e2e.support import Json, a_room, imported, in_status, scanned, start, tallies

# Of the shape that our ids have, and nobody's.
UNKNOWN = "rec_01AAAAAAAAAAAAAAAAAAAAAAAA"
MALFORMED = "rec_..%00ü"
ON_RECORDINGS = [
    ("GET", "/recordings/{id}", None),
    ("GET", "/recordings/{id}/download", None),
    ("GET", "/recordings/{id}/download?expires_in=60", None),
    ("POST", "/recordings/{id}/archive", None),
    ("POST", "/recordings/{id}/recover", None),
    ("POST", "/recordings/{id}/restore", None),
    ("POST", "/recordings/{id}/restore", {"days": 1, "tier": "bulk"}),
    ("DELETE", "/recordings/{id}", None),
    ("POST", "/recordings/{id}/undelete", None),
]
ON_ROOMS = [
    ("GET", "/rooms/{id}", None),
    ("DELETE", "/rooms/{id}", None),
    ("POST", "/rooms/{id}/recordings/start", None),
    ("POST", "/rooms/{id}/recordings/start", {"max_duration_seconds": 60}),
    ("POST", "/rooms/{id}/recordings/stop", None),
    ("POST", "/rooms/{id}/recordings/sync", None),
]


def ask(api: httpx.Client, method: str, path: str, body: Json | None, id: str) -> httpx.Response:
    return api.request(method, path.format(id=id), json=body) if body else api.request(method, path.format(id=id))


def as_seen(response: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """All that a caller gets, but for what differs between any two calls."""
    named = response.json().get("request_id") or response.headers["x-request-id"]
    headers = {
        name: value
        for name, value in response.headers.items()
        if name not in {"date", "x-request-id", "x-amzn-requestid", "apigw-requestid", "x-amz-request-id", "x-amz-id-2"}
    }
    return response.status_code, response.content.replace(str(named).encode(), b""), headers


def rows_of(running: Json, tenant: str) -> list[Json]:
    """A tenant's rows, but for the kept answers of requests and the progress of runs."""
    return [
        {key: value for key, value in row.items() if key != "progress"}
        for row in scanned(running, of=tenant)
        if "TOKEN" not in row["pk"]["S"]
    ]


@pytest.fixture
def provider_recording(api: httpx.Client, cloudflare: httpx.Client) -> list[str]:
    """Recordings of the first tenant: one that records, one that is ready and one that is deleted."""
    running_id = (a_room(api), start(api))[1]
    ready, _ = imported(api, cloudflare, a_room(api, "room_2"))
    deleted, _ = imported(api, cloudflare, a_room(api, "room_3"))
    in_status(api, ready, "ready")
    in_status(api, deleted, "ready")
    assert api.delete(f"/recordings/{deleted}").status_code == 200
    return [running_id, ready, deleted]


def test_another_tenants_recordings_answer_as_unknown_and_malformed_ids_do(
    running: dict[str, Any], client: Client, api: httpx.Client, tenant: str, provider_recording: list[str]
) -> None:
    stranger = client(of=f"other-{tenant}")
    for number in (1, 2, 3):
        a_room(stranger, f"room_{number}")
    before, counted = rows_of(running, tenant), tallies(api)

    for method, path, body in ON_RECORDINGS:
        unknown = as_seen(ask(stranger, method, path, body, UNKNOWN))
        assert unknown[0] == 404, (method, path, unknown)
        assert b'"recording_not_found"' in unknown[1]
        assert as_seen(ask(stranger, method, path, body, MALFORMED)) == unknown
        for id in provider_recording:
            assert as_seen(ask(stranger, method, path, body, id)) == unknown, (method, path, id)

    assert rows_of(running, tenant) == before
    assert tallies(api) == counted
    assert tallies(stranger)["all"] == 0


def test_another_tenants_rooms_answer_as_unknown_and_malformed_ids_do(
    running: dict[str, Any], client: Client, api: httpx.Client, tenant: str, provider_recording: list[str]
) -> None:
    stranger = client(of=f"other-{tenant}")
    before = rows_of(running, tenant)

    for method, path, body in ON_ROOMS:
        unknown = as_seen(ask(stranger, method, path, body, "room_unknown"))
        assert unknown[0] == 404, (method, path, unknown)
        assert b'"room_not_found"' in unknown[1]
        assert as_seen(ask(stranger, method, path, body, "room_%00ü")) == unknown
        for id in ("room_1", "room_2", "room_3"):
            assert as_seen(ask(stranger, method, path, body, id)) == unknown, (method, path, id)

    assert rows_of(running, tenant) == before
    assert stranger.get("/rooms").json()["data"] == []


def test_two_tenants_with_the_same_room_ids_record_apart(
    client: Client, api: httpx.Client, cloudflare: httpx.Client, tenant: str
) -> None:
    other = client(of=f"other-{tenant}")
    mine, others = a_room(api), a_room(other)
    assert mine["cloudflare_meeting_id"] != others["cloudflare_meeting_id"]

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(start, (api, other))

    assert first != second
    assert [one["id"] for one in api.get("/recordings").json()["data"]] == [first]
    assert [one["id"] for one in other.get("/recordings").json()["data"]] == [second]
    assert api.post("/rooms/room_1/recordings/stop").json()["data"]["id"] == first
    assert other.get(f"/recordings/{second}").json()["data"]["status"] == "recording"
    assert other.get("/rooms/room_1").json()["data"]["active_recording_id"] == second
    in_status(api, first, "ready")
    assert other.get(f"/recordings/{second}").json()["data"]["status"] == "recording"


def test_the_filter_of_a_room_shows_no_other_tenants_recordings(
    client: Client, api: httpx.Client, provider_recording: list[str], tenant: str
) -> None:
    stranger = client(of=f"other-{tenant}")
    a_room(stranger, "room_2")

    response = stranger.get("/recordings", params={"room_id": "room_2"}).json()

    assert (response["data"], response["meta"]["total"]) == ([], 0)
    assert api.get("/recordings", params={"room_id": "room_2"}).json()["meta"]["total"] == 1


def test_another_tenants_cursor_opens_nothing(
    client: Client, api: httpx.Client, cloudflare: httpx.Client, tenant: str
) -> None:
    room = a_room(api)
    cloudflare.post("/recordings", json={"meeting_id": room["cloudflare_meeting_id"], "count": 3}).raise_for_status()
    assert api.post("/rooms/room_1/recordings/sync").json()["data"]["synced_count"] == 3
    cursor = api.get("/recordings", params={"limit": 1}).json()["meta"]["next_cursor"]
    assert cursor

    response = client(of=f"other-{tenant}").get("/recordings", params={"limit": 10, "cursor": cursor})

    assert response.json().get("data", []) == []
    assert response.status_code in {200, 400}
    assert len(api.get("/recordings", params={"limit": 10, "cursor": cursor}).json()["data"]) == 2


def test_another_tenants_meeting_cannot_be_taken(client: Client, api: httpx.Client, tenant: str) -> None:
    room = a_room(api)
    stranger = client(of=f"other-{tenant}", scope="recordings:read recordings:write recordings:adopt")

    response = stranger.put(
        "/rooms/room_1", json={"name": "mine", "cloudflare_meeting_id": room["cloudflare_meeting_id"]}
    )

    assert (response.status_code, response.json()["code"]) == (409, "meeting_in_use")
    assert tenant.encode() not in response.content.replace(f"other-{tenant}".encode(), b"")
    assert stranger.get("/rooms/room_1").status_code == 404
    assert api.get("/rooms/room_1").json()["data"] == room


def test_the_same_idempotency_key_of_two_tenants_is_two_keys(client: Client, api: httpx.Client, tenant: str) -> None:
    other = client(of=f"other-{tenant}")
    a_room(api)
    a_room(other)
    key = {"Idempotency-Key": "the-same"}

    first = api.post("/rooms/room_1/recordings/start", headers=key)
    second = other.post("/rooms/room_1/recordings/start", headers=key)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["data"]["id"] != second.json()["data"]["id"]
