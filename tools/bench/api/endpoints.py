"""The requests that are measured: each endpoint as it is used most, and where it costs most."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from recordings.domain.lifecycle import Status
from tools.bench.api.bench import DAY, TENANT, Bench, Case
from tools.bench.api.frozen import NOW

# What a list is read from: half a year of one tenant.
ROOMS: Final = 4
RECORDINGS: Final = 120
STATUSES: Final = (Status.READY, Status.READY, Status.READY, Status.ARCHIVED, Status.FAILED, Status.PROCESSING)
BETWEEN: Final = timedelta(hours=36)
HOUR: Final = timedelta(hours=1)


def rooms(bench: Bench) -> None:
    bench.api("PutRoom", "a new room", 201, "hall", body={"name": "Lecture hall", "record_on_start": True})
    bench.api("PutRoom", "another name", 200, "hall", body={"name": "Lecture hall 1"})
    bench.api("PutRoom", "another setting", 200, "hall", body={"name": "Lecture hall 1", "record_on_start": False})
    bench.api("PutRoom", "nothing changes", 200, "hall", body={"name": "Lecture hall 1"})
    bench.api("GetRoom", "a room", 200, "hall")
    bench.api("GetRoom", "none", 404, "none")
    bench.api("DeleteRoom", "a free room", 200, "hall")


def list_of_rooms(bench: Bench) -> None:
    for number in range(30):
        bench.room(f"room_{number}")
    bench.api("ListRooms", "20 of 30", 200, query="limit=20")


def start_and_stop(bench: Bench) -> None:
    room = bench.room()
    key = {"idempotency-key": "9f3c"}
    began = bench.api("StartRecording", "a free room", 201, room.id, headers=key)
    bench.api("StartRecording", "the same request again", 201, room.id, headers=key)
    bench.api("StartRecording", "a room that is recorded", 409, room.id)
    for provider_recording in bench.app.standin.world.by_meeting[room.meeting_id]:
        provider_recording.status = "RECORDING"
    bench.api("GetRecording", "that runs", 200, began["id"])
    bench.api("StopRecording", "that runs", 200, room.id)
    bench.api("StopRecording", "nothing runs", 404, room.id)


def start_without_key(bench: Bench) -> None:
    bench.api("StartRecording", "without Idempotency-Key", 201, bench.room().id)


def sync(bench: Bench) -> None:
    room = bench.room()
    bench.cloudflare_recording(room)
    bench.api("SyncRecordings", "one is new", 200, room.id)
    bench.api("SyncRecordings", "nothing is new", 200, room.id)


def one_recording(bench: Bench) -> None:
    bench.room()
    bench.recording()
    before = bench.stored_bytes()
    ready = bench.recording()
    bench.recording_bytes = bench.stored_bytes() - before
    bench.api("GetRecording", "ready", 200, ready.id)
    bench.api("GetRecording", "none", 404, "rec_01KE9EDY806S2TGZ7Z3QHSBYMG")
    bench.api("DownloadRecording", "from R2", 200, ready.id)
    bench.api("ListAccess", "one URL", 200, ready.id)
    bench.api("DownloadRecording", "not yet", 202, bench.recording(Status.PROCESSING).id)
    bench.api("ArchiveRecording", "ready", 200, ready.id)
    bench.api("DeleteRecording", "archived", 200, ready.id)
    bench.api("UndeleteRecording", "archived", 200, ready.id)
    bench.api("RecoverRecording", "processing", 200, bench.recording(Status.PROCESSING).id)


def archived(bench: Bench) -> None:
    cold = bench.recording(Status.ARCHIVED)
    bench.file(cold, "archive", StorageClass="GLACIER")
    bench.api("DownloadRecording", "in the archive", 202, cold.id)
    bench.api("RestoreRecording", "archived", 202, cold.id)
    bench.api("RestoreRecording", "that is restored already", 202, cold.id)


def lists(bench: Bench) -> None:
    oldest = NOW - RECORDINGS * BETWEEN
    for number in range(RECORDINGS):
        # Seven and six have no common divisor: every room has every status.
        status = STATUSES[number * 7 // ROOMS % len(STATUSES)]
        bench.recording(status, oldest + number * BETWEEN, room=f"room_{number % ROOMS}")

    def time(days: int) -> str:
        return f"{NOW - days * DAY - 5 * HOUR:%Y-%m-%dT%H:%M:%SZ}"

    between = f"created_after={time(90)}&created_before={time(30)}"
    first = bench.api("ListRecordings", "newest", 200)
    if len(first) != 20:
        raise AssertionError("a page has 20 recordings")
    for case, query in {
        "offset in the middle": "offset=60",
        "offset at the end": "offset=119",
        "100 of them": "limit=100",
        "one room": "room_id=room_1",
        "one status": "status=failed",
        "two statuses": "status=processing&status=failed",
        "one room, one status": "room_id=room_1&status=ready",
        "between two times": between,
        "everything at once": f"room_id=room_1&status=ready&{between}&offset=3",
    }.items():
        bench.api("ListRecordings", case, 200, query=query)
    bench.api("ListRecordings", "cursor", 200, query=f"cursor={_cursor(bench)}")


def _cursor(bench: Bench) -> str:
    body = bench.app.call("ListRecordings", tenant=TENANT).body
    return str(body["meta"]["next_cursor"])


def webhook(bench: Bench) -> None:
    room = bench.room()
    provider_recording = bench.cloudflare_recording(room)

    def send(case: str) -> None:
        recording = {"recordingId": provider_recording.id, "meetingId": room.meeting_id, "status": "RECORDING"}
        body = json.dumps({"event": "recording.statusUpdate", "recording": recording}).encode()
        signature: Any = {"rtk-signature": bench.app.standin.world.signer.signature(body)}
        bench.api("ReceiveWebhook", case, 200, tenant="", scope="", body=body, headers=signature)

    send("a recording that is new")
    send("nothing changed")
    bench.app.standin.finish(provider_recording)
    send("the file is complete")


CASES: Final[Mapping[str, Case]] = {
    "one recording": one_recording,
    "rooms": rooms,
    "list of rooms": list_of_rooms,
    "start and stop": start_and_stop,
    "start without key": start_without_key,
    "sync": sync,
    "archived": archived,
    "lists": lists,
    "webhook": webhook,
}
