"""Creating and updating a room, also beside concurrent calls."""

import threading
from typing import Any

import pytest

from recordings.domain.errors import (
    ConcurrentUpdate,
    MeetingInUse,
    MeetingUnknown,
    ProviderTimeout,
    RoomIsRecording,
    RoomNotFound,
    ScopeMissing,
    Throttled,
)
from recordings.domain.room import Room
from tests.support.builders import NOON, a_room
from tests.support.fakes import MemoryRooms
from tests.unit.services.world import Killed, Trap, World, attempt


@pytest.fixture
def world() -> World:
    """Return a world without rooms."""
    world = World()
    world.rooms.remove(world.room())
    return world


def test_a_room_without_a_meeting_gets_a_new_one(world: World) -> None:
    room, new = world.put_room(name="Name")
    assert (room.name, room.meeting_id, room.record_on_start, new) == ("Name", "made_1", False, True)
    assert (room.created_at, room.updated_at, room.version) == (NOON, NOON, 1)
    assert world.room() == room


def test_a_named_meeting_is_adopted_and_none_is_created(world: World) -> None:
    room, _ = world.put_room(meeting_id="theirs", record_on_start=True)
    assert (room.meeting_id, room.record_on_start) == ("theirs", True)
    assert world.cloudflare.meetings == []


def test_a_property_that_is_not_named_stays(world: World) -> None:
    world.put_room(meeting_id="theirs", record_on_start=True)
    world.clock.advance(hours=1)
    room, new = world.put_room(name="New")
    assert (room.name, room.meeting_id, room.record_on_start, new) == ("New", "theirs", True, False)
    assert (room.created_at, room.updated_at, room.version) == (NOON, world.clock(), 2)
    assert world.room() == room
    assert world.cloudflare.meetings == []


def test_a_named_property_changes(world: World) -> None:
    world.put_room(meeting_id="theirs", record_on_start=True)
    room, _ = world.put_room(meeting_id="other", record_on_start=False)
    assert (room.meeting_id, room.record_on_start) == ("other", False)
    assert world.rooms.find_by_meeting_id("theirs") is None
    assert world.rooms.find_by_meeting_id("other") == room


def test_repeated_calls_create_one_meeting(world: World) -> None:
    for _ in range(3):
        world.put_room()
    assert world.cloudflare.meetings == ["made_1"]


@pytest.mark.parametrize("exists", [False, True])
def test_a_meeting_of_another_room_is_refused(world: World, exists: bool) -> None:
    world.rooms.add(a_room(id="room_2", tenant_id="tenant_2", meeting_id="theirs"))
    if exists:
        world.put_room()
    with pytest.raises(MeetingInUse):
        world.put_room(meeting_id="theirs")
    assert world.rooms.find_by_meeting_id("theirs") == a_room(id="room_2", tenant_id="tenant_2", meeting_id="theirs")


def test_no_room_is_created_without_a_meeting(world: World) -> None:
    world.trap = Trap(0, ProviderTimeout(), only="provider")
    with pytest.raises(ProviderTimeout):
        world.put_room()
    with pytest.raises(RoomNotFound):
        world.room()


class Contended(MemoryRooms):
    """Change the room several times between the read and the write of the call."""

    def __init__(self, world: World, times: int) -> None:
        super().__init__(world.memory)
        self.times = times

    def _meanwhile(self) -> None:
        if self.times > 0:
            self.times -= 1
            room = super().get("tenant_1", "room_1")
            super().save(room, a_room(name="theirs", meeting_id=room.meeting_id, version=room.version + 1))

    def save(self, before: Room, after: Room, *, lease_nonce: str | None = None) -> Room:
        self._meanwhile()
        return super().save(before, after, lease_nonce=lease_nonce)


def test_a_concurrent_change_is_not_lost(world: World) -> None:
    world.put_room(meeting_id="theirs")
    world.rooms = Contended(world, 4)
    room, _ = world.put_room(name="ours")
    assert (room.name, room.version) == ("ours", 6)


def test_endless_concurrent_changes_raise_an_error(world: World) -> None:
    world.put_room(meeting_id="theirs")
    world.rooms = Contended(world, 5)
    with pytest.raises(ConcurrentUpdate):
        world.put_room(name="ours")


class Flickering(MemoryRooms):
    """Create the room directly before the call does, and delete it directly after."""

    def add(self, room: Room, *, adopted: bool = False, sync_meeting: bool = False) -> Room:
        raise ConcurrentUpdate


def test_a_room_that_appears_and_disappears_creates_one_meeting(world: World) -> None:
    world.rooms = Flickering(world.memory)
    with pytest.raises(ConcurrentUpdate):
        world.put_room()
    assert world.cloudflare.meetings == ["made_1"]


class Overtaken(MemoryRooms):
    """Create the room completely after the call has read that it does not exist."""

    def __init__(self, world: World) -> None:
        super().__init__(world.memory)
        self.world = world

    def acquire_creation_lock(self, *given: Any, **named: Any) -> str | None:
        self.world.rooms = MemoryRooms(self.world.memory)
        self.world.put_room(name="theirs")
        return super().acquire_creation_lock(*given, **named)


def test_a_room_that_was_created_meanwhile_creates_no_second_meeting(world: World) -> None:
    world.rooms = Overtaken(world)
    room, new = world.put_room(name="ours")
    assert (room.name, room.meeting_id, room.version, new) == ("ours", "made_1", 2, False)
    assert world.cloudflare.meetings == ["made_1"]
    assert world.memory.claims == {}


def test_concurrent_calls_create_one_room(world: World) -> None:
    outcomes: list[object] = []
    barrier = threading.Barrier(4)

    def go() -> None:
        barrier.wait()
        outcomes.append(attempt(lambda: world.put_room(name="same")))

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = [one for one in outcomes if isinstance(one, tuple) and one[1]]
    assert len(made) == 1
    assert all(isinstance(one, tuple | Throttled) for one in outcomes), outcomes
    assert world.cloudflare.meetings == [world.room().meeting_id]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("n", range(6))
def test_a_call_that_dies_can_be_repeated(world: World, n: int, after: bool) -> None:
    world.trap = Trap(n, Killed(), after=after)
    with pytest.raises(Killed):
        world.put_room(name="Name")
    world.trap = Trap(-1)
    world.clock.advance(seconds=61)
    room, new = world.put_room(name="Name")
    assert world.room() == room
    assert new is not (n == 5 and after)
    # A stored meeting is used. One whose call died before it was stored stays at Cloudflare, empty.
    assert len(world.cloudflare.meetings) == (2 if (n, after) in {(3, True), (4, False)} else 1)
    assert world.rooms.find_by_meeting_id(room.meeting_id) == room


def test_a_meeting_that_cloudflare_does_not_know_is_refused(world: World) -> None:
    with pytest.raises(MeetingUnknown):
        world.put_room(meeting_id="nowhere")
    with pytest.raises(RoomNotFound):
        world.room()
    world.put_room()
    with pytest.raises(MeetingUnknown):
        world.put_room(meeting_id="nowhere")
    assert world.room().meeting_id == "made_1"


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("before", [False, True])
def test_a_named_record_on_start_is_always_sent(world: World, before: bool, named: bool) -> None:
    world.put_room(record_on_start=named)
    # It was changed at Cloudflare.
    world.cloudflare.recording_on_start["made_1"] = before
    room, _ = world.put_room(record_on_start=named)
    assert room.record_on_start is named
    assert world.cloudflare.recording_on_start == {"made_1": named}


def test_a_new_name_alone_makes_no_call_to_cloudflare(world: World) -> None:
    world.put_room()
    world.trap = Trap(999, only="provider")
    world.put_room(name="New")
    assert world.trap.calls == []


@pytest.mark.parametrize("there", [False, True])
def test_an_adopted_meeting_keeps_its_record_on_start(world: World, there: bool) -> None:
    world.cloudflare.recording_on_start["theirs"] = there
    room, _ = world.put_room(meeting_id="theirs")
    assert room.record_on_start is there
    assert world.cloudflare.recording_on_start["theirs"] is there


@pytest.mark.parametrize("wanted", [False, True])
@pytest.mark.parametrize("there", [False, True])
def test_an_adopted_meeting_gets_the_callers_record_on_start(world: World, there: bool, wanted: bool) -> None:
    world.cloudflare.recording_on_start["theirs"] = there
    room, _ = world.put_room(meeting_id="theirs", record_on_start=wanted)
    assert room.record_on_start is wanted
    assert world.cloudflare.recording_on_start["theirs"] is wanted


@pytest.mark.parametrize("there", [False, True])
def test_a_rooms_next_meeting_gets_its_record_on_start(world: World, there: bool) -> None:
    world.put_room(record_on_start=True)
    world.cloudflare.recording_on_start["theirs"] = there
    room, _ = world.put_room(meeting_id="theirs")
    assert room.record_on_start is True
    assert world.cloudflare.recording_on_start == {"made_1": False, "theirs": True}
    assert world.room() == room


def test_a_repeat_after_a_dead_call_sets_what_the_repeat_asks_for(world: World) -> None:
    """The first call created the meeting and died before it stored the room."""
    world.trap = Trap(0, Killed(), only="rooms.add")
    with pytest.raises(Killed):
        world.put_room(record_on_start=False)
    world.let_go()
    room, new = world.put_room(record_on_start=True)
    assert (room.record_on_start, new) == (True, True)
    assert world.cloudflare.recording_on_start == {"made_1": True}


def test_a_failed_setting_is_sent_by_the_repeat_and_by_the_sync(world: World) -> None:
    world.put_room(record_on_start=False)
    for send in (lambda: world.put_room(record_on_start=True), world.sync):
        world.cloudflare.recording_on_start["made_1"] = False
        world.trap = Trap(0, ProviderTimeout(), only="provider.set_record_on_start")
        with pytest.raises(ProviderTimeout):
            world.put_room(record_on_start=True)
        world.trap = Trap(-1)
        assert world.room().record_on_start is True
        send()
        assert world.cloudflare.recording_on_start == {"made_1": True}


def test_of_two_concurrent_settings_the_stored_one_stays(world: World) -> None:
    world.put_room(record_on_start=False)
    send = world.cloudflare.set_record_on_start

    def overtaken(meeting_id: str, *, record_on_start: bool) -> None:
        world.cloudflare.set_record_on_start = send  # type: ignore[method-assign]
        world.put_room(record_on_start=False)
        send(meeting_id, record_on_start=record_on_start)

    world.cloudflare.set_record_on_start = overtaken  # type: ignore[method-assign]
    world.put_room(record_on_start=True)
    assert world.room().record_on_start is False
    assert world.cloudflare.recording_on_start == {"made_1": False}


# ---------------------------------------------------------------- the owner of the meeting


def changes(world: World) -> list[str]:
    """Return the calls that changed something at Cloudflare."""
    return [call for call in world.trap.calls if call in {"provider.create_meeting", "provider.set_record_on_start"}]


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("auto", [None, False, True])
def test_a_refused_call_changes_nothing_in_another_tenants_meeting(
    world: World, exists: bool, released: bool, auto: bool | None
) -> None:
    world.put_room(tenant_id="tenant_2", meeting_id="theirs", record_on_start=True)
    if released:
        world.delete_room(tenant_id="tenant_2")
    if exists:
        world.put_room()
    before = dict(world.cloudflare.recording_on_start)
    world.trap = Trap(999, only="provider")
    with pytest.raises(MeetingInUse):
        world.put_room(meeting_id="theirs", record_on_start=auto)
    # Not even a read: the table has the answer.
    assert world.trap.calls == []
    assert world.cloudflare.recording_on_start == before


def test_a_meeting_that_was_adopted_meanwhile_is_unchanged(world: World) -> None:
    look = world.cloudflare.get_record_on_start

    def overtaken(meeting_id: str) -> bool | None:
        world.cloudflare.get_record_on_start = look  # type: ignore[method-assign]
        world.put_room(tenant_id="tenant_2", meeting_id="theirs", record_on_start=True)
        return look(meeting_id)

    world.cloudflare.get_record_on_start = overtaken  # type: ignore[method-assign]
    with pytest.raises(MeetingInUse):
        world.put_room(meeting_id="theirs", record_on_start=False)
    assert world.cloudflare.recording_on_start == {"theirs": True}


def test_to_name_a_meeting_needs_its_scope(world: World) -> None:
    world.trap = Trap(999)
    with pytest.raises(ScopeMissing):
        world.put_room(meeting_id="theirs", may_adopt=False)
    with pytest.raises(ScopeMissing):
        # The same holds for a meeting of another tenant, and for an unknown one.
        world.put_room(meeting_id="nowhere", may_adopt=False)
    assert {call.split(".")[0] for call in world.trap.calls} == {"rooms"}
    world.put_room(meeting_id="theirs")
    room, _ = world.put_room(meeting_id="theirs", name="The one it has", may_adopt=False)
    assert room.name == "The one it has"
    with pytest.raises(ScopeMissing):
        world.put_room(meeting_id="other", may_adopt=False)


# ---------------------------------------------------------------- releasing the old meeting


def test_a_room_that_is_recorded_keeps_its_meeting(world: World) -> None:
    world.put_room(record_on_start=True)
    recording = world.start()
    with pytest.raises(RoomIsRecording) as refused:
        world.put_room(meeting_id="theirs")
    assert refused.value.blocker == recording
    assert world.room().meeting_id == "made_1"
    assert world.cloudflare.recording_on_start == {"made_1": True}


def test_a_room_with_an_automatic_recording_keeps_its_meeting(world: World) -> None:
    world.put_room(record_on_start=True)
    running = world.cloudflare.begin_by_itself("made_1")
    world.trap = Trap(999, only="provider")
    with pytest.raises(RoomIsRecording) as refused:
        world.put_room(meeting_id="theirs")
    assert refused.value.blocker == world.of(running)
    assert world.room().active_recording_id == world.of(running).id
    assert changes(world) == []


def test_ended_recordings_are_imported_before_a_release(world: World) -> None:
    world.put_room(name="Before")
    for end in (world.cloudflare.upload, world.cloudflare.end, world.cloudflare.lose):
        end(world.cloudflare.begin_by_itself("made_1").cloudflare_recording_id)
        world.clock.advance(minutes=1)
    world.put_room(meeting_id="theirs", name="After")
    assert {(one.meeting_id, one.room_id, one.room_name) for one in world.all()} == {("made_1", "room_1", "Before")}
    assert len(world.all()) == 3
    assert world.room().lease_nonce is None


def test_a_recording_that_begins_during_a_release_refuses_it(world: World) -> None:
    world.put_room(record_on_start=True)
    switch = world.cloudflare.set_record_on_start

    def begun_meanwhile(meeting_id: str, *, record_on_start: bool) -> None:
        world.cloudflare.set_record_on_start = switch  # type: ignore[method-assign]
        world.cloudflare.begin_by_itself(meeting_id)
        switch(meeting_id, record_on_start=record_on_start)

    world.cloudflare.set_record_on_start = begun_meanwhile  # type: ignore[method-assign]
    with pytest.raises(RoomIsRecording):
        world.put_room(meeting_id="theirs")
    assert world.room().meeting_id == "made_1"
    assert world.cloudflare.recording_on_start == {"made_1": True}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("n", range(16))
def test_a_change_of_meeting_that_dies_can_be_repeated_and_loses_no_recording(
    world: World, n: int, after: bool
) -> None:
    world.put_room(record_on_start=True)
    ended = world.cloudflare.upload(world.cloudflare.begin_by_itself("made_1").cloudflare_recording_id)
    world.trap = Trap(n, Killed(), after=after)
    try:
        world.put_room(meeting_id="theirs")
    except Killed:
        pass
    world.let_go()
    world.sync()
    assert world.cloudflare.recording_on_start[world.room().meeting_id] is True
    world.put_room(meeting_id="theirs")
    assert (world.room().meeting_id, world.room().lease_nonce) == ("theirs", None)
    world.sync()
    assert world.cloudflare.recording_on_start == {"made_1": False, "theirs": True}
    assert world.of(ended).room_id == "room_1"
    world.assert_sound()


@pytest.mark.parametrize("n", range(9))
def test_a_change_of_meeting_that_cloudflare_fails_changes_nothing(world: World, n: int) -> None:
    world.put_room(record_on_start=True)
    world.cloudflare.upload(world.cloudflare.begin_by_itself("made_1").cloudflare_recording_id)
    world.trap = Trap(n, ProviderTimeout(), only="provider")
    try:
        world.put_room(meeting_id="theirs")
    except ProviderTimeout:
        pass
    world.trap = Trap(-1)
    room = world.room()
    assert room.lease_nonce is None
    world.sync()
    assert world.cloudflare.recording_on_start[room.meeting_id] is True
    assert world.put_room(meeting_id="theirs")[0].meeting_id == "theirs"
