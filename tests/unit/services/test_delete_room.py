"""Deleting a room: no recording of its meeting is lost, or gets to another tenant."""

import pytest

from recordings.domain.errors import (
    MeetingInUse,
    ProviderError,
    ProviderNotFound,
    ProviderTimeout,
    RoomAlreadyRecording,
    RoomIsRecording,
    RoomNotFound,
)
from recordings.domain.lifecycle import Status
from tests.unit.services.world import Killed, Trap, World


@pytest.fixture
def world() -> World:
    """Return a world with a room whose meeting records on start."""
    world = World()
    world.put_room(record_on_start=True)
    return world


def is_gone(world: World) -> bool:
    try:
        world.room()
    except RoomNotFound:
        return True
    return False


def test_a_deleted_rooms_meeting_no_longer_records_on_start(world: World) -> None:
    assert world.delete_room().id == "room_1"
    assert is_gone(world)
    assert world.cloudflare.recording_on_start == {"meeting_1": False}
    with pytest.raises(RoomNotFound):
        world.delete_room()


@pytest.mark.parametrize("recording", [True, False], ids=["started by us", "by itself"])
def test_a_room_that_is_recorded_is_not_deleted_and_the_error_has_the_recording(world: World, recording: bool) -> None:
    if recording:
        world.start()
    else:
        world.cloudflare.begin_by_itself("meeting_1")
    world.trap = Trap(999, only="provider")
    with pytest.raises(RoomIsRecording) as refused:
        world.delete_room()
    (running,) = world.cloudflare.running()
    assert refused.value.blocker == world.of(running)
    assert "provider.set_record_on_start" not in world.trap.calls
    assert world.cloudflare.recording_on_start == {"meeting_1": True}
    # It can be stopped, and then the room can be deleted.
    world.trap = Trap(-1)
    world.stop()
    world.delete_room()
    assert is_gone(world)


def test_a_room_with_a_start_in_progress_is_not_deleted(world: World) -> None:
    start = world.cloudflare.start
    refused: list[BaseException] = []

    def meanwhile(*given: object, **named: object) -> object:
        with pytest.raises(RoomIsRecording) as error:
            world.delete_room()
        refused.append(error.value)
        return start(*given, **named)  # type: ignore[arg-type]

    world.cloudflare.start = meanwhile  # type: ignore[method-assign, assignment]
    recording = world.start()
    assert len(refused) == 1
    assert world.room().active_recording_id == recording.id


def test_a_room_that_is_being_deleted_is_not_started(world: World) -> None:
    look = world.cloudflare.list_by_meeting
    refused: list[BaseException] = []

    def meanwhile(meeting_id: str) -> object:
        with pytest.raises(RoomAlreadyRecording) as error:
            world.start()
        refused.append(error.value)
        return look(meeting_id)

    world.cloudflare.list_by_meeting = meanwhile  # type: ignore[method-assign, assignment]
    world.delete_room()
    assert len(refused) == 1
    assert world.cloudflare.captured == {}


def test_a_deletion_imports_ended_recordings_first(world: World) -> None:
    first = world.cloudflare.upload(world.cloudflare.begin_by_itself("meeting_1").cloudflare_recording_id)
    world.clock.advance(minutes=1)
    second = world.cloudflare.end(world.cloudflare.begin_by_itself("meeting_1").cloudflare_recording_id)
    world.delete_room()
    assert {world.of(first).status, world.of(second).status} == {Status.PROCESSING}
    assert {one.room_name for one in world.all()} == {"Name"}
    assert len(world.executions.started) == 2


@pytest.mark.parametrize("tenant_id", ["tenant_1", "tenant_2"])
def test_no_other_tenant_gets_the_recordings_of_a_deleted_room(world: World, tenant_id: str) -> None:
    """A recording that the listing omits for a while is imported late, and only for its tenant."""
    late = world.cloudflare.upload(world.cloudflare.begin_by_itself("meeting_1").cloudflare_recording_id)
    hidden = world.cloudflare.captured.pop(late.cloudflare_recording_id)
    world.delete_room()
    world.cloudflare.captured[late.cloudflare_recording_id] = hidden
    if tenant_id == "tenant_1":
        world.put_room(tenant_id=tenant_id, room_id="other", meeting_id="meeting_1")
        world.sync_recordings("other", tenant_id)
        assert (world.of(late).tenant_id, world.of(late).room_id) == ("tenant_1", "room_1")
        return
    with pytest.raises(MeetingInUse):
        world.put_room(tenant_id=tenant_id, room_id="other", meeting_id="meeting_1")
    world.put_room(tenant_id=tenant_id, room_id="other")
    assert world.sync_recordings("other", tenant_id) == []
    assert world.sync() == 1
    assert world.of(late).tenant_id == "tenant_1"


def test_a_webhook_after_the_rooms_deletion_imports_its_recording(world: World) -> None:
    late = world.cloudflare.begin_by_itself("meeting_1")
    hidden = world.cloudflare.captured.pop(late.cloudflare_recording_id)
    world.delete_room()
    world.cloudflare.captured[late.cloudflare_recording_id] = hidden
    # No room can hold it while it runs.
    assert world.webhook(late.cloudflare_recording_id, "meeting_1") is True
    assert world.all() == []
    world.cloudflare.upload(late.cloudflare_recording_id)
    assert world.webhook(late.cloudflare_recording_id, "meeting_1") is True
    assert world.of(late).room_id == "room_1"


def test_a_recording_from_before_the_adoption_refuses_nothing_and_has_no_owner() -> None:
    world = World()
    early = world.cloudflare.begin_by_itself("theirs")
    world.clock.advance(minutes=1)
    world.put_room(room_id="room_2", meeting_id="theirs")
    world.delete_room(room_id="room_2")
    world.cloudflare.upload(early.cloudflare_recording_id)
    world.sync()
    assert world.webhook(early.cloudflare_recording_id, "theirs") is False
    assert world.all() == []


def test_a_meeting_unknown_to_cloudflare_is_released(world: World) -> None:
    world.put_room(room_id="room_2", meeting_id="theirs")

    def gone(*_: object, **__: object) -> None:
        raise ProviderNotFound

    world.cloudflare.set_record_on_start = gone  # type: ignore[method-assign]
    world.delete_room(room_id="room_2")
    with pytest.raises(RoomNotFound):
        world.rooms.get("tenant_1", "room_2")


@pytest.mark.parametrize("error", [ProviderError, ProviderTimeout])
@pytest.mark.parametrize("n", range(4))
def test_a_failure_of_cloudflare_leaves_the_room_and_its_meeting_as_they_were(
    world: World, n: int, error: type[Exception]
) -> None:
    world.trap = Trap(n, error(), only="provider")
    with pytest.raises(error):
        world.delete_room()
    world.trap = Trap(-1)
    assert world.room().lease_nonce is None
    assert world.cloudflare.recording_on_start == {"meeting_1": True}
    world.delete_room()
    assert is_gone(world)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("n", range(12))
def test_a_deletion_that_dies_anywhere_can_be_repeated(world: World, n: int, after: bool) -> None:
    ended = world.cloudflare.upload(world.cloudflare.begin_by_itself("meeting_1").cloudflare_recording_id)
    world.trap = Trap(n, Killed(), after=after)
    try:
        world.delete_room()
    except Killed:
        pass
    world.let_go()
    world.sync()
    if not is_gone(world):
        assert world.cloudflare.recording_on_start == {"meeting_1": True}
        world.delete_room()
    assert is_gone(world)
    world.sync()
    assert world.cloudflare.recording_on_start == {"meeting_1": False}
    assert world.of(ended).room_id == "room_1"
    world.assert_sound()
