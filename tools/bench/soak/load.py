"""The tenants: they record, read, archive, restore and delete all the while, as their own rooms' masters."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx

from tools.bench.soak.verdict import Answer

type Json = dict[str, Any]

ROOMS: Final = 3
USERS: Final = 2
# Longer than any call to the API may take.
TIMEOUT_SECONDS: Final = 60
PAUSE_SECONDS: Final = 0.25
# So many recordings and rooms a tenant makes at most: what is recorded must come to its end afterwards.
MAX_RECORDINGS: Final = 300
MAX_ROOMS: Final = 12
TWO_PARTS: Final = 17 * 1024 * 1024


class Told:
    """What callers were answered, and what was wrong with it; one for all threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self.responses: Counter[Answer] = Counter()
        self.complaints: list[str] = []

    def note(self, response: Answer) -> None:
        with self._guard:
            self.responses[response] += 1

    def complain(self, text: str) -> None:
        with self._guard:
            self.complaints.append(text)


def answer_of(call: str, status: int, document: object) -> Answer:
    """What an answer says: of ours, of the emulator about a function that was killed, or of something else."""
    if not isinstance(document, dict):
        return Answer(call, status, None)
    if document.get("errorType") == "Runtime.ExitError":
        return Answer(call, status, "killed", killed=True)
    if status < 400:
        return Answer(call, status, "" if document.keys() & {"data", "recording_id"} else None)
    code = document.get("code")
    return Answer(call, status, code if isinstance(code, str) else None)


class Tenant:
    """One tenant with rooms of its own and a few users at the same time."""

    def __init__(self, name: str, api: httpx.Client, control: httpx.Client, reported: Told) -> None:
        self.name, self._api, self._control, self._told = name, api, control, reported
        self.meetings: dict[str, str] = {}
        # What it was ever shown, with the status that was told last.
        self.seen: dict[str, str] = {}
        self._guard = threading.Lock()
        self.others: Sequence[Tenant] = ()

    # ------------------------------------------------------------ calls

    def call(self, call: str, method: str, path: str, **more: Any) -> Json | None:
        """Make a call, note its answer, and give the document of a success."""
        response = self._api.request(method, path, **more)
        try:
            document = response.json()
        except ValueError:
            document = None
        reported = answer_of(call, response.status_code, document)
        self._told.note(reported)
        if reported.code is None:
            self._told.complain(f"{call} was answered {response.status_code} {response.text[:200]!r}")
        elif reported.status == 503 and not reported.killed and "Retry-After" not in response.headers:
            self._told.complain(f"{call} was answered 503 {reported.code} without Retry-After")
        return document if reported.code == "" and isinstance(document, dict) else None

    def prepare(self) -> None:
        """Make the rooms, before the faults begin."""
        for number in range(1, ROOMS + 1):
            if not self._make_room(number):
                raise AssertionError(f"room {number} of {self.name} could not be made, without any fault")

    def _make_room(self, number: int) -> bool:
        room = f"{self.name}-room-{number}"
        made = self.call("put room", "PUT", f"/rooms/{room}", json={"name": room})
        if made is not None:
            self.meetings[room] = made["data"]["cloudflare_meeting_id"]
        return made is not None

    def work(self, seed: int, until: float) -> None:
        """One user, until that time on time.monotonic()."""
        chance = random.Random(seed)
        while time.monotonic() < until:
            act = chance.choices([act for act, _ in ACTS], [weight for _, weight in ACTS])[0]
            try:
                act(self, chance)
            except httpx.HTTPError as error:
                self._told.complain(f"{act.__name__} got no answer: {type(error).__name__} {error}")
            time.sleep(chance.uniform(0, 2 * PAUSE_SECONDS))

    def _room(self, chance: random.Random) -> str:
        return chance.choice(list(self.meetings))

    def _some(self, chance: random.Random, status: str = "") -> str | None:
        """One that was seen; mostly one in this status, if there is one."""
        with self._guard:
            fit = [one for one, last in self.seen.items() if last == status] if chance.random() < 0.8 else []
            some = fit or [*self.seen]
            return chance.choice(some) if some else None

    def _saw(self, rows: Iterable[Json]) -> None:
        with self._guard:
            self.seen.update((row["id"], row["status"]) for row in rows)

    # ------------------------------------------------------------ what people do

    def start(self, chance: random.Random) -> None:
        if len(self.seen) >= MAX_RECORDINGS:
            return
        key = {"Idempotency-Key": f"{chance.random()}"}
        path = f"/rooms/{self._room(chance)}/recordings/start"
        for _ in range(chance.choice([1, 1, 2])):
            # A caller that was told to come again does so under its key.
            made = self.call("start", "POST", path, headers=key)
            if made is not None:
                self._saw([made["data"]])

    def stop(self, chance: random.Random) -> None:
        made = self.call("stop", "POST", f"/rooms/{self._room(chance)}/recordings/stop")
        if made is not None:
            self._saw([made["data"]])

    def sync(self, chance: random.Random) -> None:
        made = self.call("sync", "POST", f"/rooms/{self._room(chance)}/recordings/sync")
        if made is not None:
            self._saw(made["data"]["recordings"])

    def read_list(self, chance: random.Random) -> None:
        query = chance.choice([{}, {"limit": 100}, {"status": "ready"}, {"room_id": self._room(chance)}])
        made = self.call("list", "GET", "/recordings", params=query)
        if made is None:
            return
        self._saw(made["data"])
        foreign = [row["room_id"] for row in made["data"] if not row["room_id"].startswith(f"{self.name}-room-")]
        if foreign:
            self._told.complain(f"{self.name} was shown rooms of others: {foreign}")

    def read_one(self, chance: random.Random) -> None:
        one = self._some(chance, "processing")
        made = self.call("get", "GET", f"/recordings/{one}") if one is not None else None
        if made is not None:
            self._saw([made["data"]])

    def download(self, chance: random.Random) -> None:
        one = self._some(chance)
        if one is not None:
            self.call("download", "GET", f"/recordings/{one}/download")

    def archive(self, chance: random.Random) -> None:
        one = self._some(chance, "ready")
        if one is not None:
            made = self.call("archive", "POST", f"/recordings/{one}/archive")
            if made is not None:
                self._saw([made["data"]])

    def restore(self, chance: random.Random) -> None:
        one = self._some(chance, "archived")
        if one is not None:
            tier = chance.choice(["standard", "bulk", "expedited"])
            self.call("restore", "POST", f"/recordings/{one}/restore", json={"days": 1, "tier": tier})

    def recover(self, chance: random.Random) -> None:
        one = self._some(chance, "processing")
        if one is not None:
            self.call("recover", "POST", f"/recordings/{one}/recover")

    def delete(self, chance: random.Random) -> None:
        one = self._some(chance)
        if one is not None:
            self.call("delete", "DELETE", f"/recordings/{one}")

    def undelete(self, chance: random.Random) -> None:
        one = self._some(chance)
        if one is not None:
            self.call("undelete", "POST", f"/recordings/{one}/undelete")

    def rename(self, chance: random.Random) -> None:
        room = self._room(chance)
        body = {"name": f"{room} {chance.randrange(100)}", "record_on_start": chance.random() < 0.5}
        self.call("put room", "PUT", f"/rooms/{room}", json=body)

    def make_room(self, chance: random.Random) -> None:
        # One that was refused is made by a later call: nothing of it may be half done.
        self._make_room(chance.randint(ROOMS + 1, MAX_ROOMS))

    def read_rooms(self, chance: random.Random) -> None:
        self.call("list rooms", "GET", "/rooms")
        self.call("get room", "GET", f"/rooms/{self._room(chance)}")

    def look_at_others(self, chance: random.Random) -> None:
        other = chance.choice(self.others)
        one = other._some(chance)
        if one is None:
            return
        path, method = chance.choice([("", "GET"), ("/download", "GET"), ("/archive", "POST"), ("", "DELETE")])
        response = self.call("another's", method, f"/recordings/{one}{path}")
        if response is not None:
            self._told.complain(f"{self.name} was let at {one} of {other.name}: {method} {path}")

    # ------------------------------------------------------------ what Cloudflare does

    def somebody_joins(self, chance: random.Random) -> None:
        if len(self.seen) < MAX_RECORDINGS:
            size = {"size": TWO_PARTS} if chance.random() < 0.2 else {}
            body = {"meeting_id": self.meetings[self._room(chance)], **size}
            self._control.post("/auto-start", json=body).raise_for_status()

    def everybody_leaves(self, chance: random.Random) -> None:
        for one in self._captures(chance):
            if one["status"] in {"INVOKED", "RECORDING"}:
                self._control.post(f"/recordings/{one['id']}/end").raise_for_status()

    def cloudflare_loses_one(self, chance: random.Random) -> None:
        for one in self._captures(chance):
            if one["status"] in {"RECORDING", "UPLOADING"} and chance.random() < 0.3:
                self._control.post(f"/recordings/{one['id']}/status", json={"status": "ERRORED"}).raise_for_status()

    def an_old_webhook_comes(self, chance: random.Random) -> None:
        made = self._captures(chance)
        if made:
            status = chance.choice(["RECORDING", "UPLOADING", "UPLOADED", "ERRORED"])
            body = {"recording_id": chance.choice(made)["id"], "status": status, "copies": 2}
            self._control.post("/webhooks/resend", json=body).raise_for_status()

    def a_forged_webhook_comes(self, chance: random.Random) -> None:
        made = self._captures(chance)
        if made:
            reported = {"recordingId": chance.choice(made)["id"], "status": "ERRORED"}
            body = {"body": {"event": "recording.statusUpdate", "recording": reported}, "forged": True}
            self._control.post("/webhooks/forge", json=body).raise_for_status()

    def _captures(self, chance: random.Random) -> list[Json]:
        meeting = self.meetings[self._room(chance)]
        found: list[Json] = (
            self._control.get("/recordings", params={"meeting_id": meeting}).raise_for_status().json()["data"]
        )
        return found


ACTS: Final[Sequence[tuple[Callable[[Tenant, random.Random], None], int]]] = (
    (Tenant.start, 14),
    (Tenant.stop, 14),
    (Tenant.sync, 8),
    (Tenant.read_list, 6),
    (Tenant.read_one, 6),
    (Tenant.download, 6),
    (Tenant.archive, 8),
    (Tenant.restore, 5),
    (Tenant.recover, 3),
    (Tenant.delete, 4),
    (Tenant.undelete, 4),
    (Tenant.rename, 3),
    (Tenant.make_room, 2),
    (Tenant.read_rooms, 2),
    (Tenant.look_at_others, 4),
    (Tenant.somebody_joins, 6),
    (Tenant.everybody_leaves, 6),
    (Tenant.cloudflare_loses_one, 1),
    (Tenant.an_old_webhook_comes, 3),
    (Tenant.a_forged_webhook_comes, 1),
)


def run(tenants: Sequence[Tenant], *, seconds: float, seed: int) -> None:
    """All users of all tenants for so long."""
    until = time.monotonic() + seconds
    for tenant in tenants:
        tenant.others = [other for other in tenants if other is not tenant]
    with ThreadPoolExecutor(len(tenants) * USERS) as pool:
        users = [
            pool.submit(tenant.work, seed * 1000 + at * USERS + user, until)
            for at, tenant in enumerate(tenants)
            for user in range(USERS)
        ]
        for one in users:
            one.result()
