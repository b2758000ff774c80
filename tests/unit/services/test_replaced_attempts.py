"""A task of a replaced attempt that goes on all the same: wherever it is overtaken, the new attempt is not harmed."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from recordings.domain.admission import FILE_INVALID
from recordings.domain.archive import Archive
from recordings.domain.errors import AttemptReplaced
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Progress, Recording
from recordings.domain.storage_keys import archive_key, attempt_key
from recordings.domain.transfer import MULTIPART_THRESHOLD_BYTES, Attempt, Segment
from recordings.services.transfer.attempts import add_progress, get_moving, get_waiting
from recordings.services.transfer.check import CheckSegment
from recordings.services.transfer.complete import CompleteTransfer
from recordings.services.transfer.copy import PROGRESS_INTERVAL_BYTES, CopySegment
from recordings.services.transfer.mark import MarkFailed, MarkReady
from recordings.services.transfer.plan import PlanTransfer, abort_uploads
from tests.support.builders import a_file, a_recording, a_verified_file
from tests.support.fakes import MemoryObjectStore, MemoryReader
from tests.unit.services.world import CONTENT, Killed, Trap, World, facts_by_content

# Told apart from what the new attempt stores.
OLD_CONTENT = CONTENT[::-1]


class Meanwhile(Trap):
    """At one call to a port something else happens, before or after it."""

    def __init__(self, at: int, act: Callable[[], object], *, after: bool) -> None:
        super().__init__(at)
        self.act, self.late = act, after

    def call(self, name: str, method: Callable[..., Any], *given: Any, **named: Any) -> Any:
        at = len(self.calls)
        self.calls.append(name)
        if at == self.at and not self.late:
            self.act()
        try:
            return method(*given, **named)
        finally:
            if at == self.at and self.late:
                self.act()


class Interrupted:
    """The old attempt's execution, with the new attempt come as far as `stage` at its n-th call."""

    def __init__(self, stage: str, *, page: bool, large: bool) -> None:
        self.world = World()
        if large:
            self.world.multipart_threshold_bytes = 10
        self.stage = stage
        self.new: Recording | None = None
        self.seen: tuple[object, ...] = ()
        old = MemoryReader(b"<html>" if page else OLD_CONTENT)
        self.world.make_reader = lambda: old if self.new is None else MemoryReader(CONTENT)
        self.world.start()
        self.world.clock.advance(minutes=1)
        self.old = self.world.stop()
        self.world.cloudflare.upload("capture_1")
        self.world.clock.advance(minutes=1)

    def overtake(self) -> None:
        world, trap = self.world, self.world.trap
        world.trap = Trap(-1)
        try:
            self.new = world.recover(self.old)
            if self.stage == "copying":
                # It dies just before its file is complete; its execution tries again later.
                world.trap, world.repeats = Trap(0, Killed(), only="store.complete_upload"), False
                with pytest.raises(Killed):
                    world.process(self.new)
                world.repeats = True
            elif self.stage == "ready":
                assert world.process(self.new) == "ready"
        finally:
            world.trap = trap
        self.seen = self.picture()

    def picture(self) -> tuple[object, ...]:
        """All that is the new attempt's, or the recording's."""
        files = self.world.r2
        prefix = attempt_key(self.now())
        return (
            self.now(),
            {key: file for key, file in files.objects.items() if key.startswith(prefix)},
            {name: (key, dict(parts)) for name, (key, parts) in files.unfinished.items() if key.startswith(prefix)},
            dict(self.world.memory.tokens),
            dict(self.world.cloudflare.captured),
        )

    def now(self) -> Recording:
        (recording,) = self.world.all()
        return recording


def run_old(interrupted: Interrupted, n: int, *, after: bool) -> bool:
    """Run the old attempt to its end; give whether it came to its n-th call."""
    world = interrupted.world
    world.trap = Meanwhile(n, interrupted.overtake, after=after)
    world.process(interrupted.old, zombie=True)
    sprung = world.trap.sprung
    world.trap = Trap(-1)
    return sprung


@pytest.fixture
def without_garbage_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A garbage collection before each of thousands of small segments would take most of the time."""
    monkeypatch.setattr("gc.collect", lambda: 0)


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("stage", "page", "large"),
    [
        ("stored", False, False),
        ("stored", True, False),
        ("ready", False, False),
        ("ready", True, False),
        ("stored", False, True),
        ("copying", False, True),
        ("ready", False, True),
    ],
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_attempt_that_is_overtaken_at_any_call_changes_nothing_of_the_new_one(
    stage: str, page: bool, large: bool, after: bool, request: pytest.FixtureRequest
) -> None:
    if large:
        request.getfixturevalue("without_garbage_collection")
    n, overtaken = 0, 0
    while True:
        interrupted = Interrupted(stage, page=page, large=large)
        if not run_old(interrupted, n, after=after):
            break
        n += 1
        if interrupted.new is None:
            # It had decided by then: there was nothing to recover.
            assert interrupted.now().status is Status.READY
            continue
        overtaken += 1
        assert interrupted.picture() == interrupted.seen, n
        if stage != "ready":
            assert interrupted.world.process(interrupted.new) == "ready", n
        end = interrupted.now()
        assert (end.status, end.attempt, end.partial) == (Status.READY, 2, False)
        assert end.file is not None
        assert end.file.key == attempt_key(end)
        assert interrupted.world.r2.objects[end.file.key][0] == CONTENT
        interrupted.world.assert_sound()
    assert overtaken > 8


class InterruptedMove:
    """The old move's execution, with the new one come as far as `stage` at its n-th call."""

    def __init__(self, stage: str) -> None:
        self.world, self.stage = World(), stage
        self.world.multipart_threshold_bytes = 10
        self.new: Recording | None = None
        self.seen: tuple[object, ...] = ()
        ready = a_recording(status=Status.READY, id="rec_" + "0" * 26, file=a_file(key="k", size_bytes=len(CONTENT)))
        self.world.recordings.add(ready, lease_nonce=None)
        self.world.r2.put("k", CONTENT, content_type="video/mp4")
        self.old = self.world.archive(ready)

    def overtake(self) -> None:
        world, trap = self.world, self.world.trap
        world.trap = Trap(-1)
        try:
            if not self.now().moving:
                return
            world.abandon(self.old)
            self.new = world.archive(self.now())
            if self.stage == "copying":
                world.trap, world.repeats = Trap(0, Killed(), only="archive.complete_upload"), False
                with pytest.raises(Killed):
                    world.move(self.new)
                world.repeats = True
            elif self.stage == "moved":
                assert world.move(self.new) == "done"
        finally:
            world.trap = trap
        self.seen = self.picture()

    def picture(self) -> tuple[object, ...]:
        now, cold = self.now(), self.world.s3
        key = archive_key(now, now.archive_attempt)
        uploads = {name: (at, dict(parts)) for name, (at, parts) in cold.unfinished.items() if at == key}
        return now, cold.objects.get(key), uploads, dict(self.world.r2.objects)

    def now(self) -> Recording:
        (recording,) = self.world.all()
        return recording


@pytest.mark.no_cover
@pytest.mark.parametrize("stage", ["stored", "copying", "moved"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_move_that_is_overtaken_at_any_call_changes_nothing_of_the_new_one(
    stage: str, after: bool, without_garbage_collection: None
) -> None:
    n, overtaken = 0, 0
    while True:
        interrupted = InterruptedMove(stage)
        world = interrupted.world
        world.trap = Meanwhile(n, interrupted.overtake, after=after)
        world.move(interrupted.old)
        sprung = world.trap.sprung
        world.trap = Trap(-1)
        if not sprung:
            break
        n += 1
        if interrupted.new is None:
            # It had moved by then.
            assert interrupted.now().file is not None
            continue
        overtaken += 1
        assert interrupted.picture() == interrupted.seen, n
        if stage != "moved":
            assert world.move(interrupted.new) == "done", n
        end = interrupted.now()
        assert (end.status, end.moving, end.archive_attempt) == (Status.ARCHIVED, False, 2)
        assert end.file is not None
        assert world.s3.objects[end.file.key][0] == CONTENT
        assert world.r2.objects == {}
        world.assert_sound()
    assert overtaken > 8


def test_uploads_of_later_attempts_and_of_others_are_left_alone() -> None:
    files = MemoryObjectStore()
    names = [f"t/r/rec_1/{attempt}/recording.mp4" for attempt in (1, 2, 3, 10)] + ["t/r/rec_10/1/x", "t/r/rec_1/x/y"]
    uploads = {name: files.create_upload(name, content_type="x") for name in names}
    abort_uploads(files, "t/r/rec_1/", until=2)
    assert list(files.unfinished) == [uploads[name] for name in names[2:]]


def test_a_token_of_an_older_attempt_neither_replaces_nor_takes_that_of_a_newer_one() -> None:
    world = World()
    world.start()
    old = world.stop()
    new = world.recover(old)
    world.recordings.store_task_token(new, "new")
    world.recordings.store_task_token(old, "old")
    assert world.recordings.pop_task_token(old, only="old") is None
    assert world.recordings.pop_task_token(new) == "new"


# ---------------------------------------------------------------- each fence by itself


class Fenced:
    """A plan of attempt 1, its parts copied, and the tasks of that attempt; `overtake` starts attempt 2."""

    def __init__(self, *, large: bool, progress_interval_bytes: int = PROGRESS_INTERVAL_BYTES) -> None:
        self.world = World()
        self.world.start()
        self.world.clock.advance(minutes=1)
        self.recording = self.world.stop()
        self.world.cloudflare.upload("capture_1")
        self.attempt = Attempt(tenant_id="tenant_1", recording_id=self.recording.id, attempt=1)
        self.reader = MemoryReader(CONTENT)
        ports = self.world.ports("recordings", "provider", "store")
        self.plan_transfer = PlanTransfer(
            **ports,
            source=self.reader,
            read_media_facts=facts_by_content,
            multipart_threshold_bytes=10 if large else MULTIPART_THRESHOLD_BYTES,
        )
        self.plan = self.plan_transfer(self.attempt)
        assert bool(self.plan.upload_id) == large
        ports = self.world.ports("recordings", "provider", "store", "part_checksums")
        self.copy = CopySegment(**ports, source=self.reader, progress_interval_bytes=progress_interval_bytes)
        self.check = CheckSegment(**ports, source=self.reader)
        self.complete = CompleteTransfer(
            recordings=self.world.recordings, store=self.world.r2, part_checksums=self.world.part_checksums
        )

    def overtake(self) -> Recording:
        return self.world.recover(self.recording)


@pytest.mark.parametrize("how", ["replaced", "failed"])
def test_a_segment_of_an_attempt_that_is_over_reads_and_stores_nothing(
    how: str, without_garbage_collection: None
) -> None:
    fenced = Fenced(large=True)
    if how == "replaced":
        fenced.overtake()
    else:
        MarkFailed(**fenced.world.ports("recordings"))(fenced.attempt, FILE_INVALID)
    for task in (fenced.copy, fenced.check):
        with pytest.raises(AttemptReplaced):
            task(fenced.attempt, fenced.plan, Segment(1, 1))
    assert fenced.reader.reads == {}
    assert fenced.world.part_checksums.stored == {}


def test_a_small_file_whose_attempt_is_replaced_while_it_is_read_is_not_stored() -> None:
    fenced = Fenced(large=False)
    read = fenced.reader.read

    def and_overtake(*given: Any) -> None:
        if not fenced.reader.reads:
            fenced.overtake()
        read(*given)

    fenced.reader.read = and_overtake  # type: ignore[method-assign, assignment]
    with pytest.raises(AttemptReplaced):
        fenced.copy(fenced.attempt, fenced.plan, Segment(1, 1))
    assert fenced.world.r2.objects == {}


def test_a_replaced_attempt_completes_nothing(without_garbage_collection: None) -> None:
    fenced = Fenced(large=True)
    fenced.copy(fenced.attempt, fenced.plan, Segment(1, 1))
    fenced.overtake()
    with pytest.raises(AttemptReplaced):
        fenced.complete(fenced.attempt, fenced.plan, checked=True)
    assert fenced.world.r2.objects == {}


def test_a_copy_that_goes_on_for_long_asks_now_and_then_whether_it_is_still_wanted() -> None:
    fenced = Fenced(large=True, progress_interval_bytes=1)
    upload = fenced.world.r2.upload_part

    def and_overtake(*given: Any, **named: Any) -> str:
        fenced.overtake()
        return upload(*given, **named)

    fenced.world.r2.upload_part = and_overtake  # type: ignore[method-assign]
    with pytest.raises(AttemptReplaced):
        fenced.copy(fenced.attempt, fenced.plan, Segment(1, 1))


def test_a_new_plan_removes_what_older_attempts_left_and_nothing_else() -> None:
    fenced = Fenced(large=False)
    after = fenced.overtake()
    files, old = fenced.world.r2, attempt_key(fenced.recording)
    others = [attempt_key(replace(after, id=f"{after.id}0")), attempt_key(replace(after, attempt=3)), "delivered/t/r/x"]
    for key in (old, *others):
        files.put(key, b"left", content_type="x")
    with pytest.raises(AttemptReplaced):
        fenced.plan_transfer(fenced.attempt)
    assert old in files.objects
    fenced.plan_transfer(replace(fenced.attempt, attempt=2))
    assert sorted(files.objects) == sorted(others)


def test_a_replaced_copy_notes_no_progress_of_the_move_that_came_after_it() -> None:
    for get_current, status in ((get_waiting, Status.ARCHIVED), (get_moving, Status.PROCESSING)):
        world = World()
        moving = a_recording(
            status=status,
            archive=Archive(state="moving") if status is Status.ARCHIVED else None,
            archive_attempt=1,
            progress=Progress(step="copying", attempt=1, bytes_done=0, bytes_total=9),
        )
        world.recordings.add(moving, lease_nonce=None)
        add_progress(
            world.recordings,
            Attempt(tenant_id="tenant_1", recording_id=moving.id, attempt=1),
            5,
            get_current=get_current,
        )
        assert world.all() == [moving]
        add_progress(
            world.recordings, Attempt(tenant_id="tenant_1", recording_id="rec_x", attempt=1), 5, get_current=get_current
        )


@pytest.mark.parametrize(("moving", "attempt", "fenced"), [(True, 1, False), (True, 2, True), (False, 1, True)])
def test_a_move_is_wanted_while_it_is_the_present_one(moving: bool, attempt: int, fenced: bool) -> None:
    world = World()
    archive = Archive(state="moving" if moving else "stored")
    world.recordings.add(
        a_recording(status=Status.ARCHIVED, archive=archive, archive_attempt=attempt), lease_nonce=None
    )
    first = Attempt(tenant_id="tenant_1", recording_id=world.all()[0].id, attempt=1)
    with pytest.raises(AttemptReplaced) if fenced else nullcontext():
        get_moving(world.recordings, first)


def test_a_check_that_is_overtaken_leaves_the_token_of_the_new_attempt() -> None:
    world = World()
    world.start()
    old = world.stop()
    keep = world.recordings.store_task_token

    def and_overtake(one: Recording, token: str) -> None:
        keep(one, token)
        if token == "old":
            keep(world.recover(old), "new")
            world.cloudflare.upload("capture_1")

    world.recordings.store_task_token = and_overtake  # type: ignore[method-assign, assignment]
    world.check(old, "old")
    assert list(world.memory.tokens.values()) == ["new"]


def test_a_decision_that_is_taken_twice_at_the_same_moment_is_stored_once() -> None:
    fenced = Fenced(large=False)
    world = fenced.world
    mark = MarkReady(**world.ports("recordings", "provider", "store"), limits=world.limits)
    found = a_verified_file(content_type="application/octet-stream")
    world.trap = Meanwhile(1, lambda: mark(fenced.attempt, found, key="key", errored=False), after=False)
    racing = MarkReady(**world.ports("recordings", "provider", "store"), limits=world.limits)
    world.clock.advance(minutes=1)
    assert racing(fenced.attempt, found, key="key", errored=False) is Status.PROCESSING
    (now,) = world.all()
    assert now.version == fenced.recording.version + 1
