"""The sync of a room imports what is missing, once."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from recordings.domain.errors import (
    ProviderError,
    ProviderFailure,
    ProviderThrottled,
    ProviderTimeout,
    RoomNotFound,
    Throttled,
)
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from tests.support.builders import NOON, a_room
from tests.unit.services.world import Killed, Trap, World, attempt


@pytest.fixture
def world() -> World:
    return World()


def a_past(world: World, number: int = 3) -> None:
    """Add automatic recordings without webhooks: uploaded, lost, and one that still uploads."""
    for n in range(number):
        provider_recording = world.cloudflare.begin_by_itself("meeting_1")
        world.clock.advance(minutes=1)
        world.cloudflare.end(provider_recording.cloudflare_recording_id)
        world.clock.advance(minutes=1)
        if n % 3 == 0:
            world.cloudflare.upload(provider_recording.cloudflare_recording_id)
        elif n % 3 == 1:
            world.cloudflare.lose(provider_recording.cloudflare_recording_id)


def test_every_recording_is_imported_once_and_a_second_sync_writes_nothing(world: World) -> None:
    a_past(world)
    world.cloudflare.begin_by_itself("meeting_1")
    world.cloudflare.begin_by_itself("meeting_2")
    changed = world.sync_recordings()
    assert [one.cloudflare_recording_id for one in changed] == ["capture_4", "capture_3", "capture_2", "capture_1"]
    assert [one.status for one in changed] == [
        Status.RECORDING, Status.PROCESSING, Status.FAILED, Status.PROCESSING
    ]  # fmt: skip
    assert {one.origin for one in changed} == {"auto"}
    assert [one.created_at for one in changed][::-1] == [NOON + timedelta(minutes=2 * n) for n in range(4)]
    assert {key[0] for key in world.executions.started} == {changed[1].id, changed[3].id}
    world.assert_sound()
    world.trap = Trap(999)
    assert world.sync_recordings() == []
    assert {"recordings.save", "recordings.add"} & set(world.trap.calls) == set()


def test_an_unknown_room_is_not_synced(world: World) -> None:
    for tenant, room in (("tenant_1", "room_9"), ("tenant_2", "room_1")):
        with pytest.raises(RoomNotFound):
            world.sync_recordings(room, tenant)


def test_the_response_has_changed_and_imported_recordings(world: World) -> None:
    recording = world.start()
    world.clock.advance(minutes=1)
    world.cloudflare.end("capture_1")
    (changed,) = world.sync_recordings()
    assert (changed.id, changed.status) == (recording.id, Status.PROCESSING)
    assert world.room().active_recording_id is None


def test_an_unlisted_recording_that_locks_the_room_is_requested(world: World) -> None:
    world.start()
    world.cloudflare.captured["capture_1"] = world.cloudflare.get("capture_1")
    listing = world.cloudflare.list_by_meeting
    world.cloudflare.list_by_meeting = lambda meeting_id: iter([])  # type: ignore[method-assign]
    assert world.sync_recordings() == []
    world.cloudflare.lose("capture_1")
    (changed,) = world.sync_recordings()
    assert changed.status is Status.FAILED
    assert world.room().active_recording_id is None
    world.cloudflare.list_by_meeting = listing  # type: ignore[method-assign]
    assert world.sync_recordings() == []


def test_a_recording_that_locks_the_room_and_is_unknown_to_cloudflare_fails(world: World) -> None:
    world.start()
    world.cloudflare.forget("capture_1")
    assert world.sync_recordings() == []
    world.clock.advance(minutes=10)
    (changed,) = world.sync_recordings()
    assert changed.status is Status.FAILED
    assert world.room().active_recording_id is None
    world.assert_sound()


def test_a_running_recording_beside_a_start_is_left_to_a_later_sync(world: World) -> None:
    a_past(world, 1)
    world.cloudflare.begin_by_itself("meeting_1")
    now = world.clock()
    world.rooms.acquire_lock("tenant_1", "room_1", nonce="x", now=now, until=now + timedelta(seconds=60))
    assert [one.cloudflare_recording_id for one in world.sync_recordings()] == ["capture_1"]
    world.clock.advance(seconds=60)
    assert [one.cloudflare_recording_id for one in world.sync_recordings()] == ["capture_2"]
    world.assert_sound()


def test_deleted_recordings_are_synced_silently_and_purged_ones_do_not_come_back(world: World) -> None:
    a_past(world, 3)
    one, _, three = world.sync_recordings()
    world.delete(one)
    world.cloudflare.lose(one.cloudflare_recording_id or "")
    assert world.sync_recordings() == []
    assert world.recordings.get_including_deleted("tenant_1", one.id).status is Status.FAILED
    world.delete(three)
    world.memory.purge(three)
    assert world.sync_recordings() == []
    assert len(world.all()) == 2


def test_a_link_to_another_tenants_recording_imports_nothing(world: World) -> None:
    """Data of earlier releases may have a meeting that moved from one tenant to another."""
    a_past(world, 2)
    world.sync_recordings()
    before = world.all()
    world.rooms.remove(world.room())
    del world.memory.meetings["meeting_1"]
    world.rooms.add(a_room(id="room_2", tenant_id="tenant_2", meeting_id="meeting_1"))
    for one in before:
        world.cloudflare.lose(one.cloudflare_recording_id or "")
    assert world.sync_recordings("room_2", "tenant_2") == []
    assert world.all() == before


@pytest.mark.parametrize("stored", [False, True])
def test_a_sync_sets_record_on_start_as_the_room_has_it(world: World, stored: bool) -> None:
    room = world.room()
    world.rooms.save(room, replace(room, record_on_start=stored, version=2))
    world.cloudflare.recording_on_start["meeting_1"] = not stored
    assert world.sync_recordings() == []
    assert world.cloudflare.recording_on_start["meeting_1"] is stored


def test_a_sync_out_of_time_stores_its_imports_and_the_next_call_resumes(world: World) -> None:
    a_past(world, 7)
    add = world.recordings.add

    def slow(*given: object, **named: object) -> Recording:
        world.clock.advance(seconds=4)
        return add(*given, **named)  # type: ignore[arg-type]

    world.recordings.add = slow  # type: ignore[method-assign]
    with pytest.raises(Throttled) as reported:
        world.sync_recordings()
    assert reported.value.retry_after == 1
    first = len(world.all())
    assert 0 < first < 7
    assert len(world.sync_recordings()) == 7 - first
    world.assert_sound()


def test_a_long_list_needs_few_calls(world: World) -> None:
    a_past(world, 250)
    world.trap = Trap(9999, only="provider")
    assert len(world.sync_recordings()) == 250
    # The list, one request for each recording without `auto_started`, and the meeting's record-on-start.
    assert len(world.trap.calls) == 252
    world.trap = Trap(9999)
    assert world.sync_recordings() == []
    assert len([call for call in world.trap.calls if call.startswith("provider")]) == 2
    assert world.trap.calls.count("recordings.find_by_cloudflare_recording_ids") == 3


def test_many_syncs_at_the_same_moment_import_once(world: World) -> None:
    a_past(world, 6)
    world.cloudflare.begin_by_itself("meeting_1")
    outcomes: list[object] = []
    barrier = threading.Barrier(16)

    def go() -> None:
        barrier.wait()
        outcomes.append(attempt(world.sync_recordings))

    threads = [threading.Thread(target=go) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.all()) == 7
    assert all(isinstance(outcome, list) for outcome in outcomes), outcomes
    world.assert_sound()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_the_next_sync_completes_one_that_died_at_any_call(after: bool) -> None:
    n = 0
    while True:
        world = World()
        a_past(world, 3)
        world.trap = trap = Trap(n, Killed(), after=after)
        try:
            world.sync_recordings()
        except Killed:
            pass
        world.let_go()
        world.sync_recordings()
        assert len(world.all()) == 3
        waiting = {one.id for one in world.all() if one.status is Status.PROCESSING}
        assert {key[0] for key in world.executions.started} == waiting
        world.assert_sound()
        if not trap.sprung:
            break
        n += 1
    assert n > 10


@pytest.mark.parametrize("failure", [ProviderTimeout, ProviderError, ProviderThrottled])
def test_an_error_of_cloudflare_is_raised_and_finished_imports_stay(
    world: World, failure: type[ProviderFailure]
) -> None:
    a_past(world, 3)
    world.trap = Trap(2, failure(), only="provider")
    with pytest.raises(failure):
        world.sync_recordings()
    assert len(world.all()) == 1
    world.trap = Trap(-1)
    assert len(world.sync_recordings()) == 2
    world.assert_sound()
