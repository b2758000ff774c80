"""The requests whose responses are recorded, in the order in which they are sent.

Each group is a function that sends requests with `Player.ask`. A label names a request in the data file: it consists of
the method, the path, the caller and the content. Two requests never share one.
"""

import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Any, Final, Self

import httpx

from tests.e2e.callers import transport
from tests.e2e.conftest import calm
from tests.e2e.support import (
    MAX_WAIT_SECONDS,
    Json,
    fault,
    hold_archiving,
    in_archive,
    in_status,
    make,
    provider_recordings,
    settle,
    until,
)
from tools.local import stack

# Every other header depends on the server in front of the functions, or on the time.
HEADERS: Final = ("content-type", "cache-control", "x-request-id", "location", "retry-after", "allow")
RECORDING_ID: Final = re.compile(r"rec_[0-7][0-9A-HJKMNP-TV-Z]{25}")
UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MEMBERS: Final = {
    "<cursor>": re.compile(r'(?<="next_cursor": ")[^"]+(?=")'),
    "<url>": re.compile(r'(?<="download_url": ")[^"]+(?=")'),
}
UNKNOWN_RECORDING: Final = "rec_01KE9EDY806S2TGZ7Z3QHSBYMG"
SCOPES: Final = "recordings:read recordings:write"
# A signature of Cloudflare has 344 characters.
SHORT_SIGNATURE: Final = 60
ROUTES: Final = (
    "PUT /rooms/{id}", "GET /rooms/{id}", "GET /rooms", "DELETE /rooms/{id}", "POST /rooms/{id}/recordings/start",
    "POST /rooms/{id}/recordings/stop", "POST /rooms/{id}/recordings/sync", "GET /recordings", "GET /recordings/{id}",
    "GET /recordings/{id}/access", "GET /recordings/{id}/download", "POST /recordings/{id}/archive",
    "POST /recordings/{id}/restore",
    "POST /recordings/{id}/recover", "DELETE /recordings/{id}", "POST /recordings/{id}/undelete",
)  # fmt: skip
OF_ROOMS: Final = tuple(route for route in ROUTES if "/rooms/{id}" in route and "PUT" not in route)
OF_RECORDINGS: Final = tuple(route for route in ROUTES if "/recordings/{id}" in route)
READS_NO_BODY: Final = (
    "POST /rooms/live/recordings/stop", "POST /rooms/live/recordings/sync", "POST /recordings/{ready}/archive",
    "POST /recordings/{ready}/recover", "POST /recordings/{ready}/undelete", "DELETE /recordings/{ready}",
    "DELETE /rooms/live", "GET /recordings/{ready}",
)  # fmt: skip


class Player:
    """Sends requests to the deployed stack and keeps each response with placeholders for what differs between runs."""

    def __init__(self, running: Json, cloudflare: httpx.Client) -> None:
        self.running, self.cloudflare = running, cloudflare
        self.tenant = f"tenant-{uuid.uuid4().hex[:12]}"
        self.responses: dict[str, Json] = {}
        # Values of this run, by the name that stands for them in labels and in recorded responses.
        self.names: dict[str, str] = {"unknown": UNKNOWN_RECORDING}
        self._clients: dict[str, httpx.Client] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def caller(self, name: str, **token: Any) -> None:
        """Add a caller. Without `token` it sends no access token; the token's claims are those of the tenant."""
        headers = {}
        if token:
            asked = {"tenant": self.tenant, "scope": SCOPES, "audience": self.running["audience"], **token}
            answer = httpx.post(f"{self.running['issuer']}/token", json=asked, timeout=MAX_WAIT_SECONDS)
            headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        self.caller_with(name, headers)

    def caller_with(self, name: str, headers: dict[str, str]) -> None:
        """Add a caller that sends these headers with every request."""
        client = httpx.Client(
            base_url=self.running["api_url"], headers=headers, timeout=MAX_WAIT_SECONDS, transport=transport()
        )
        self._clients[name] = self._open.enter_context(client)

    @property
    def api(self) -> httpx.Client:
        """A client for looks that are not recorded."""
        if "" not in self._clients:
            token = stack.token(self.running, self.tenant)
            self.caller_with("", {"Authorization": f"Bearer {token}"})
            self._clients[""].base_url = httpx.URL(f"{self.running['api_url']}/api/v1")
        return self._clients[""]

    def ask(self, line: str, caller: str = "writer", note: str = "", **content: Any) -> httpx.Response:
        """Send `METHOD path` (below /api/v1 unless it begins with `//`) and keep the response."""
        parts = [line, f"as {caller}" if caller != "writer" else "", *self._shown(content), note]
        label = " | ".join(part for part in parts if part)
        assert label not in self.responses, label
        method, path = line.split(" ", 1)
        address = path[1:] if path.startswith("//") else f"/api/v1{path}"
        for name, value in self.names.items():
            address = address.replace(f"{{{name}}}", value)
        response = self._clients[caller].request(method, address, **content)
        self.responses[label] = self._kept(response)
        return response

    def _shown(self, content: Json) -> Iterator[str]:
        """A request's headers and body as its label shows them."""
        for name, value in content.items():
            match value:
                case bytes():
                    text = repr(value)[2:-1]
                case httpx.Headers() | {"Idempotency-Key": _} | {"Content-Type": _}:
                    text = json.dumps(dict(value))
                case {"rtk-signature": str(signature)}:
                    text = "signed" if len(signature) > SHORT_SIGNATURE else json.dumps(value)
                case _:
                    text = self._named(json.dumps(value))
            shown = self._named(text)
            yield f"{name} {shown if len(shown) <= 120 else f'{shown[:60]}… ({len(text)} characters)'}"

    def _kept(self, response: httpx.Response) -> Json:
        request_id = response.headers.get("x-request-id", "")
        headers = {name: self._named(text, request_id) for name, text in response.headers.items() if name in HEADERS}
        body = self._named(_worded(response), request_id)
        return {"status": response.status_code, "headers": headers, "body": body}

    def _named(self, text: str, request_id: str = "") -> str:
        """The text with placeholders for what differs between runs."""
        if request_id:
            text = text.replace(request_id, "<request id>")
        for placeholder, member in MEMBERS.items():
            text = member.sub(placeholder, text)
        for name, value in self.names.items():
            text = text.replace(value, f"<{name}>").replace(value.upper(), f"<{name.upper()}>")
        text = RECORDING_ID.sub("<recording id>", text)
        return INSTANT.sub("<time>", UUID.sub("<uuid>", text))


def _worded(response: httpx.Response) -> str:
    """The body. Of an invalid request, which sentences say what is wrong is left out, and nothing else."""
    if not response.headers.get("content-type", "").endswith("json"):
        return response.text
    document = response.json()
    if not isinstance(document, dict) or document.get("code") != "invalid_request":
        return response.text
    assert json.dumps(document) == response.text, "the JSON is not written as before"
    for error in document["errors"]:
        assert error["message"]
        error["message"] = "<wording>"
    return json.dumps(document | {"detail": "<wording>"})


# ---------------------------------------------------------------- the tenant's rooms and recordings


def create(play: Player) -> None:
    """Rooms and recordings. Those of `files` come from Cloudflare and are stored while other requests are sent."""
    tokens: dict[str, Json] = {
        "writer": {"subject": "writer", "scope": f"{SCOPES} recordings:audit"},
        "adopter": {"scope": f"{SCOPES} recordings:adopt"},
        "other tenant": {"tenant": f"tenant-{uuid.uuid4().hex[:12]}"},
        "reader": {"scope": "recordings:read"},
        "scopeless": {"scope": ""},
        "nameless": {"claims": {"tenant_id": None}},
        "misnamed": {"claims": {"tenant_id": "a b"}},
        "list of tenants": {"claims": {"tenant_id": ["acme", "other"]}},
        "expired": {"expires_in": -60},
        "stranger": {"forged": True},
        "guest of another API": {"audience": "other"},
    }
    for name, facts in tokens.items():
        play.caller(name, **facts)
    play.caller("nobody")
    settle(play.cloudflare, webhooks=False, stall_in="UPLOADING")
    for room in ("live", "auto", "stopped", "stuck", "files", "lost"):
        made = play.ask(f"PUT /rooms/{room}", json={"name": f"Room {room}"}).json()["data"]
        play.names[f"meeting of {room}"] = made["cloudflare_meeting_id"]
    ages = {"ready": 700, "stored": 600, "moving": 500, "deleted": 400, "partial": 300}
    for name, age in ages.items():
        row = make(play.cloudflare, play.names["meeting of files"], size=60_000, age_seconds=age)
        if name == "partial":
            play.cloudflare.patch(f"/recordings/{row['id']}", json={"partial": True}).raise_for_status()
    make(play.cloudflare, play.names["meeting of lost"], status="ERRORED", age_seconds=900)
    _import(play, "files", [*ages])
    _import(play, "lost", ["failed"])
    for room in ("live", "stopped", "stuck"):
        play.names[room] = play.ask(f"POST /rooms/{room}/recordings/start").json()["data"]["id"]
    for room in ("stopped", "stuck"):
        play.ask(f"POST /rooms/{room}/recordings/stop")
    auto = play.cloudflare.post("/auto-start", json={"meeting_id": play.names["meeting of auto"]}).json()["data"]
    until(lambda: play.cloudflare.get(f"/recordings/{auto['id']}").json()["data"]["status"] == "RECORDING")
    play.names["auto"] = play.ask("POST /rooms/auto/recordings/start").json()["recording"]["id"]


def _import(play: Player, room: str, oldest_first: list[str]) -> None:
    play.ask(f"POST /rooms/{room}/recordings/sync", note="imports")
    rows = play.api.get("/recordings", params={"room_id": room}).json()["data"]
    for name, row in zip(reversed(oldest_first), rows, strict=True):
        play.names[name] = row["id"]


def settled(play: Player) -> None:
    """Wait until every recording is in the state that its name says."""
    for name in ("ready", "stored", "moving", "deleted", "partial"):
        in_status(play.api, play.names[name], "ready")

    def failed() -> bool:
        return bool(play.api.get(f"/recordings/{play.names['failed']}").json()["data"]["status"] == "failed")

    def waits() -> bool:
        rows = [play.api.get(f"/recordings/{play.names[name]}").json()["data"] for name in ("stopped", "stuck")]
        return all((row["progress"] or {}).get("step") == "waiting_for_upload" for row in rows)

    until(failed)
    until(waits)


# ---------------------------------------------------------------- callers and addresses


def callers(play: Player) -> None:
    for route in ROUTES:
        line = route.replace("{id}", "nothing")
        play.ask(line, "nobody")
        play.ask(line, "reader" if not line.startswith("GET") else "scopeless")
        play.ask(line, "nameless")
        play.ask(f"{line}?typo=1")
    for caller in ("expired", "stranger", "guest of another API", "misnamed", "list of tenants"):
        play.ask("GET /rooms", caller)


def addresses(play: Player) -> None:
    for route in OF_ROOMS:
        play.ask(route.replace("{id}", "nothing"))
        play.ask(route.replace("{id}", "live"), "other tenant")
    for route in OF_RECORDINGS:
        play.ask(route.replace("{id}", "{unknown}"))
        play.ask(route.replace("{id}", "{ready}"), "other tenant")
        play.ask(route.replace("{id}", "rec_1"))
    for room_id in ("a%20b", "..%2F..", "%C3%BC", "x" * 129, "a%00b"):
        play.ask(f"GET /rooms/{room_id}")
        play.ask(f"PUT /rooms/{room_id}", json={"name": "Room"})
    for line in (
        "GET //", "GET /", "GET /nothing", "GET /rooms/", "POST /rooms", "PATCH /rooms/live", "PUT /recordings",
        "GET /rooms/live/recordings/start", "DELETE /recordings/{ready}/download", "GET //webhooks/cloudflare",
        "POST //webhooks", "GET //api/v2/rooms",
    ):  # fmt: skip
        play.ask(line)


# ---------------------------------------------------------------- queries


def queries(play: Player) -> None:
    numbers = ("0", "-1", "1.0", "1e1", "%205", "%2B5", "5_0", "%D9%A5", "", "x", "0x10", "9" * 30, "null", "true")
    for number in numbers:
        play.ask(f"GET /recordings?limit={number}")
    for query in ("limit=101", "limit=5&limit=6", "limit", "limit=x&limit=y", "LIMIT=5", "limit%20=5", "limit[]=5"):
        play.ask(f"GET /recordings?{query}")
    for query in (
        "limit=101",
        "limit=0",
        "limit=1&limit=1",
        "offset=0",
        "cursor=",
        "cursor=bm90aGluZw",
        "status=ready",
    ):
        play.ask(f"GET /rooms?{query}")
    for query in ("offset=-1", "offset=9007199254740991", "offset=9007199254740992", "offset=", "offset=1&offset=2"):
        play.ask(f"GET /recordings?{query}")
    _filters(play)
    _times(play)
    _several(play)


def _filters(play: Player) -> None:
    for cursor in ("", "made%20up", "made-up", "bm90aGluZw", "a" * 2001, "%C3%A4", "a&cursor=b", "a&offset=0"):
        play.ask(f"GET /recordings?cursor={cursor}")
    for status in ("", "READY", "unknown", "ready&status=unknown", "ready,failed", "null"):
        play.ask(f"GET /recordings?status={status}")
    for room_id in ("", "live&room_id=auto", "x" * 1001, "%2F", "nothing"):
        play.ask(f"GET /recordings?room_id={room_id}")


def _times(play: Player) -> None:
    times = (
        "yesterday", "2026-01-06", "2026-01-06T10:30:00", "1767695400", "2026-02-30T00:00:00Z", "",
        "2026-01-06T25:00:00Z",
        "2026-01-06T10:30:60Z", "2026-01-06T10:30:00+24:00", "2026-01-06%2010:30:00Z", "2026-01-06T10:30Z",
        "2026-01-06T10:30:00.123456789Z",
        "2026-01-06T10:30:00%2B0200", "20260106T103000Z", "2026-01-06T10:30:00.Z",
        "2026-01-06T10:30:00.5%2B02:00", "2026-01-06t10:30:00z",
        "0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59",
    )  # fmt: skip
    for time in times:
        play.ask(f"GET /recordings?created_after={time}")
    play.ask("GET /recordings?created_before=2026-01-06T10:30:00")
    play.ask("GET /recordings?created_before=2020-01-01T00:00:00Z&created_after=2021-01-01T00:00:00Z")


def _several(play: Player) -> None:
    for query in ("limit=0&lmit=5", "limit=0&status=lost&offset=-1", "%ff=1", "=1", "&", "a=1&b=2", f"{'k' * 100}=1"):
        play.ask(f"GET /recordings?{query}", note="several faults" if query.count("=") > 1 else "")
    for seconds in ("59", "604801", "", "60.0", "x", "60&expires_in=60", "-60"):
        play.ask(f"GET /recordings/{{ready}}/download?expires_in={seconds}")
    play.ask("GET /recordings/{live}?limit=5")


# ---------------------------------------------------------------- bodies


def bodies(play: Player) -> None:
    start = "POST /rooms/live/recordings/start"
    durations: list[Any] = [59, 86_401, 60.0, "60", True, [60], {}, -1, 10**30]
    for value in durations:
        play.ask(start, json={"max_duration_seconds": value})
    for text in (
        "{", "[]", "null", "1", '"x"', "[" * 5000, '{"max_duration_seconds": 1e400}', '{"max_duration_seconds": NaN}',
        '{"max_duration_seconds": 60,}', '{"a": "\\ud800"}', '{"\\u0000": 1}', "{} {}", "\ufeff{}", "'", "max=60",
        '{"max_duration_seconds": 59, "max_duration_seconds": 60, "x": 1}',
    ):  # fmt: skip
        play.ask(start, content=text.encode())
    for content in (b"\xff", b'{"\xc3\x28": 1}', b"\x00", b" \n ", b"{}", b""):
        play.ask(
            start, content=content, note="to a room that is being recorded" if content.strip(b" \n{}") == b"" else ""
        )
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/octet-stream",
        "",
    ):
        play.ask(start, content=b'{"typo": 1}', headers={"Content-Type": kind})
        play.ask(start, content=b"max_duration_seconds=60", headers={"Content-Type": kind})
    play.ask(start, json={"k" * 100: 1})
    play.ask(start, json={"max_duration_seconds": 1, "typo": 2}, note="several faults")
    room = "PUT /rooms/made"
    room_bodies: list[Json] = [
        {}, {"name": ""}, {"name": "x" * 201}, {"name": 1}, {"name": None}, {"name": "x", "tenant_id": "other"},
        {"name": "x", "record_on_start": 1}, {"name": "x", "record_on_start": "yes"}, {"name": ["x"]},
        {"name": "x", "cloudflare_meeting_id": "no UUID"}, {"name": "x", "cloudflare_meeting_id": 7},
        {"name": "x", "cloudflare_meeting_id": ""}, {"name": "x", "cloudflare_meeting_id": "0" * 32},
        {"name": "x", "id": "other"},
    ]  # fmt: skip
    for body in room_bodies:
        play.ask(room, json=body)
    play.ask(room, json={"name": "", "nmae": 1, "record_on_start": "x"}, note="several faults")
    restore = "POST /recordings/{ready}/restore"
    restore_bodies: list[Json] = [
        {"days": 0}, {"days": 31}, {"days": "7"}, {"days": 7.0}, {"days": None}, {"days": True}, {"tier": "Bulk"},
        {"tier": ""}, {"tier": None}, {"tier": 1}, {"tier": ["bulk"]}, {"Days": 7}, {"days": 0, "tier": "x"},
    ]  # fmt: skip
    for body in restore_bodies:
        play.ask(restore, json=body)
    for line in READS_NO_BODY:
        play.ask(line, json={"typo": 1})
        play.ask(line, content=b"[]")
    for line in (start, room, restore, *READS_NO_BODY[:2]):
        play.ask(line, content=b" " * 65_537)
        play.ask(line, content=b"x" * 65_536)


# ---------------------------------------------------------------- rooms


def rooms(play: Player) -> None:
    play.ask("PUT /rooms/made", json={"name": "Ü – 会議 \u0001", "record_on_start": True})
    play.ask("PUT /rooms/made", json={"name": "x" * 200})
    play.ask("PUT /rooms/made", json={"name": "x", "record_on_start": None, "cloudflare_meeting_id": None})
    play.ask("PUT /rooms/made", json={"name": "Made", "record_on_start": False})
    play.ask("GET /rooms/made")
    play.ask("GET /rooms/live")
    made = play.ask("PUT /rooms/twin", json={"name": "Twin"}).json()["data"]["cloudflare_meeting_id"]
    play.names["meeting of twin"] = made
    play.ask("PUT /rooms/made", json={"name": "x", "cloudflare_meeting_id": made}, note="without the scope to adopt")
    play.ask("PUT /rooms/made", "adopter", json={"name": "x", "cloudflare_meeting_id": made}, note="another room's")
    unknown = str(uuid.UUID(int=7))
    play.ask("PUT /rooms/made", "adopter", json={"name": "x", "cloudflare_meeting_id": unknown})
    play.ask("PUT /rooms/twin", json={"name": "Twin again", "cloudflare_meeting_id": made.upper()}, note="its own")
    free = play.cloudflare.post("/meetings", json={"meeting_id": str(uuid.uuid4())}).json()["data"]["meeting_id"]
    play.names["free meeting"] = free
    play.ask("PUT /rooms/adopted", "adopter", json={"name": "Adopted", "cloudflare_meeting_id": free}, note="created")
    play.ask("PUT /rooms/adopted", "adopter", json={"name": "Adopted again", "cloudflare_meeting_id": free})
    play.ask("PUT /rooms/stolen", "adopter", json={"name": "x", "cloudflare_meeting_id": free})
    page = play.ask("GET /rooms?limit=3")
    while cursor := page.json()["meta"]["next_cursor"]:
        name = f"page {len([one for one in play.names if one.startswith('page ')]) + 2} of rooms"
        play.names[name] = cursor
        page = play.ask(f"GET /rooms?limit=3&cursor={{{name}}}")
    play.ask("GET /rooms?limit=100")
    play.ask("GET /rooms", "other tenant")
    play.ask("DELETE /rooms/live")
    play.ask("DELETE /rooms/twin")
    play.ask("DELETE /rooms/twin", note="again")
    play.ask("GET /rooms/twin")
    play.ask("POST /rooms/twin/recordings/start")
    play.ask("PUT /rooms/taken", "other tenant", json={"name": "x"})


# ---------------------------------------------------------------- recordings in each state


def states(play: Player) -> None:
    settled(play)
    hold_archiving(play.running, play.names["moving"])
    play.ask("POST /recordings/{moving}/archive")
    play.ask("POST /recordings/{stored}/archive")
    play.ask("DELETE /recordings/{deleted}")
    in_archive(play.api, play.names["stored"], "stored")
    until(lambda: play.api.get(f"/recordings/{play.names['stored']}").json()["data"]["archive"]["state"] == "stored")
    for name in ("live", "auto", "stopped", "ready", "partial", "failed", "moving", "stored", "deleted"):
        path = f"/recordings/{{{name}}}"
        play.ask(f"GET {path}", note=name)
        play.ask(f"GET {path}/download", note=name)
        play.ask(f"GET {path}/download?expires_in=60", note=name)
        play.ask(f"GET {path}/access", note=name)
        if name not in {"ready", "partial"}:
            play.ask(f"POST {path}/archive", note=name)
        if name != "stopped":
            play.ask(f"POST {path}/recover", note=name)
        if name != "stored":
            play.ask(f"POST {path}/restore", note=name)
            play.ask(f"POST {path}/restore", note=f"{name} with a body", json={"days": 1, "tier": "bulk"})
        if name in {"live", "auto", "deleted"}:
            play.ask(f"DELETE {path}", note=name)
    lists(play)
    play.ask("POST /rooms/live/recordings/start", note="again")
    play.ask("POST /rooms/made/recordings/stop")
    play.ask("POST /rooms/files/recordings/sync", note="nothing new")
    play.ask("POST /recordings/{deleted}/undelete", note="deleted")
    play.ask("POST /recordings/{deleted}/undelete", note="not deleted")
    play.ask("GET /recordings/{deleted}", note="undeleted")
    play.ask("POST /recordings/{stuck}/recover")
    play.ask("DELETE /recordings/{stuck}", note="while it is being processed")
    play.ask("GET /recordings/{stuck}", note="deleted")
    play.ask("POST /rooms/auto/recordings/stop")
    play.ask("POST /rooms/auto/recordings/stop", note="again")
    play.ask("POST /recordings/{stored}/restore", json={"days": 3, "tier": "expedited"})
    in_archive(play.api, play.names["stored"], "restored")
    play.ask("GET /recordings/{stored}", note="restored")
    play.ask("GET /recordings/{stored}/download", note="restored")
    play.ask("POST /recordings/{stored}/restore", json={"days": 5, "tier": "bulk"}, note="again")
    play.ask("DELETE /recordings/{stored}", note="restored")


def lists(play: Player) -> None:
    for query in (
        "", "?limit=2", "?limit=2&offset=2", "?limit=100&offset=1000", "?status=ready", "?status=ready&status=failed",
        "?status=archived&room_id=files", "?room_id=live", "?created_after=2020-01-01T00:00:00Z&limit=1",
        "?created_before=2020-01-01T00:00:00Z", "?created_after=2020-01-01T00:00:00.5%2B02:00&status=recording",
        "?offset=0&limit=1",
    ):  # fmt: skip
        play.ask(f"GET /recordings{query}", note="list")
    page, number = play.ask("GET /recordings?limit=4", note="first page"), 1
    while cursor := page.json()["meta"]["next_cursor"]:
        number += 1
        play.names[f"page {number}"] = cursor
        page = play.ask(f"GET /recordings?limit=4&cursor={{page {number}}}")
    play.ask("GET /recordings?cursor={page 2}&offset=0")
    play.ask("GET /recordings?cursor={page 2}&status=ready", note="another filter")
    play.ask("GET /recordings?cursor={page 2}", "other tenant")
    play.ask("GET /recordings", "other tenant")


# ---------------------------------------------------------------- Idempotency-Key


def keys(play: Player) -> None:
    key = {"Idempotency-Key": "key 1"}
    play.ask("PUT /rooms/keyed", json={"name": "Keyed"}, headers=key)
    play.names["keyed"] = play.ask("POST /rooms/keyed/recordings/start", headers=key).json()["data"]["id"]
    play.ask("POST /rooms/keyed/recordings/start", headers=key, note="repeated")
    play.ask("POST /rooms/keyed/recordings/start", headers=key, json={"max_duration_seconds": 60})
    play.ask("POST /rooms/keyed/recordings/stop", headers=key)
    play.ask("POST /rooms/keyed/recordings/start", "other tenant", headers=key)
    play.ask("POST /rooms/keyed/recordings/start", "other tenant", headers=key, note="repeated")
    play.ask("POST /rooms/keyed/recordings/start", headers={"Idempotency-Key": "key 2"})
    play.ask("POST /rooms/keyed/recordings/start", headers={"Idempotency-Key": "key 2"}, note="repeated")
    play.ask("POST /rooms/keyed/recordings/start", headers={"Idempotency-Key": "key 3"}, json={"typo": 1})
    for value in ("", "k" * 129, "\xe9"):
        play.ask("DELETE /recordings/{keyed}", headers=httpx.Headers({"Idempotency-Key": value}, "latin-1"))
    play.ask("DELETE /recordings/{keyed}", headers={"Idempotency-Key": "k" * 128}, note="128 characters")
    play.ask("GET /rooms/keyed", headers=key)
    play.ask("POST /rooms/keyed/recordings/stop", headers={"Idempotency-Key": "key 4"})
    play.ask("POST /rooms/keyed/recordings/stop", headers={"Idempotency-Key": "key 4"}, note="repeated")
    play.ask("DELETE /recordings/{keyed}", headers={"Idempotency-Key": "key 5"})
    play.ask("DELETE /recordings/{keyed}", headers={"Idempotency-Key": "key 5"}, note="repeated")


# ---------------------------------------------------------------- Cloudflare's webhooks


class Receiver:
    """Receives the stand-in's webhooks, so that a signed body can be sent again by the test."""

    def __init__(self) -> None:
        self.received: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.put((self.headers["rtk-signature"], body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the test's output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def registered(play: Player) -> Iterator[Receiver]:
    """A receiver that the stand-in sends its webhooks to as well."""
    receiver = Receiver()
    base = f"{play.running['cloudflare_api_url']}/accounts/{stack.CLOUDFLARE_ACCOUNT}/realtime/kit"
    address = f"{base}/{stack.REALTIMEKIT_APP}/webhooks"
    headers = {"Authorization": "Bearer local-cloudflare-token"}
    hook = {"name": "receiver", "url": receiver.url, "events": ["recording.statusUpdate"], "enabled": True}
    made = httpx.post(address, json=hook, headers=headers, timeout=MAX_WAIT_SECONDS)
    try:
        yield receiver
    finally:
        httpx.delete(
            f"{address}/{made.json()['data']['id']}", headers=headers, timeout=MAX_WAIT_SECONDS
        ).raise_for_status()
        receiver.close()


def webhooks(play: Player) -> None:
    line = "POST //webhooks/cloudflare"
    play.ask(line, "nobody", content=b"{}")
    play.ask(line, "nobody", content=b"{}", headers={"rtk-signature": ""})
    play.ask(line, "nobody", content=b"{}", headers={"rtk-signature": "bm90IGEgc2lnbmF0dXJl"})
    play.ask(line, "nobody", content=b"{}", headers={"rtk-signature": "%"})
    play.ask(f"{line}?typo=1", "nobody", content=b"not JSON")
    live = play.cloudflare.get("/recordings", params={"meeting_id": play.names["meeting of live"]}).json()["data"][0]
    update = {"event": "recording.statusUpdate", "meeting": {"id": live["meeting_id"]}}
    unknown = str(uuid.UUID(int=7))
    with registered(play) as receiver:
        for note, body in {
            "another event": {"event": "meeting.started"},
            "no object": ["event"],
            "no recording": update,
            "an odd recording": update | {"recording": {"recordingId": "../etc"}},
            "an unknown recording": update | {"recording": {"recordingId": unknown}},
            "an unknown meeting": {
                "event": update["event"], "meeting": {"id": unknown}, "recording": {"recordingId": unknown},
            },
            "ours": update | {"recording": {"recordingId": live["id"], "status": "RECORDING"}},
            "ours, by another key": update | {"recording": {"id": live["id"], "meetingId": live["meeting_id"]}},
        }.items():  # fmt: skip
            play.cloudflare.post("/webhooks/forge", json={"body": body}).raise_for_status()
            signature, raw = receiver.received.get(timeout=30)
            play.ask(line, "nobody", content=raw, headers={"rtk-signature": signature}, note=note)
            if note == "ours":
                play.ask(line, "nobody", content=raw + b" ", headers={"rtk-signature": signature}, note="altered")


# ---------------------------------------------------------------- trouble at Cloudflare


def trouble(play: Player) -> None:
    play.ask("PUT /rooms/trouble", json={"name": "Trouble"})
    meeting_id = play.ask("PUT /rooms/busy", json={"name": "Busy"}).json()["data"]["cloudflare_meeting_id"]
    play.names["busy"] = play.ask("POST /rooms/busy/recordings/start").json()["data"]["id"]
    # To remove a fault puts all settings back, so webhooks are sent for a moment. Nothing may change in this moment.
    until(lambda: [row["status"] for row in provider_recordings(play.cloudflare, meeting_id)] == ["RECORDING"])
    all_responses: dict[str, Json] = {
        "500": {"status": 500}, "400": {"status": 400}, "401": {"status": 401}, "403": {"status": 403},
        "422": {"status": 422}, "504": {"status": 504}, "HTML": {"status": 502, "body": "html"},
        "empty": {"status": 200, "body": "empty"}, "unsuccessful": {"status": 200, "body": "unsuccessful"},
        "404": {"status": 404},
    }  # fmt: skip
    for note, facts in all_responses.items():
        for on, line in (
            ("start", "POST /rooms/trouble/recordings/start"),
            ("stop", "POST /rooms/busy/recordings/stop"),
        ):
            with struck(play, on, "answer", **facts):
                play.ask(line, note=f"{on} is {note}")
    for on, line in {
        "active": "POST /rooms/trouble/recordings/start",
        "list": "POST /rooms/trouble/recordings/sync",
        "create_meeting": "PUT /rooms/new",
        "set_meeting": "PUT /rooms/trouble",
        "get_meeting": "PUT /rooms/adopting",
    }.items():
        content: Json = {"json": {"name": "x", "record_on_start": True}} if line.startswith("PUT") else {}
        if on == "get_meeting":
            content["json"]["cloudflare_meeting_id"] = str(uuid.UUID(int=9))
        for note in ("500", "403", "504"):
            with struck(play, on, "answer", **all_responses[note]):
                play.ask(line, "adopter", note=f"{on} is {note}", **content)
        with struck(play, on, "drop"):
            play.ask(line, "adopter", note=f"{on} is dropped", **content)
        with struck(play, on, "answer", status=429, retry_after=7):
            play.ask(line, "adopter", note=f"{on} is 429", **content)
    with struck(play, "list", "answer", status=500):
        play.ask("DELETE /rooms/trouble", note="the list is 500")
    with struck(play, "start", "answer", status=502, body="html", effect=True, times=1):
        play.ask("POST /rooms/trouble/recordings/start", note="the response of the start is lost")
    play.ask("POST /rooms/busy/recordings/stop", note="in the end")


@contextmanager
def struck(play: Player, on: str, kind: str, **facts: Any) -> Iterator[None]:
    """A fault strikes; afterwards none does, and no minute of a rate limit is left."""
    fault(play.cloudflare, on, kind, **facts)
    try:
        yield
    finally:
        calm(play.running, play.cloudflare)
        settle(play.cloudflare, webhooks=False, stall_in="UPLOADING")


GROUPS: Final = (create, callers, addresses, queries, bodies, rooms, webhooks, keys, states, trouble)
