"""What several end-to-end tests need: waiting, recordings in a wanted state, and looks behind the API."""

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx
from botocore.exceptions import ClientError

from tests.e2e.callers import transport
from tools.bench.transfer.engine import Answer
from tools.bench.transfer.errors import Failed
from tools.local import stack

type Json = dict[str, Any]

# A limit for what never comes. A machine under load needs minutes for what takes seconds else, and nothing waits longer
# than it must.
MAX_WAIT_SECONDS = 300
# A busy machine may need several calls, but not more and more.
MAX_CALLS = 20
# A task is tried so often by its state machine.
MAX_ATTEMPTS = 9
MACHINE = json.loads((stack.ROOT / "statemachines" / "processing.asl.json").read_text())
# What the workflow tries again; everything else ends an attempt.
TRANSIENT = {
    name
    for state in (MACHINE["States"]["CompleteTransfer"], MACHINE["States"]["VerifyTransfer"])
    for again in state["Retry"]
    for name in again["ErrorEquals"]
}


def until[T](look: Callable[[], T], *, seconds: float = MAX_WAIT_SECONDS, every: float = 0.2) -> T:
    """Look until what is seen is true."""
    end = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < end, f"still {seen!r} after {seconds} s"
        time.sleep(every)
    return seen


def soon(look: Callable[[], bool], *, seconds: float, every: float = 0.2) -> bool:
    """Look until it is so, for a few seconds at most; return whether it came to be. For what need not come."""
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() >= end:
            return False
        time.sleep(every)
    return True


def repeated(call: Callable[[], httpx.Response]) -> tuple[httpx.Response, int]:
    """Make a call, and again after each 503 and 504, as the API asks of callers. Returns how many of them there were.

    What such a response left open may have been done after all: then the last response says so.
    """
    for refused in range(MAX_CALLS):
        received = call()
        if received.status_code not in {503, 504}:
            return received, refused
        assert received.json()["code"] in {"throttled", "provider_timeout"}, received.text
        time.sleep(int(received.headers.get("retry-after", 1)))
    raise AssertionError(f"{MAX_CALLS} times {received.status_code}: {received.text}")


@contextmanager
def client_of(running: Json, tenant: str) -> Iterator[httpx.Client]:
    """A client of the API with both scopes."""
    with httpx.Client(
        base_url=f"{running['api_url']}/api/v1",
        headers={"Authorization": f"Bearer {stack.token(running, tenant)}"},
        timeout=MAX_WAIT_SECONDS,
        transport=transport(),
    ) as made:
        yield made


def a_room(api: httpx.Client, room_id: str = "room_1") -> Json:
    received = api.put(f"/rooms/{room_id}", json={"name": f"Room {room_id}"})
    assert received.status_code == 201, received.text
    room: Json = received.json()["data"]
    return room


def get(api: httpx.Client, recording_id: str) -> Json:
    received = api.get(f"/recordings/{recording_id}")
    assert received.status_code == 200, received.text
    found: Json = received.json()["data"]
    return found


def in_status(api: httpx.Client, recording_id: str, status: str, *, seconds: float = MAX_WAIT_SECONDS) -> Json:
    """Wait for a recording's status; one that has failed instead is told at once."""

    def look() -> Json | None:
        found = get(api, recording_id)
        assert found["status"] in {status, "recording", "processing", "ready", "archived"}, found
        return found if found["status"] == status else None

    found = until(look, seconds=seconds)
    assert found is not None
    return found


def in_archive(api: httpx.Client, recording_id: str, state: str, *, seconds: float = MAX_WAIT_SECONDS) -> Json:
    """Wait for an archived recording's place."""

    def look() -> Json | None:
        found = get(api, recording_id)
        assert found["archive"], found
        return found if found["archive"]["state"] == state else None

    found = until(look, seconds=seconds)
    assert found is not None
    return found


def total(api: httpx.Client, **filters: Any) -> int:
    received = api.get("/recordings", params={"limit": 1, **filters})
    assert received.status_code == 200, received.text
    return int(received.json()["meta"]["total"])


def tallies(api: httpx.Client) -> dict[str, int]:
    """The exact number of recordings, whole and by status."""
    of_status = {one: total(api, status=one) for one in ("recording", "processing", "ready", "archived", "failed")}
    return {"all": total(api), **of_status}


def provider_recordings(cloudflare: httpx.Client, meeting_id: str) -> list[Json]:
    """What the stand-in recorded in a meeting."""
    found: list[Json] = cloudflare.get("/recordings", params={"meeting_id": meeting_id}).json()["data"]
    return found


def make(cloudflare: httpx.Client, meeting_id: str, **facts: Any) -> Any:
    """Recordings that Cloudflare made without us: one as it is, or the ids of several."""
    received = cloudflare.post("/recordings", json={"meeting_id": meeting_id, **facts})
    assert received.status_code == 201, received.text
    return received.json()["data"]


def lose_unfinished(cloudflare: httpx.Client) -> None:
    """End what would be uploading for ever, so that no run asks for it during other tests."""
    for one in cloudflare.get("/recordings").json()["data"]:
        if one["status"] == "UPLOADING":
            cloudflare.post(f"/recordings/{one['id']}/status", json={"status": "ERRORED"}).raise_for_status()


def settle(cloudflare: httpx.Client, **settings: Any) -> None:
    received = cloudflare.post("/settings", json=settings)
    assert received.status_code == 200, received.text


def fault(cloudflare: httpx.Client, on: str, kind: str, **facts: Any) -> None:
    received = cloudflare.post("/faults", json={"on": on, "kind": kind, **facts})
    assert received.status_code == 204, received.text


def calls(cloudflare: httpx.Client, operation: str) -> int:
    return int(cloudflare.get("/requests").json()["counts"].get(operation, 0))


def sync(api: httpx.Client, room_id: str = "room_1") -> Json:
    received = api.post(f"/rooms/{room_id}/recordings/sync")
    assert received.status_code == 200, received.text
    done: Json = received.json()["data"]
    return done


def start(api: httpx.Client, room_id: str = "room_1") -> str:
    received = api.post(f"/rooms/{room_id}/recordings/start")
    assert received.status_code == 201, received.text
    return str(received.json()["data"]["id"])


def stop(api: httpx.Client, room_id: str = "room_1") -> None:
    received = api.post(f"/rooms/{room_id}/recordings/stop")
    assert received.status_code == 200, received.text


def imported(api: httpx.Client, cloudflare: httpx.Client, room: Json, **facts: Any) -> tuple[str, Json]:
    """A recording that Cloudflare made by itself, brought in by a sync: our id, and what the stand-in knows."""
    made = make(cloudflare, room["cloudflare_meeting_id"], **facts)
    (row,) = sync(api, room["id"])["recordings"]
    return str(row["id"]), made


def digest(link: Json) -> str:
    """The SHA-256 of what a download gives."""
    whole = hashlib.sha256()
    with httpx.stream("GET", link["download_url"], timeout=MAX_WAIT_SECONDS) as received:
        assert received.status_code == 200, received.read()
        for chunk in received.iter_bytes():
            whole.update(chunk)
    return whole.hexdigest()


def downloaded(api: httpx.Client, recording_id: str) -> str:
    """The SHA-256 of a recording as its user gets it."""
    received = api.get(f"/recordings/{recording_id}/download")
    assert received.status_code == 200, received.text
    return digest(received.json())


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def scanned(running: Json, *, of: str = "") -> list[Json]:
    """The table's rows whose text holds `of`, in a fixed order."""
    dynamo = stack.client(running, "dynamodb")
    (table,) = running["tables"].values()
    rows = [item for page in dynamo.get_paginator("scan").paginate(TableName=table) for item in page["Items"]]
    texts = sorted(text for text in (json.dumps(row, sort_keys=True, default=str) for row in rows) if of in text)
    return [json.loads(text) for text in texts]


def keys(running: Json, store: str, holding: str) -> list[str]:
    """The keys of a store (`r2` or `s3`) that hold a text."""
    bucket = running["buckets"]["r2"] if store == "r2" else running["buckets"]["ArchiveBucket"]
    pages = stack.client(running, store).get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [item["Key"] for page in pages for item in page.get("Contents", []) if holding in item["Key"]]


def tried(call: Callable[[], Answer]) -> tuple[Answer, int]:
    """Call a task, and again after a transient error, as its state machine does. Returns how often it failed, too."""
    for failures in range(MAX_ATTEMPTS):
        try:
            return call(), failures
        except Failed as failed:
            if failed.kind not in TRANSIENT:
                raise
    raise AssertionError(f"it failed {MAX_ATTEMPTS} times")


def unfinished(running: Json, store: str, holding: str) -> list[str]:
    """The keys of multipart uploads that were begun and neither completed nor aborted."""
    bucket = running["buckets"]["r2"] if store == "r2" else running["buckets"]["ArchiveBucket"]
    found = stack.client(running, store).list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return [item["Key"] for item in found if holding in item["Key"]]


def hold_archiving(running: Json, recording_id: str, attempt: int = 1) -> None:
    """Use up the name of the archiving run, so that the move begins and nothing moves until a test starts a run."""
    machines = stack.client(running, "stepfunctions")
    arn = machines.start_execution(
        stateMachineArn=running["state_machines"]["Archiving"],
        name=f"{recording_id}-{attempt}",
        input=json.dumps({"tenant_id": "nobody", "recording_id": "rec_nobody", "attempt": 1}),
    )["executionArn"]
    machines.stop_execution(executionArn=arn)


def end_urls(running: Json, recording_id: str) -> None:
    """As if their time were over: the URLs that were given out so far of a file keep nothing in R2."""
    dynamo = stack.client(running, "dynamodb")
    for row in scanned(running, of=recording_id):
        if row["pk"]["S"].endswith("#URLS"):
            dynamo.update_item(
                TableName=running["tables"]["Table"],
                Key={"pk": row["pk"], "sk": row["sk"]},
                UpdateExpression="SET ends_at = :past",
                ExpressionAttributeValues={":past": {"S": "2026-01-01T00:00:00Z"}},
            )


def run_archiving(
    running: Json, tenant: str, recording_id: str, attempt: int = 1, *, machine: str | None = None
) -> str:
    """Start a run of our own over a recording, under a new name; the URLs that a test has read from are over."""
    end_urls(running, recording_id)
    return str(
        stack.client(running, "stepfunctions").start_execution(
            stateMachineArn=machine or running["state_machines"]["Archiving"],
            name=f"test-{uuid.uuid4().hex}",
            input=json.dumps({"tenant_id": tenant, "recording_id": recording_id, "attempt": attempt}),
        )["executionArn"]
    )


def outcome(running: Json, execution: str, *, seconds: float = MAX_WAIT_SECONDS) -> str:
    """How a run ended."""
    machines = stack.client(running, "stepfunctions")

    def look() -> str | None:
        status = str(machines.describe_execution(executionArn=execution)["status"])
        return None if status == "RUNNING" else status

    found = until(look, seconds=seconds)
    assert found is not None
    return found


def is_there(running: Json, store: str, key: str) -> bool:
    bucket = running["buckets"]["r2"] if store == "r2" else running["buckets"]["ArchiveBucket"]
    try:
        stack.client(running, store).head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchKey", "NotFound"}:
            raise
        return False
    return True


def begin_sync(running: Json) -> str:
    machines = stack.client(running, "stepfunctions")
    return str(machines.start_execution(stateMachineArn=running["state_machines"]["Sync"], input="{}")["executionArn"])


def free_the_sync(running: Json) -> None:
    """No run that somebody began by hand holds up the others until its lease is over."""
    stack.client(running, "dynamodb").delete_item(
        TableName=running["tables"]["Table"], Key={"pk": {"S": "SYNC"}, "sk": {"S": "STATE"}}
    )


def sync_all(running: Json) -> None:
    """A run of the scheduled sync, from its beginning to its good end."""
    assert outcome(running, begin_sync(running)) == "SUCCEEDED"
