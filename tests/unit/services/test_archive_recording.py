"""The order to archive: an answer at once, one run, and nothing at all when it is refused."""

import threading
from dataclasses import replace

import pytest

from recordings.domain.errors import ConcurrentUpdate, RecordingNotArchivable, RecordingNotFound, Throttled
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from tests.support.builders import a_file, a_recording
from tests.unit.services.world import Killed, Trap, World, attempt


@pytest.fixture
def world() -> World:
    """A ready recording, its file in R2."""
    world = World()
    world.recordings.add(a_recording(status=Status.READY), lease_nonce=None)
    world.r2.put("key", b"film", content_type="video/mp4")
    return world


def stored(world: World) -> Recording:
    (recording,) = world.all()
    return recording


def test_the_move_is_stored_before_its_execution_starts(world: World) -> None:
    world.trap = Trap(99)
    after = world.archive(stored(world))
    assert world.trap.calls == ["recordings.get", "recordings.save", "archiving.start"]
    assert (after.status, after.archived_at, after.archive_attempt) == (Status.ARCHIVED, world.clock(), 1)
    assert stored(world) == after
    assert list(world.moves.started) == [(after.id, 1)]
    world.assert_sound()


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.READY])
def test_only_a_ready_one_is_archived(status: Status) -> None:
    world = World()
    recording = a_recording(status=status)
    world.recordings.add(recording, lease_nonce=None)
    with pytest.raises(RecordingNotArchivable):
        world.archive(recording)
    assert (world.all(), world.moves.started) == ([recording], {})


def test_only_a_file_in_r2_is_archived() -> None:
    world = World()
    recording = a_recording(status=Status.READY, file=a_file(store="s3"))
    world.recordings.add(recording, lease_nonce=None)
    with pytest.raises(RecordingNotArchivable):
        world.archive(recording)
    assert world.moves.started == {}


def test_an_unknown_foreign_or_deleted_recording_is_not_found(world: World) -> None:
    recording = stored(world)
    world.delete(recording)
    for one in (recording, replace(recording, id="rec_x"), replace(recording, tenant_id="tenant_2")):
        with pytest.raises(RecordingNotFound):
            world.archive(one)
    assert world.moves.started == {}


def test_thirty_two_calls_at_the_same_moment_move_it_once(world: World) -> None:
    outcomes: list[object] = []
    barrier = threading.Barrier(32)
    recording = stored(world)

    def go() -> None:
        barrier.wait()
        outcomes.append(attempt(lambda: world.archive(recording)))

    threads = [threading.Thread(target=go) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(world.moves.started) == [(recording.id, 1)]
    done = [one for one in outcomes if isinstance(one, Recording)]
    refused = [one for one in outcomes if isinstance(one, RecordingNotArchivable)]
    assert set(done) == {stored(world)}
    assert len(done) + len(refused) == 32
    world.assert_sound()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("n", range(3))
def test_a_call_that_dies_is_made_good_by_the_next_sync_or_the_next_call(world: World, n: int, after: bool) -> None:
    recording = stored(world)
    world.trap = Trap(n, Killed(), after=after)
    with pytest.raises(Killed):
        world.archive(recording)
    world.trap = Trap(-1)
    if stored(world) == recording:
        assert world.moves.started == {}
        world.archive(recording)
    else:
        # The caller may not ask again: what is archived is not archivable.
        world.clock.advance(minutes=11)
        world.sync()
    assert world.move(world.moves.started[recording.id, 1]) == "done"
    moved = stored(world)
    assert (moved.status, moved.archive_attempt) == (Status.ARCHIVED, 1)
    assert world.r2.objects == {}
    world.assert_sound()


def test_a_run_that_is_faster_than_its_call_changes_nothing_of_the_answer(world: World) -> None:
    recording = stored(world)
    start = world.moves.start

    def fast(moving: Recording) -> None:
        start(moving)
        world.move(moving)

    world.moves.start = fast  # type: ignore[method-assign, assignment]
    given, after = world.archive(recording), stored(world)
    assert (given.status, given.archived_at) == (after.status, after.archived_at)
    assert after.file is not None
    assert after.file.store == "s3"


def test_a_delete_that_is_faster_refuses_the_move_and_nothing_moves(world: World) -> None:
    recording = stored(world)
    save = world.recordings.save

    def late(before: Recording, after: Recording) -> Recording:
        world.recordings.save = save  # type: ignore[method-assign]
        world.delete(recording)
        return save(before, after)

    world.recordings.save = late  # type: ignore[method-assign]
    with pytest.raises(RecordingNotFound):
        world.archive(recording)
    assert world.moves.started == {}
    assert (stored(world).status, stored(world).archive) == (Status.READY, None)
    # An execution of this attempt that somebody starts all the same finds nothing to move.
    world.moves.started[recording.id, 1] = replace(recording, archive_attempt=1)
    assert world.move(world.moves.started[recording.id, 1]) == "nothing"
    assert world.s3.objects == {}
    world.assert_sound()


def test_a_move_that_step_functions_does_not_take_is_granted_and_started_by_the_sync(world: World) -> None:
    world.trap = Trap(0, Throttled(), only="archiving")
    given = world.archive(stored(world))
    assert (given.status, world.moves.started) == (Status.ARCHIVED, {})
    world.trap = Trap(-1)
    assert world.sync() == 0
    world.clock.advance(minutes=11)
    assert world.sync() == 1
    assert world.move(given) == "done"


def test_a_concurrent_change_is_read_again_and_endless_ones_raise_an_error(world: World) -> None:
    world.trap = Trap(1, ConcurrentUpdate())
    assert world.archive(stored(world)).status is Status.ARCHIVED
    assert list(world.moves.started) == [(stored(world).id, 1)]
    world = World()
    world.recordings.add(a_recording(status=Status.READY), lease_nonce=None)

    def save(*given: object) -> None:
        raise ConcurrentUpdate

    world.recordings.save = save  # type: ignore[method-assign, assignment]
    with pytest.raises(ConcurrentUpdate):
        world.archive(stored(world))
    assert stored(world).status is Status.READY
