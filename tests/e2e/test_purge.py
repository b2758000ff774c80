"""What is deleted for good, and what may not be: seen in the deployed function, with its own permissions."""

import json
import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest

from recordings.adapters.system import now
from tests.e2e.conftest import NAME
from tests.e2e.support import a_room, imported, in_archive, in_status, keys, scanned, unfinished, until
from tools.local import stack

type Json = dict[str, Any]

TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


def versions(running: Json, holding: str) -> list[str]:
    found = stack.client(running, "s3").list_object_versions(Bucket=running["buckets"]["ArchiveBucket"])
    return [
        one["Key"] for kind in ("Versions", "DeleteMarkers") for one in found.get(kind, []) if holding in one["Key"]
    ]


def purge(running: Json, item: Json, identity: Json | None) -> Json:
    """Hand the function the stream's record of a removed item."""
    record = {
        "eventName": "REMOVE",
        "userIdentity": identity,
        "dynamodb": {"OldImage": item, "SequenceNumber": "1"},
    }
    response: Json = stack.invoke(NAME, "PurgeRecording", json.dumps({"Records": [record]}).encode())
    return response


def batches(running: Json) -> int:
    """How many batches of the table's stream the function has been through with."""
    line = f"ESM: Lambda {running['functions']['PurgeRecording']} processed"
    return (stack.folder(NAME) / "ministack.log").read_text(errors="replace").count(line)


def streamed(running: Json, api: httpx.Client) -> None:
    """Wait until the function has seen what the table's stream held so far: it has no filter here."""
    before = batches(running)

    def look() -> bool:
        # One change more, so that it is called again; the second batch from now on began after this.
        assert api.put("/rooms/room_1", json={"name": f"Room {uuid.uuid4().hex}"}).status_code == 200
        return batches(running) > before + 2

    until(look)


@pytest.mark.usefixtures("unfiltered")
@pytest.mark.parametrize("store", ["r2", "s3"])
def test_what_a_purge_removes_is_gone_down_to_the_last_version(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, tenant: str, store: str
) -> None:
    room = a_room(api)
    recording_id, _ = imported(api, cloudflare, room)
    other, _ = imported(api, cloudflare, room, age_seconds=7200)
    for one in (recording_id, other):
        in_status(api, one, "ready")
    r2, s3 = stack.client(running, "r2"), stack.client(running, "s3")
    files, archive = running["buckets"]["r2"], running["buckets"]["ArchiveBucket"]
    key_prefix = f"{tenant}/room_1/{recording_id}"
    if store == "s3":
        assert api.post(f"/recordings/{recording_id}/archive").status_code == 200
        in_archive(api, recording_id, "stored")
        s3.put_object(Bucket=archive, Key=f"recordings/{key_prefix}/1/recording.mp4", Body=b"another version")
    # What an attempt that was overtaken, and one that was given up, have left.
    r2.put_object(Bucket=files, Key=f"{key_prefix}/7/recording.mp4", Body=b"x")
    r2.put_object(Bucket=files, Key=f"quarantine/{key_prefix}/8/recording", Body=b"x")
    r2.create_multipart_upload(Bucket=files, Key=f"{key_prefix}/9/recording.mp4")
    s3.create_multipart_upload(Bucket=archive, Key=f"recordings/{key_prefix}/9/recording.mp4")
    assert api.delete(f"/recordings/{recording_id}").status_code == 200
    (item,) = [row for row in scanned(running, of=recording_id) if row["pk"]["S"] == f"T#{tenant}#TRASH"]
    item |= {
        "deleted_at": {"S": (now() - timedelta(days=2)).isoformat()},
        "expires_at": {"N": str(int((now() - timedelta(days=1)).timestamp()))},
    }
    before = keys(running, "r2", recording_id)

    # While it is in the table, and whoever did not remove it by its time to live, purges nothing.
    assert purge(running, item, TTL) == {"batchItemFailures": []}
    key = {"pk": item["pk"], "sk": item["sk"]}
    stack.client(running, "dynamodb").delete_item(TableName=running["tables"]["Table"], Key=key)
    assert purge(running, item, None) == {"batchItemFailures": []}
    streamed(running, api)
    assert keys(running, "r2", recording_id) == before

    for _ in range(2):
        assert purge(running, item, TTL) == {"batchItemFailures": []}
    assert keys(running, "r2", recording_id) == []
    assert versions(running, recording_id) == []
    assert unfinished(running, "r2", recording_id) == unfinished(running, "s3", recording_id) == []
    assert len(keys(running, "r2", other)) == 1
    assert api.get(f"/recordings/{other}/download").status_code == 200
