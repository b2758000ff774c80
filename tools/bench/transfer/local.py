"""The local stack and the stand-in for Cloudflare, as the benchmarks use them."""

import json
import time
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from tools.bench.transfer.engine import TENANT
from tools.bench.transfer.errors import BenchError
from tools.local import stack

NAME: Final = "bench"
MIB: Final = 1024 * 1024
# The recording that a whole workflow carries, to count the steps of a run: it has parts and takes seconds.
COUNTED_MB: Final = 48


def control(running: Mapping[str, Any], path: str, body: Any = None, *, method: str | None = None) -> Any:
    """Call the stand-in's control API."""
    return _json(f"{running['cloudflare_control_url']}{path}", body, {}, method)


def api(running: dict[str, Any], path: str, body: Any = None, *, method: str | None = None) -> Any:
    """Call the API as the bench's tenant."""
    token = stack.token(running, TENANT)
    return _json(f"{running['api_url']}/api/v1{path}", body, {"Authorization": f"Bearer {token}"}, method)["data"]


def _json(url: str, body: Any, headers: Mapping[str, str], method: str | None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method=method)
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.loads(response.read() or b"null")


def count_a_run(running: dict[str, Any]) -> int:
    """Let the deployed workflow bring one recording in; how many states it entered, other than CopySegment.

    That one is entered for each segment. The emulator's history leaves it out, AWS's does not.
    """
    room = api(running, "/rooms/counted", {"name": "Counted"}, method="PUT")
    control(running, "/recordings", {"meeting_id": room["cloudflare_meeting_id"], "size": COUNTED_MB * MIB})
    recording_id = api(running, "/rooms/counted/recordings/sync", {})["recordings"][0]["id"]
    machines = stack.client(running, "stepfunctions")
    arn = running["state_machines"]["Processing"]
    end = time.monotonic() + 120
    while time.monotonic() < end:
        runs = machines.list_executions(stateMachineArn=arn, statusFilter="SUCCEEDED")["executions"]
        found = [run["executionArn"] for run in runs if recording_id in run["name"]]
        if found:
            pages = machines.get_paginator("get_execution_history").paginate(executionArn=found[0])
            entered = [
                event["stateEnteredEventDetails"]["name"]
                for page in pages
                for event in page["events"]
                if event["type"].endswith("StateEntered")
            ]
            return len(entered) - entered.count("CopySegment")
        time.sleep(0.5)
    raise BenchError(f"the recording was not brought in: see `.venv/bin/python -m tools.local --name {NAME} logs`")
