"""What an audit finds, and what it dares to remove."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording, StoredFile
from recordings.ports import Recordings
from recordings.services.audit_storage import APART, YOUNG, AuditStorage, Report
from tests.support.builders import NOON, a_recording

OLD = NOON - YOUNG - timedelta(hours=1)


class Shelf:
    """Files and unfinished uploads in memory."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[int, datetime]] = {}
        self.unfinished: dict[tuple[str, str], datetime] = {}

    def objects(self, prefix: str) -> Iterator[tuple[str, int, datetime]]:
        return ((key, *facts) for key, facts in [*self.files.items()] if key.startswith(prefix))

    def begun_uploads(self, prefix: str) -> Iterator[tuple[str, str, datetime]]:
        return ((*name, at) for name, at in [*self.unfinished.items()] if name[0].startswith(prefix))

    def folders(self, prefix: str) -> Iterator[str]:
        inside = (key.removeprefix(prefix) for key in self.files if key.startswith(prefix))
        return iter(dict.fromkeys(rest.split("/")[0] for rest in inside if "/" in rest))

    def delete(self, key: str) -> None:
        del self.files[key]

    def abort(self, key: str, upload_id: str) -> None:
        del self.unfinished[key, upload_id]


class Suspects:
    def __init__(self) -> None:
        self.seen: dict[str, datetime] = {}

    def of(self, tenant_id: str) -> Mapping[str, datetime]:
        return dict(self.seen)

    def note(self, tenant_id: str, keys: Sequence[str], *, at: datetime) -> None:
        self.seen |= dict.fromkeys(keys, at)

    def forget(self, tenant_id: str, keys: Sequence[str]) -> None:
        for key in keys:
            del self.seen[key]


class House:
    """One tenant's records and stores, and a clock."""

    def __init__(self) -> None:
        self.recordings: list[Recording] = []
        self.r2, self.s3, self.suspects, self.now = Shelf(), Shelf(), Suspects(), NOON
        self.audit = AuditStorage(
            recordings=cast(Recordings, self),
            shelves={"r2": self.r2, "s3": self.s3},
            suspects=self.suspects,
            clock=lambda: self.now,
        )

    def everything(self, tenant_id: str) -> Iterator[Recording]:
        return (one for one in self.recordings if one.tenant_id == tenant_id)

    def look(self, *, repair: bool = False) -> Report:
        return self.audit("tenant_1", repair=repair)

    def keep(self, **changes: Any) -> Recording:
        """A ready recording whose file is where it says."""
        made = a_recording(status=Status.READY, **changes)
        key = f"tenant_1/room_1/{made.id}/1/recording.mp4"
        made = replace(made, file=StoredFile(provider="r2", key=key, size_bytes=5, content_type="video/mp4"))
        self.recordings.append(made)
        self.r2.files[key] = 5, OLD
        return made


@pytest.fixture
def house() -> House:
    return House()


def test_where_all_is_as_it_should_be_nothing_is_found(house: House) -> None:
    house.keep()
    report = house.look(repair=True)
    assert (report.recordings, report.files) == (1, 1)
    assert (report.orphans, report.removed, report.phantoms, report.mismatches, report.stalled) == ([], [], [], [], [])


def test_a_file_that_nobody_owns_is_reported_and_stays(house: House) -> None:
    house.r2.files["tenant_1/room_1/rec_gone/1/recording.mp4"] = 9, OLD
    for _ in range(3):
        (orphan,) = house.look().orphans
        assert (orphan.store, orphan.size) == ("r2", 9)
        house.now += APART
    assert len(house.r2.files) == 1


def test_only_what_was_an_orphan_hours_ago_is_removed(house: House) -> None:
    house.r2.files["tenant_1/room_1/rec_gone/1/recording.mp4"] = 9, OLD
    house.s3.files["recordings/tenant_1/room_1/rec_gone/1/recording.mp4"] = 9, OLD
    house.r2.unfinished["tenant_1/room_1/rec_gone/2/recording.mp4", "upload"] = OLD
    assert house.look(repair=True).removed == []
    house.now += APART - timedelta(seconds=1)
    assert house.look(repair=True).removed == []
    house.now += timedelta(seconds=1)
    assert len(house.look(repair=True).removed) == 3
    assert (house.r2.files, house.s3.files, house.r2.unfinished) == ({}, {}, {})
    assert house.suspects.seen == {}


def test_an_orphan_that_has_found_its_owner_is_no_longer_suspected(house: House) -> None:
    kept = house.keep()
    house.recordings.clear()
    house.look(repair=True)
    house.recordings.append(kept)
    house.now += APART
    assert house.look(repair=True).removed == []
    house.recordings.clear()
    assert house.look(repair=True).removed == []
    assert len(house.r2.files) == 1


def test_what_is_young_may_still_be_stored(house: House) -> None:
    house.r2.files["tenant_1/room_1/rec_gone/1/recording.mp4"] = 9, NOON - YOUNG
    assert house.look().orphans == []


def test_what_a_recording_is_being_made_of_is_no_orphan(house: House) -> None:
    working = a_recording(status=Status.PROCESSING, delivery_key="delivered/tenant_1/room_1/a.mp4")
    house.recordings.append(working)
    house.r2.unfinished[f"tenant_1/room_1/{working.id}/1/recording.mp4", "upload"] = OLD
    house.r2.files["delivered/tenant_1/room_1/a.mp4"] = 9, OLD
    assert house.look().orphans == []


def test_a_deleted_recording_owns_its_file(house: House) -> None:
    house.recordings[0:] = [replace(house.keep(), deleted_at=NOON)]
    assert house.look().orphans == []


def test_what_an_archived_recording_left_in_r2_is_an_orphan(house: House) -> None:
    ready = house.keep()
    assert ready.file is not None
    moved = replace(ready.file, provider="s3", key=f"recordings/{ready.file.key}")
    house.s3.files[moved.key] = 5, OLD
    house.recordings[0] = ready.archiving(at=NOON).vaulted(moved, storage_class="GLACIER")
    (orphan,) = house.look().orphans
    assert (orphan.store, orphan.key) == ("r2", ready.file.key)


def test_a_missing_file_and_one_of_another_size_are_told(house: House) -> None:
    lost, short = house.keep(id="rec_01KE9C5RZ0X7Y3M6Q8T2V4W5AB"), house.keep(id="rec_01KE9C5RZ0X7Y3M6Q8T2V4W5AC")
    assert lost.file is not None
    assert short.file is not None
    del house.r2.files[lost.file.key]
    house.r2.files[short.file.key] = 4, OLD
    report = house.look(repair=True)
    assert (report.phantoms, report.mismatches) == ([lost.id], [short.id])


def test_a_stalled_recording_is_told(house: House) -> None:
    stuck = a_recording(status=Status.PROCESSING, stalled=True)
    house.recordings.append(stuck)
    assert house.look().stalled == [stuck.id]


def test_the_tenants_are_those_that_store_anything(house: House) -> None:
    house.r2.files |= dict.fromkeys(["a/r/x", "b/r/x", "delivered/c/r/x"], (1, OLD))
    house.s3.files["recordings/d/r/x"] = 1, OLD
    assert sorted(house.audit.tenants()) == ["a", "b", "c", "d"]


def test_another_tenants_files_are_not_looked_at(house: House) -> None:
    house.r2.files |= dict.fromkeys(["tenant_10/r/x", "tenant_2/r/x"], (1, OLD))
    assert house.look().orphans == []
