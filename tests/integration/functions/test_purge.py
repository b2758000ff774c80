"""The end of the retention: all of one recording goes, nothing of any other, and never without right."""

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
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Archive, Recording
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
        """An upload with a part that nobody ends."""
        upload = self.s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        self.s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"part")

    def left(self) -> list[tuple[str, str]]:
        """All that the stores hold, down to the last version, marker and upload."""
        found = [("r2", one["Key"]) for one in self.s3.list_objects_v2(Bucket="files").get("Contents", [])]
        versions = self.s3.list_object_versions(Bucket="archive")
        found += [("s3", one["Key"]) for one in (*versions.get("Versions", []), *versions.get("DeleteMarkers", []))]
        for bucket, name in (("files", "r2"), ("archive", "s3")):
            uploads = self.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
            found += [(f"{name} upload", one["Key"]) for one in uploads]
        return sorted(found)

    def deleted(self, **facts: Any) -> Recording:
        """A recording of this tenant's that was deleted two days ago."""
        told = {"status": Status.READY, "deleted_at": now() - 2 * DAY, "meeting_id": MEETING}
        recording = a_recording(**told | facts)
        self.recordings.add(recording, nonce=None)
        return recording

    def item(self, recording: Recording, kind: str = "TRASH") -> Json:
        key = {"pk": {"S": f"T#{recording.tenant_id}#{kind}"}, "sk": {"S": recording.id}}
        item: Json = client.get_item(TableName=TABLE, Key=key, ConsistentRead=True)["Item"]
        return item

    def remove(self, item: Json) -> Json:
        """Take an item out of the table as DynamoDB does at its end; gives the stream's record of it."""
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
    """The records that are to be sent again."""
    failures = app.handler({"Records": list(records)}, Context())["batchItemFailures"]
    return [one["itemIdentifier"] for one in failures]


def whole_family(house: House, recording: Recording) -> None:
    """Everything that can ever be stored of a recording."""
    house.put("files", attempt_key(recording), attempt_key(recording).replace("/1/", "/2/"), quarantine_key(recording))
    house.begin("files", attempt_key(recording).replace("/1/", "/3/"))
    if recording.delivery_key is not None:
        house.put("files", recording.delivery_key)
    cold = archive_key(recording, 1)
    house.put("archive", cold, cold, archive_key(recording, 2))
    house.s3.delete_object(Bucket="archive", Key=archive_key(recording, 2))
    house.begin("archive", archive_key(recording, 3))


def two(house: House, **facts: Any) -> tuple[Recording, Recording]:
    """One that was deleted, and one like it that lives."""
    gone = house.deleted(delivery_key=f"delivered/tenant_1/room_1/{MEETING}_1767700800000.mp4", **facts)
    alive = a_recording(
        id=f"{gone.id[:-1]}1",
        cloudflare_recording_id="capture_2",
        status=Status.READY,
        meeting_id=MEETING,
        delivery_key=f"delivered/tenant_1/room_1/{MEETING}_1767700900000.mp4",
    )
    house.recordings.add(alive, nonce=None)
    return gone, alive


def test_all_that_was_ever_stored_of_it_goes_and_nothing_of_any_other(house: House) -> None:
    gone, alive = two(house, file=a_file(key="elsewhere/odd.mp4"))
    whole_family(house, alive)
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


def test_what_lies_in_the_other_store_under_its_key_is_not_its_own(house: House) -> None:
    # The same key in R2: the file of an archived recording must be sought where it is.
    gone = house.deleted(
        status=Status.ARCHIVED, file=a_file(provider="s3", key="cold/odd.mp4"), archive=Archive(state="stored")
    )
    house.put("archive", "cold/odd.mp4")
    house.put("files", "cold/odd.mp4")
    assert run(house.remove(house.item(gone))) == []
    assert house.left() == [("r2", "cold/odd.mp4")]


def test_a_repeat_says_the_same_also_when_the_first_one_died_halfway(house: House) -> None:
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


def test_a_purge_that_fails_holds_up_no_other_of_its_batch(house: House, log: io.StringIO) -> None:
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


def test_a_failed_recording_has_a_family_too(house: House) -> None:
    gone, _ = two(house, status=Status.FAILED, file=None)
    whole_family(house, gone)
    assert run(house.remove(house.item(gone))) == []
    assert house.left() == []


def test_what_was_expected_and_is_not_there_is_told_as_absent(house: House) -> None:
    gone = house.deleted(file=a_file(key="elsewhere/odd.mp4"))
    assert run(house.remove(house.item(gone))) == []
    data = house.events[0]["data"]
    assert (data["removed_count"], data["absent"]) == (0, [{"store": "r2", "key": "elsewhere/odd.mp4"}])


# ---------------------------------------------------------------- the right to do it


def test_the_removal_that_an_undelete_writes_purges_nothing(house: House) -> None:
    gone, _ = two(house)
    whole_family(house, gone)
    item, before = house.item(gone), house.left()
    house.recordings.save(gone, gone.undeleted())
    # As DynamoDB streams a removal by a transaction: without an identity.
    undelete = {"eventName": "REMOVE", "dynamodb": {"OldImage": item, "SequenceNumber": "7"}}
    assert run(undelete) == []
    # And should somebody claim that it was the time to live: the recording is there again.
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
def test_what_anybody_but_the_time_to_live_removed_is_not_purged(house: House, identity: Json | None) -> None:
    gone, _ = two(house)
    whole_family(house, gone)
    before, record = house.left(), house.remove(house.item(gone))
    assert run({**record, "userIdentity": identity}) == []
    assert (house.left(), house.events) == (before, [])


@pytest.mark.parametrize("change", ["not expired", "never expires", "not deleted", "not a removal"])
def test_a_record_that_does_not_prove_its_right_purges_nothing(house: House, change: str) -> None:
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
def test_what_is_kept_longer_now_than_when_it_was_deleted_is_put_back(
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
    # It can come back, and is counted again then.
    house.recordings.save(gone, gone.undeleted())


def test_items_of_other_kinds_are_nobodys_files(house: House) -> None:
    gone, _ = two(house)
    whole_family(house, gone)
    before, item = house.left(), house.item(gone)
    for pk in ("T#tenant_1#DAY#REC", "MEETING#1", "PARTS#x", "T#tenant_1#URLS"):
        record = {"eventName": "REMOVE", "userIdentity": TTL, "dynamodb": {"OldImage": {**item, "pk": {"S": pk}}}}
        assert run(record) == []
    assert run({"eventName": "REMOVE", "userIdentity": TTL, "dynamodb": {"SequenceNumber": "1"}}) == []
    assert house.left() == before


# ---------------------------------------------------------------- deliveries


def test_a_delivery_that_comes_after_the_purge_is_removed_when_its_record_ends(house: House) -> None:
    gone, alive = two(house)
    assert run(house.remove(house.item(gone))) == []
    assert gone.delivery_key is not None
    assert alive.delivery_key is not None
    house.put("files", gone.delivery_key, alive.delivery_key, attempt_key(gone))
    kept = house.item(gone, "PURGED")
    # Later than Cloudflare keeps anything that it could deliver, and of what the recording was about nothing is kept.
    assert int(kept["expires_at"]["N"]) > (now() + 8 * DAY).timestamp()
    assert "Room one" not in json.dumps(kept)
    record = house.remove(kept)
    assert run({**record, "userIdentity": None}) == []
    assert len(house.left()) == 3
    assert run(record) == []
    assert house.left() == [("r2", alive.delivery_key)]
    assert [one["id"] for one in house.events] == [f"{gone.id}-purged", f"{gone.id}-purged-late"]
    assert run(record) == []
    assert len(house.events) == 2


def milliseconds(recording: Recording, **before: int) -> int:
    return int((recording.created_at - timedelta(**before)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("seconds", "is_its_own"), [(0, True), (3, True), (60, True), (61, False), (3600, False), (-5, False)]
)
def test_a_delivery_that_it_never_learned_of_is_known_by_meeting_and_time(
    house: House, seconds: int, is_its_own: bool
) -> None:
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
def test_a_delivery_that_may_be_anothers_stays(house: House, claim: str) -> None:
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
        house.recordings.add(a_recording(**other | facts[claim]), nonce=None)
    assert run(house.remove(house.item(gone))) == []
    assert house.left() == [("r2", key)]
    assert house.events[0]["data"]["removed_count"] == 0


@pytest.mark.parametrize(("tenant", "room"), [("quarantine", "tenant_1"), ("delivered", "tenant_1")])
def test_a_tenant_whose_folder_is_that_of_others_loses_its_own_files_only(house: House, tenant: str, room: str) -> None:
    # Its recording's folder is where another tenant's room, named like the recording, has its own.
    gone = house.deleted(tenant_id=tenant, room_id=room, file=None, status=Status.FAILED)
    victim = a_recording(tenant_id="tenant_1", room_id=gone.id, id=f"{gone.id[:-1]}9")
    keys = [quarantine_key(victim), f"delivered/tenant_1/{gone.id}/capture.mp4"]
    house.put("files", attempt_key(gone), *keys)
    assert run(house.remove(house.item(gone))) == []
    assert [key for _, key in house.left()] == sorted(keys)
