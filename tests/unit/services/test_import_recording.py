"""The import of a recording that Cloudflare already has."""

from datetime import timedelta
from typing import Any

import pytest

from recordings.domain.errors import ConcurrentUpdate, RoomAlreadyRecording
from recordings.domain.lifecycle import Status
from recordings.domain.meeting import RecordingOwner
from recordings.domain.provider_recording import ProviderStatus
from recordings.domain.recording import Recording
from recordings.services.sync.import_recording import ImportRecording
from tests.support.builders import NOON, a_capture, a_recording
from tests.unit.services.world import World


@pytest.fixture
def world() -> World:
    return World()


def imported(world: World, *, nonce: str | None = None, **provider_recording: Any) -> Recording:
    make = ImportRecording(recordings=world.recordings, new_id=world.new_id)
    return make(RecordingOwner.of(world.room()), a_capture(**provider_recording), nonce=nonce)


def test_a_running_recording_is_imported_and_locks_the_room(world: World) -> None:
    recording = imported(world)
    assert recording.status is Status.RECORDING
    assert (recording.room_id, recording.room_name, recording.tenant_id) == ("room_1", "Room one", "tenant_1")
    assert world.room().active_recording_id == recording.id
    world.assert_sound()


@pytest.mark.parametrize("status", [ProviderStatus.INVOKED, ProviderStatus.RECORDING, ProviderStatus.PAUSED])
def test_every_running_status_is_imported_as_recording(world: World, status: ProviderStatus) -> None:
    assert imported(world, status=status).status is Status.RECORDING


@pytest.mark.parametrize("status", [ProviderStatus.UPLOADING, ProviderStatus.UPLOADED, ProviderStatus.ERRORED])
def test_every_ended_status_is_imported_as_processing_and_locks_no_room(world: World, status: ProviderStatus) -> None:
    recording = imported(world, status=status, stopped_at=NOON + timedelta(minutes=3))
    assert (recording.status, recording.stopped_at) == (Status.PROCESSING, NOON + timedelta(minutes=3))
    assert [change.status for change in recording.history] == [Status.RECORDING, Status.PROCESSING]
    assert world.room().active_recording_id is None
    world.assert_sound()


@pytest.mark.parametrize(
    ("facts", "delivered"),
    [
        ({"delivery_key": "delivered/a.mp4", "file_name": "b.mp4"}, "delivered/a.mp4"),
        # The response to the start was lost. Cloudflare delivers the file where the start asked for it.
        ({"file_name": "b.mp4"}, "delivered/tenant_1/room_1/b.mp4"),
        ({"file_name": "b.mp4", "auto_started": True}, None),
        ({"file_name": None}, None),
        ({"file_name": "../b.mp4"}, None),
    ],
)
def test_the_delivery_key_is_known_after_a_lost_start_response(
    world: World, facts: dict[str, Any], delivered: str | None
) -> None:
    assert imported(world, **facts).delivery_key == delivered


def test_an_imported_recording_begins_when_cloudflare_began(world: World) -> None:
    world.clock.advance(days=3)
    recording = imported(world, invoked_at=NOON, started_at=NOON + timedelta(seconds=4))
    assert recording.created_at == recording.started_at == NOON + timedelta(seconds=4)
    assert recording.id < world.new_id(NOON + timedelta(seconds=5))


def test_a_recording_that_never_started_begins_when_it_was_invoked(world: World) -> None:
    assert imported(world, invoked_at=NOON, started_at=None).created_at == NOON


def test_a_missing_end_is_the_beginning(world: World) -> None:
    assert imported(world, status=ProviderStatus.ERRORED, stopped_at=None).stopped_at == NOON


@pytest.mark.parametrize(
    ("auto", "origin", "cause"),
    [(True, "auto", "auto_started"), (False, "api", "api_start"), (None, "api", "api_start")],
)
def test_origin_and_cause_say_whether_it_started_automatically(
    world: World, auto: bool | None, origin: str, cause: str
) -> None:
    recording = imported(world, auto_started=auto)
    assert (recording.origin, recording.history[0].cause) == (origin, cause)


def test_a_known_recording_is_returned_unchanged(world: World) -> None:
    first = imported(world)
    stopped = world.recordings.save(first, first.stopped(at=NOON, cause="x"))
    assert imported(world) == stopped
    assert world.all() == [stopped]


def test_a_recording_that_was_imported_meanwhile_is_returned(world: World) -> None:
    look, provider_recording = world.recordings.find_by_cloudflare_recording_id, a_recording(id="rec_theirs")
    looks: list[Recording | None] = []

    def late(cloudflare_recording_id: str) -> Recording | None:
        found = look(cloudflare_recording_id)
        if not looks:
            world.recordings.add(provider_recording, lease_nonce=None)
        looks.append(found)
        return found

    world.recordings.find_by_cloudflare_recording_id = late  # type: ignore[method-assign]
    assert imported(world) == provider_recording
    assert looks == [None, provider_recording]
    assert world.all() == [provider_recording]


def test_a_used_recording_id_is_not_taken_for_an_imported_recording(world: World) -> None:
    taken = a_recording(id="rec_same", cloudflare_recording_id="another", status=Status.PROCESSING)
    world.recordings.add(taken, lease_nonce=None)
    make = ImportRecording(recordings=world.recordings, new_id=lambda at: "rec_same")
    with pytest.raises(ConcurrentUpdate):
        make(RecordingOwner.of(world.room()), a_capture(), nonce=None)
    assert world.all() == [taken]


def test_a_locked_room_refuses_running_recordings_and_accepts_ended_ones(world: World) -> None:
    imported(world)
    with pytest.raises(RoomAlreadyRecording):
        imported(world, cloudflare_recording_id="capture_2")
    assert (
        imported(world, cloudflare_recording_id="capture_3", status=ProviderStatus.UPLOADED).status is Status.PROCESSING
    )


def test_a_leased_room_accepts_only_the_holder_of_the_lease(world: World) -> None:
    now = world.clock()
    world.rooms.acquire_lock("tenant_1", "room_1", nonce="ours", now=now, until=now + timedelta(seconds=60))
    for nonce in ("theirs", None):
        with pytest.raises(RoomAlreadyRecording):
            imported(world, nonce=nonce)
    assert imported(world, nonce="ours").status is Status.RECORDING
