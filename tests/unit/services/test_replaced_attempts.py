"""A task of a replaced attempt that goes on all the same: wherever it is overtaken, the new attempt is not harmed."""

from collections.abc import Callable
from typing import Any

import pytest

from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.domain.storage_keys import archive_key, attempt_key
from recordings.services import transfer_file
from tests.support.builders import a_file, a_recording
from tests.support.fakes import MemoryFiles, MemoryReader
from tests.unit.services.world import CONTENT, Killed, Trap, World

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

    def __init__(self, stage: str, *, page: bool) -> None:
        self.world = World()
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
                world.trap, world.repeats = Trap(0, Killed(), only="files.complete"), False
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
        files = self.world.files
        prefix = attempt_key(self.now())
        return (
            self.now(),
            {key: file for key, file in files.objects.items() if key.startswith(prefix)},
            {name: (key, dict(parts)) for name, (key, parts) in files.uploaded.items() if key.startswith(prefix)},
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
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """These small files are made of parts, and no time goes into tidying the memory between them."""
    monkeypatch.setattr(transfer_file, "SINGLE_BELOW", 10)
    monkeypatch.setattr("gc.collect", lambda: 0)


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
        request.getfixturevalue("in_parts")
    n, overtaken = 0, 0
    while True:
        interrupted = Interrupted(stage, page=page)
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
        assert interrupted.world.files.objects[end.file.key][0] == CONTENT
        interrupted.world.assert_sound()
    assert overtaken > 8


class InterruptedMove:
    """The old move's execution, with the new one come as far as `stage` at its n-th call."""

    def __init__(self, stage: str) -> None:
        self.world, self.stage = World(), stage
        self.new: Recording | None = None
        self.seen: tuple[object, ...] = ()
        ready = a_recording(status=Status.READY, id="rec_" + "0" * 26, file=a_file(key="k", size_bytes=len(CONTENT)))
        self.world.recordings.add(ready, nonce=None)
        self.world.files.put("k", CONTENT, content_type="video/mp4")
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
                world.trap, world.repeats = Trap(0, Killed(), only="cold.complete"), False
                with pytest.raises(Killed):
                    world.move(self.new)
                world.repeats = True
            elif self.stage == "moved":
                assert world.move(self.new) == "done"
        finally:
            world.trap = trap
        self.seen = self.picture()

    def picture(self) -> tuple[object, ...]:
        now, cold = self.now(), self.world.cold
        key = archive_key(now, now.archive_attempt)
        uploads = {name: (at, dict(parts)) for name, (at, parts) in cold.uploaded.items() if at == key}
        return now, cold.objects.get(key), uploads, dict(self.world.files.objects)

    def now(self) -> Recording:
        (recording,) = self.world.all()
        return recording


@pytest.mark.parametrize("stage", ["stored", "copying", "moved"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_move_that_is_overtaken_at_any_call_changes_nothing_of_the_new_one(
    stage: str, after: bool, in_parts: None
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
        assert world.cold.objects[end.file.key][0] == CONTENT
        assert world.files.objects == {}
        world.assert_sound()
    assert overtaken > 8


def test_uploads_of_later_attempts_and_of_others_are_left_alone() -> None:
    files = MemoryFiles()
    names = [f"t/r/rec_1/{attempt}/recording.mp4" for attempt in (1, 2, 3, 10)] + ["t/r/rec_10/1/x", "t/r/rec_1/x/y"]
    uploads = {name: files.create_upload(name, content_type="x") for name in names}
    transfer_file.drop_unfinished(files, "t/r/rec_1/", until=2)
    assert list(files.uploaded) == [uploads[name] for name in names[2:]]


def test_a_token_of_an_older_attempt_neither_replaces_nor_takes_that_of_a_newer_one() -> None:
    world = World()
    world.start()
    old = world.stop()
    new = world.recover(old)
    world.recordings.keep_token(new, "new")
    world.recordings.keep_token(old, "old")
    assert world.recordings.take_token(old, only="old") is None
    assert world.recordings.take_token(new) == "new"
