"""The order to archive: an answer at once, one run, nothing half done."""

import threading
from dataclasses import replace

import pytest

from recordings.domain.errors import ConcurrentUpdate, RecordingNotArchivable, RecordingNotFound
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from tests.support.builders import a_file, a_recording
from tests.unit.services.world import Killed, Trap, World, attempt


@pytest.fixture
def world() -> World:
    """A ready recording, its file in R2."""
    world = World()
    world.recordings.add(a_recording(status=Status.READY), nonce=None)
    world.files.put("key", b"film", content_type="video/mp4")
    return world


def stored(world: World) -> Recording:
    (recording,) = world.all()
    return recording


def test_the_run_is_started_before_the_move_is_stored(world: World) -> None:
    world.trap = Trap(99)
    after = world.archive(stored(world))
    assert world.trap.calls == ["recordings.get", "archiving.start", "recordings.save"]
    assert (after.status, after.archived_at, after.archive_attempt) == (Status.ARCHIVED, world.clock(), 1)
    assert stored(world) == after
    assert list(world.moves.started) == [(after.id, 1)]
    world.assert_sound()


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.READY])
def test_only_a_ready_one_is_archived(status: Status) -> None:
    world = World()
    recording = a_recording(status=status)
    world.recordings.add(recording, nonce=None)
    with pytest.raises(RecordingNotArchivable):
        world.archive(recording)
    assert (world.all(), world.moves.started) == ([recording], {})


def test_only_what_lies_in_r2_is_archived() -> None:
    world = World()
    recording = a_recording(status=Status.READY, file=a_file(provider="s3"))
    world.recordings.add(recording, nonce=None)
    with pytest.raises(RecordingNotArchivable):
        world.archive(recording)
    assert world.moves.started == {}


def test_what_is_unknown_foreign_or_deleted_is_not_found(world: World) -> None:
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
def test_a_call_that_dies_is_made_good_by_its_run_or_by_the_next_call(world: World, n: int, after: bool) -> None:
    recording = stored(world)
    world.trap = Trap(n, Killed(), after=after)
    with pytest.raises(Killed):
        world.archive(recording)
    world.trap = Trap(-1)
    if world.moves.started:
        assert world.move(world.moves.started[recording.id, 1]) == "done"
    else:
        assert stored(world) == recording
        assert world.move(world.archive(recording)) == "done"
    moved = stored(world)
    assert (moved.status, moved.archive_attempt) == (Status.ARCHIVED, 1)
    assert world.files.objects == {}
    world.assert_sound()


def test_a_call_whose_run_was_faster_gives_what_the_run_stored(world: World) -> None:
    recording = stored(world)
    start = world.moves.start

    def fast(moving: Recording) -> None:
        start(moving)
        world.move(moving)

    world.moves.start = fast  # type: ignore[method-assign]
    given = world.archive(recording)
    assert given == stored(world)
    assert given.file is not None
    assert given.file.provider == "s3"


def test_a_change_in_between_is_read_again_and_endless_ones_are_told(world: World) -> None:
    world.trap = Trap(2, ConcurrentUpdate())
    assert world.archive(stored(world)).status is Status.ARCHIVED
    assert list(world.moves.started) == [(stored(world).id, 1)]
    world = World()
    world.recordings.add(a_recording(status=Status.READY), nonce=None)

    def save(*given: object) -> None:
        raise ConcurrentUpdate

    world.recordings.save = save  # type: ignore[method-assign]
    with pytest.raises(ConcurrentUpdate):
        world.archive(stored(world))
    assert stored(world).status is Status.READY
