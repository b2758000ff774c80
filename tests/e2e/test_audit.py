"""The audit of the deployed stack, by the command that an operator runs."""

import json
import os
import subprocess
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.e2e.conftest import NAME
from tests.e2e.support import (
    Json,
    a_room,
    fault,
    get,
    imported,
    in_archive,
    in_status,
    is_there,
    keys,
    lose_unfinished,
    outcome,
    provider_recordings,
    scanned,
    settle,
    start,
    unfinished,
    until,
)
from tests.support.template import ROOT
from tools.local import stack

NOBODY = "rec_01KE9C5RZ0X7Y3M6Q8T2V4W5AB"
FOUND = ("orphans", "phantoms", "mismatches", "stalled")
DONE = ("removed", "adopted", "reconciled")


def admin(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [ROOT / "recordings-admin", "reconcile", *arguments],
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        timeout=300,
    )
    # The command also shows that the audit runs. The tests check its complaints.
    written = done.stderr.splitlines(keepends=True)
    done.stderr = "".join(line for line in written if not line.startswith("The audit compares"))
    return done


def audit(*arguments: str) -> tuple[int, Json]:
    done = admin("--local", NAME, "--min-age", "0", "--json", *arguments)
    assert done.stdout, done.stderr
    found: Json = json.loads(done.stdout)
    return done.returncode, found


def wait_for_min_age() -> None:
    """Wait until everything that was stored is older than a minimum age of 0. The audit's clock has whole seconds."""
    next_second = int(time.time()) + 1
    until(lambda: time.time() >= next_second, every=0.05)


def counts(found: Json, *kinds: str) -> dict[str, int]:
    return {kind: found["totals"][kind] for kind in (kinds or (*FOUND, *DONE))}


def put(running: Json, store: str, key: str, content: bytes) -> None:
    bucket = running["buckets"]["r2"] if store == "r2" else running["buckets"]["ArchiveBucket"]
    stack.client(running, store).put_object(Bucket=bucket, Key=key, Body=content)


def file_of(running: Json, recording_id: str) -> str:
    (key,) = keys(running, "r2", recording_id)
    return key


def content_of(running: Json, key: str) -> bytes:
    response = stack.client(running, "r2").get_object(Bucket=running["buckets"]["r2"], Key=key)
    return bytes(response["Body"].read())


def delete(running: Json, key: str) -> None:
    stack.client(running, "r2").delete_object(Bucket=running["buckets"]["r2"], Key=key)


def begin_upload(running: Json, key: str) -> None:
    stack.client(running, "r2").create_multipart_upload(Bucket=running["buckets"]["r2"], Key=key)


def in_cloudflare(cloudflare: httpx.Client, cloudflare_recording_id: str, status: str) -> None:
    """Wait for what the stand-in says of a capture."""
    until(lambda: cloudflare.get(f"/recordings/{cloudflare_recording_id}").json()["data"]["status"] == status)


def make_hours_pass(running: Json, tenant: str) -> None:
    """Let what an audit has seen of this tenant have been seen seven hours earlier."""
    dynamo, (table,) = stack.client(running, "dynamodb"), running["tables"].values()
    rows = [row for row in scanned(running, of="#SUSPECTS") if row["pk"]["S"] == f"T#{tenant}#SUSPECTS"]
    assert rows
    for row in rows:
        then = datetime.fromisoformat(row["at"]["S"]) - timedelta(hours=7)
        dynamo.update_item(
            TableName=table,
            Key={"pk": row["pk"], "sk": row["sk"]},
            UpdateExpression="SET #at = :at",
            ExpressionAttributeNames={"#at": "at"},
            ExpressionAttributeValues={":at": {"S": then.isoformat()}},
        )


def picture(running: Json, tenant: str) -> tuple[object, ...]:
    """What an audit could change of a tenant, but for its own notes."""
    rows = [row for row in scanned(running, of=tenant) if not row["pk"]["S"].endswith(("SUSPECTS", "TENANTS"))]
    return rows, keys(running, "r2", tenant), keys(running, "s3", tenant), unfinished(running, "r2", tenant)


def test_everything_that_is_not_as_recorded_is_told_then_mended_and_what_we_hold_is_kept(
    running: Json, tenant: str, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    room, other = a_room(api), a_room(api, "room_2")
    kept, lost, changed = (imported(api, cloudflare, room)[0] for _ in range(3))
    for one in (kept, lost, changed):
        in_status(api, one, "ready")
    api.post(f"/recordings/{kept}/archive").raise_for_status()
    in_archive(api, kept, "stored")
    code, found = audit("--tenant", tenant)
    assert (code, found["reports"][0]["recordings"]) == (0, 3), found

    # Bytes that nobody owns, a file that goes, and one in whose place others of the same number come.
    orphans = {
        "r2": f"{tenant}/room_1/{NOBODY}/1/recording.mp4",
        "s3": f"recordings/{tenant}/room_1/{NOBODY}/1/recording.mp4",
    }
    for store, key in orphans.items():
        put(running, store, key, b"nobody's")
    started = f"{tenant}/room_1/{NOBODY}/2/recording.mp4"
    begin_upload(running, started)
    missing, replaced = file_of(running, lost), file_of(running, changed)
    bytes_lost, bytes_changed = content_of(running, missing), content_of(running, replaced)
    delete(running, missing)
    put(running, "r2", replaced, bytes(len(bytes_changed)))
    # Nobody tells us that one recording has ended, and that another has been made.
    settle(cloudflare, webhooks=False)
    running_one = start(api)
    (provider_recording,) = [
        one for one in provider_recordings(cloudflare, room["cloudflare_meeting_id"]) if one["status"] != "UPLOADED"
    ]
    made = cloudflare.post("/auto-start", json={"meeting_id": other["cloudflare_meeting_id"]}).json()["data"]
    for one in (provider_recording["id"], made["id"]):
        in_cloudflare(cloudflare, one, "RECORDING")
        cloudflare.post(f"/recordings/{one}/end").raise_for_status()
        in_cloudflare(cloudflare, one, "UPLOADED")
    wait_for_min_age()

    before = picture(running, tenant)
    code, found = audit("--tenant", tenant)
    assert (code, found["incomplete"]) == (3, [])
    assert counts(found) == dict.fromkeys((*FOUND, *DONE), 0) | {"orphans": 4, "phantoms": 1, "mismatches": 2}
    assert picture(running, tenant) == before
    (report,) = found["reports"]
    reported = {(one["store"], one["key"], bool(one["upload_id"]), one.get("confirmed")) for one in report["orphans"]}
    assert reported == {
        ("r2", orphans["r2"], False, False),
        ("s3", orphans["s3"], False, False),
        ("r2", started, True, False),
        ("cloudflare", made["id"], False, None),
    }
    (phantom,) = report["phantoms"]
    assert (phantom["recording_id"], phantom["key"], phantom["confirmed"]) == (lost, missing, False)
    differing = {one["recording_id"]: (one["kind"], one["recorded"], one["found"]) for one in report["mismatches"]}
    assert differing[running_one] == ("status", "recording", "UPLOADED")
    kind, recorded, found_sum = differing[changed]
    assert kind == "checksum"
    assert recorded != found_sum

    # At once only that is mended which needs no second look.
    code, found = audit("--tenant", tenant, "--repair")
    assert (code, counts(found, *DONE)) == (3, {"removed": 0, "adopted": 1, "reconciled": 1})
    assert found["reports"][0]["reconciled"] == [running_one]
    (adopted,) = found["reports"][0]["adopted"]
    for one in (running_one, adopted["recording_id"]):
        in_status(api, one, "ready")
    assert get(api, adopted["recording_id"])["origin"] == "auto"

    make_hours_pass(running, tenant)
    code, found = audit("--tenant", tenant, "--repair")
    assert (code, counts(found)) == (
        3,
        {
            "orphans": 3,
            "phantoms": 1,
            "mismatches": 1,
            "stalled": 0,
            "removed": 3,
            "adopted": 0,
            "reconciled": 0,
        },
    )
    assert found["alarming"] == {"confirmed_phantoms": 1, "changed_files": 1}
    assert not any(is_there(running, store, key) for store, key in orphans.items())
    assert unfinished(running, "r2", tenant) == []
    assert content_of(running, replaced) == bytes(len(bytes_changed))

    # What is left is for a person, and is told in words.
    done = admin("--local", NAME, "--tenant", tenant)
    assert (done.returncode, done.stderr) == (3, "")
    assert f"  phantom    {lost} r2 {missing} (found since " in done.stdout
    assert ", confirmed)" in done.stdout
    assert f"  mismatch   {changed} checksum: recorded {recorded}, found {found_sum}" in done.stdout
    assert "Nothing was changed." in done.stdout
    put(running, "r2", missing, bytes_lost)
    put(running, "r2", replaced, bytes_changed)
    done = admin("--local", NAME, "--tenant", tenant)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{tenant}: 5 recordings, 5 files",
        "1 tenant: 0 orphans, 0 phantoms, 0 mismatches, 0 stalled, 0 removed, 0 adopted, 0 reconciled",
    ]


def test_a_run_over_all_finds_tenants_of_whom_nothing_is_stored_and_those_who_only_began(
    running: Json, tenant: str, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    recording_id, _ = imported(api, cloudflare, a_room(api))
    in_status(api, recording_id, "ready")
    delete(running, file_of(running, recording_id))
    stranger = f"stranger-{uuid.uuid4().hex}"
    begin_upload(running, f"{stranger}/room/{NOBODY}/1/recording.mp4")
    loose = f"loose-{uuid.uuid4().hex}.txt"
    put(running, "r2", loose, b"x")
    cloudflare.post("/recordings", json={"age_seconds": 5}).raise_for_status()
    wait_for_min_age()
    began = datetime.now(UTC).replace(microsecond=0)
    try:
        # As on AWS: by the name of the stack, with the credentials of the shell.
        credentials = running["credentials"]["aws"]
        done = admin(
            *("--stack", f"recordings-{NAME}", "--min-age", "0", "--json"),
            env={
                "AWS_ENDPOINT_URL": running["endpoints"]["aws"],
                "AWS_REGION": running["region"],
                "AWS_DEFAULT_REGION": running["region"],
                "AWS_ACCESS_KEY_ID": credentials["access_key_id"],
                "AWS_SECRET_ACCESS_KEY": credentials["secret_access_key"],
            },
        )
    finally:
        delete(running, loose)
    assert (done.returncode, done.stderr) == (3, "")
    found: Json = json.loads(done.stdout)
    reports: dict[str, Any] = {report["tenant_id"]: report for report in found["reports"]}
    assert (found["remaining_tenants"], found["omitted"]) == (0, 0)
    assert [one["recording_id"] for one in reports[tenant]["phantoms"]] == [recording_id]
    assert [bool(one["upload_id"]) for one in reports[stranger]["orphans"]] == [True]
    assert {"store": "r2", "key": loose} in found["strays"]
    assert found["unregistered"] >= 1
    (noted,) = [row for row in scanned(running, of="TENANTS") if row.get("tenant_id", {}).get("S") == tenant]
    assert datetime.fromisoformat(noted["audited_at"]["S"]) >= began


def test_an_audit_goes_on_after_a_room(running: Json, tenant: str, api: httpx.Client, cloudflare: httpx.Client) -> None:
    lost = []
    for name in ("room_1", "room_2"):
        recording_id, _ = imported(api, cloudflare, a_room(api, name))
        in_status(api, recording_id, "ready")
        delete(running, file_of(running, recording_id))
        put(running, "r2", f"{tenant}/{name}/{NOBODY}/1/recording.mp4", b"x")
        lost.append(recording_id)
    functions = stack.client(running, "lambda")
    asked = {"tenant_id": tenant, "min_age_hours": 0, "checkpoint": {"tenant_id": tenant, "after": "room_1/"}}
    wait_for_min_age()
    response = functions.invoke(FunctionName=running["callable"]["AuditStorage"], Payload=json.dumps(asked))
    (report,) = json.loads(response["Payload"].read())["reports"]
    assert (report["recordings"], report["files"]) == (1, 1)
    assert [one["key"].split("/")[1] for one in report["orphans"]] == ["room_2"]
    assert [one["recording_id"] for one in report["phantoms"]] == lost[1:]


def test_the_scheduled_audit_looks_at_everybody(running: Json, tenant: str, api: httpx.Client) -> None:
    a_room(api)
    began = datetime.now(UTC).replace(microsecond=0)
    machine = running["state_machines"]["Audit"]
    machines = stack.client(running, "stepfunctions")
    execution = machines.start_execution(stateMachineArn=machine, input='{"repair": false}')["executionArn"]
    assert outcome(running, execution) == "SUCCEEDED"
    for row in scanned(running, of="TENANTS"):
        assert datetime.fromisoformat(row["audited_at"]["S"]) >= began, row


def test_an_audit_that_cloudflare_does_not_let_see_everything_says_so(
    running: Json, tenant: str, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    a_room(api)
    settle(cloudflare, webhooks=False, stall_in="UPLOADING")
    recording_id = start(api)
    fault(cloudflare, "list", "answer", status=500)
    done = admin("--local", NAME, "--tenant", tenant)
    assert done.returncode == 1
    assert "Incomplete: Cloudflare could not be compared whole (ProviderError" in done.stdout
    cloudflare.delete("/faults").raise_for_status()
    # With the fault the settings went too.
    settle(cloudflare, webhooks=False, stall_in="UPLOADING")
    assert audit("--tenant", tenant)[0] == 0
    api.post("/rooms/room_1/recordings/stop").raise_for_status()
    lose_unfinished(cloudflare)
    in_status(api, recording_id, "failed")


def test_bad_input_is_told_in_one_line(running: Json) -> None:
    for wrong in (
        ["--local", NAME, "--tenant", "nobody-knows-this-one"],
        ["--local", NAME, "--tenant", ""],
        ["--local", "no-such-stack"],
        ["--local", NAME, "--min-age", "1.5"],
        ["--stack", "no-such-stack"],
        ["--no-such-option"],
    ):
        done = admin(*wrong, env={"AWS_ENDPOINT_URL": running["endpoints"]["aws"]})
        assert (done.returncode, done.stdout) == (1, ""), wrong
        assert done.stderr.startswith("error: "), wrong
        assert done.stderr.count("\n") == 1, done.stderr
