"""A purge removes every file of one recording, nothing of any other, and only after its preconditions hold."""

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.trigger.purge_recording import app
from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.settings import TABLE
from recordings.adapters.system import now
from recordings.domain.archive import Archive
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.domain.storage_keys import archive_key, attempt_key, delivery_key, quarantine_key
from recordings.wiring import trigger as wiring
from tests.support.builders import a_file, a_recording
from tests.support.context import Context
from tests.support.table import a_table

TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
MEETING = "8a5d9a5c-1a2b-4c3d-9e8f-0123456789ab"
DAY = timedelta(days=1)
type Json = dict[str, Any]


class House:
    """The table, R2 and the archive bucket, in moto."""

    def __init__(self) -> None:
        self.recordings = DynamoRecordings()
        self.s3 = boto3.client("s3", region_name="us-east-1")
        for bucket in ("files", "archive"):
            self.s3.create_bucket(Bucket=bucket)
        self.s3.put_bucket_versioning(Bucket="archive", VersioningConfiguration={"Status": "Enabled"})
        self.events: list[Json] = []
        self.refuses = 0

    def publish(self, detail_type: str, details: Sequence[Mapping[str, Any]]) -> set[int]:
        """Implements ports.events.EventBus."""
        assert detail_type == "recording.purged"
        if self.refuses:
            self.refuses -= 1
            return {0}
        self.events += json.loads(json.dumps(details))
        return set()

    def put(self, bucket: str, *keys: str) -> None:
        for key in keys:
            self.s3.put_object(Bucket=bucket, Key=key, Body=b"film")

    def begin(self, bucket: str, key: str) -> None:
        """Start a multipart upload with one part, and leave it unfinished."""
        upload = self.s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        self.s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"part")

    def left(self) -> list[tuple[str, str]]:
        """Everything in the stores: objects, versions, delete markers and uploads."""
        found = [("r2", one["Key"]) for one in self.s3.list_objects_v2(Bucket="files").get("Contents", [])]
        versions = self.s3.list_object_versions(Bucket="archive")
        found += [("s3", one["Key"]) for one in (*versions.get("Versions", []), *versions.get("DeleteMarkers", []))]
        for bucket, name in (("files", "r2"), ("archive", "s3")):
            uploads = self.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
            found += [(f"{name} upload", one["Key"]) for one in uploads]
        return sorted(found)

    def deleted(self, **facts: Any) -> Recording:
        """A recording that the tenant deleted two days ago."""
        reported = {"status": Status.READY, "deleted_at": now() - 2 * DAY, "meeting_id": MEETING}
        recording = a_recording(**reported | facts)
        self.recordings.add(recording, lease_nonce=None)
        return recording

    def item(self, recording: Recording, kind: str = "TRASH") -> Json:
        key = {"pk": {"S": f"T#{recording.tenant_id}#{kind}"}, "sk": {"S": recording.id}}
        item: Json = client.get_item(TableName=TABLE, Key=key, ConsistentRead=True)["Item"]
        return item

    def remove(self, item: Json) -> Json:
        """Remove an item from the table as DynamoDB's TTL does, and return the stream record."""
        key = {"pk": item["pk"], "sk": item["sk"]}
        client.delete_item(TableName=TABLE, Key=key)
        return {
            "eventID": "1",
            "eventName": "REMOVE",
            "eventSource": "aws:dynamodb",
            "userIdentity": TTL,
            "dynamodb": {"Keys": key, "OldImage": item, "SequenceNumber": "7", "StreamViewType": "NEW_AND_OLD_IMAGES"},
        }


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    values = {
        "R2_ENDPOINT": "https://s3.amazonaws.com",
        "R2_SECRET_ARN": "r2-secret",
        "R2_BUCKET": "files",
        "ARCHIVE_BUCKET": "archive",
        "EVENT_BUS": "bus",
        "RETENTION_DAYS": "1",
    }
    for name, text in values.items():
        monkeypatch.setenv(name, text)
    with a_table(), mock_aws():
        secret = json.dumps({"access_key_id": "id", "secret_access_key": "key"})
        boto3.client("secretsmanager").create_secret(Name="r2-secret", SecretString=secret)
        house = House()
        monkeypatch.setattr(app, "purge_recording", replace(wiring.purge_recording(), bus=house))
        yield house


def run(*records: Json) -> list[str]:
    """The sequence numbers of the records that failed."""
    failures = app.handler({"Records": list(records)}, Context())["batchItemFailures"]
    return [one["itemIdentifier"] for one in failures]


def whole_family(house: House, recording: Recording) -> None:
    """Store everything that a recording can ever have."""
    house.put("files", attempt_key(recording), attempt_key(recording).replace("/1/", "/2/"), quarantine_key(recording))
    house.begin("files", attempt_key(recording).replace("/1/", "/3/"))
    if recording.delivery_key is not None:
        house.put("files", recording.delivery_key)
    cold = archive_key(recording, 1)
    house.put("archive", cold, cold, archive_key(recording, 2))
    house.s3.delete_object(Bucket="archive", Key=archive_key(recording, 2))
    house.begin("archive", archive_key(recording, 3))


def two(house: House, **facts: Any) -> tuple[Recording, Recording]:
    """A deleted recording, and a similar one that is not deleted."""
    gone = house.deleted(delivery_key=f"delivered/tenant_1/room_1/{MEETING}_1767700800000.mp4", **facts)
    live = a_recording(
        id=f"{gone.id[:-1]}1",
        cloudflare_recording_id="capture_2",
        status=Status.READY,
        meeting_id=MEETING,
        delivery_key=f"delivered/tenant_1/room_1/{MEETING}_1767700900000.mp4",
    )
    house.recordings.add(live, lease_nonce=None)
    return gone, live


def test_every_file_of_the_recording_is_removed_and_no_other(house: House) -> None:
    gone, live = two(house, file=a_file(key="elsewhere/odd.mp4"))
    whole_family(house, live)
    untouched = house.left()
    whole_family(house, gone)
    house.put("files", "elsewhere/odd.mp4")
    assert len(house.left()) == len(untouched) + 11
    record = house.remove(house.item(gone))
    assert run(record) == []
    assert house.left() == untouched
    (event,) = house.events
    assert (event["id"], event["type"], event["tenant_id"]) == (f"{gone.id}-purged", "recording.purged", "tenant_1")
    assert event["actor"] == {"type": "system", "id": "retention"}
    assert event["version"] == gone.version + 1
    assert event["data"]["removed_count"] == len(event["data"]["removed"]) == 11
    assert event["data"]["absent"] == []
    assert Counter((one["store"], one["kind"]) for one in event["data"]["removed"]) == {
        ("r2", "object"): 5,
        ("r2", "upload"): 1,
        ("s3", "version"): 3,
        ("s3", "delete_marker"): 1,
        ("s3", "upload"): 1,
    }


def test_an_object_under_its_key_in_the_other_store_stays(house: House) -> None:
    # The same key in R2. The file of an archived recording is in the archive bucket.
    gone = house.deleted(
        status=Status.ARCHIVED, file=a_file(store="s3", key="cold/odd.mp4"), archive=Archive(state="stored")
    )
    house.put("archive", "cold/odd.mp4")
    house.put("files", "cold/odd.mp4")
    assert run(house.remove(house.item(gone))) == []
    assert house.left() == [("r2", "cold/odd.mp4")]


def test_a_repeat_announces_the_same_also_after_a_crash(house: House) -> None:
    gone, _ = two(house)
    whole_family(house, gone)
    record = house.remove(house.item(gone))
    house.refuses = 1
    assert run(record) == ["7"]
    assert house.events == []
    assert run(record) == []
    assert run(record) == []
    first, second = house.events
    assert first == second
    assert first["data"]["removed_count"] == 10


def test_a_failing_purge_does_not_stop_the_batch(house: House, log: io.StringIO) -> None:
    gone, other = house.deleted(), house.deleted(id="rec_01JBBBBBBBBBBBBBBBBBBBBBBB", cloudflare_recording_id="other")
    records = [house.remove(house.item(gone)), house.remove(house.item(other))]
    records[1]["dynamodb"]["SequenceNumber"] = "8"
    house.refuses = 1
    assert run(*records) == ["7"]
    assert [event["data"]["id"] for event in house.events] == [other.id]
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    named = {line["message"]: (line["tenant_id"], line["recording_id"]) for line in lines if "recording_id" in line}
    assert named["not purged"] == (gone.tenant_id, gone.id)
    assert named["purged"] == (other.tenant_id, other.id)


def test_the_files_of_a_failed_recording_are_removed_too(house: House) -> None:
    gone, _ = two(house, status=Status.FAILED, file=None)
    whole_family(house, gone)
    assert run(house.remove(house.item(gone))) == []
    assert house.left() == []


def test_a_missing_file_is_announced_as_absent(house: House) -> None:
    gone = house.deleted(file=a_file(key="elsewhere/odd.mp4"))
    assert run(house.remove(house.item(gone))) == []
    data = house.events[0]["data"]
    assert (data["removed_count"], data["absent"]) == (0, [{"store": "r2", "key": "elsewhere/odd.mp4"}])


# ---------------------------------------------------------------- preconditions


def test_the_removal_by_an_undelete_purges_nothing(house: House) -> None:
    gone, _ = two(house)
    whole_family(house, gone)
    item, before = house.item(gone), house.left()
    house.recordings.save(gone, gone.undeleted())
    # DynamoDB streams a removal by a transaction without an identity.
    undelete = {"eventName": "REMOVE", "dynamodb": {"OldImage": item, "SequenceNumber": "7"}}
    assert run(undelete) == []
    # With the identity of the TTL too: the recording exists again.
    assert run({**undelete, "userIdentity": TTL}) == []
    assert (house.left(), house.events) == (before, [])
    assert house.recordings.get(gone.tenant_id, gone.id).deleted_at is None


@pytest.mark.parametrize(
    "identity",
    [
        None,
        {},
        {"type": "Service", "principalId": "lambda.amazonaws.com"},
        {"type": "AssumedRole", "principalId": "dynamodb.amazonaws.com"},
        {"principalId": "dynamodb.amazonaws.com"},
    ],
)
def test_only_a_removal_by_the_ttl_is_purged(house: House, identity: Json | None) -> None:
    gone, _ = two(house)
    whole_family(house, gone)
    before, record = house.left(), house.remove(house.item(gone))
    assert run({**record, "userIdentity": identity}) == []
    assert (house.left(), house.events) == (before, [])


@pytest.mark.parametrize("change", ["not expired", "never expires", "not deleted", "not a removal"])
def test_a_record_that_misses_a_precondition_purges_nothing(house: House, change: str) -> None:
    gone, _ = two(house)
    whole_family(house, gone)
    before, record = house.left(), house.remove(house.item(gone))
    image = record["dynamodb"]["OldImage"]
    match change:
        case "not expired":
            image["expires_at"] = {"N": str(int((now() + timedelta(hours=1)).timestamp()))}
        case "never expires":
            del image["expires_at"]
        case "not deleted":
            image["deleted_at"] = {"NULL": True}
        case _:
            record["eventName"] = "MODIFY"
    assert run(record) == []
    assert (house.left(), house.events) == (before, [])


@pytest.mark.parametrize("days", ["0", "3"])
def test_a_recording_is_put_back_if_the_retention_is_longer_now(
    house: House, monkeypatch: pytest.MonkeyPatch, days: str
) -> None:
    gone, _ = two(house)
    whole_family(house, gone)
    before, record = house.left(), house.remove(house.item(gone))
    monkeypatch.setenv("RETENTION_DAYS", days)
    longer = timedelta(days=int(days)) or None
    monkeypatch.setattr(app, "purge_recording", replace(app.purge_recording, retention=longer))
    for _ in range(2):
        assert run(record) == []
    assert (house.left(), house.events) == (before, [])
    assert house.recordings.get_including_deleted(gone.tenant_id, gone.id) == gone
    expires = house.item(gone).get("expires_at")
    assert gone.deleted_at is not None
    assert expires == (None if days == "0" else {"N": str(int((gone.deleted_at + 3 * DAY).timestamp()))})
    # It can be undeleted, and counts again then.
    house.recordings.save(gone, gone.undeleted())


def test_items_of_other_kinds_purge_nothing(house: House) -> None:
    gone, _ = two(house)
    whole_family(house, gone)
    before, item = house.left(), house.item(gone)
    for pk in ("T#tenant_1#DAY#REC", "MEETING#1", "PARTS#x", "T#tenant_1#URLS"):
        image = {**item, "pk": {"S": pk}}
        record = {
            "eventName": "REMOVE",
            "userIdentity": TTL,
            "dynamodb": {"SequenceNumber": "1", "OldImage": image},
        }
        assert run(record) == []
    assert run({"eventName": "REMOVE", "userIdentity": TTL, "dynamodb": {"SequenceNumber": "1"}}) == []
    assert house.left() == before


# ---------------------------------------------------------------- deliveries


def test_a_delivery_after_the_purge_is_removed_when_the_purge_record_expires(house: House) -> None:
    gone, live = two(house)
    assert run(house.remove(house.item(gone))) == []
    assert gone.delivery_key is not None
    assert live.delivery_key is not None
    house.put("files", gone.delivery_key, live.delivery_key, attempt_key(gone))
    kept = house.item(gone, "PURGED")
    # Later than Cloudflare can deliver. The purge record has ids only, nothing about the content.
    assert int(kept["expires_at"]["N"]) > (now() + 8 * DAY).timestamp()
    assert "Room one" not in json.dumps(kept)
    record = house.remove(kept)
    assert run({**record, "userIdentity": None}) == []
    assert len(house.left()) == 3
    assert run(record) == []
    assert house.left() == [("r2", live.delivery_key)]
    assert [one["id"] for one in house.events] == [f"{gone.id}-purged", f"{gone.id}-purged-late"]
    assert run(record) == []
    assert len(house.events) == 2


def milliseconds(recording: Recording, **before: int) -> int:
    return int((recording.created_at - timedelta(**before)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("seconds", "is_its_own"), [(0, True), (3, True), (60, True), (61, False), (3600, False), (-5, False)]
)
def test_an_unknown_delivery_is_recognised_by_meeting_and_time(house: House, seconds: int, is_its_own: bool) -> None:
    gone = house.deleted(delivery_key=None)
    key = delivery_key("tenant_1", "room_1", f"{MEETING}_{milliseconds(gone, seconds=seconds)}.mp4")
    other = delivery_key("tenant_1", "room_1", f"{MEETING[:-1]}0_{milliseconds(gone, seconds=3)}.mp4")
    assert key is not None
    assert other is not None
    house.put("files", key, other, "delivered/tenant_1/room_1/capture.mp4")
    assert run(house.remove(house.item(gone))) == []
    assert (("r2", key) not in house.left()) is is_its_own
    assert len(house.left()) == (2 if is_its_own else 3)


@pytest.mark.parametrize("claim", ["names it", "nearer", "its file", "began by itself"])
def test_a_delivery_that_may_belong_to_another_recording_stays(house: House, claim: str) -> None:
    gone = house.deleted(delivery_key=None, origin="auto" if claim == "began by itself" else "api")
    key = delivery_key("tenant_1", "room_1", f"{MEETING}_{milliseconds(gone, seconds=30)}.mp4")
    assert key is not None
    house.put("files", key)
    facts: dict[str, Json] = {
        "names it": {"delivery_key": key},
        "its file": {"file": a_file(key=key)},
        "nearer": {"meeting_id": MEETING, "created_at": gone.created_at - timedelta(seconds=20)},
    }
    if claim in facts:
        other = {"id": f"{gone.id[:-1]}3", "cloudflare_recording_id": "capture_3", "status": Status.READY}
        house.recordings.add(a_recording(**other | facts[claim]), lease_nonce=None)
    assert run(house.remove(house.item(gone))) == []
    assert house.left() == [("r2", key)]
    assert house.events[0]["data"]["removed_count"] == 0


@pytest.mark.parametrize(("tenant", "room"), [("quarantine", "tenant_1"), ("delivered", "tenant_1")])
def test_a_tenant_with_a_folder_like_others_loses_only_its_own_files(house: House, tenant: str, room: str) -> None:
    # The folder of its recording is also that of another tenant's room with the recording's id as its name.
    gone = house.deleted(tenant_id=tenant, room_id=room, file=None, status=Status.FAILED)
    victim = a_recording(tenant_id="tenant_1", room_id=gone.id, id=f"{gone.id[:-1]}9")
    keys = [quarantine_key(victim), f"delivered/tenant_1/{gone.id}/capture.mp4"]
    house.put("files", attempt_key(gone), *keys)
    assert run(house.remove(house.item(gone))) == []
    assert [key for _, key in house.left()] == sorted(keys)
