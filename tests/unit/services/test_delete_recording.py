"""Deleting and undeleting: nothing is lost or counted twice, also with concurrent calls."""

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from recordings.domain.errors import ConcurrentUpdate, RecordingInProgress, RecordingNotFound
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from tests.support.builders import a_recording
from tests.unit.services.world import Killed, Trap, World, attempt

RESTING = [status for status in Status if status is not Status.RECORDING]


def with_one(status: Status = Status.READY) -> World:
    world = World()
    world.recordings.add(a_recording(status=status), lease_nonce=None)
    return world


def stored(world: World) -> Recording:
    (recording,) = world.all()
    return recording


def together(number: int, act: Callable[[int], object]) -> list[object]:
    outcomes: list[object] = []
    barrier = threading.Barrier(number)

    def go(n: int) -> None:
        barrier.wait()
        outcomes.append(attempt(lambda: act(n)))

    threads = [threading.Thread(target=go, args=(n,)) for n in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.parametrize("status", RESTING)
def test_a_deleted_recording_leaves_lists_counts_and_lookups_and_can_return(status: Status) -> None:
    world = with_one(status)
    before = stored(world)
    gone = world.delete(before)
    assert (gone.deleted_at, gone.status, gone.file) == (world.clock(), status, before.file)
    with pytest.raises(RecordingNotFound):
        world.recordings.get("tenant_1", before.id)
    assert world.recordings.page("tenant_1", limit=10).total == 0
    world.assert_sound()
    back = world.undelete(before)
    assert back == replace(before, version=before.version + 2)
    assert world.recordings.get("tenant_1", before.id) == back
    assert world.recordings.page("tenant_1", limit=10).total == 1
    world.assert_sound()


def test_a_recording_in_progress_is_not_deleted() -> None:
    world = with_one(Status.RECORDING)
    with pytest.raises(RecordingInProgress):
        world.delete(stored(world))
    assert stored(world).deleted_at is None


def test_a_second_deletion_finds_nothing_and_a_second_undelete_changes_nothing() -> None:
    world = with_one()
    world.delete(stored(world))
    with pytest.raises(RecordingNotFound):
        world.delete(stored(world))
    back = world.undelete(stored(world))
    assert world.undelete(back) == back


def test_an_unknown_or_foreign_recording_is_not_found() -> None:
    world = with_one()
    for one in (replace(stored(world), id="rec_x"), replace(stored(world), tenant_id="tenant_2")):
        for act in (world.delete, world.undelete):
            with pytest.raises(RecordingNotFound):
                act(one)
    assert stored(world).version == a_recording(status=Status.READY).version


def test_a_purged_recording_does_not_come_back() -> None:
    world = with_one()
    gone = world.delete(stored(world))
    world.memory.purge(gone)
    with pytest.raises(RecordingNotFound):
        world.undelete(gone)


def test_concurrent_deletions_are_one() -> None:
    world = with_one()
    before = stored(world)
    outcomes = together(32, lambda _: world.delete(before))
    assert stored(world).version == before.version + 1
    given = [one for one in outcomes if isinstance(one, Recording)]
    assert given == [stored(world)]
    assert all(isinstance(one, Recording | RecordingNotFound) for one in outcomes)
    world.assert_sound()


def either(world: World, one: Recording, n: int) -> object:
    return (world.delete, world.undelete)[n % 2](one)


def test_concurrent_deletions_and_undeletes_leave_the_count_exact() -> None:
    for _ in range(5):
        world = with_one()
        before = stored(world)
        outcomes = together(32, partial(either, world, before))
        assert all(isinstance(one, Recording | RecordingNotFound | ConcurrentUpdate) for one in outcomes), outcomes
        now = stored(world)
        assert (now.version - before.version) % 2 == (now.deleted_at is not None)
        assert world.recordings.page("tenant_1", limit=10).total == (now.deleted_at is None)
        world.assert_sound()


def test_processing_of_a_deleted_recording_completes() -> None:
    world = World()
    recording = world.start()
    world.stop()
    world.delete(recording)
    world.cloudflare.upload("capture_1")
    assert world.process(recording) == "ready"
    done = stored(world)
    assert (done.status, done.deleted_at) == (Status.READY, world.clock())
    world.assert_sound()
    assert world.undelete(done).status is Status.READY
    world.assert_sound()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("act", [World.delete, World.undelete], ids=["delete", "undelete"])
def test_a_call_that_dies_changes_all_or_nothing(
    act: Callable[[World, Recording], Recording], n: int, after: bool
) -> None:
    world = with_one()
    if act is World.undelete:
        world.delete(stored(world))
    world.trap = Trap(n, Killed(), after=after)
    with pytest.raises(Killed):
        act(world, stored(world))
    world.trap = Trap(-1)
    world.assert_sound()
    attempt(lambda: act(world, stored(world)))
    assert (stored(world).deleted_at is not None) == (act is World.delete)
    world.assert_sound()
