"""What comes from outside is checked at the edge: claims as the gateway delivers them, cursors, ids, and lengths."""

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.e2e.support import MAX_WAIT_SECONDS, Json, a_room, downloaded, get, imported, in_status, make, sync, until

type Caller = Callable[..., Any]


@pytest.fixture
def bearing(running: dict[str, Any]) -> Caller:
    """Makes clients whose token holds any claims."""

    @contextmanager
    def make_client(**claims: Any) -> Iterator[httpx.Client]:
        asked = {"audience": "recordings", "scope": "recordings:read recordings:write", "claims": claims}
        response = httpx.post(f"{running['issuer']}/token", json=asked, timeout=MAX_WAIT_SECONDS)
        headers = {"Authorization": f"Bearer {response.json()['access_token']}"}
        with httpx.Client(base_url=f"{running['api_url']}/api/v1", headers=headers, timeout=MAX_WAIT_SECONDS) as client:
            yield client

    return make_client


REFUSED = [["acme"], ["a", "b"], "a b", ".", "..", {"a": 1}, [], [["a"]], 1.5e300, "é", "a" * 129]


def test_a_claim_that_is_no_name_is_no_tenant(bearing: Caller) -> None:
    for claim in REFUSED:
        with bearing(tenant_id=claim) as client:
            response = client.get("/rooms")
        assert (response.status_code, response.json().get("code")) == (403, "tenant_invalid"), claim
        assert response.headers["content-type"] == "application/problem+json"
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
            response = api.get(path, params={"cursor": cursor})
            problem: Json = response.json()
            assert (response.status_code, problem.get("code")) == (400, "invalid_request"), (path, cursor, problem)
            assert [one["field"] for one in problem["errors"]] == ["cursor"]
    assert len(api.get("/rooms", params={"cursor": of_rooms}).json()["data"]) == 1
    assert len(api.get("/recordings", params={"cursor": of_recordings}).json()["data"]) == 1


def test_a_key_of_60_kb_is_refused_briefly(api: httpx.Client) -> None:
    for response in (
        api.put("/rooms/room_1", json={"name": "x", "k" * 60_000: 1}),
        api.put("/rooms/room_1", json={"name": "x", "cloudflare_meeting_id": "k" * 60_000}),
        api.get("/recordings", params={"k" * 5_000: "1"}),
        api.get("/recordings", params={"status": "k" * 5_000}),
        api.get("/recordings", params={"offset": str(2**53)}),
    ):
        assert (response.status_code, response.json()["code"]) == (400, "invalid_request")
        assert len(response.content) < 1_000


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine that nothing may be fetched from: its address, and what was asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"stolen")

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://localhost:{server.server_port}", asked
        server.shutdown()
        thread.join(10)


def is_stalled(api: httpx.Client, recording_id: str) -> bool:
    return bool(stalled(get(api, recording_id)))


def test_a_capture_whose_url_leads_elsewhere_is_never_fetched_from_there(
    api: httpx.Client, cloudflare: httpx.Client, elsewhere: tuple[str, list[str]]
) -> None:
    address, asked = elsewhere
    lies = [
        {"raw": [{"download_url": f"{address}/named"}]},
        {"answers": [{"status": 302, "headers": {"Location": f"{address}/redirected"}, "times": None}]},
    ]
    recordings: list[tuple[str, Json]] = []
    for number, lie in enumerate(lies):
        room = a_room(api, f"room_{number}")
        made = make(cloudflare, room["cloudflare_meeting_id"])
        cloudflare.patch(f"/recordings/{made['id']}", json=lie).raise_for_status()
        (row,) = sync(api, room["id"])["recordings"]
        recordings.append((row["id"], made))

    for recording_id, _ in recordings:
        until(partial(is_stalled, api, recording_id))
        found = get(api, recording_id)
        assert (found["status"], found["failure"]) == ("processing", None)
        assert "localhost" not in str(found)
    assert asked == []

    for recording_id, made in recordings:
        cloudflare.patch(f"/recordings/{made['id']}", json={"raw": [], "answers": []}).raise_for_status()
        assert api.post(f"/recordings/{recording_id}/recover").status_code == 200
        in_status(api, recording_id, "ready")
        assert downloaded(api, recording_id) == made["sha256"]
    assert asked == []


def stalled(recording: Json) -> bool:
    return bool(recording["progress"] and recording["progress"]["stalled"])


def test_ids_of_kilobytes_name_nothing(api: httpx.Client) -> None:
    for path in (f"/recordings/{'rec_' * 1_500}", f"/rooms/{'r' * 6_000}"):
        response = api.get(path)
        assert response.status_code == 404
        assert len(response.content) < 1_000
