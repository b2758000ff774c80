"""The migration of lists beside traffic, and a tenant whose lists are read all the time meanwhile."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.support import MAX_WAIT_SECONDS, Json, a_room, client_of, imported, in_status, make, sync, until
from tools.local import stack

QUIET_TENANT = "tenant-quiet"
# More than the minute after which a function reads the state of the layout again.
SETTLE_SECONDS = 65


def fill_quiet_tenant(running: Json, cloudflare: httpx.Client) -> list[Json]:
    """Make recordings of a tenant of which nothing changes later, and return its lists."""
    with client_of(running, QUIET_TENANT) as api:
        made = [imported(api, cloudflare, a_room(api, room_id))[0] for room_id in ("a", "b", "d")]
        make(cloudflare, a_room(api, "c")["cloudflare_meeting_id"], status="ERRORED")
        sync(api, "c")
        for recording_id in made:
            in_status(api, recording_id, "ready")
        api.delete(f"/recordings/{made[-1]}").raise_for_status()
    return quiet_lists(running)


def quiet_lists(running: Json) -> list[Json]:
    """The lists of the quiet tenant by every filter: which recordings they have, and how many."""
    with client_of(running, QUIET_TENANT) as api:
        whole = api.get("/recordings").json()["data"]
        middle = whole[1]["created_at"]
        filters: list[dict[str, Any]] = [
            {},
            {"limit": 1, "offset": 1},
            {"room_id": "a"},
            {"room_id": "d"},
            {"status": "ready"},
            {"status": ["ready", "failed"]},
            {"room_id": "c", "status": "failed"},
            {"created_after": middle},
            {"created_before": middle, "status": "ready"},
        ]
        return [_list(api, one) for one in filters]


def _list(api: httpx.Client, only: dict[str, Any]) -> Json:
    response = api.get("/recordings", params=only)
    assert response.status_code == 200, response.text
    return {"ids": [one["id"] for one in response.json()["data"]], "total": response.json()["meta"]["total"]}


class Migration:
    """`recordings-admin migrate` on a local stack, while the quiet tenant's lists are compared with `expected`."""

    def __init__(self, running: Json, name: str, expected: list[Json], log: Path) -> None:
        self._running, self._name, self._expected, self.log = running, name, expected, log
        self._over = threading.Event()
        self.compared = 0
        self.different: list[list[Json]] = []

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Run within the block, and end with it."""
        reader = threading.Thread(target=self._compare)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*self._command("migrate"), "--yes", "--settle-seconds", str(SETTLE_SECONDS)], stdout=log, stderr=log
            )
        reader.start()
        try:
            yield
        finally:
            self._over.set()
            self.process.kill()
            self.process.wait(60)
            reader.join(60)

    def finish(self) -> int:
        """Wait for its end and return its exit status."""
        until(lambda: self.process.poll() is not None, seconds=2 * MAX_WAIT_SECONDS)
        wanted = self.compared + 2
        until(lambda: self.compared >= wanted)
        return self.process.wait()

    def tallies(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command("tallies"), "--check"], capture_output=True, text=True, check=False, timeout=120
        )

    def partitions(self) -> set[str]:
        """The partitions of the table."""
        pages = stack.client(self._running, "dynamodb").get_paginator("scan")
        (table,) = self._running["tables"].values()
        return {item["pk"]["S"] for page in pages.paginate(TableName=table) for item in page["Items"]}

    def _command(self, name: str) -> list[str]:
        return [str(stack.ROOT / "recordings-admin"), name, "--local", self._name]

    def _compare(self) -> None:
        while not self._over.wait(0.5):
            found = quiet_lists(self._running)
            self.compared += 1
            if found != self._expected:
                self.different.append(found)
