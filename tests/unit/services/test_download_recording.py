"""Where the file can be had now, and until when."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from recordings.domain.archive import Archive
from recordings.domain.errors import RecordingFailed, RecordingNotFound
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.services.recordings.download_recording import Archived, NotYet, Ready, file_name_of
from tests.support.builders import NOON, a_file, a_recording
from tests.unit.services.world import World

COLD = a_file(store="s3", key="cold")
HOUR = timedelta(hours=1)


def with_one(**changes: Any) -> tuple[World, Recording]:
    world = World()
    recording = a_recording(**changes)
    world.recordings.add(recording, lease_nonce=None)
    world.s3.put("cold", b"film", content_type="video/mp4")
    return world, recording


@pytest.mark.parametrize("status", [Status.RECORDING, Status.PROCESSING])
def test_a_file_that_is_not_there_yet_is_told_as_that(status: Status) -> None:
    world, recording = with_one(status=status)
    assert world.download(recording) == NotYet(recording)


def test_a_failed_recording_has_none() -> None:
    world, recording = with_one(status=Status.FAILED)
    with pytest.raises(RecordingFailed, match="Lost"):
        world.download(recording)


@pytest.mark.parametrize("seconds", [60, 3600, 604_800])
def test_a_file_in_r2_is_had_for_as_long_as_was_asked(seconds: int) -> None:
    world, recording = with_one(status=Status.READY)
    given = world.download(recording, seconds)
    assert isinstance(given, Ready)
    assert given.expires_at == NOON + timedelta(seconds=seconds)
    assert f"seconds={seconds}" in given.url
    assert "name=Room one 2026-01-06 12-00.mp4" in given.url


def test_while_it_moves_the_file_is_had_from_r2() -> None:
    world, recording = with_one(
        status=Status.ARCHIVED, file=a_file(), archive=Archive(state="moving", moved_from="key")
    )
    given = world.download(recording)
    assert isinstance(given, Ready)
    assert given.file.store == "r2"


def test_a_file_that_left_r2_between_two_reads_is_looked_for_again() -> None:
    world, recording = with_one(status=Status.READY)
    note, moved = world.links.note_expiry, replace(recording, file=COLD, version=9, archive=Archive(state="stored"))

    def late(one: Recording, *, until: Any) -> bool:
        world.memory.recordings["tenant_1", recording.id] = replace(moved, status=Status.ARCHIVED)
        return note(one, until=until)

    world.links.note_expiry = late  # type: ignore[method-assign, assignment]
    assert isinstance(world.download(recording), Archived)
    assert world.links.noted == {}


def in_vault(state: Any, **changes: Any) -> tuple[World, Recording]:
    return with_one(status=Status.ARCHIVED, file=COLD, archive=Archive(state=state, **changes))


def test_what_lies_in_cold_storage_is_not_had_and_not_asked_after() -> None:
    world, recording = in_vault("stored")
    world.s3.finish_restore("cold", until=NOON + HOUR)
    assert world.download(recording) == Archived(recording)


def test_what_is_on_its_way_is_not_had() -> None:
    world, recording = in_vault("restoring", expected_at=NOON + HOUR)
    world.s3.restores["cold"] = True, None
    assert world.download(recording) == Archived(recording)


@pytest.mark.parametrize(
    ("seconds", "lasts", "wanted"),
    [
        (600, 10 * HOUR, timedelta(seconds=600)),
        # Never later than the credentials or the copy itself.
        (86_400, 10 * HOUR, HOUR),
        (86_400, timedelta(minutes=5), timedelta(minutes=5)),
        (600, timedelta(seconds=1), timedelta(seconds=1)),
    ],
)
def test_a_copy_is_had_until_its_true_end(seconds: int, lasts: timedelta, wanted: timedelta) -> None:
    world, recording = in_vault("restored", restored_until=NOON + lasts)
    world.s3.finish_restore("cold", until=NOON + lasts)
    given = world.download(recording, seconds)
    assert isinstance(given, Ready)
    assert given.expires_at == NOON + wanted
    assert given.file.store == "s3"


@pytest.mark.parametrize("state", ["restoring", "restored"])
def test_what_cold_storage_says_goes_before_what_we_remember(state: str) -> None:
    world, recording = in_vault(state, restored_until=NOON + HOUR if state == "restored" else None)
    assert world.download(recording) == Archived(recording)
    world.s3.finish_restore("cold", until=NOON + 2 * HOUR)
    assert isinstance(world.download(recording), Ready)
    world.clock.advance(hours=2)
    assert world.download(recording) == Archived(recording)
    world.s3.delete("cold")
    assert world.download(recording) == Archived(recording)


def test_what_can_be_read_at_once_is_had_when_it_has_been_asked_for() -> None:
    world, recording = in_vault("stored")
    world.s3.storage_class = "GLACIER_IR"
    assert world.download(recording) == Archived(recording)
    asked = world.restore(recording, days=2)
    given = world.download(asked)
    assert isinstance(given, Ready)
    assert given.file.store == "s3"
    world.clock.advance(days=2)
    assert world.download(asked) == Archived(asked)


def test_an_unknown_foreign_or_deleted_recording_is_not_found() -> None:
    world, recording = with_one(status=Status.READY)
    world.delete(recording)
    for one in (recording, replace(recording, id="rec_x"), replace(recording, tenant_id="tenant_2")):
        with pytest.raises(RecordingNotFound):
            world.download(one)


@pytest.mark.parametrize(
    ("kind", "extension"),
    [("video/mp4", "mp4"), ("video/webm", "webm"), ("video/quicktime", "mov"), ("application/octet-stream", "bin")],
)
def test_a_name_tells_room_time_and_kind(kind: str, extension: str) -> None:
    name = file_name_of(a_recording(room_name="Zoë/1", started_at=NOON), a_file(content_type=kind))
    assert name == f"Zoë/1 2026-01-06 12-00.{extension}"
