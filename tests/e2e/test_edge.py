"""What comes from outside is checked at the edge: claims as the gateway delivers them, cursors, ids, and lengths."""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.e2e.support import Json, a_room, downloaded, imported, in_status, make, sync

type Caller = Callable[..., Any]


@pytest.fixture
def bearing(running: dict[str, Any]) -> Caller:
    """Makes clients whose token holds any claims."""

    @contextmanager
    def make_client(**claims: Any) -> Iterator[httpx.Client]:
        asked = {"audience": "recordings", "scope": "recordings:read recordings:write", "claims": claims}
        answer = httpx.post(f"{running['issuer']}/token", json=asked, timeout=30)
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        with httpx.Client(base_url=f"{running['api_url']}/api/v1", headers=headers, timeout=180) as client:
            yield client

    return make_client


REFUSED = [["acme"], ["a", "b"], "a b", ".", "..", {"a": 1}, [], [["a"]], 1.5e300, "é", "a" * 129]


def test_a_claim_that_is_no_name_is_no_tenant(bearing: Caller) -> None:
    for claim in REFUSED:
        with bearing(tenant_id=claim) as client:
            answer = client.get("/rooms")
        assert (answer.status_code, answer.json().get("code")) == (403, "tenant_invalid"), claim
        assert answer.headers["content-type"] == "application/problem+json"
    with bearing(tenant_id="") as client:
        assert client.get("/rooms").json()["code"] == "tenant_missing"
    with bearing() as client:
        assert client.get("/rooms").json()["code"] == "tenant_missing"


def test_a_number_and_a_boolean_are_the_tenants_that_their_text_names(bearing: Caller, tenant: str) -> None:
    """API Gateway hands 5 and "5" on alike, so nobody can tell them apart."""
    for claim in (5, True):
        with bearing(tenant_id=claim) as client, bearing(tenant_id=str(claim).lower()) as same:
            room_id = f"room-{tenant}"
            assert client.put(f"/rooms/{room_id}", json={"name": "x"}).status_code == 201
            assert same.get(f"/rooms/{room_id}").status_code == 200
            assert same.delete(f"/rooms/{room_id}").status_code == 200


def test_every_allowed_character_makes_a_tenant_whose_files_can_be_fetched(
    bearing: Caller, cloudflare: httpx.Client, tenant: str
) -> None:
    with bearing(tenant_id=f"Z9._@:~-{tenant}") as client:
        room = a_room(client)
        recording_id, made = imported(client, cloudflare, room)
        in_status(client, recording_id, "ready")
        assert downloaded(client, recording_id) == made["sha256"]


def cursor_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


FUTURE = "rec_7ZZZZZZZZZZZZZZZZZZZZZZZZZ"


def test_a_cursor_that_this_list_did_not_give_is_invalid(api: httpx.Client, cloudflare: httpx.Client) -> None:
    room = a_room(api)
    a_room(api, "room_2")
    make(cloudflare, room["cloudflare_meeting_id"], count=2)
    sync(api)
    of_rooms = api.get("/rooms", params={"limit": 1}).json()["meta"]["next_cursor"]
    of_recordings = api.get("/recordings", params={"limit": 1}).json()["meta"]["next_cursor"]
    foreign = {
        "/rooms": [of_recordings, cursor_of(FUTURE), cursor_of("made up"), cursor_of("rooms/.."), "x"],
        "/recordings": [of_rooms, cursor_of(FUTURE), cursor_of(f"recordings/{FUTURE}"), cursor_of("rec_"), "x"],
    }

    for path, cursors in foreign.items():
        for cursor in cursors:
            answer = api.get(path, params={"cursor": cursor})
            problem: Json = answer.json()
            assert (answer.status_code, problem.get("code")) == (400, "invalid_request"), (path, cursor, problem)
            assert [one["field"] for one in problem["errors"]] == ["cursor"]
    assert len(api.get("/rooms", params={"cursor": of_rooms}).json()["data"]) == 1
    assert len(api.get("/recordings", params={"cursor": of_recordings}).json()["data"]) == 1


def test_a_key_of_60_kb_is_refused_briefly(api: httpx.Client) -> None:
    for answer in (
        api.put("/rooms/room_1", json={"name": "x", "k" * 60_000: 1}),
        api.put("/rooms/room_1", json={"name": "x", "cloudflare_meeting_id": "k" * 60_000}),
        api.get("/recordings", params={"k" * 5_000: "1"}),
        api.get("/recordings", params={"status": "k" * 5_000}),
        api.get("/recordings", params={"offset": str(2**53)}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
        assert len(answer.content) < 1_000


def test_ids_of_kilobytes_name_nothing(api: httpx.Client) -> None:
    for path in (f"/recordings/{'rec_' * 1_500}", f"/rooms/{'r' * 6_000}"):
        answer = api.get(path)
        assert answer.status_code == 404
        assert len(answer.content) < 1_000
