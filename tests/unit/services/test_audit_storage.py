"""What an audit finds, what it changes, and what it reports if it is incomplete."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from recordings.domain.errors import ProviderError, ProviderThrottled, ProviderTimeout
from recordings.domain.lifecycle import Status
from recordings.domain.objects import ListedObject, ObjectHead, UnfinishedUpload
from recordings.domain.provider_recording import FILE_RETENTION, ProviderRecording, ProviderStatus
from recordings.domain.reconciliation import TRACKS
from recordings.domain.recording import Progress, Recording
from recordings.domain.room_range import ALL_ROOMS, RoomRange
from recordings.domain.storage_keys import quarantine_key
from recordings.domain.stored_file import Store, StoredFile
from recordings.ports.storage import ObjectStore
from recordings.services.audit import judge, scan
from recordings.services.audit.audit_storage import MAX_DURATION, AuditResult, AuditStorage, Checkpoint
from recordings.services.audit.judge import MAX_MOVE_DURATION, MIN_ORPHAN_AGE
from recordings.services.audit.provider_listing import Backoff
from recordings.services.audit.report import (
    FOUND,
    KINDS,
    MIN_CONFIRMATION_INTERVAL,
    Mismatch,
    Orphan,
    Report,
    ReportDocuments,
    Stalled,
)
from tests.support.builders import NOON, a_capture, a_recording, a_room
from tests.support.fakes import MemoryArchiveStore, MemoryOpenFindings, MemoryTenants
from tests.unit.services.world import Trap, World

OLD = NOON - MIN_ORPHAN_AGE - timedelta(hours=1)
IDS = [f"rec_01KE9C5RZ0X7Y3M6Q8T2V4W5A{letter}" for letter in "ABCDEFGH"]
GONE = "tenant_1/room_1/rec_gone/1/recording.mp4"


class ListedStore(MemoryArchiveStore):
    """A bucket of which a test says what it lists. `before_head` is called before each HEAD request."""

    def __init__(self) -> None:
        super().__init__()
        # Size, ETag and time by key; the time by key and upload id.
        self.files: dict[str, tuple[int, str, datetime]] = {}
        self.uploads: dict[tuple[str, str], datetime] = {}
        self.before_head: Callable[[], None] = lambda: None

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[ListedObject]:
        listed = sorted((key, *facts) for key, facts in self.files.items() if key.startswith(prefix))
        return (ListedObject(*one) for one in listed if after is None or one[0] > after)

    def list_uploads(self, prefix: str) -> Iterator[UnfinishedUpload]:
        return (UnfinishedUpload(*name, at) for name, at in [*self.uploads.items()] if name[0].startswith(prefix))

    def list_names(self, prefix: str) -> Iterator[str]:
        inside = (key.removeprefix(prefix).partition("/") for key in self.files if key.startswith(prefix))
        return iter(dict.fromkeys(name + slash for name, slash, _ in inside))

    def head(self, key: str) -> ObjectHead | None:
        self.before_head()
        return ObjectHead(*self.files[key][:2]) if key in self.files else None

    def delete(self, key: str) -> None:
        del self.files[key]

    def abort_upload(self, key: str, upload_id: str) -> None:
        del self.uploads[key, upload_id]


class House(World):
    """The whole system on fakes, with two buckets, and audits of it."""

    def __init__(self) -> None:
        super().__init__()
        self.r2: ListedStore = ListedStore()
        self.s3: ListedStore = ListedStore()
        self.open_findings, self.tenants = MemoryOpenFindings(), MemoryTenants(self.memory)
        self.waited: list[float] = []
        # What happens while a call waits for the rate limit.
        self.meanwhile: Callable[[], object] = lambda: None

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.clock.advance(seconds=seconds)
        self.meanwhile()

    @property
    def stores(self) -> dict[Store, ObjectStore]:
        return {"r2": self.r2, "s3": self.s3}

    def run(self, tenant_id: str | None = None, **asked: Any) -> tuple[AuditResult, dict[str, Report]]:
        audit_storage = AuditStorage(
            **self.ports("rooms", "recordings", "provider", "executions"),
            tenants=self.tenants,
            stores=self.stores,
            open_findings=self.open_findings,
            reconcile=self.reconcile(),
            backoff=Backoff(clock=self.clock, wait=self.wait),
        )
        reported: list[Report] = []
        audit = audit_storage(reported.append, tenant_id=tenant_id, **asked)
        assert audit.tenants == len(reported) - (audit.checkpoint is not None)
        assert audit.totals == {kind: sum(report.counts[kind] for report in reported) for kind in KINDS}
        return audit, {report.tenant_id: report for report in reported}

    def audited(self, tenant_id: str = "tenant_1", **asked: Any) -> Report:
        audit, reports = self.run(tenant_id, **asked)
        assert audit.incomplete == []
        return reports[tenant_id]

    def keep(self, number: int = 0, **changes: Any) -> Recording:
        """Store a ready recording and its file."""
        made = a_recording(status=Status.READY, id=IDS[number], cloudflare_recording_id=f"kept_{number}", **changes)
        key = f"{made.tenant_id}/{made.room_id}/{made.id}/1/recording.mp4"
        file = StoredFile(store="r2", key=key, size_bytes=5, content_type="video/mp4", etag="sum")
        made = replace(made, file=file)
        self.recordings.add(made, lease_nonce=None)
        self.r2.files[key] = 5, "sum", OLD
        return made

    def change(self, recording: Recording, **changes: Any) -> Recording:
        """Change a recording without an audit."""
        after = replace(recording, version=recording.version + 1, **changes)
        self.recordings.save(recording, after)
        return after

    def processing(self, **changes: Any) -> tuple[Recording, ProviderRecording]:
        """Return a stopped recording, and its recording at Cloudflare that is still being uploaded."""
        recording = self.start()
        self.cloudflare.go(recording.cloudflare_recording_id or "")
        self.clock.advance(seconds=60)
        stopped = self.stop()
        if changes:
            stopped = self.change(stopped, **changes)
        return stopped, self.cloudflare.get(stopped.cloudflare_recording_id or "")

    @property
    def picture(self) -> tuple[object, ...]:
        """Return everything that an audit could change, except the open findings."""
        return (
            dict(self.memory.recordings),
            dict(self.memory.rooms),
            dict(self.cloudflare.captured),
            (dict(self.r2.files), dict(self.r2.uploads), dict(self.s3.files), dict(self.s3.uploads)),
            (dict(self.executions.started), list(self.executions.ended)),
        )


def key_of(recording: Recording) -> str:
    assert recording.file is not None
    return recording.file.key


@pytest.fixture
def house() -> House:
    return House()


def test_a_consistent_tenant_has_no_findings(house: House) -> None:
    house.keep()
    before = house.picture
    report = house.audited(repair=True)
    assert (report.recordings, report.files, report.counts.total(), report.compared) == (1, 1, 0, True)
    assert (house.picture, house.open_findings.get_all("tenant_1")) == (before, {})


# ---------------------------------------------------------------- orphans


def test_a_file_without_an_owner_is_reported_and_stays(house: House) -> None:
    house.keep()
    house.r2.files[GONE] = 9, "x", OLD
    for confirmed in (False, True, True):
        before = house.picture
        (orphan,) = house.audited().orphans
        assert (orphan.store, orphan.key, orphan.size, orphan.at) == ("r2", GONE, 9, OLD)
        assert orphan.confirmation is not None
        assert (orphan.confirmation.since, orphan.confirmation.confirmed) == (NOON, confirmed)
        assert house.picture == before
        house.clock.advance(seconds=MIN_CONFIRMATION_INTERVAL.total_seconds())


def test_only_a_confirmed_orphan_is_deleted(house: House) -> None:
    kept = house.keep()
    house.r2.files[GONE] = 9, "x", OLD
    house.s3.files[f"recordings/{GONE}"] = 9, "x", OLD
    house.r2.uploads["tenant_1/room_1/rec_gone/2/recording.mp4", "upload"] = OLD
    assert house.audited(repair=True).removed == []
    house.clock.advance(seconds=MIN_CONFIRMATION_INTERVAL.total_seconds() - 1)
    assert house.audited(repair=True).removed == []
    house.clock.advance(seconds=1)
    report = house.audited(repair=True)
    assert [(one.store, one.key, one.upload_id) for one in report.removed] == [
        (one.store, one.key, one.upload_id) for one in report.orphans
    ]
    assert len(report.removed) == 3
    assert ([*house.r2.files], house.s3.files, house.r2.uploads) == ([key_of(kept)], {}, {})
    assert house.open_findings.get_all("tenant_1") == {}
    assert house.audited(repair=True).counts.total() == 0


@pytest.mark.parametrize(
    ("status", "age", "owned"),
    [
        (Status.FAILED, FILE_RETENTION, True),
        (Status.FAILED, FILE_RETENTION + timedelta(seconds=1), False),
        (Status.PROCESSING, FILE_RETENTION * 2, True),
        # A recording with a file needs no quarantined one.
        (Status.READY, timedelta(days=1), False),
    ],
)
def test_quarantined_files_have_an_owner_until_cloudflares_copy_expires(
    house: House, status: Status, age: timedelta, owned: bool
) -> None:
    made = a_recording(
        status=status, id=IDS[0], cloudflare_recording_id=None, created_at=NOON - age, started_at=NOON - age
    )
    house.recordings.add(made, lease_nonce=None)
    house.keep(1)
    key = quarantine_key(made)
    house.r2.files[key] = 9, "x", NOON - timedelta(days=3)
    for repair in (False, True):
        assert [orphan.key for orphan in house.audited(repair=repair).orphans] == ([] if owned else [key])
        house.clock.advance(seconds=0 if owned else MIN_CONFIRMATION_INTERVAL.total_seconds())
    assert (key in house.r2.files) == owned


def test_an_orphan_that_gets_an_owner_is_no_longer_a_finding(house: House) -> None:
    kept = house.keep()
    other = house.keep(1)
    house.memory.purge(kept)
    assert len(house.audited(repair=True).orphans) == 1
    house.recordings.add(replace(kept, cloudflare_recording_id=None), lease_nonce=None)
    house.clock.advance(seconds=MIN_CONFIRMATION_INTERVAL.total_seconds())
    assert house.audited(repair=True).orphans == []
    house.memory.purge(kept)
    assert house.audited(repair=True).removed == []
    assert house.r2.files.keys() == {key_of(kept), key_of(other)}


def test_an_orphan_that_gets_an_owner_during_the_audit_stays(house: House) -> None:
    house.keep()
    late = house.keep(1)
    house.memory.purge(late)
    house.audited(repair=True)
    house.clock.advance(seconds=MIN_CONFIRMATION_INTERVAL.total_seconds())
    noted = house.open_findings.add

    def note(tenant_id: str, names: Any, *, at: datetime) -> None:
        noted(tenant_id, names, at=at)
        house.recordings.add(replace(late, cloudflare_recording_id=None), lease_nonce=None)

    house.open_findings.add = note  # type: ignore[method-assign]
    report = house.audited(repair=True)
    assert ([one.key for one in report.orphans], report.removed) == ([key_of(late)], [])
    assert key_of(late) in house.r2.files


def test_files_of_a_tenant_without_any_recording_are_not_removed(house: House) -> None:
    """A table that was lost, or restored to an earlier day, looks like this."""
    kept = house.keep()
    house.r2.uploads[GONE, "upload"] = OLD
    house.memory.purge(kept)
    for held in (False, True):
        report = house.audited(repair=True)
        assert (len(report.orphans), report.held) == (2, held)
        house.clock.advance(seconds=MIN_CONFIRMATION_INTERVAL.total_seconds())
    assert [one.upload_id for one in report.removed] == ["upload"]
    assert [*house.r2.files] == [key_of(kept)]


def test_a_young_file_is_no_orphan(house: House) -> None:
    house.keep()
    house.r2.files[GONE] = 9, "x", NOON - MIN_ORPHAN_AGE
    house.r2.uploads[GONE, "upload"] = NOON - MIN_ORPHAN_AGE
    assert house.audited().orphans == []
    assert len(house.audited(min_age=MIN_ORPHAN_AGE - timedelta(seconds=1)).orphans) == 2


def test_files_of_an_unfinished_recording_are_no_orphans(house: House) -> None:
    working = a_recording(
        status=Status.PROCESSING, delivery_key="delivered/tenant_1/room_1/a.mp4", cloudflare_recording_id=None
    )
    house.recordings.add(working, lease_nonce=None)
    house.r2.uploads[f"tenant_1/room_1/{working.id}/1/recording.mp4", "upload"] = OLD
    house.r2.files["delivered/tenant_1/room_1/a.mp4"] = 9, "x", OLD
    assert house.audited().orphans == []


def test_a_deleted_recording_owns_its_file_and_can_be_a_phantom(house: House) -> None:
    kept = house.keep()
    house.delete(kept)
    assert house.audited(repair=True).counts.total() == 0
    house.r2.files.clear()
    (phantom,) = house.audited(repair=True).phantoms
    assert phantom.recording_id == kept.id


def test_a_file_that_an_archived_recording_left_in_r2_is_an_orphan(house: House) -> None:
    ready = house.keep()
    assert ready.file is not None
    moved = replace(ready.file, store="s3", key=f"recordings/{ready.file.key}", etag="sum-2")
    house.s3.files[moved.key] = 5, "sum-2", OLD
    going = ready.archiving(at=NOON)
    house.recordings.save(ready, going)
    kept = going.archive_completed(moved, storage_class="GLACIER", at=NOON)
    house.recordings.save(going, kept)
    # A URL of it may still work.
    assert house.audited().counts.total() == 0
    house.recordings.save(kept, kept.source_emptied())
    report = house.audited()
    assert [(one.store, one.key) for one in report.orphans] == [("r2", ready.file.key)]
    assert report.counts.total() == 1


def test_a_moved_delivery_is_no_orphan_while_a_url_of_it_works(house: House) -> None:
    ready = house.keep()
    assert ready.file is not None
    delivered = "delivered/tenant_1/room_1/capture.mp4"
    house.r2.files[delivered] = house.r2.files.pop(ready.file.key)
    moved = replace(ready.file, store="s3", key=f"recordings/{ready.file.key}")
    house.s3.files[moved.key] = house.r2.files[delivered]
    house.recordings.save(ready, there := replace(ready, version=9, file=replace(ready.file, key=delivered)))
    house.recordings.save(there, going := there.archiving(at=NOON))
    house.recordings.save(going, kept := going.archive_completed(moved, storage_class="GLACIER", at=NOON))
    assert house.audited().orphans == []
    house.recordings.save(kept, kept.source_emptied())
    assert [one.key for one in house.audited().orphans] == [delivered]


def test_another_tenants_files_are_not_audited(house: House) -> None:
    house.r2.files |= dict.fromkeys(["tenant_10/r/x", "tenant_2/r/x"], (1, "x", OLD))
    assert house.audited().orphans == []


def test_the_files_of_a_tenant_called_delivered_are_no_deliveries_of_others(house: House) -> None:
    house.rooms.add(a_room(tenant_id="delivered", id="tenant_1", meeting_id="meeting_2"))
    own = house.keep(0, tenant_id="delivered", room_id="tenant_1")
    mine = house.keep(1, tenant_id="delivered", room_id="room_1")
    house.keep(2)
    house.r2.files["delivered/tenant_1/room_1/capture.mp4"] = 9, "x", OLD
    house.r2.files["delivered/delivered/room_1/capture.mp4"] = 9, "x", OLD
    _, reports = house.run()
    assert {one: [orphan.key for orphan in report.orphans] for one, report in reports.items()} == {
        "tenant_1": ["delivered/tenant_1/room_1/capture.mp4"],
        "delivered": ["delivered/delivered/room_1/capture.mp4"],
    }
    assert reports["delivered"].files == 3
    assert {key_of(own), key_of(mine)} < house.r2.files.keys()


# ---------------------------------------------------------------- phantoms, and files that differ


def test_a_missing_file_is_a_phantom_that_a_later_audit_confirms(house: House) -> None:
    lost = house.keep()
    house.r2.files.clear()
    for late, confirmed in ((0, False), (MIN_CONFIRMATION_INTERVAL.total_seconds() - 1, False), (1, True)):
        house.clock.advance(seconds=late)
        before = house.picture
        audit, reports = house.run("tenant_1", repair=True)
        (phantom,) = reports["tenant_1"].phantoms
        assert (phantom.recording_id, phantom.store, phantom.key) == (lost.id, "r2", key_of(lost))
        assert (phantom.confirmation.since, phantom.confirmation.confirmed) == (NOON, confirmed)
        assert (audit.totals["phantoms"], audit.alarming["confirmed_phantoms"]) == (1, int(confirmed))
        # A repair never changes a phantom.
        assert house.picture == before


def test_a_phantom_that_was_found_in_between_starts_again(house: House) -> None:
    kept = house.keep()
    file = house.r2.files.pop(key_of(kept))
    house.audited()
    house.r2.files[key_of(kept)] = file
    house.clock.advance(seconds=MIN_CONFIRMATION_INTERVAL.total_seconds())
    assert house.audited().phantoms == []
    del house.r2.files[key_of(kept)]
    (phantom,) = house.audited().phantoms
    assert (phantom.confirmation.since, phantom.confirmation.confirmed) == (house.clock(), False)


def test_a_file_that_is_stored_during_the_audit_is_no_phantom(house: House) -> None:
    kept = house.keep()
    file = house.r2.files.pop(key_of(kept))
    house.r2.before_head = lambda: house.r2.files.update({key_of(kept): file})
    assert house.audited().counts.total() == 0


def test_a_recording_that_moves_to_the_archive_is_no_phantom(house: House) -> None:
    ready = house.keep()
    going = ready.archiving(at=NOON)
    house.recordings.save(ready, going)
    assert house.audited().counts.total() == 0
    house.r2.files.clear()
    assert house.audited().counts.total() == 0


def test_a_recording_that_moves_during_the_audit_is_no_phantom(house: House) -> None:
    ready = house.keep()
    assert ready.file is not None
    house.r2.files.clear()

    def move() -> None:
        house.r2.before_head = lambda: None
        going = ready.archiving(at=NOON)
        house.recordings.save(ready, going)
        assert ready.file is not None
        moved = replace(ready.file, store="s3", key=f"recordings/{ready.file.key}")
        house.recordings.save(going, going.archive_completed(moved, storage_class="GLACIER", at=NOON))

    house.r2.before_head = move
    assert house.audited().counts.total() == 0


def test_a_file_of_another_size_or_checksum_is_a_mismatch_with_both_values(house: House) -> None:
    short, other = house.keep(0), house.keep(1)
    house.r2.files[key_of(short)] = 4, "short", OLD
    house.r2.files[key_of(other)] = 5, "other", OLD
    before = house.picture
    audit, reports = house.run("tenant_1", repair=True)
    assert sorted(reports["tenant_1"].mismatches, key=lambda one: one.recording_id) == [
        Mismatch(recording_id=short.id, kind="size", recorded=5, found=4),
        Mismatch(recording_id=other.id, kind="checksum", recorded="sum", found="other"),
    ]
    assert audit.alarming["changed_files"] == 2
    assert house.picture == before


def test_a_file_without_an_etag_is_compared_by_its_size(house: House) -> None:
    kept = house.keep()
    assert kept.file is not None
    house.change(kept, file=replace(kept.file, etag=None))
    house.r2.files[key_of(kept)] = 5, "whatever", OLD
    assert house.audited().counts.total() == 0


def test_missing_files_above_the_request_limit_are_judged_by_the_listing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "MAX_FILES_REQUESTED", 1)
    lost = [house.keep(number) for number in range(4)]
    for one in lost[:3]:
        del house.r2.files[key_of(one)]
    house.r2.files[key_of(lost[3])] = 5, "other", OLD
    heads: list[None] = []
    house.r2.before_head = lambda: heads.append(None)
    report = house.audited()
    assert {one.recording_id for one in report.phantoms} == {one.id for one in lost[:3]}
    assert [one.recording_id for one in report.mismatches] == [lost[3].id]
    assert len(heads) == 1


# ---------------------------------------------------------------- stalled recordings


def test_a_stalled_recording_is_reported_and_restarted_once_there_is_a_file(house: House) -> None:
    stuck, _ = house.processing(stalled=True, progress=Progress(step="stalled", attempt=1))
    assert house.audited().stalled == [
        Stalled(recording_id=stuck.id, step="processing", since=stuck.stopped_at or house.clock())
    ]
    assert house.audited(repair=True).reconciled == []
    house.cloudflare.upload(stuck.cloudflare_recording_id or "")
    # Not at once, because attempts have pauses.
    house.clock.advance(minutes=5)
    before = house.picture
    report = house.audited()
    assert (report.counts.total(), house.picture) == (1, before)
    report = house.audited(repair=True)
    assert (len(report.stalled), report.mismatches, report.reconciled) == (1, [], [stuck.id])
    again = house.recordings.get("tenant_1", stuck.id)
    assert (again.attempt, again.stalled) == (2, False)
    assert (stuck.id, 2) in house.executions.started
    assert house.audited(repair=True).counts.total() == 0


def test_a_recording_with_a_dead_execution_is_stalled(house: House) -> None:
    stuck, _ = house.processing()
    house.executions.end(stuck)
    # Its execution may end at any moment.
    assert house.audited().stalled == []
    house.clock.advance(minutes=11)
    assert [one.recording_id for one in house.audited().stalled] == [stuck.id]
    house.cloudflare.upload(stuck.cloudflare_recording_id or "")
    assert house.audited(repair=True).reconciled == [stuck.id]
    assert house.executions.is_running(house.recordings.get("tenant_1", stuck.id))


def test_a_move_over_the_maximum_duration_is_stalled(house: House) -> None:
    ready = house.keep()
    house.recordings.save(ready, ready.archiving(at=NOON))
    house.clock.advance(seconds=MAX_MOVE_DURATION.total_seconds())
    assert house.audited().stalled == []
    house.clock.advance(seconds=1)
    assert house.audited(repair=True).stalled == [Stalled(recording_id=ready.id, step="archiving", since=NOON)]


# ---------------------------------------------------------------- Cloudflare


def test_an_unknown_recording_at_cloudflare_is_an_orphan_and_is_imported(house: House) -> None:
    provider_recording = house.cloudflare.begin_by_itself("meeting_1")
    house.cloudflare.end(provider_recording.cloudflare_recording_id)
    house.cloudflare.upload(provider_recording.cloudflare_recording_id)
    before = house.picture
    wanted = [
        Orphan(store="cloudflare", key=provider_recording.cloudflare_recording_id, size=None, at=NOON, room_id="room_1")
    ]
    assert house.audited().orphans == wanted
    assert house.picture == before
    report = house.audited(repair=True)
    assert report.orphans == wanted
    recording = house.recordings.find_by_cloudflare_recording_id(provider_recording.cloudflare_recording_id)
    assert recording is not None
    assert [(one.cloudflare_recording_id, one.recording_id) for one in report.adopted] == [
        (provider_recording.cloudflare_recording_id, recording.id)
    ]
    assert (recording.status, recording.origin) == (Status.PROCESSING, "auto")
    assert house.executions.is_running(recording)
    assert house.audited(repair=True).counts.total() == 0
    assert house.cloudflare.captured.keys() == {provider_recording.cloudflare_recording_id}


def test_a_track_recording_is_no_orphan_before_it_has_ended(house: House) -> None:
    track = house.cloudflare.record_tracks("meeting_1")
    report = house.audited(repair=True)
    assert (report.orphans, report.adopted, house.all()) == ([], [], [])
    house.cloudflare.upload(track.cloudflare_recording_id)
    house.cloudflare._change(track.cloudflare_recording_id, download_url=None)
    report = house.audited(repair=True)
    assert (
        [one.key for one in report.orphans]
        == [one.cloudflare_recording_id for one in report.adopted]
        == [track.cloudflare_recording_id]
    )
    assert [one.failure for one in house.all()] == [TRACKS]


def test_a_running_recording_is_imported_unless_its_room_is_locked(house: House) -> None:
    second = house.cloudflare.begin_by_itself("meeting_1")
    first = a_recording(cloudflare_recording_id="first")
    house.cloudflare.captured["first"] = a_capture(cloudflare_recording_id="first")
    house.recordings.add(first, lease_nonce=None)
    report = house.audited(repair=True)
    assert ([one.key for one in report.orphans], report.adopted) == ([second.cloudflare_recording_id], [])
    house.recordings.save(first, first.stopped(at=NOON, cause="test"))
    assert [one.cloudflare_recording_id for one in house.audited(repair=True).adopted] == [
        second.cloudflare_recording_id
    ]


def test_the_recording_of_a_start_in_progress_is_no_orphan(house: House) -> None:
    house.rooms.acquire_lock("tenant_1", "room_1", nonce="n", now=NOON, until=NOON + timedelta(seconds=60))
    provider_recording = house.cloudflare.start("meeting_1", max_seconds=None)
    assert house.audited(repair=True).counts.total() == 0
    house.clock.advance(seconds=60)
    assert [one.key for one in house.audited().orphans] == [provider_recording.cloudflare_recording_id]


def test_a_recording_that_is_imported_during_the_audit_is_no_orphan(house: House) -> None:
    provider_recording = house.cloudflare.begin_by_itself("meeting_1")
    blocks = iter([ProviderThrottled("spent", retry_after=30)])
    recent = house.cloudflare.list_page

    def throttled_on_page_two(number: int) -> Any:
        if number == 2 and (block := next(blocks, None)) is not None:
            raise block
        return recent(number)

    house.cloudflare.list_page = throttled_on_page_two  # type: ignore[method-assign]
    house.cloudflare.page_size = 1
    earlier = house.clock() - timedelta(seconds=1)
    house.cloudflare.captured["elsewhere"] = a_capture(
        cloudflare_recording_id="elsewhere", meeting_id="x", invoked_at=earlier
    )
    house.meanwhile = lambda: house.webhook(provider_recording.cloudflare_recording_id)
    audit, reports = house.run()
    assert (house.waited, audit.unregistered) == ([30], 1)
    assert reports["tenant_1"].counts.total() == 0


def test_recordings_at_cloudflare_are_reported_to_their_tenant_or_counted(house: House) -> None:
    house.rooms.add(a_room(tenant_id="tenant_2", id="room_2", meeting_id="meeting_2"))
    for meeting in ("meeting_1", "meeting_2", "elsewhere", "nowhere at all"):
        house.cloudflare.begin_by_itself(meeting)
    audit, reports = house.run()
    assert {one: [orphan.room_id for orphan in report.orphans] for one, report in reports.items()} == {
        "tenant_1": ["room_1"],
        "tenant_2": ["room_2"],
    }
    assert audit.unregistered == 2


@pytest.mark.parametrize("truly", [True, False])
def test_a_meeting_from_a_file_name_is_checked(house: House, truly: bool) -> None:
    house.cloudflare.names_meetings = False
    provider_recording = house.cloudflare.begin_by_itself("meeting_1")
    if not truly:
        # The name of a file can contain any prefix.
        house.cloudflare.list_by_meeting = lambda meeting_id: iter(())  # type: ignore[method-assign]
    audit, reports = house.run()
    assert [one.key for one in reports["tenant_1"].orphans] == (
        [provider_recording.cloudflare_recording_id] if truly else []
    )
    assert audit.unregistered == (0 if truly else 1)


def test_a_different_status_is_reported_and_reconciled(house: House) -> None:
    recording = house.start()
    house.cloudflare.go(recording.cloudflare_recording_id or "")
    assert house.audited().counts.total() == 0
    # No webhook reports the end.
    house.cloudflare.end(recording.cloudflare_recording_id or "")
    house.cloudflare.upload(recording.cloudflare_recording_id or "")
    before = house.picture
    wanted = [Mismatch(recording_id=recording.id, kind="status", recorded="recording", found="UPLOADED")]
    report = house.audited()
    assert (report.mismatches, report.reconciled, house.picture) == (wanted, [], before)
    report = house.audited(repair=True)
    assert (report.mismatches, report.reconciled) == (wanted, [recording.id])
    assert house.recordings.get("tenant_1", recording.id).status is Status.PROCESSING
    assert house.audited(repair=True).counts.total() == 0


def test_a_recording_that_cloudflare_lost_fails_on_repair(house: House) -> None:
    recording = house.start()
    house.cloudflare.lose(recording.cloudflare_recording_id or "")
    report = house.audited(repair=True)
    assert [(one.recorded, one.found) for one in report.mismatches] == [("recording", "ERRORED")]
    assert house.recordings.get("tenant_1", recording.id).status is Status.FAILED


def test_a_failed_recording_that_still_records_is_stopped_on_repair(house: House) -> None:
    recording = house.start()
    house.cloudflare.go(recording.cloudflare_recording_id or "")
    house.change(recording, status=Status.FAILED)
    report = house.audited(repair=True)
    assert [(one.recorded, one.found) for one in report.mismatches] == [("failed", "RECORDING")]
    assert report.reconciled == [recording.id]
    assert house.cloudflare.get(recording.cloudflare_recording_id or "").status is ProviderStatus.UPLOADING


def test_a_change_during_the_audit_is_no_mismatch(house: House) -> None:
    recording = house.start()
    house.cloudflare.end(recording.cloudflare_recording_id or "")
    get = house.cloudflare.get

    def reported(cloudflare_recording_id: str) -> ProviderRecording:
        house.cloudflare.get = get  # type: ignore[method-assign]
        house.webhook(cloudflare_recording_id)
        return get(cloudflare_recording_id)

    house.cloudflare.get = reported  # type: ignore[method-assign]
    assert house.audited(repair=True).counts.total() == 0


def test_an_unfinished_recording_unknown_to_cloudflare_is_reported_and_unchanged(house: House) -> None:
    recording = house.start()
    house.cloudflare.forget(recording.cloudflare_recording_id or "")
    for late, confirmed in ((0, False), (MIN_CONFIRMATION_INTERVAL.total_seconds(), True)):
        house.clock.advance(seconds=late)
        before = house.picture
        report = house.audited(repair=True)
        (mismatch,) = report.mismatches
        assert (mismatch.kind, mismatch.recorded, mismatch.found) == ("status", "recording", "absent")
        assert mismatch.confirmation is not None
        assert (mismatch.confirmation.since, mismatch.confirmation.confirmed) == (NOON, confirmed)
        assert (report.reconciled, house.picture) == ([], before)


def test_a_recording_that_ends_during_the_request_is_not_absent(house: House) -> None:
    recording = house.start()
    house.cloudflare.forget(recording.cloudflare_recording_id or "")
    get = house.cloudflare.get

    def reported(cloudflare_recording_id: str) -> ProviderRecording:
        house.change(recording, status=Status.FAILED)
        return get(cloudflare_recording_id)

    house.cloudflare.get = reported  # type: ignore[method-assign]
    assert house.audited().counts.total() == 0
    assert house.open_findings.get_all("tenant_1") == {}


def test_a_stored_recording_unknown_to_cloudflare_is_unchanged(house: House) -> None:
    house.keep()
    before = house.picture
    assert house.audited(repair=True).counts.total() == 0
    assert house.picture == before


def test_a_recording_too_old_for_the_listing_is_requested_by_its_id(house: House) -> None:
    house.start()
    house.cloudflare.go("capture_1")
    house.clock.advance(seconds=FILE_RETENTION.total_seconds() + 1)
    house.cloudflare.begin_by_itself("elsewhere")
    # Cloudflare reports that it still records, which is impossible after so long.
    assert [one.found for one in house.audited().mismatches] == ["RECORDING"]
    house.cloudflare.end("capture_1")
    assert [one.found for one in house.audited().mismatches] == ["UPLOADING"]


# ---------------------------------------------------------------- the listing of Cloudflare


def captured(house: House, *ages: timedelta, meeting_id: str = "elsewhere") -> None:
    for age in ages:
        at = house.clock() - age
        name = f"{meeting_id}_{len(house.cloudflare.captured)}"
        house.cloudflare.captured[name] = a_capture(cloudflare_recording_id=name, invoked_at=at, meeting_id=meeting_id)


def calls(house: House, tenant_id: str | None = None) -> list[str]:
    house.trap = Trap(-1, only="provider")
    house.run(tenant_id)
    return [name.removeprefix("provider.") for name in house.trap.calls]


def test_the_listing_goes_back_to_the_file_retention(house: House) -> None:
    house.cloudflare.page_size = 2
    captured(
        house,
        timedelta(0),
        timedelta(days=1),
        FILE_RETENTION,
        FILE_RETENTION + timedelta(seconds=1),
        timedelta(days=30),
    )
    audit, _ = house.run()
    assert audit.unregistered == 3
    assert calls(house) == ["list_page", "list_page"]


def test_a_tenant_with_few_rooms_in_a_busy_app_is_listed_by_room(house: House) -> None:
    house.cloudflare.page_size = 10
    captured(house, *(timedelta(hours=hours) for hours in range(200)))
    captured(house, timedelta(hours=150), FILE_RETENTION + timedelta(1), meeting_id="meeting_1")
    assert calls(house, "tenant_1") == ["list_page", "list_by_meeting"]
    assert [one.key for one in house.audited().orphans] == ["meeting_1_200"]


def test_a_tenant_with_many_rooms_in_a_quiet_app_is_listed_by_app(house: House) -> None:
    house.cloudflare.page_size = 10
    for number in range(2, 230):
        house.rooms.add(a_room(id=f"room_{number}", meeting_id=f"meeting_{number}"))
    captured(house, *(timedelta(hours=12 * number) for number in range(12)))
    captured(house, timedelta(hours=150), meeting_id="meeting_229")
    assert calls(house, "tenant_1") == ["list_page", "list_page"]
    assert [one.room_id for one in house.audited().orphans] == ["room_229"]


def test_a_recording_that_shifts_to_the_next_page_is_reported_once(house: House) -> None:
    house.cloudflare.page_size = 1
    first = house.cloudflare.begin_by_itself("meeting_1")
    recent = house.cloudflare.list_page

    def pushed(number: int) -> Any:
        rows, more = recent(number)
        if number == 1:
            house.cloudflare.captured["newer"] = a_capture(cloudflare_recording_id="newer", meeting_id="elsewhere")
            return rows, True
        return rows, more

    house.cloudflare.list_page = pushed  # type: ignore[method-assign]
    assert [one.key for one in house.audited().orphans] == [first.cloudflare_recording_id]


def test_the_listing_waits_for_the_rate_limit(house: House) -> None:
    house.cloudflare.begin_by_itself("meeting_1")
    house.trap = Trap(0, ProviderThrottled("spent", retry_after=42), only="provider.list_page")
    assert len(house.audited().orphans) == 1
    assert house.waited == [42]


@pytest.mark.parametrize(
    "failure", [ProviderThrottled("blocked", retry_after=300), ProviderTimeout("slow"), ProviderError("broken")]
)
def test_an_incomplete_listing_proves_no_absence(house: House, failure: Exception) -> None:
    house.cloudflare.page_size = 1
    recording = house.start()
    house.clock.advance(seconds=1)
    house.cloudflare.begin_by_itself("elsewhere")
    house.cloudflare.forget(recording.cloudflare_recording_id or "")
    kept = house.keep()
    house.r2.files.clear()
    house.trap = Trap(0, failure, only="provider")
    audit, reports = house.run(repair=True)
    report = reports["tenant_1"]
    assert (report.mismatches, report.compared) == ([], False)
    assert [one.recording_id for one in report.phantoms] == [kept.id]
    assert len(audit.incomplete) == 1
    assert type(failure).__name__ in audit.incomplete[0]
    assert house.waited == []


def test_an_incomplete_listing_disproves_no_finding(house: House) -> None:
    recording = house.start()
    house.cloudflare.forget(recording.cloudflare_recording_id or "")
    house.audited()
    house.clock.advance(seconds=MIN_CONFIRMATION_INTERVAL.total_seconds() / 2)
    house.trap = Trap(0, ProviderTimeout("slow"), only="provider")
    assert house.run("tenant_1")[1]["tenant_1"].mismatches == []
    house.clock.advance(seconds=MIN_CONFIRMATION_INTERVAL.total_seconds() / 2)
    house.trap = Trap(-1)
    (mismatch,) = house.audited().mismatches
    assert mismatch.confirmation is not None
    assert mismatch.confirmation.confirmed


def test_findings_from_before_an_error_of_cloudflare_hold(house: House) -> None:
    first = house.start()
    house.cloudflare.end(first.cloudflare_recording_id or "")
    house.cloudflare.begin_by_itself("meeting_1")
    # The list and the first request succeed. The import fails.
    house.trap = Trap(2, ProviderTimeout("slow"), only="provider")
    audit, reports = house.run("tenant_1", repair=True)
    report = reports["tenant_1"]
    assert ([one.found for one in report.mismatches], report.reconciled) == (["UPLOADING"], [first.id])
    assert (len(report.orphans), report.adopted, report.compared) == (1, [], False)
    assert len(audit.incomplete) == 1


def test_recordings_listed_before_the_rate_limit_are_compared(house: House) -> None:
    house.cloudflare.page_size = 1
    house.cloudflare.begin_by_itself("elsewhere")
    house.clock.advance(seconds=1)
    provider_recording = house.cloudflare.begin_by_itself("meeting_1")
    house.trap = Trap(1, ProviderThrottled("blocked", retry_after=300), only="provider")
    audit, reports = house.run(repair=True)
    assert [one.cloudflare_recording_id for one in reports["tenant_1"].adopted] == [
        provider_recording.cloudflare_recording_id
    ]
    assert (reports["tenant_1"].compared, len(audit.incomplete)) == (False, 1)


def test_after_an_error_cloudflare_gets_no_further_calls(house: House) -> None:
    house.rooms.add(a_room(id="room_2", meeting_id="meeting_2"))
    for room in ("room_1", "room_2"):
        house.cloudflare.end(house.start(room_id=room).cloudflare_recording_id or "")
    for at, made in ((0, ["list_page"]), (1, ["list_page", "get"])):
        house.trap = Trap(at, ProviderTimeout("slow"), only="provider")
        assert house.run()[1]["tenant_1"].mismatches == []
        assert [name.removeprefix("provider.") for name in house.trap.calls] == made


# ---------------------------------------------------------------- tenants and time


def test_tenants_are_known_from_records_files_uploads_and_cloudflare(house: House) -> None:
    house.r2.files |= dict.fromkeys(["b/r/x", "a%20b%2Fc/r/x", "delivered/c/r/x"], (1, "x", OLD))
    house.s3.files["recordings/d/r/x"] = 1, "x", OLD
    house.r2.uploads["e/r/x", "upload"] = OLD
    house.s3.uploads["recordings/f/r/x", "upload"] = OLD
    house.recordings.add(
        a_recording(tenant_id="g", status=Status.PROCESSING, cloudflare_recording_id=None), lease_nonce=None
    )
    # Rooms of a release that did not store tenants.
    house.memory.tenants.clear()
    house.cloudflare.begin_by_itself("meeting_1")
    _, reports = house.run()
    assert reports.keys() == {"tenant_1", "a b/c", "b", "c", "d", "e", "f", "g"}
    assert [(one.key, one.upload_id) for one in reports["e"].orphans] == [("e/r/x", "upload")]


def test_a_tenant_without_data_is_still_audited(house: House) -> None:
    lost = house.keep()
    house.r2.files.clear()
    house.rooms.remove(house.rooms.get("tenant_1", "room_1"))
    _, reports = house.run()
    assert [one.recording_id for one in reports["tenant_1"].phantoms] == [lost.id]


def test_objects_outside_of_every_tenants_folder_are_reported_and_never_deleted(house: House) -> None:
    house.r2.files |= dict.fromkeys(["loose.txt", "not quoted/x", "delivered/loose.mp4"], (1, "x", OLD))
    for _ in range(2):
        audit, _ = house.run(repair=True)
        assert sorted(one.key for one in audit.unassigned) == ["delivered/loose.mp4", "loose.txt", "not quoted/"]
        house.clock.advance(seconds=MIN_CONFIRMATION_INTERVAL.total_seconds())
    assert len(house.r2.files) == 3


def test_a_tenant_without_anything_is_not_known(house: House) -> None:
    for tenant, known in (("nobody", False), ("tenant_1", True)):
        audit, _ = house.run(tenant)
        assert audit.known is known
    assert house.tenants.get_all().keys() == {"tenant_1"}


def test_the_oldest_audit_comes_first_and_recent_ones_are_skipped(house: House) -> None:
    for number, tenant in enumerate("abc"):
        house.rooms.add(a_room(tenant_id=tenant, meeting_id=f"of_{tenant}"))
        house.tenants.note_audit(tenant, at=NOON - timedelta(days=number + 1))
        house.r2.files[f"{tenant}/r/x"] = 1, "x", OLD
    _, reports = house.run(unless_since=NOON - timedelta(days=1))
    assert [*reports] == ["tenant_1", "c", "b"]
    assert house.tenants.get_all() == {"a": NOON - timedelta(days=1), "b": NOON, "c": NOON, "tenant_1": NOON}


def test_an_execution_out_of_time_returns_a_checkpoint_and_the_next_resumes(house: House) -> None:
    for tenant in "abc":
        house.rooms.add(a_room(tenant_id=tenant, meeting_id=f"of_{tenant}"))
    house.trap = Trap(-1, only="recordings.list_all")
    look_at = house.recordings.list_all

    def slow(tenant_id: str, rooms: RoomRange = ALL_ROOMS) -> Iterator[Recording]:
        found = list(look_at(tenant_id, rooms))
        house.clock.advance(seconds=MAX_DURATION.total_seconds() / 2)
        return iter(found)

    house.recordings.list_all = slow  # type: ignore[method-assign]
    audit, reports = house.run()
    assert ([*reports], audit.left, audit.incomplete) == (["a", "b"], 2, [])
    rest, reports = house.run(unless_since=audit.began)
    assert ([*reports], rest.left, rest.incomplete) == (["c", "tenant_1"], 0, [])


def test_a_tenant_that_takes_too_long_is_reported_as_incomplete(house: House) -> None:
    house.keep()
    house.keep(1, tenant_id="tenant_2")
    house.rooms.add(a_room(tenant_id="tenant_2", meeting_id="meeting_2"))
    house.r2.files.clear()
    look_at = house.recordings.list_all

    def slow(tenant_id: str, rooms: RoomRange = ALL_ROOMS) -> Iterator[Recording]:
        if tenant_id == "tenant_1":
            house.clock.advance(seconds=MAX_DURATION.total_seconds())
        return look_at(tenant_id, rooms)

    house.recordings.list_all = slow  # type: ignore[method-assign]
    audit, reports = house.run(repair=True)
    assert (reports, audit.left, len(audit.incomplete)) == ({}, 1, 1)
    assert "tenant_1" in audit.incomplete[0]
    assert house.open_findings.get_all("tenant_1") == {}
    # It does not block the audit of other tenants.
    _, reports = house.run(repair=True)
    assert [*reports] == ["tenant_2"]


ROOMS = ("a", "a-b", "a:b", "a.b", "ab", "b")


def large(house: House) -> None:
    """Store a tenant whose rooms have a recording with a file, one without, and objects without an owner."""
    for number, room in enumerate(ROOMS):
        folder = f"tenant_1/{quote(room, safe='')}"
        house.rooms.add(a_room(id=room, meeting_id=f"of_{room}"))
        for n in range(2):
            recording_id = house.new_id(NOON)
            key = f"{folder}/{recording_id}/1/recording.mp4"
            file = StoredFile(store="r2", key=key, size_bytes=5, content_type="video/mp4", etag="sum")
            made = a_recording(
                status=Status.READY, id=recording_id, cloudflare_recording_id=f"c{number}_{n}", room_id=room
            )
            house.recordings.add(replace(made, file=file), lease_nonce=None)
            if n:
                house.r2.files[key] = 5, "sum", OLD
        house.r2.files[f"{folder}/rec_gone/1/recording.mp4"] = 1, "x", OLD
        house.s3.files[f"recordings/{folder}/rec_gone/1/recording.mp4"] = 1, "x", OLD
        house.r2.uploads[f"{folder}/rec_gone/1/recording.mp4", "upload"] = OLD


def in_parts(house: House, monkeypatch: pytest.MonkeyPatch, **asked: Any) -> tuple[list[AuditResult], Report]:
    """Audit one tenant in executions that have time for one step each."""
    monkeypatch.setattr(scan, "MAX_OBJECTS_PER_STEP", 1)
    audits, whole, goes_on = list[AuditResult](), Report("tenant_1"), None
    look_at, seen = house.recordings.list_all, list[RoomRange]()

    def slow(tenant_id: str, rooms: RoomRange = ALL_ROOMS) -> Iterator[Recording]:
        if not rooms.whole:
            seen.append(rooms)
            if len(seen) % 2 == 0:
                # One stretch was looked at in this run, and the next one takes too long.
                house.clock.advance(seconds=MAX_DURATION.total_seconds())
        return look_at(tenant_id, rooms)

    monkeypatch.setattr(house.recordings, "list_all", slow)
    while True:
        began = house.clock()
        audit, reports = house.run("tenant_1", checkpoint=goes_on, **asked)
        house.clock.advance(seconds=(began - house.clock()).total_seconds())
        audits.append(audit)
        for report in reports.values():
            whole.add(report)
        goes_on = audit.checkpoint
        if not audit.left:
            return audits, whole


def facts(report: Report) -> dict[str, Any]:
    document = json.loads(json.dumps(report.document(10_000), default=str))
    return {
        name: sorted(map(str, reported)) if isinstance(reported, list) else reported
        for name, reported in document.items()
    }


@pytest.mark.parametrize("repair", [False, True])
def test_an_audit_in_steps_finds_what_one_step_finds(monkeypatch: pytest.MonkeyPatch, repair: bool) -> None:
    at_once, parted = House(), House()
    for house in (at_once, parted):
        large(house)
    for hours in (0, 7):
        for house in (at_once, parted):
            house.clock.advance(seconds=hours * 3600)
        whole = at_once.audited(repair=repair)
        with monkeypatch.context() as patched:
            audits, reported = in_parts(parted, patched, repair=repair)
        assert len(audits) > len(ROOMS) - 1
        assert all(audit.advanced and audit.incomplete == [] for audit in audits)
        assert [audit.tenants for audit in audits] == [0] * (len(audits) - 1) + [1]
        assert facts(reported) == facts(whole)
        assert parted.open_findings.get_all("tenant_1") == at_once.open_findings.get_all("tenant_1")
    assert (len(whole.phantoms), len(whole.orphans)) == (len(ROOMS), 3 * len(ROOMS))
    assert all(one.confirmation and one.confirmation.confirmed for one in whole.orphans)
    assert len(whole.removed) == (3 * len(ROOMS) if repair else 0)
    assert parted.r2.files == at_once.r2.files


def test_a_file_outside_of_every_rooms_folder_hides_no_room(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a", "a-b/rec_gone/1/recording.mp4", "ab/rec_gone/1/recording.mp4"]
    house.r2.files |= {f"tenant_1/{name}": (1, "x", OLD) for name in names}
    _, reports = house.run("tenant_1", checkpoint=Checkpoint("tenant_1", "a"))
    assert [one.key for one in reports["tenant_1"].orphans] == [f"tenant_1/{name}" for name in names[1:]]
    monkeypatch.setattr(scan, "MAX_OBJECTS_PER_STEP", 1)
    house.audited()
    house.clock.advance(seconds=MIN_CONFIRMATION_INTERVAL.total_seconds())
    reported = house.audited()
    assert [one.confirmation and one.confirmation.confirmed for one in reported.orphans] == [True] * 3


def test_a_finding_in_a_room_called_delivered_of_a_tenant_called_delivered_stays(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its folder has the same beginning as the folder of deliveries to this tenant, whose rooms follow it.
    key = "delivered/delivered/rec_gone/1/recording.mp4"
    house.r2.files |= {key: (1, "x", OLD), "delivered/room/rec_gone/1/recording.mp4": (1, "x", OLD)}
    monkeypatch.setattr(scan, "MAX_OBJECTS_PER_STEP", 1)
    for confirmed in (False, True):
        reported = house.audited("delivered")
        assert [one.confirmation and one.confirmation.confirmed for one in reported.orphans] == [confirmed] * 2
        house.clock.advance(seconds=MIN_CONFIRMATION_INTERVAL.total_seconds())


def test_an_unfinished_tenant_is_resumed_before_others(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    large(house)
    house.tenants.note_audit("tenant_1", at=NOON)
    # A new tenant was never audited. It would be the first, and its checkpoint would replace the present one.
    house.rooms.add(a_room(tenant_id="tenant_2", meeting_id="meeting_2"))
    audit, reports = house.run(checkpoint=Checkpoint("tenant_1", "a.b/"))
    assert [*reports] == ["tenant_1", "tenant_2"]
    assert {one.key.split("/")[-4] for one in reports["tenant_1"].orphans} == {"a", "ab", "b"}
    assert (audit.checkpoint, audit.left, audit.tenants) == (None, 0, 2)
    # The tenant may no longer exist.
    assert house.run(checkpoint=Checkpoint("tenant_3", "x/"))[0].checkpoint is None


# ---------------------------------------------------------------- the report


def test_a_report_is_json_with_every_field_of_a_finding(house: House) -> None:
    lost, other = house.keep(0), house.keep(1)
    del house.r2.files[key_of(lost)]
    house.r2.files[key_of(other)] = 5, "other", OLD
    house.r2.files[GONE] = 9, "x", OLD
    house.cloudflare.begin_by_itself("meeting_1")
    reported = json.loads(json.dumps(house.audited().document(10)))
    assert reported["counts"] == {**dict.fromkeys(KINDS, 0), "orphans": 2, "phantoms": 1, "mismatches": 1}
    since = {"since": "2026-01-06T12:00:00Z", "confirmed": False}
    assert reported["phantoms"] == [{"recording_id": lost.id, "store": "r2", "key": key_of(lost), **since}]
    assert reported["mismatches"] == [
        {"recording_id": other.id, "kind": "checksum", "recorded": "sum", "found": "other"},
    ]
    at_cloudflare, in_r2 = sorted(reported["orphans"], key=lambda one: str(one["store"]))
    assert at_cloudflare == {
        "store": "cloudflare",
        "key": "capture_1",
        "size": None,
        "at": "2026-01-06T12:00:00Z",
        "upload_id": "",
        "room_id": "room_1",
    }
    assert in_r2 | since == in_r2


def test_reports_are_bounded_and_their_counts_are_not() -> None:
    orphan = Orphan(store="r2", key=GONE, size=1, at=NOON)
    full = Report("full", orphans=[orphan] * 7)
    response = ReportDocuments(max_rows=3, max_bytes=10_000)
    for report in (Report("clean"), full):
        response.add(report)
    (reported,) = response.reports
    assert (reported["tenant_id"], len(reported["orphans"]), reported["counts"]["orphans"]) == ("full", 3, 7)
    small = ReportDocuments(max_rows=3, max_bytes=len(json.dumps(reported)) + 1)
    for report in (full, full, full):
        small.add(report)
    assert (len(small.reports), small.omitted) == (1, 2)


def test_an_empty_report_is_included_on_request() -> None:
    response = ReportDocuments(max_rows=3, max_bytes=10_000, include_empty=True)
    response.add(Report("clean"))
    assert [one["tenant_id"] for one in response.reports] == ["clean"]


def test_findings_and_changes_are_all_kinds() -> None:
    assert set(FOUND) < set(KINDS)
    assert all(isinstance(getattr(Report("x"), kind), list) for kind in KINDS)
