"""Cold storage: the way there and back, and that a file is readable at every moment and there once at the end."""

import copy
import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import md5, sha256
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import NAME
from tests.e2e.support import (
    MAX_WAIT_SECONDS,
    Json,
    a_room,
    digest,
    downloaded,
    end_urls,
    get,
    hold_archiving,
    imported,
    in_archive,
    in_status,
    instant,
    is_there,
    keys,
    outcome,
    run_archiving,
    scanned,
    unfinished,
    until,
)
from tools.local import stack

LARGE = 20_000_000
PART = 16 * 1024 * 1024
# The state before which a run is killed, and the size of the file: a large one is copied in parts.
KILLS = [
    ("BeginArchive", None), ("IsMoveDecided", None), ("PlanArchive", None), ("HasFileMoved", None),
    ("CopySegments", LARGE), ("CompleteArchive", None), ("CompleteArchive", LARGE), ("IsVerified", LARGE),
    ("FinishArchive", None), ("FinishArchive", LARGE), ("Done", None),
]  # fmt: skip


def ready(api: httpx.Client, cloudflare: httpx.Client, **facts: Any) -> tuple[str, Json]:
    """A ready recording in a room of its own, and the truth about its file."""
    recording_id, made = imported(api, cloudflare, a_room(api, f"room_{uuid.uuid4().hex[:6]}"), **facts)
    in_status(api, recording_id, "ready")
    return recording_id, made


def archive(api: httpx.Client, recording_id: str) -> None:
    response = api.post(f"/recordings/{recording_id}/archive")
    assert response.status_code == 200, response.text


def link(api: httpx.Client, recording_id: str, **query: Any) -> Json:
    response = api.get(f"/recordings/{recording_id}/download", params=query)
    assert response.status_code == 200, response.text
    found: Json = response.json()
    return found


def etag_of(content: bytes) -> str:
    """The ETag that S3 gives to these bytes: of a large file, that of its parts."""
    if len(content) < PART:
        return f'"{md5(content).hexdigest()}"'
    checksums = [md5(content[at : at + PART]).digest() for at in range(0, len(content), PART)]
    return f'"{md5(b"".join(checksums)).hexdigest()}-{len(checksums)}"'


def content_of(api: httpx.Client, recording_id: str) -> bytes:
    """A recording's bytes as its user gets them."""
    response = httpx.get(link(api, recording_id)["download_url"], timeout=MAX_WAIT_SECONDS)
    assert response.status_code == 200
    return response.content


def check_stored_once(running: Json, recording_id: str) -> str:
    """One object in cold storage, none in R2, and no upload left behind; gives the object's ETag."""
    bucket, s3 = running["buckets"]["ArchiveBucket"], stack.client(running, "s3")
    (key,) = keys(running, "s3", recording_id)
    found = s3.head_object(Bucket=bucket, Key=key)
    assert found["StorageClass"] == "GLACIER"
    assert keys(running, "r2", recording_id) == []
    assert unfinished(running, "s3", recording_id) == []
    return str(found["ETag"])


def is_settled(running: Json, recording_id: str) -> bool:
    """Whether nothing is left to do about an archived recording."""
    (row,) = [row for row in scanned(running, of=recording_id) if "history" in row]
    return "S" not in row["archive"]["M"].get("source_kept_until", {})


def versions(running: Json, recording_id: str) -> int:
    """How many versions cold storage keeps of a recording's file, superseded ones too."""
    (key,) = keys(running, "s3", recording_id)
    pages = stack.client(running, "s3").get_paginator("list_object_versions")
    found = pages.paginate(Bucket=running["buckets"]["ArchiveBucket"], Prefix=key)
    return sum(len(page.get("Versions", [])) for page in found)


@pytest.fixture
def halting(running: Json) -> Iterator[Any]:
    """Makes copies of the archiving machine that come to rest before a state."""
    machines = stack.client(running, "stepfunctions")
    original = machines.describe_state_machine(stateMachineArn=running["state_machines"]["Archiving"])
    made: list[str] = []

    def make(before: str) -> str:
        definition = copy.deepcopy(json.loads(original["definition"]))
        for state in definition["States"].values():
            for way in (state, *state.get("Choices", []), *state.get("Catch", [])):
                way.update({name: "Rest" for name in ("Next", "Default") if way.get(name) == before})
        definition["States"]["Rest"] = {"Type": "Wait", "Seconds": 3600, "Next": before}
        made.append(
            machines.create_state_machine(
                name=f"halting-{uuid.uuid4().hex}", definition=json.dumps(definition), roleArn=original["roleArn"]
            )["stateMachineArn"]
        )
        return made[-1]

    yield make
    for arn in made:
        machines.delete_state_machine(stateMachineArn=arn)


def rests(running: Json, execution: str) -> bool:
    machines = stack.client(running, "stepfunctions")
    assert machines.describe_execution(executionArn=execution)["status"] == "RUNNING"
    pages = machines.get_paginator("get_execution_history").paginate(executionArn=execution)
    return any(
        event.get("stateEnteredEventDetails", {}).get("name") == "Rest" for page in pages for event in page["events"]
    )


@pytest.mark.parametrize("size", [None, LARGE])
def test_a_file_goes_to_cold_storage_and_comes_back_whole(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, size: int | None
) -> None:
    recording_id, made = ready(api, cloudflare, **({"size": size} if size else {}))
    truth = made["sha256"]
    hold_archiving(running, recording_id)

    archive(api, recording_id)

    moving = get(api, recording_id)
    assert (moving["status"], moving["archive"]["state"]) == ("archived", "moving")
    served = link(api, recording_id)
    assert (served["provider"], digest(served)) == ("r2", truth)

    assert outcome(running, run_archiving(running, api_tenant(running, recording_id), recording_id)) == "SUCCEEDED"

    assert versions(running, recording_id) == 1
    stored = in_archive(api, recording_id, "stored")
    assert (stored["provider"], stored["archive"]["storage_class"]) == ("s3", "GLACIER")
    assert stored["size_bytes"] == made["size"]
    check_stored_once(running, recording_id)
    cold = api.get(f"/recordings/{recording_id}/download")
    assert (cold.status_code, cold.json()["status"]) == (202, "archived")
    assert "restore" in cold.json()["message"]

    asked = api.post(f"/recordings/{recording_id}/restore", json={"days": 1, "tier": "expedited"})
    assert (asked.status_code, asked.json()["data"]["archive"]["state"]) == (202, "restoring")
    assert instant(asked.json()["data"]["archive"]["expected_at"]) > datetime.now(UTC)
    restored = in_archive(api, recording_id, "restored")
    served = link(api, recording_id)
    assert (served["provider"], served["file_size"], digest(served)) == ("s3", made["size"], truth)
    part = httpx.get(served["download_url"], headers={"Range": "bytes=10-19"}, timeout=MAX_WAIT_SECONDS)
    assert (part.status_code, len(part.content)) == (206, 10)
    longest = link(api, recording_id, expires_in=604_800)
    assert instant(longest["expires_at"]) <= instant(restored["archive"]["restored_until"])
    assert [entry["status"] for entry in restored["history"]] == ["recording", "processing", "ready", "archived"]


def api_tenant(running: Json, recording_id: str) -> str:
    """The tenant as it stands in the key of a recording's file."""
    return keys(running, "r2", recording_id)[0].split("/")[0]


def test_the_archive_call_alone_moves_the_file_whatever_its_size(
    running: Json, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    recording_id, _ = ready(api, cloudflare, size=LARGE)

    began = time.monotonic()
    archive(api, recording_id)
    answered = time.monotonic()

    # The file is readable whenever it is asked for, from R2 while it moves.
    seen = until(lambda: _readable_or_stored(api, recording_id))
    assert seen == "stored"
    # The answer did not wait for the bytes: the move took longer after it than the answer itself.
    assert time.monotonic() - answered > answered - began
    # It has been asked for, and the URLs are good for an hour.
    let_urls_end(running, recording_id)
    check_stored_once(running, recording_id)


def _readable_or_stored(api: httpx.Client, recording_id: str) -> str | None:
    response = api.get(f"/recordings/{recording_id}/download")
    if response.status_code == 202:
        assert get(api, recording_id)["archive"]["state"] == "stored"
        return "stored"
    assert (response.status_code, response.json()["provider"]) == (200, "r2")
    return None


def kill(running: Json, tenant: str, recording_id: str, machine: str) -> None:
    """Let a run come to rest, and stop it there."""
    killed = run_archiving(running, tenant, recording_id, machine=machine)
    until(lambda: rests(running, killed))
    stack.client(running, "stepfunctions").stop_execution(executionArn=killed)
    assert outcome(running, killed) == "ABORTED"


@pytest.mark.parametrize(("before", "size"), KILLS)
def test_a_run_killed_before_any_step_loses_nothing_and_the_next_one_finishes(
    running: Json,
    api: httpx.Client,
    cloudflare: httpx.Client,
    tenant: str,
    halting: Any,
    before: str,
    size: int | None,
) -> None:
    recording_id, made = ready(api, cloudflare, **({"size": size} if size else {}))
    hold_archiving(running, recording_id)
    archive(api, recording_id)
    content = content_of(api, recording_id)
    assert sha256(content).hexdigest() == made["sha256"]

    kill(running, tenant, recording_id, halting(before))

    if before == "Done":
        assert get(api, recording_id)["archive"]["state"] == "stored"
    else:
        assert link(api, recording_id)["provider"] == "r2"
        assert content_of(api, recording_id) == content
    version = get(api, recording_id)["version"]

    assert outcome(running, run_archiving(running, tenant, recording_id)) == "SUCCEEDED"

    found = get(api, recording_id)
    assert (found["archive"]["state"], found["archive_error"]) == ("stored", None)
    # Once for the copy that is the file now, once for R2 that is empty.
    assert found["version"] == version + 2 * (before != "Done")
    assert check_stored_once(running, recording_id) == etag_of(content)


def test_a_run_killed_before_it_reads_again_what_nothing_proves_loses_nothing(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, tenant: str, halting: Any
) -> None:
    recording_id, made = ready(api, cloudflare, size=LARGE)
    (key,) = keys(running, "r2", recording_id)
    r2, bucket = stack.client(running, "r2"), running["buckets"]["r2"]
    content = content_of(api, recording_id)
    # Stored by one request, its ETag tells nothing of parts; and its CRC-32 is not known.
    r2.put_object(Bucket=bucket, Key=key, Body=content)
    stack.client(running, "dynamodb").update_item(
        TableName=running["tables"]["Table"],
        Key={"pk": {"S": f"T#{tenant}#REC"}, "sk": {"S": recording_id}},
        UpdateExpression="REMOVE #file.crc32",
        ExpressionAttributeNames={"#file": "file"},
    )
    hold_archiving(running, recording_id)
    archive(api, recording_id)

    kill(running, tenant, recording_id, halting("CheckSegments"))
    assert content_of(api, recording_id) == content

    assert outcome(running, run_archiving(running, tenant, recording_id)) == "SUCCEEDED"
    assert get(api, recording_id)["archive"]["state"] == "stored"
    assert check_stored_once(running, recording_id) == etag_of(content)
    assert sha256(content).hexdigest() == made["sha256"]


def test_a_run_killed_before_it_gives_up_is_given_up_by_the_next(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, tenant: str, halting: Any
) -> None:
    recording_id, _ = ready(api, cloudflare, size=LARGE)
    (key,) = keys(running, "r2", recording_id)
    r2, bucket = stack.client(running, "r2"), running["buckets"]["r2"]
    whole = content_of(api, recording_id)
    r2.put_object(Bucket=bucket, Key=key, Body=bytes([whole[0] ^ 1]) + whole[1:])
    hold_archiving(running, recording_id)
    archive(api, recording_id)

    kill(running, tenant, recording_id, halting("AbandonArchive"))
    assert get(api, recording_id)["archive"]["state"] == "moving"

    assert outcome(running, run_archiving(running, tenant, recording_id)) == "FAILED"
    found = get(api, recording_id)
    assert (found["status"], found["archive_error"]["code"]) == ("ready", "archive_failed")
    assert (keys(running, "s3", recording_id), unfinished(running, "s3", recording_id)) == ([], [])
    assert keys(running, "r2", recording_id) == [key]


@pytest.mark.parametrize("size", [None, LARGE], ids=["small", "large"])
def test_a_copy_that_was_whole_when_its_run_was_killed_is_not_made_again(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, tenant: str, halting: Any, size: int | None
) -> None:
    recording_id, _ = ready(api, cloudflare, **({"size": size} if size else {}))
    hold_archiving(running, recording_id)
    archive(api, recording_id)
    kill(running, tenant, recording_id, halting("FinishArchive"))
    assert outcome(running, run_archiving(running, tenant, recording_id)) == "SUCCEEDED"

    assert versions(running, recording_id) == 1


def test_a_run_that_died_before_it_emptied_r2_is_finished_by_the_next(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, tenant: str
) -> None:
    recording_id, _ = ready(api, cloudflare)
    (key,) = keys(running, "r2", recording_id)
    r2, bucket = stack.client(running, "r2"), running["buckets"]["r2"]
    whole = r2.get_object(Bucket=bucket, Key=key)["Body"].read()
    archive(api, recording_id)
    in_archive(api, recording_id, "stored")
    until(lambda: not is_there(running, "r2", key) and is_settled(running, recording_id))
    before = get(api, recording_id)
    r2.put_object(Bucket=bucket, Key=key, Body=whole)

    assert outcome(running, run_archiving(running, tenant, recording_id)) == "SUCCEEDED"

    check_stored_once(running, recording_id)
    assert get(api, recording_id) == before


def test_a_run_of_a_recording_that_is_no_longer_at_this_attempt_changes_nothing(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, tenant: str
) -> None:
    recording_id, made = ready(api, cloudflare)
    before = get(api, recording_id)

    for attempt in (0, 2, 7):
        outcome(running, run_archiving(running, tenant, recording_id, attempt))

    assert get(api, recording_id) == before
    assert downloaded(api, recording_id) == made["sha256"]
    assert keys(running, "s3", recording_id) == []


def test_a_url_works_to_its_end_also_when_the_file_moves_and_then_r2_is_emptied(
    running: Json, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    recording_id, made = ready(api, cloudflare)
    served = link(api, recording_id, expires_in=604_800)
    archive(api, recording_id)
    in_archive(api, recording_id, "stored")
    until(lambda: outcome_of_archiving(running, recording_id) == "SUCCEEDED")
    assert api.get(f"/recordings/{recording_id}/download").status_code == 202
    assert digest(served) == made["sha256"]

    let_urls_end(running, recording_id)
    check_stored_once(running, recording_id)
    assert is_settled(running, recording_id)


def outcome_of_archiving(running: Json, recording_id: str) -> str:
    machine = running["state_machines"]["Archiving"]
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{recording_id}-1"
    return str(stack.client(running, "stepfunctions").describe_execution(executionArn=arn)["status"])


def let_urls_end(running: Json, recording_id: str) -> None:
    """As if the time of all URLs were over that were given out of R2, and a sync came by."""
    until(lambda: outcome_of_archiving(running, recording_id) == "SUCCEEDED")
    end_urls(running, recording_id)
    (row,) = [row for row in scanned(running, of=recording_id) if "history" in row]
    stack.client(running, "dynamodb").update_item(
        TableName=running["tables"]["Table"],
        Key={"pk": row["pk"], "sk": row["sk"]},
        UpdateExpression="SET #archive.source_kept_until = :past",
        ExpressionAttributeNames={"#archive": "archive"},
        ExpressionAttributeValues={":past": {"S": "2026-01-01T00:00:00Z"}},
    )
    item = {"tenant_id": row["tenant_id"]["S"], "recording_id": recording_id}
    event = {"nonce": "nobody", "items": [item]}
    assert stack.invoke(NAME, "ReconcileBatch", json.dumps(event).encode()) == {"changed": 1, "queued": 0}


@pytest.mark.parametrize(
    ("damage", "size"), [("other bytes", None), ("other bytes", LARGE), ("shorter", None), ("gone", None)]
)
def test_a_file_that_is_not_the_verified_one_is_not_archived(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, tenant: str, damage: str, size: int | None
) -> None:
    recording_id, _ = ready(api, cloudflare, **({"size": size} if size else {}))
    (key,) = keys(running, "r2", recording_id)
    r2, bucket = stack.client(running, "r2"), running["buckets"]["r2"]
    whole = bytearray(r2.get_object(Bucket=bucket, Key=key)["Body"].read())
    whole[len(whole) // 2] ^= 1
    broken = bytes(whole if damage == "other bytes" else whole[:-1])
    if damage == "gone":
        r2.delete_object(Bucket=bucket, Key=key)
    else:
        r2.put_object(Bucket=bucket, Key=key, Body=broken)
    before = get(api, recording_id)

    archive(api, recording_id)

    if damage == "gone":
        # A file that cannot be found may only be out of reach: that is tried for minutes before the move is given up.
        assert get(api, recording_id)["archive"]["state"] == "moving"
        r2.put_object(Bucket=bucket, Key=key, Body=bytes(whole[: len(whole) // 2]))
    found = in_status(api, recording_id, "ready")
    assert found["archive_error"]["code"] == "archive_failed"
    assert (found["archive"], found["archived_at"], found["provider"]) == (None, None, "r2")
    assert [entry["status"] for entry in found["history"]][-2:] == ["archived", "ready"]
    assert found["version"] == before["version"] + 2
    assert found["size_bytes"] == before["size_bytes"]
    if damage != "gone":
        assert r2.get_object(Bucket=bucket, Key=key)["Body"].read() == broken
    # The rejected copy is nowhere shown; a later archive of the mended file succeeds.
    whole[len(whole) // 2] ^= 1
    r2.put_object(Bucket=bucket, Key=key, Body=bytes(whole))
    archive(api, recording_id)
    assert in_archive(api, recording_id, "stored")["archive_error"] is None
    until(lambda: keys(running, "r2", recording_id) == [])
    assert unfinished(running, "s3", recording_id) == []


def test_a_link_ends_no_later_than_what_it_was_asked_for(api: httpx.Client, cloudflare: httpx.Client) -> None:
    recording_id, _ = ready(api, cloudflare)
    for asked in (60, 3600, 604_800):
        before = datetime.now(UTC)
        ends = instant(link(api, recording_id, expires_in=asked)["expires_at"])
        assert timedelta(seconds=asked - 2) <= ends - before
        assert ends - datetime.now(UTC) <= timedelta(seconds=asked)
