"""A recording of ours for what Cloudflare already has: once, and as Cloudflare tells it."""

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


def test_a_running_capture_is_a_recording_that_holds_the_room(world: World) -> None:
    recording = imported(world)
    assert recording.status is Status.RECORDING
    assert (recording.room_id, recording.room_name, recording.tenant_id) == ("room_1", "Room one", "tenant_1")
    assert world.room().active_recording_id == recording.id
    world.assert_sound()


@pytest.mark.parametrize("status", [ProviderStatus.INVOKED, ProviderStatus.RECORDING, ProviderStatus.PAUSED])
def test_whatever_runs_is_recording(world: World, status: ProviderStatus) -> None:
    assert imported(world, status=status).status is Status.RECORDING


@pytest.mark.parametrize("status", [ProviderStatus.UPLOADING, ProviderStatus.UPLOADED, ProviderStatus.ERRORED])
def test_whatever_is_over_is_processing_and_leaves_the_room_free(world: World, status: ProviderStatus) -> None:
    recording = imported(world, status=status, stopped_at=NOON + timedelta(minutes=3))
    assert (recording.status, recording.stopped_at) == (Status.PROCESSING, NOON + timedelta(minutes=3))
    assert [change.status for change in recording.history] == [Status.RECORDING, Status.PROCESSING]
    assert world.room().active_recording_id is None
    world.assert_sound()


@pytest.mark.parametrize(
    ("facts", "delivered"),
    [
        ({"delivery_key": "delivered/a.mp4", "file_name": "b.mp4"}, "delivered/a.mp4"),
        # The answer to the start was lost: the file goes where the start asked for it.
        ({"file_name": "b.mp4"}, "delivered/tenant_1/room_1/b.mp4"),
        ({"file_name": "b.mp4", "auto_started": True}, None),
        ({"file_name": None}, None),
        ({"file_name": "../b.mp4"}, None),
    ],
)
def test_where_its_file_is_delivered_is_known_also_when_the_answer_that_told_it_was_lost(
    world: World, facts: dict[str, Any], delivered: str | None
) -> None:
    assert imported(world, **facts).delivery_key == delivered


def test_it_began_when_cloudflare_began_it(world: World) -> None:
    world.clock.advance(days=3)
    recording = imported(world, invoked_at=NOON, started_at=NOON + timedelta(seconds=4))
    assert recording.created_at == recording.started_at == NOON + timedelta(seconds=4)
    assert recording.id < world.new_id(NOON + timedelta(seconds=5))


def test_one_that_never_started_began_when_it_was_ordered(world: World) -> None:
    assert imported(world, invoked_at=NOON, started_at=None).created_at == NOON


def test_an_end_that_is_not_told_is_its_beginning(world: World) -> None:
    assert imported(world, status=ProviderStatus.ERRORED, stopped_at=None).stopped_at == NOON


@pytest.mark.parametrize(
    ("auto", "origin", "cause"),
    [(True, "auto", "auto_started"), (False, "api", "api_start"), (None, "api", "api_start")],
)
def test_its_origin_and_cause_are_told(world: World, auto: bool | None, origin: str, cause: str) -> None:
    recording = imported(world, auto_started=auto)
    assert (recording.origin, recording.history[0].cause) == (origin, cause)


def test_a_known_capture_is_given_as_it_is(world: World) -> None:
    first = imported(world)
    stopped = first.stopped(at=NOON, cause="x")
    world.recordings.save(first, stopped)
    assert imported(world) == stopped
    assert world.all() == [stopped]


def test_one_that_became_known_meanwhile_is_given(world: World) -> None:
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


def test_an_id_that_is_taken_is_not_taken_for_a_known_capture(world: World) -> None:
    taken = a_recording(id="rec_same", cloudflare_recording_id="another", status=Status.PROCESSING)
    world.recordings.add(taken, lease_nonce=None)
    make = ImportRecording(recordings=world.recordings, new_id=lambda at: "rec_same")
    with pytest.raises(ConcurrentUpdate):
        make(RecordingOwner.of(world.room()), a_capture(), nonce=None)
    assert world.all() == [taken]


def test_a_room_that_is_held_refuses_what_runs_and_takes_what_is_over(world: World) -> None:
    imported(world)
    with pytest.raises(RoomAlreadyRecording):
        imported(world, cloudflare_recording_id="capture_2")
    assert (
        imported(world, cloudflare_recording_id="capture_3", status=ProviderStatus.UPLOADED).status is Status.PROCESSING
    )


def test_a_lease_lets_in_only_its_holder(world: World) -> None:
    now = world.clock()
    world.rooms.acquire_lock("tenant_1", "room_1", nonce="ours", now=now, until=now + timedelta(seconds=60))
    for nonce in ("theirs", None):
        with pytest.raises(RoomAlreadyRecording):
            imported(world, nonce=nonce)
    assert imported(world, nonce="ours").status is Status.RECORDING
