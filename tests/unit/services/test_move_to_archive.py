"""The move to cold storage, killed at every call: the file can be read at every moment, and one copy is left."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zlib import crc32

import pytest

from recordings.domain.errors import AttemptReplaced, ChecksumMismatch, ConcurrentUpdate, SourceUnavailable
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.domain.transfer import MULTIPART_THRESHOLD_BYTES, Attempt, TransferPlan, TransferResult
from recordings.services.recordings.download_recording import Archived, Ready
from recordings.services.transfer.archive import AbandonArchive, BeginArchive, FinishArchive
from recordings.services.transfer.plan import PlanArchive
from tests.support.builders import a_file, a_recording
from tests.support.fakes import StoredReader
from tests.unit.services.world import Killed, Trap, World

SMALL = b"a film of a meeting"
LARGE = bytes(range(256)) * (MULTIPART_THRESHOLD_BYTES // 256) + b"end"  # two parts


class Store(World):
    """A ready recording whose file lies in R2, and that is being archived."""

    def __init__(self, content: bytes = SMALL, crc: str | None = "") -> None:
        super().__init__()
        self.content = self.known = content
        known = f"{crc32(content):08x}" if crc == "" else crc
        file = a_file(size_bytes=len(content), crc32=known, sha256="5" * 64, content_type="video/x-matroska")
        self.recordings.add(a_recording(status=Status.READY, file=file), lease_nonce=None)
        self.r2.put("key", content, content_type="video/mp4")
        self.moving = self.archive(self.now())
        self.attempt = Attempt(tenant_id="tenant_1", recording_id=self.moving.id, attempt=1)

    def now(self) -> Recording:
        (recording,) = self.all()
        return recording

    def assert_readable(self) -> None:
        """The bytes are where the recording says they are."""
        file = self.now().file
        assert file is not None
        here = self.r2 if file.store == "r2" else self.s3
        found = here.objects[file.key][0]
        # Megabytes that were equal once are not compared again at every call.
        if found is not self.known:
            assert found == self.content
            self.known = found

    def assert_one_copy(self, provider: str) -> None:
        self.assert_readable()
        self.assert_sound()
        stores = {"r2": self.r2, "s3": self.s3}
        assert {name: len(store.objects) for name, store in stores.items()} == {
            name: int(name == provider) for name in stores
        }
        assert self.s3.unfinished == {}

    def finish(self) -> FinishArchive:
        return FinishArchive(**self.ports("recordings", "store", "archive", "links"))

    def plan(self) -> TransferPlan | None:
        return PlanArchive(recordings=self.recordings, source=StoredReader(self.r2), archive=self.s3, clock=self.clock)(
            self.attempt
        )


@pytest.mark.parametrize("content", [SMALL, b"", LARGE], ids=["small", "empty", "large"])
def test_a_file_moves_and_the_recording_with_it(content: bytes) -> None:
    store = Store(content)
    assert store.move(store.moving) == "done"
    after = store.now()
    assert after.file is not None
    assert after.file == replace(after.file, store="s3", size_bytes=len(content), content_type="video/x-matroska")
    assert store.s3.content_types[after.file.key] == "video/x-matroska"
    assert after.file.key.startswith(f"recordings/tenant_1/room_1/{after.id}/1/")
    assert (after.file.crc32, after.file.sha256) == (f"{crc32(content):08x}", "5" * 64)
    assert after.file.etag == store.s3.objects[after.file.key][1]
    assert after.archive is not None
    assert (after.archive.state, after.archive.storage_class) == ("stored", "GLACIER")
    # Once for the copy that is the file now, once for R2 that was emptied.
    assert after.version == store.moving.version + 2
    assert not after.unfinished
    store.assert_one_copy("s3")


def test_while_it_moves_it_is_served_from_r2_and_then_it_is_archived() -> None:
    store = Store()
    before = store.download(store.moving)
    assert isinstance(before, Ready)
    assert before.file.store == "r2"
    store.move(store.moving)
    assert isinstance(store.download(store.moving), Archived)


@pytest.mark.no_cover
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_a_move_that_is_killed_anywhere_and_repeated_arrives_and_is_readable_all_the_time(
    content: bytes, after: bool
) -> None:
    n, sprung = 0, True
    while sprung:
        store = Store(content)
        store.trap = trap = Trap(n, Killed(), after=after)
        watch(store)
        end = store.move(store.moving)
        assert end == "done", (n, trap.calls)
        sprung = trap.sprung
        store.assert_one_copy("s3")
        n += 1
    assert n > 10


@pytest.mark.no_cover
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_move_whose_execution_dies_anywhere_is_restarted_and_arrives(after: bool) -> None:
    n, sprung = 0, True
    while sprung:
        store = Store(LARGE)
        store.trap = trap = Trap(n, Killed(), after=after)
        watch(store)
        store.repeats = False
        try:
            store.move(store.moving)
        except Killed:
            pass
        store.assert_readable()
        store.trap, store.repeats = Trap(-1), True
        store.clock.advance(minutes=11)
        moving = store.now()
        if moving.moving:
            store.moves.end(moving)
            store.sync()
            assert store.moves.restarted
            assert store.move(moving) == "done"
        else:
            # One that died when the copy was the file may have left R2 full: the sync empties it.
            store.sync()
        store.assert_one_copy("s3")
        assert not store.now().unfinished
        sprung = trap.sprung
        n += 1
    assert n > 10


def watch(store: Store) -> None:
    """Look after each call to a port whether the file can be read."""
    call = store.trap.call

    def watched(name: str, method: Callable[..., Any], *given: Any, **named: Any) -> Any:
        try:
            return call(name, method, *given, **named)
        finally:
            store.assert_readable()

    store.trap.call = watched  # type: ignore[method-assign]


# ---------------------------------------------------------------- what goes wrong for good


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_a_source_that_was_damaged_is_not_archived(content: bytes) -> None:
    store = Store(content)
    store.content = damaged = bytes([content[0] ^ 1]) + content[1:]
    store.r2.put("key", damaged, content_type="video/mp4")
    assert store.move(store.moving) == "abandoned"
    after = store.now()
    assert (after.status, after.archived_at, after.archive) == (Status.READY, None, None)
    assert after.archive_error is not None
    assert after.archive_error.code == "archive_failed"
    assert after.file is not None
    assert after.file.store == "r2"
    assert store.s3.unfinished == {}
    store.assert_readable()
    store.assert_sound()


def test_what_was_abandoned_can_be_archived_again() -> None:
    store = Store()
    store.abandon(store.moving)
    assert store.now().status is Status.READY
    again = store.archive(store.now())
    assert (again.archive_attempt, again.archive_error) == (2, None)
    assert store.move(store.moving) is None
    assert store.move(again) == "done"
    store.assert_one_copy("s3")


def test_a_move_abandoned_after_its_copy_was_stored_is_served_from_r2() -> None:
    store = Store()
    plan = store.plan()
    assert plan is not None
    store.s3.put(plan.key, SMALL, content_type="video/mp4")
    abandon = AbandonArchive(recordings=store.recordings, clock=store.clock, archive=store.s3)
    assert abandon(store.attempt) is Status.READY
    file = store.now().file
    assert file is not None
    assert (file.store, file.key) == ("r2", "key")
    store.assert_readable()
    # Nothing is left of it.
    assert store.s3.objects == {}
    again = store.archive(store.now())
    assert store.move(again) == "done"
    store.assert_one_copy("s3")


def test_an_abandoned_move_aborts_the_upload_of_an_execution_that_died() -> None:
    store = Store(LARGE)
    plan = store.plan()
    assert plan is not None
    assert list(store.s3.unfinished) == [plan.upload_id]
    store.abandon(store.moving)
    assert store.now().status is Status.READY
    assert store.s3.unfinished == {}


def test_abandoning_a_finished_move_deletes_nothing() -> None:
    store = Store()
    store.move(store.moving)
    abandon = AbandonArchive(recordings=store.recordings, clock=store.clock, archive=store.s3)
    assert abandon(store.attempt) is Status.ARCHIVED
    store.assert_one_copy("s3")


def test_the_move_of_a_missing_file_is_abandoned_and_the_recording_is_ready_again() -> None:
    store = Store()
    store.r2.delete("key")
    with pytest.raises(SourceUnavailable):
        store.plan()
    assert store.move(store.moving) == "abandoned"
    assert store.now().status is Status.READY


@pytest.mark.parametrize("damage", ["flipped", "short", "gone"])
def test_a_copy_that_is_not_the_source_never_becomes_the_file(damage: str) -> None:
    store = Store(LARGE)
    complete = store.s3.complete_upload

    def bad(key: str, *given: Any) -> None:
        complete(key, *given)
        content = store.s3.objects[key][0]
        if damage == "gone":
            store.s3.delete(key)
        else:
            store.s3.put(key, content[:-1] if damage == "short" else b"x" + content[1:], content_type="x")

    store.s3.complete_upload = bad  # type: ignore[method-assign, assignment]
    assert store.move(store.moving) == "abandoned"
    file = store.now().file
    assert file is not None
    assert file.store == "r2"
    store.assert_readable()
    store.assert_sound()


def test_r2_is_not_emptied_when_the_copy_was_not_verified() -> None:
    store = Store()
    plan = store.plan()
    assert plan is not None
    with pytest.raises(ChecksumMismatch):
        store.finish()(store.attempt, plan, TransferResult(etag=None, crc32="00000000", verified=True))
    store.assert_one_copy("r2")


def test_a_run_of_another_attempt_changes_nothing() -> None:
    store = Store()
    old = store.attempt
    plan = store.plan()
    assert plan is not None
    store.abandon(store.moving)
    store.s3.put(plan.key, SMALL, content_type="video/mp4")
    again = store.archive(store.now())
    assert BeginArchive(recordings=store.recordings)(old) is False
    with pytest.raises(AttemptReplaced):
        store.finish()(old, plan, TransferResult(etag=None, crc32=None, verified=True))
    abandon = AbandonArchive(recordings=store.recordings, clock=store.clock, archive=store.s3)
    assert abandon(old) is Status.ARCHIVED
    assert store.now() == again
    store.assert_readable()


def test_a_run_whose_move_is_over_moves_nothing() -> None:
    store = Store()
    store.move(store.moving)
    begin = BeginArchive(recordings=store.recordings)
    assert store.plan() is None
    assert begin(store.attempt) is True
    store.finish()(store.attempt, None, None)
    store.assert_one_copy("s3")
    abandon = AbandonArchive(recordings=store.recordings, clock=store.clock, archive=store.s3)
    assert abandon(store.attempt) is Status.ARCHIVED
    store.assert_one_copy("s3")


@pytest.mark.parametrize("deleted", [False, True])
def test_an_execution_whose_move_was_never_decided_moves_nothing(deleted: bool) -> None:
    store = Store()
    ready = a_recording(status=Status.READY, file=a_file(), version=3)
    store.memory.recordings["tenant_1", ready.id] = ready.deleted(at=store.clock()) if deleted else ready
    before = store.now()
    assert BeginArchive(recordings=store.recordings)(store.attempt) is False
    assert store.move(store.moving) == "nothing"
    assert store.now() == before
    assert store.s3.objects == {}


def test_an_execution_of_an_attempt_that_is_over_drops_nothing_of_the_present_one() -> None:
    store = Store(LARGE)
    store.abandon(store.moving)
    again = store.archive(store.now())
    present = PlanArchive(
        recordings=store.recordings, source=StoredReader(store.r2), archive=store.s3, clock=store.clock
    )(replace(store.attempt, attempt=again.archive_attempt))
    assert present is not None
    # The old one is at work still: its plan would abort the upload.
    assert store.plan() is None
    assert list(store.s3.unfinished) == [present.upload_id]


# ---------------------------------------------------------------- URLs that were given out of R2

WEEK = 7 * 24 * 3600


@pytest.mark.parametrize("when", ["before", "while it moves"])
@pytest.mark.parametrize("seconds", [60, 3600, WEEK])
def test_a_url_works_to_its_end_also_when_the_file_moves(when: str, seconds: int) -> None:
    store = Store()
    if when == "before":
        store.abandon(store.moving)
        link = store.download(store.now(), seconds)
        store.moving = store.archive(store.now())
    else:
        link = store.download(store.moving, seconds)
    assert isinstance(link, Ready)
    assert store.move(store.moving) == "done"
    assert isinstance(store.download(store.now()), Archived)
    # The very last second of it, and whatever syncs come before.
    for _ in range(3):
        store.clock.advance(seconds=seconds / 3 - 1)
        store.sync()
        assert store.r2.objects["key"][0] == store.content
    store.clock.at = link.expires_at
    store.sync()
    assert "key" in store.r2.objects
    # Some minutes later nothing is left, and nothing is open.
    store.clock.advance(minutes=11)
    assert store.sync() == 1
    store.assert_one_copy("s3")
    assert not store.now().unfinished
    assert store.sync() == 0


def test_a_download_at_the_end_of_a_move_returns_a_url_that_works_or_none() -> None:
    for n in range(30):
        store = Store()
        links: list[object] = []
        store.trap = trap = Trap(10**6)
        call = trap.call

        def between(
            name: str, method: Callable[..., Any], *given: Any,
            _call: Any = call, _store: Store = store, _n: int = n, _links: list[object] = links, _trap: Trap = trap,
            **named: Any,
        ) -> Any:  # fmt: skip
            if len(_trap.calls) == _n and not _links:
                _links.append(None)
                _links.append(_store.download(_store.now()))
            return _call(name, method, *given, **named)

        trap.call = between  # type: ignore[method-assign]
        assert store.move(store.moving) == "done"
        if len(links) == 2:
            assert isinstance(links[1], Archived) or "key" in store.r2.objects, n
        store.trap = Trap(-1)
        store.clock.advance(hours=2)
        store.sync()
        store.assert_one_copy("s3")


def test_many_downloads_write_little() -> None:
    store = Store()
    store.trap = Trap(10**6, only="links.note_expiry")
    for _ in range(60):
        assert isinstance(store.download(store.moving), Ready)
        store.clock.advance(seconds=10)
    assert len(store.trap.calls) == 1


@pytest.mark.parametrize("times", [1, 4, 5])
def test_a_change_in_between_is_read_again_a_limited_number_of_times(times: int) -> None:
    store = Store()
    save, left = store.recordings.save, [times]

    def busy(before: Recording, after: Recording) -> Recording:
        if left[0]:
            left[0] -= 1
            raise ConcurrentUpdate
        return save(before, after)

    store.recordings.save = busy  # type: ignore[method-assign]
    abandon = AbandonArchive(recordings=store.recordings, clock=store.clock, archive=store.s3)
    if times < 5:
        assert abandon(store.attempt) is Status.READY
    else:
        with pytest.raises(ConcurrentUpdate):
            abandon(store.attempt)


def test_a_deleted_recording_is_moved_to_the_end_and_stays_deleted() -> None:
    store = Store()
    store.delete(store.moving)
    assert store.move(store.moving) == "done"
    assert store.now().deleted_at is not None
    store.assert_one_copy("s3")


def test_a_file_without_a_known_crc32_gets_one_by_the_move() -> None:
    store = Store(crc=None)
    plan = store.plan()
    assert plan is not None
    assert plan.crc32 is None
    assert store.move(store.moving) == "done"
    assert store.now().file == replace(store.now().file or a_file(), crc32=f"{crc32(SMALL):08x}")
