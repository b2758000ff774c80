"""Creating and updating a room, also when others do so at the same time."""

import threading
from typing import Any

import pytest

from recordings.domain.errors import (
    ConcurrentUpdate,
    MeetingInUse,
    MeetingUnknown,
    ProviderTimeout,
    RoomNotFound,
    Throttled,
)
from recordings.domain.room import Room
from tests.support.builders import NOON, a_room
from tests.support.fakes import MemoryRooms
from tests.unit.services.world import Killed, Trap, World, attempt


@pytest.fixture
def world() -> World:
    """One without rooms."""
    world = World()
    world.rooms.remove(world.room())
    return world


def test_a_room_without_a_meeting_gets_one_of_its_own(world: World) -> None:
    room, new = world.put_room(name="Name")
    assert (room.name, room.meeting_id, room.record_on_start, new) == ("Name", "made_1", False, True)
    assert (room.created_at, room.updated_at, room.version) == (NOON, NOON, 1)
    assert world.room() == room


def test_a_meeting_that_is_named_is_taken_and_none_is_made(world: World) -> None:
    room, _ = world.put_room(meeting_id="theirs", record_on_start=True)
    assert (room.meeting_id, room.record_on_start) == ("theirs", True)
    assert world.cloudflare.meetings == []


def test_what_is_not_named_stays_as_it_is(world: World) -> None:
    world.put_room(meeting_id="theirs", record_on_start=True)
    world.clock.advance(hours=1)
    room, new = world.put_room(name="New")
    assert (room.name, room.meeting_id, room.record_on_start, new) == ("New", "theirs", True, False)
    assert (room.created_at, room.updated_at, room.version) == (NOON, world.clock(), 2)
    assert world.room() == room
    assert world.cloudflare.meetings == []


def test_what_is_named_changes(world: World) -> None:
    world.put_room(meeting_id="theirs", record_on_start=True)
    room, _ = world.put_room(meeting_id="other", record_on_start=False)
    assert (room.meeting_id, room.record_on_start) == ("other", False)
    assert world.rooms.of_meeting("theirs") is None
    assert world.rooms.of_meeting("other") == room


def test_however_often_it_is_called_one_meeting_is_made(world: World) -> None:
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
    assert world.rooms.of_meeting("theirs") == a_room(id="room_2", tenant_id="tenant_2", meeting_id="theirs")


def test_no_room_is_made_when_cloudflare_makes_no_meeting(world: World) -> None:
    world.trap = Trap(0, ProviderTimeout(), only="recorder")
    with pytest.raises(ProviderTimeout):
        world.put_room()
    with pytest.raises(RoomNotFound):
        world.room()


class Contended(MemoryRooms):
    """Somebody else changes the room between our reading and our writing, some times."""

    def __init__(self, world: World, times: int) -> None:
        super().__init__(world.memory)
        self.times = times

    def _meanwhile(self) -> None:
        if self.times > 0:
            self.times -= 1
            room = super().get("tenant_1", "room_1")
            super().save(room, a_room(name="theirs", meeting_id=room.meeting_id, version=room.version + 1))

    def save(self, before: Room, after: Room) -> None:
        self._meanwhile()
        super().save(before, after)


def test_a_change_by_somebody_else_is_read_again_and_lost_by_nobody(world: World) -> None:
    world.put_room(meeting_id="theirs")
    world.rooms = Contended(world, 4)
    room, _ = world.put_room(name="ours")
    assert (room.name, room.version) == ("ours", 6)


def test_endless_changes_by_others_are_told(world: World) -> None:
    world.put_room(meeting_id="theirs")
    world.rooms = Contended(world, 5)
    with pytest.raises(ConcurrentUpdate):
        world.put_room(name="ours")


class Flickering(MemoryRooms):
    """Somebody makes the room just before us, and removes it just after."""

    def add(self, room: Room, *, adopted: bool = False) -> None:
        raise ConcurrentUpdate


def test_a_room_that_comes_and_goes_costs_one_meeting(world: World) -> None:
    world.rooms = Flickering(world.memory)
    with pytest.raises(ConcurrentUpdate):
        world.put_room()
    assert world.cloudflare.meetings == ["made_1"]


class Overtaken(MemoryRooms):
    """Somebody else makes the room from beginning to end after we have looked for it."""

    def __init__(self, world: World) -> None:
        super().__init__(world.memory)
        self.world = world

    def claim(self, *given: Any, **named: Any) -> str | None:
        self.world.rooms = MemoryRooms(self.world.memory)
        self.world.put_room(name="theirs")
        return super().claim(*given, **named)


def test_a_room_that_was_made_since_we_looked_costs_no_second_meeting(world: World) -> None:
    world.rooms = Overtaken(world)
    room, new = world.put_room(name="ours")
    assert (room.name, room.meeting_id, room.version, new) == ("ours", "made_1", 2, False)
    assert world.cloudflare.meetings == ["made_1"]
    assert world.memory.claims == {}


def test_simultaneous_calls_make_one_room(world: World) -> None:
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
    # A meeting that was noted is used; one whose maker died before noting it stays behind, empty, at Cloudflare.
    assert len(world.cloudflare.meetings) == (2 if (n, after) in {(3, True), (4, False)} else 1)
    assert world.rooms.of_meeting(room.meeting_id) == room


def test_a_meeting_that_cloudflare_does_not_know_is_refused(world: World) -> None:
    with pytest.raises(MeetingUnknown):
        world.put_room(meeting_id="nowhere")
    with pytest.raises(RoomNotFound):
        world.room()
    world.put_room()
    with pytest.raises(MeetingUnknown):
        world.put_room(meeting_id="nowhere")
    assert world.room().meeting_id == "made_1"


def test_cloudflare_is_told_whether_its_meeting_records_by_itself(world: World) -> None:
    world.put_room(record_on_start=False)
    world.put_room(record_on_start=False)
    assert world.cloudflare.recording_on_start == {}
    world.put_room(record_on_start=True)
    assert world.cloudflare.recording_on_start == {"made_1": True}
    world.put_room(meeting_id="theirs", record_on_start=False)
    assert world.cloudflare.recording_on_start == {"made_1": True, "theirs": False}
