"""The tasks of the processing workflow: repeated, killed half-way, and fed with bad bytes."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from itertools import pairwise, product
from typing import Any
from zlib import crc32

import pytest

from recordings.domain.errors import (
    ChecksumMismatch,
    ConcurrentUpdate,
    ProviderRecordingFailed,
    ProviderTimeout,
    RangesRefused,
    SourceChanged,
    SourceDenied,
    SourceExpired,
    SourceUnavailable,
    Throttled,
)
from recordings.domain.etag import of_parts
from recordings.domain.lifecycle import Status
from recordings.domain.media import Container, MediaFacts
from recordings.domain.provider_recording import ProviderRecording
from recordings.domain.recording import Failure, Recording
from recordings.domain.storage_keys import attempt_key
from recordings.domain.transfer import (
    MAX_PARTS,
    MIB,
    MULTIPART_THRESHOLD_BYTES,
    SEGMENT_BYTES,
    Attempt,
    Segment,
    SourceFile,
    TransferPlan,
    TransferResult,
    UploadState,
    VerifiedFile,
    part_size_for,
    segments_for,
)
from recordings.ports.storage import SourceReader
from recordings.services.transfer.check import CheckSegment
from recordings.services.transfer.complete import CompleteTransfer
from recordings.services.transfer.copy import CopySegment
from recordings.services.transfer.mark import MarkFailed, MarkReady, MarkStalled
from recordings.services.transfer.plan import PlanTransfer
from recordings.services.transfer.verify import VerifyTransfer
from tests.support.builders import a_verified_file
from tests.support.fakes import MemoryReader, md5
from tests.unit.services.world import STALL_AFTER, Killed, World, facts_by_content

CONTENT = bytes(range(256)) * 4  # 1,024 bytes: eleven parts of 100


FILM = MediaFacts(container=Container.MP4, has_video=True, has_audio=True, duration_seconds=17)


class Job(World):
    """A stopped recording whose file lies at Cloudflare, and the tasks that fetch it."""

    def __init__(self, content: bytes = CONTENT, **reader: Any) -> None:
        super().__init__()
        self.start()
        self.clock.advance(minutes=1)
        self.recording = self.stop()
        self.cloudflare.upload("capture_1", seconds=60)
        self.reader = MemoryReader(content, **reader)
        self.attempt = Attempt(tenant_id="tenant_1", recording_id=self.recording.id, attempt=1)

    def plan(self, *, ranges: bool = True) -> TransferPlan:
        ports = self.ports("recordings", "provider", "store")
        planned = PlanTransfer(**ports, source=self.reader, read_media_facts=facts_by_content)
        return planned(self.attempt, ranges=ranges)

    def stalls(self, *, failed: bool = True) -> None:
        MarkStalled(**self.ports("recordings", "store"), limits=self.limits)(self.attempt, failed=failed)

    def in_parts(self, part_size: int = 100) -> TransferPlan:
        """A plan of small parts, as for a file too large for this test."""
        plan = self.plan()
        parts = -(-plan.size // part_size)
        half = max(1, parts // 2)
        segments = (Segment(1, half), Segment(half + 1, parts)) if plan.ranges and parts > 1 else (Segment(1, parts),)
        upload_id = self.r2.create_upload(plan.key, content_type="video/mp4")
        return replace(plan, part_size=part_size, upload_id=upload_id, segments=segments)

    def copy(self, plan: TransferPlan, segment: Segment, source: SourceReader | None = None) -> int:
        ports = self.ports("recordings", "provider", "store", "part_checksums")
        return CopySegment(**ports, source=source or self.reader)(self.attempt, plan, segment)

    def check_again(self, plan: TransferPlan, segment: Segment, source: SourceReader | None = None) -> int:
        ports = self.ports("recordings", "provider", "store", "part_checksums")
        return CheckSegment(**ports, source=source or self.reader)(self.attempt, plan, segment)

    def complete(self, plan: TransferPlan, *, checked: bool = True) -> TransferResult:
        complete = CompleteTransfer(recordings=self.recordings, store=self.r2, part_checksums=self.part_checksums)
        return complete(self.attempt, plan, checked=checked)

    def verify(self, plan: TransferPlan, result: TransferResult, media: MediaFacts = FILM) -> VerifiedFile:
        return VerifyTransfer(store=self.r2, read_media_facts=lambda *_: media)(plan, result)

    def run(self, plan: TransferPlan) -> VerifiedFile:
        for segment in plan.segments:
            self.copy(plan, segment)
        result = self.complete(plan, checked=False)
        if not result.verified:
            for segment in plan.segments:
                self.check_again(plan, segment)
            result = self.complete(plan)
        return self.verify(plan, result)

    def reads(self, plan: TransferPlan) -> dict[int, int]:
        """How often each part was read from the source."""
        return {first // plan.part_size + 1: number for first, number in self.reader.reads.items()}

    def stored(self, plan: TransferPlan) -> bytes:
        return self.r2.objects[plan.key][0]

    def now(self) -> Recording:
        return self.recordings.get("tenant_1", self.recording.id)


# ---------------------------------------------------------------- the plan


@pytest.mark.parametrize("size", [0, 1, MULTIPART_THRESHOLD_BYTES - 1])
def test_a_small_file_is_one_request(size: int) -> None:
    plan = Job(b"x" * size).plan()
    assert (plan.size, plan.upload_id, plan.segments) == (size, "", (Segment(1, 1),))


@pytest.mark.parametrize(("size", "parts"), [(MULTIPART_THRESHOLD_BYTES, 1), (MULTIPART_THRESHOLD_BYTES + 1, 2)])
def test_a_larger_file_is_an_upload_of_parts(size: int, parts: int) -> None:
    job = Job(b"x" * size)
    plan = job.plan()
    assert plan.upload_id in job.r2.unfinished
    assert (plan.part_size, plan.segments) == (MULTIPART_THRESHOLD_BYTES, (Segment(1, parts),))


@pytest.mark.parametrize("size", [0, 1, MULTIPART_THRESHOLD_BYTES, 144_000 * MIB, 144_000 * MIB + 1, 5 * 1024**2 * MIB])
def test_parts_are_equal_few_and_cover_the_file(size: int) -> None:
    part_size = part_size_for(size)
    segments = segments_for(size, part_size, ranges=True)
    assert part_size % MIB == 0
    assert segments[0].first == 1
    assert segments[-1].last <= MAX_PARTS
    assert all(later.first == earlier.last + 1 for earlier, later in pairwise(segments))
    assert (segments[-1].last - 1) * part_size < max(size, 1) <= segments[-1].last * part_size
    assert all(len(segment.numbers) * part_size <= max(SEGMENT_BYTES, part_size) for segment in segments)


def test_a_source_without_ranges_is_one_run_however_long() -> None:
    whole = Segment(1, 10 * SEGMENT_BYTES // MULTIPART_THRESHOLD_BYTES)
    assert segments_for(10 * SEGMENT_BYTES, MULTIPART_THRESHOLD_BYTES, ranges=False) == (whole,)


def test_a_repeated_plan_aborts_the_upload_of_the_one_before() -> None:
    job = Job(b"x" * MULTIPART_THRESHOLD_BYTES)
    first, second = job.plan(), job.plan()
    assert first.upload_id != second.upload_id
    assert list(job.r2.unfinished) == [second.upload_id]
    assert first.key == second.key


def test_each_attempt_writes_to_a_key_of_its_own_that_no_name_can_leave() -> None:
    job = Job()
    keys = {
        attempt_key(replace(job.recording, **changes))
        for changes in ({}, {"attempt": 2}, {"tenant_id": "tenant_1/room_1"}, {"room_id": "../x"}, {"tenant_id": "日"})
    }
    assert len(keys) == 5
    assert all(key.count("/") == 4 for key in keys)


def test_a_plan_needs_a_url_that_is_there_and_alive() -> None:
    job = Job()
    job.cloudflare._change("capture_1", download_url=None)
    with pytest.raises(SourceUnavailable):
        job.plan()
    job.cloudflare.upload("capture_1")
    assert job.plan().size == len(CONTENT)
    job.clock.advance(days=7)
    with pytest.raises(SourceUnavailable):
        job.plan()
    job.clock.advance(minutes=10)
    with pytest.raises(SourceExpired):
        job.plan()
    del job.cloudflare.captured["capture_1"]
    with pytest.raises(ProviderRecordingFailed):
        job.plan()


def test_planning_stores_the_size_of_the_copy_as_progress() -> None:
    job = Job()
    job.plan()
    progress = job.now().progress
    assert progress is not None
    assert (progress.step, progress.bytes_done, progress.bytes_total) == ("copying", 0, 1024)
    assert job.now().version == job.recording.version


# ---------------------------------------------------------------- whole files


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize(
    "size", [0, 1, 1024, MULTIPART_THRESHOLD_BYTES - 1, MULTIPART_THRESHOLD_BYTES, MULTIPART_THRESHOLD_BYTES + 1]
)
def test_a_file_of_any_size_arrives_byte_for_byte(size: int, ranges: bool) -> None:
    content = (b"0123456789abcde" * (size // 15 + 1))[:size]
    job = Job(content, ranges=ranges)
    plan = job.plan()
    facts = job.run(plan)
    assert job.stored(plan) == content
    assert (facts.size, facts.crc32) == (size, f"{crc32(content):08x}")
    assert facts.sha256 == (sha256(content).hexdigest() if size < MULTIPART_THRESHOLD_BYTES else None)
    assert facts.etag == job.r2.objects[plan.key][1]
    assert job.r2.unfinished == {}


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("part_size", [1023, 1024, 100, 1])
def test_parts_of_any_size_make_the_same_file(part_size: int, ranges: bool) -> None:
    job = Job(ranges=ranges)
    plan = job.in_parts(part_size)
    assert job.run(plan).crc32 == f"{crc32(CONTENT):08x}"
    assert job.stored(plan) == CONTENT


@pytest.mark.parametrize("ranges", [True, False])
def test_every_task_may_be_repeated(ranges: bool) -> None:
    job = Job(ranges=ranges)
    plan = job.in_parts()
    for segment in [*plan.segments, *plan.segments]:
        job.copy(plan, segment)
    first, second = job.complete(plan), job.complete(plan)
    assert second.crc32 == first.crc32
    for segment in plan.segments:
        assert job.copy(plan, segment) == 0
    for done in (first, second, first):
        assert job.verify(plan, done).size == 1024
    assert set(job.r2.part_writes.values()) == {1}
    assert job.stored(plan) == CONTENT


def test_a_small_file_may_be_copied_again() -> None:
    job = Job()
    plan = job.plan()
    assert job.run(plan) == job.run(plan)


def test_a_file_that_cloudflare_delivered_is_checked_and_not_copied() -> None:
    job = Job()
    (before,) = job.all()
    job.memory.recordings["tenant_1", before.id] = replace(before, delivery_key="delivered/x.mp4")
    job.r2.put("delivered/x.mp4", CONTENT, content_type="video/mp4")
    plan = job.plan()
    assert (plan.key, plan.size, plan.segments) == ("delivered/x.mp4", 1024, ())
    facts = job.run(plan)
    assert (facts.crc32, facts.sha256) == (f"{crc32(CONTENT):08x}", sha256(CONTENT).hexdigest())
    assert job.reader.reads == {}
    assert list(job.r2.objects) == ["delivered/x.mp4"]


def test_a_large_file_that_cloudflare_delivered_is_read_for_its_checksum_and_not_copied() -> None:
    content = bytes(range(256)) * (MULTIPART_THRESHOLD_BYTES // 256) + b"end"
    job = Job()
    (before,) = job.all()
    job.memory.recordings["tenant_1", before.id] = replace(before, delivery_key="delivered/x.mp4")
    etag = job.r2.put("delivered/x.mp4", content, content_type="video/mp4")
    job.cloudflare._change("capture_1", size_bytes=len(content))
    plan = job.plan()
    assert (plan.key, plan.segments, plan.upload_id) == ("delivered/x.mp4", (Segment(1, 2),), "")
    progress = job.now().progress
    assert progress is not None
    assert (progress.step, progress.bytes_done, progress.bytes_total) == ("checking", 0, len(content))
    facts = job.run(plan)
    assert (facts.crc32, facts.sha256, facts.etag) == (f"{crc32(content):08x}", None, etag)
    assert (job.reader.reads, job.r2.unfinished) == ({}, {})
    assert job.copy(plan, Segment(1, 2)) == 0
    done = job.now().progress
    assert done is not None
    assert done.bytes_done == len(content)


def test_the_upload_of_a_copy_is_aborted_if_the_file_is_delivered_after_all() -> None:
    content = bytes(MULTIPART_THRESHOLD_BYTES)
    job = Job(content)
    started = job.plan().upload_id
    assert list(job.r2.unfinished) == [started]
    (before,) = job.all()
    job.memory.recordings["tenant_1", before.id] = replace(before, delivery_key="delivered/x.mp4")
    job.r2.put("delivered/x.mp4", content, content_type="video/mp4")
    job.cloudflare._change("capture_1", size_bytes=len(content))
    assert job.plan().present
    assert job.r2.unfinished == {}


def test_a_delivered_file_that_is_replaced_during_a_read_raises_source_changed() -> None:
    content = bytes(MULTIPART_THRESHOLD_BYTES)
    job = Job()
    (before,) = job.all()
    job.memory.recordings["tenant_1", before.id] = replace(before, delivery_key="delivered/x.mp4")
    job.r2.put("delivered/x.mp4", content, content_type="video/mp4")
    job.cloudflare._change("capture_1", size_bytes=len(content))
    plan = job.plan()
    job.r2.put("delivered/x.mp4", content[:-1] + b"x", content_type="video/mp4")
    with pytest.raises(SourceChanged):
        job.copy(plan, Segment(1, 1))


def test_a_copy_stores_its_progress_and_when_it_counts_as_stuck() -> None:
    job = Job()
    job.plan()
    plan = job.in_parts()
    expected = job.now().progress
    assert expected is not None
    assert expected.stuck_after == job.clock() + timedelta(minutes=15)
    job.copy(plan, plan.segments[0])
    half = job.now().progress
    assert half is not None
    assert (half.bytes_done, half.bytes_total) == (500, 1024)
    job.copy(plan, plan.segments[0])
    job.copy(plan, plan.segments[1])
    whole = job.now().progress
    assert whole is not None
    assert whole.bytes_done == 1024


def test_a_file_that_was_delivered_in_part_is_fetched() -> None:
    job = Job()
    (before,) = job.all()
    job.memory.recordings["tenant_1", before.id] = replace(before, delivery_key="delivered/x.mp4")
    job.r2.put("delivered/x.mp4", CONTENT[:-1], content_type="video/mp4")
    job.cloudflare._change("capture_1", size_bytes=1024)
    plan = job.plan()
    assert plan.key == attempt_key(before)
    assert job.run(plan).size == 1024
    assert job.stored(plan) == CONTENT


# ---------------------------------------------------------------- killed half-way


def kill_after(n: int, method: Callable[..., object]) -> Callable[..., object]:
    """The n-th call still has its effect; nobody hears of it."""
    calls = iter(range(1, 10**6))

    def call(*given: object, **named: object) -> object:
        result = method(*given, **named)
        if next(calls) == n:
            raise Killed
        return result

    return call


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("n", range(1, 5))
def test_a_segment_killed_between_two_parts_sends_nothing_twice(n: int, ranges: bool) -> None:
    """A function that is killed has stored parts whose checksums it has not stored: these parts are only read again."""
    job = Job(ranges=ranges)
    plan = job.in_parts()
    upload = job.r2.upload_part
    job.r2.upload_part = kill_after(n, upload)  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        job.copy(plan, plan.segments[0])
    job.r2.upload_part = upload  # type: ignore[method-assign]
    sent = set(job.r2.part_writes)
    assert (len(sent) >= n, job.part_checksums.stored) == (True, {})
    assert job.copy(plan, plan.segments[0]) == len(plan.segments[0].numbers) - len(sent)
    assert job.run(plan).crc32 == f"{crc32(CONTENT):08x}"
    assert job.stored(plan) == CONTENT
    assert set(job.r2.part_writes.values()) == {1}


def test_a_segment_killed_after_its_checksums_were_stored_reads_nothing_twice() -> None:
    job = Job()
    plan = job.in_parts()
    store = job.part_checksums.store
    job.part_checksums.store = kill_after(1, store)  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        job.copy(plan, plan.segments[0])
    job.part_checksums.store = store  # type: ignore[method-assign]
    assert job.copy(plan, plan.segments[0]) == 0
    assert set(job.reads(plan).values()) == {1}


@pytest.mark.parametrize("n", range(1, 6))
def test_a_segment_that_fails_half_way_reads_nothing_twice_that_was_stored(n: int) -> None:
    job = Job()
    plan = job.in_parts()
    upload, calls = job.r2.upload_part, iter(range(1, 100))

    def fail(*given: Any, **named: Any) -> str:
        if next(calls) == n:
            raise SourceUnavailable("the connection is lost")
        return upload(*given, **named)

    job.r2.upload_part = fail  # type: ignore[method-assign]
    with pytest.raises(SourceUnavailable):
        job.copy(plan, plan.segments[0])
    kept = set(job.part_checksums.get_all(plan.upload_id))
    assert kept == set(job.r2.part_writes)
    before = Counter(job.reads(plan))
    assert job.copy(plan, plan.segments[0]) == 5 - len(kept)
    again = {part for part, number in job.reads(plan).items() if number > before[part]}
    assert again.isdisjoint(kept)
    job.run(plan)
    assert job.stored(plan) == CONTENT


def test_the_error_of_a_copy_is_not_hidden_by_that_of_storing_its_checksums() -> None:
    job = Job()
    plan = job.in_parts()
    job.reader.flips = [0]
    upload = job.r2.upload_part

    def fail(key: str, upload_id: str, number: int, *content: Any, **named: Any) -> str:
        if number == 5:
            raise SourceUnavailable("the upload was aborted")
        return upload(key, upload_id, number, *content, **named)

    def busy(*_: object) -> None:
        raise Throttled("busy", retry_after=1)

    job.r2.upload_part, job.part_checksums.store = fail, busy  # type: ignore[method-assign, assignment]
    with pytest.raises(SourceUnavailable, match="aborted"):
        job.copy(plan, plan.segments[0])


def test_checksums_that_cannot_be_stored_end_the_segment() -> None:
    """Otherwise the file could not be completed, and nobody would copy the parts again."""
    job = Job()
    plan = job.in_parts()
    store = job.part_checksums.store

    def busy(*_: object) -> None:
        raise Throttled("busy", retry_after=1)

    job.part_checksums.store = busy  # type: ignore[method-assign, assignment]
    with pytest.raises(Throttled):
        job.copy(plan, plan.segments[0])
    job.part_checksums.store = store  # type: ignore[method-assign]
    assert job.copy(plan, plan.segments[0]) == 0
    job.run(plan)
    assert job.stored(plan) == CONTENT


def test_a_part_that_is_stored_in_place_of_another_replaces_its_checksum_at_once() -> None:
    """A function that is killed before that would leave a checksum that is not that of the stored part."""
    job = Job()
    plan = job.in_parts()
    job.copy(plan, plan.segments[0])
    job.r2.unfinished[plan.upload_id][1][1] = b"short"
    job.part_checksums.stored[plan.upload_id][1] = 7
    job.part_checksums.store = kill_after(1, job.part_checksums.store)  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        job.copy(plan, plan.segments[0])
    assert job.part_checksums.stored[plan.upload_id][1] == crc32(CONTENT[: plan.part_size])


def test_a_part_whose_checksum_the_bucket_keeps_is_not_read_again() -> None:
    job = Job()
    plan = job.in_parts()
    job.copy(plan, plan.segments[0])
    job.part_checksums.stored.clear()
    job.r2.keeps_crc32 = True
    before = Counter(job.reads(plan))
    assert job.copy(plan, plan.segments[0]) == 0
    assert job.reads(plan) == before
    job.run(plan)
    assert job.stored(plan) == CONTENT


def test_a_completion_whose_response_was_lost_is_verified() -> None:
    job = Job()
    plan = job.in_parts()
    for segment in plan.segments:
        job.copy(plan, segment)
    complete = job.r2.complete_upload
    job.r2.complete_upload = kill_after(1, complete)  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        job.complete(plan)
    assert job.verify(plan, job.complete(plan)).crc32 == f"{crc32(CONTENT):08x}"


@pytest.mark.parametrize(
    "mib",
    [
        pytest.param(5, id="four small buffers"),
        pytest.param(40, id="four buffers that fill the memory"),
        pytest.param(50, id="three buffers"),
        pytest.param(64, id="two buffers"),
    ],
)
def test_however_large_the_parts_a_copy_holds_little_at_once(mib: int) -> None:
    """One buffer a thread; the libraries take about 100 MB, and a copy 300 MB at most."""
    held, most, lock, job = 0, 0, threading.Lock(), Job()
    threads = max(1, min(4, 160 // mib))
    # Each read waits until as many reads are under way as there may be threads.
    barrier = threading.Barrier(threads)

    class Slow(MemoryReader):
        def read(self, location: str, file: SourceFile, first: int, buffer: bytearray) -> None:
            nonlocal held, most
            with lock:
                held += 1
                most = max(most, held)
            barrier.wait(timeout=30)
            with lock:
                held -= 1

    size = 12 * mib * MIB
    part_size = part_size_for(size, f'"{"0" * 32}-12"')
    assert part_size == mib * MIB
    plan = replace(job.in_parts(), size=size, part_size=part_size)
    assert job.copy(plan, Segment(1, 12), Slow()) == 12
    assert most * part_size <= 160 * MIB


class Expiring(MemoryReader):
    """A reader for which only one URL may be read."""

    def read(self, location: str, file: SourceFile, first: int, buffer: bytearray) -> None:
        if location != "url 2":
            raise SourceDenied
        super().read(location, file, first, buffer)


@pytest.mark.parametrize("check", [False, True])
def test_a_url_that_expires_within_a_segment_is_requested_once_and_not_for_every_part(check: bool) -> None:
    job, requests = Job(), 0
    plan = job.in_parts()
    if check:
        for segment in plan.segments:
            job.copy(plan, segment)
    get = job.cloudflare.get

    def get_with_new_url(cloudflare_recording_id: str) -> ProviderRecording:
        nonlocal requests
        requests += 1
        # The first one has expired by the time it is used.
        return replace(get(cloudflare_recording_id), download_url=f"url {requests}")

    job.cloudflare.get = get_with_new_url  # type: ignore[method-assign]
    job.reader = Expiring(CONTENT)
    if check:
        assert job.check_again(plan, Segment(1, 11)) == 0
    else:
        assert job.copy(plan, Segment(1, 11)) == 11
    assert requests == 2
    assert job.reads(plan) == dict.fromkeys(range(1, 12), 1)


@pytest.mark.parametrize("content", [CONTENT, CONTENT * 1000])
def test_what_was_damaged_on_its_way_to_storage_is_sent_again_and_not_read_again(content: bytes) -> None:
    job = Job(content)
    plan = job.plan() if content is CONTENT else job.in_parts(100_000)
    damaged = Counter[str]()

    def once(send: Callable[..., str], name: str) -> Callable[..., str]:
        def sent(*given: Any, **named: Any) -> str:
            damaged[name] += 1
            if damaged[name] < 3:
                raise ChecksumMismatch("what arrived is not what was sent")
            return send(*given, **named)

        return sent

    job.r2.put = once(job.r2.put, "put")  # type: ignore[method-assign]
    job.r2.upload_part = once(job.r2.upload_part, "part")  # type: ignore[method-assign]
    job.run(plan)
    assert job.stored(plan) == content
    # The ETag proves nothing here: each part is read twice, however often it was sent.
    assert set(job.reader.reads.values()) == {2}


def test_a_bucket_that_damages_every_part_raises_a_checksum_mismatch() -> None:
    job = Job()
    plan = job.in_parts()

    def refuse(*_: object, **__: object) -> str:
        raise ChecksumMismatch("what arrived is not what was sent")

    job.r2.upload_part = refuse  # type: ignore[method-assign]
    with pytest.raises(ChecksumMismatch):
        job.copy(plan, plan.segments[0])


def test_another_crc32_of_the_whole_object_raises_a_checksum_mismatch() -> None:
    job = Job()
    plan = job.in_parts()
    for segment in plan.segments:
        job.copy(plan, segment)
    job.r2.whole_crc32 = "00000000"
    with pytest.raises(ChecksumMismatch):
        job.complete(plan)


def test_a_transfer_with_missing_parts_is_not_completed() -> None:
    job = Job()
    plan = job.in_parts()
    job.copy(plan, plan.segments[0])
    with pytest.raises(SourceUnavailable):
        job.complete(plan)
    assert job.r2.head(plan.key) is None


def test_a_copy_into_an_aborted_upload_raises_source_unavailable() -> None:
    job = Job()
    plan = job.in_parts()
    job.r2.abort_upload(plan.key, plan.upload_id)
    with pytest.raises(SourceUnavailable):
        job.copy(plan, plan.segments[0])


# ---------------------------------------------------------------- bad bytes


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("parts", [False, True], ids=["single", "parts"])
def test_a_source_that_changed_since_the_plan_is_never_mixed(parts: bool, ranges: bool) -> None:
    job = Job(ranges=ranges)
    plan = job.in_parts() if parts else job.plan()
    job.reader.etag = '"v2"'
    with pytest.raises(SourceChanged):
        job.copy(plan, plan.segments[0])
    assert job.r2.objects == {}


def test_a_source_that_stops_answering_ranges_raises_source_unavailable() -> None:
    job = Job()
    plan = job.in_parts()
    job.reader.ranges = False
    with pytest.raises(SourceUnavailable):
        job.copy(plan, plan.segments[0])


def etag_in_parts(content: bytes, part: int) -> str:
    return f'"{of_parts(md5(content[at : at + part]) for at in range(0, len(content), part))}"'


@pytest.mark.parametrize(
    ("etag", "ranges"),
    [
        pytest.param(f'"{md5(CONTENT)}"', True, id="MD5"),
        pytest.param(etag_in_parts(CONTENT, MIB), True, id="ETag of parts"),
        pytest.param('"v1"', True, id="opaque ETag"),
        pytest.param(None, False, id="no ETag, no ranges"),
    ],
)
def test_a_bit_that_flips_on_its_way_from_the_source_is_repaired_in_a_small_file(
    etag: str | None, ranges: bool
) -> None:
    job = Job(etag=etag, ranges=ranges)
    plan = job.plan()
    job.reader.flips = [511]
    assert job.run(plan).crc32 == f"{crc32(CONTENT):08x}"
    assert job.stored(plan) == CONTENT


def test_a_small_file_is_read_once_if_its_etag_verifies_it_and_twice_otherwise() -> None:
    for etag, times in ((f'"{md5(CONTENT)}"', 1), (etag_in_parts(CONTENT, MIB), 1), ('"v1"', 2), (None, 2)):
        job = Job(etag=etag)
        job.run(job.plan())
        assert set(job.reader.reads.values()) == {times}


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("mib", [5, 8])
def test_a_small_file_that_was_made_of_parts_is_one_request_all_the_same(mib: int, ranges: bool) -> None:
    content = bytes(range(256)) * (11 * MIB // 256)
    job = Job(content, etag=etag_in_parts(content, mib * MIB), ranges=ranges)
    plan = job.plan()
    assert (plan.segments, plan.upload_id) == ((Segment(1, 1),), "")
    job.run(plan)
    assert job.stored(plan) == content
    assert set(job.reader.reads.values()) == ({1} if ranges else set())


class Scripted(MemoryReader):
    """A reader whose reads of each offset return in turn what the script says. None stands for the true bytes."""

    def __init__(self, content: bytes, script: dict[int, list[bytes | None]], **more: Any) -> None:
        super().__init__(content, **more)
        self.script = script

    def read(self, location: str, file: SourceFile, first: int, buffer: bytearray) -> None:
        super().read(location, file, first, buffer)
        left = self.script.get(first)
        scripted = left.pop(0) if left else None
        if scripted is not None:
            buffer[:] = scripted


BAD, WORSE = b"x" + CONTENT[1:], b"y" + CONTENT[1:]


@pytest.mark.parametrize("etag", [f'"{md5(CONTENT)}"', etag_in_parts(CONTENT, MIB)])
@pytest.mark.parametrize("script", [*product((BAD, WORSE, None), repeat=2), (BAD, BAD, None), (BAD, WORSE, None)])
def test_the_read_that_fits_the_etag_wins_over_those_that_agree(script: tuple[bytes | None, ...], etag: str) -> None:
    job = Job(etag=etag)
    job.reader = Scripted(CONTENT, {0: list(script)}, etag=etag)
    plan = job.plan()
    job.run(plan)
    assert job.stored(plan) == CONTENT


def test_an_etag_that_is_no_md5_of_the_bytes_holds_nothing_up() -> None:
    job = Job(etag=f'"{md5(b"encrypted")}"')
    plan = job.plan()
    job.run(plan)
    assert job.stored(plan) == CONTENT
    assert set(job.reader.reads.values()) == {3}


def test_a_small_file_whose_ranges_are_refused_is_read_whole() -> None:
    job = Job()

    def refused(*_: object) -> None:
        raise RangesRefused

    job.reader.read = refused  # type: ignore[method-assign, assignment]
    plan = job.plan()
    job.run(plan)
    assert job.stored(plan) == CONTENT


def test_a_large_file_whose_ranges_are_refused_is_planned_as_one_stream() -> None:
    job = Job(bytes(3 * MULTIPART_THRESHOLD_BYTES))
    plan = job.plan(ranges=False)
    assert (plan.ranges, plan.segments) == (False, (Segment(1, 3),))
    job.reader.read = None  # type: ignore[method-assign, assignment]
    job.run(plan)
    assert job.stored(plan) == job.reader.content


LONG = bytes(range(256)) * (2 * MIB // 256)
B1, B2 = b"x" + LONG[1:MIB], b"y" + LONG[1:MIB]


@pytest.mark.parametrize("others", [{}, {2: [b"z" * MIB]}], ids=["alone", "two"])
@pytest.mark.parametrize(
    "script", [(B1,), (B1, None, B1), (B1, B2, None), (B1, B2, B1), (None, B1, None), (None, B1, B1)]
)
def test_a_part_that_reads_disagree_about_is_never_stored_wrong_where_the_etag_could_prove_it(
    script: tuple[bytes | None, ...], others: dict[int, list[bytes | None]]
) -> None:
    etag = etag_in_parts(LONG, MIB)
    job = Job(LONG, etag=etag)
    job.reader = Scripted(LONG, {1: list(script), **{part: list(reads) for part, reads in others.items()}}, etag=etag)
    plan = job.in_parts(MIB)
    try:
        job.run(plan)
    except ChecksumMismatch:
        assert others or None not in script
        assert job.r2.objects == {}
    else:
        assert job.stored(plan) == LONG


@pytest.mark.parametrize("ranges", [True, False])
def test_three_reads_that_differ_store_nothing(ranges: bool) -> None:
    job = Job(ranges=ranges)
    plan = job.plan()
    job.reader.flips = [7, 7, 7]
    with pytest.raises(ChecksumMismatch):
        job.copy(plan, Segment(1, 1))
    assert job.r2.objects == {}


def test_parts_that_yield_the_etag_of_the_source_are_read_once() -> None:
    job = Job(etag=etag_in_parts(CONTENT, 100))
    plan = job.in_parts()
    job.run(plan)
    assert set(job.reader.reads.values()) == {1}


def test_parts_that_nothing_verifies_are_read_twice() -> None:
    job = Job()
    plan = job.in_parts()
    job.run(plan)
    assert job.reads(plan) == dict.fromkeys(range(1, 12), 2)
    assert set(job.r2.part_writes.values()) == {1}
    assert job.stored(plan) == CONTENT


@pytest.mark.parametrize("etag", [etag_in_parts(CONTENT, 100), '"v1"'])
@pytest.mark.parametrize(("at", "part"), [(0, 1), (511, 6), (1023, 11)])
def test_a_bit_that_flips_on_its_way_from_the_source_is_found_and_only_its_part_is_repaired(
    at: int, part: int, etag: str
) -> None:
    job = Job(etag=etag)
    plan = job.in_parts()
    job.reader.flips = [at]
    for segment in plan.segments:
        job.copy(plan, segment)
    assert not job.complete(plan, checked=False).verified
    assert job.r2.objects == {}
    assert sum(job.check_again(plan, segment) for segment in plan.segments) == 1
    facts = job.verify(plan, job.complete(plan))
    assert facts.crc32 == f"{crc32(CONTENT):08x}"
    assert job.stored(plan) == CONTENT
    # The second read makes the ETag where that can be made; else a third has to agree with it.
    assert job.reads(plan) == dict.fromkeys(range(1, 12), 2) | {part: 3 if etag == '"v1"' else 2}
    assert job.r2.part_writes == dict.fromkeys(range(1, 12), 1) | {part: 2}


def test_a_bit_that_flips_in_the_second_read_alone_changes_nothing() -> None:
    job = Job()
    plan = job.in_parts()
    for segment in plan.segments:
        job.copy(plan, segment)
    job.reader.flips = [511]
    assert [job.check_again(plan, segment) for segment in plan.segments] == [0, 0]
    assert set(job.r2.part_writes.values()) == {1}
    job.verify(plan, job.complete(plan))
    assert job.stored(plan) == CONTENT


def test_three_reads_of_a_part_that_differ_raise_a_checksum_mismatch() -> None:
    job = Job()
    plan = job.in_parts()
    job.copy(plan, plan.segments[0])
    job.reader.flips = [7, 7]
    with pytest.raises(ChecksumMismatch):
        job.check_again(plan, plan.segments[0])


def test_a_second_stream_that_differs_raises_a_checksum_mismatch() -> None:
    job = Job(ranges=False)
    plan = job.in_parts()
    job.reader.flips = [511]
    job.copy(plan, plan.segments[0])
    with pytest.raises(ChecksumMismatch):
        job.check_again(plan, plan.segments[0])


def test_a_check_may_be_repeated_even_when_the_file_is_complete_and_wants_all_parts() -> None:
    job = Job()
    plan = job.in_parts()
    with pytest.raises(SourceUnavailable):
        job.check_again(plan, plan.segments[0])
    job.run(plan)
    reads = Counter(job.reader.reads)
    assert job.check_again(plan, plan.segments[0]) == 0
    assert job.reader.reads == reads


@pytest.mark.parametrize("mib", [5, 8, 10, 16, 32, 64])
def test_a_plan_takes_the_size_of_the_sources_own_parts(mib: int) -> None:
    size = 1000 * MIB + 1
    assert part_size_for(size, f'"{"0" * 32}-{-(-size // (mib * MIB))}"') == mib * MIB


@pytest.mark.parametrize(
    ("size", "number"),
    # Parts smaller than R2 allows, larger than memory takes, more than there may be, and of no whole MiB.
    [(1000 * MIB, 250), (1000 * MIB, 10), (2000 * MIB, 3), (50_000 * MIB, 10_000), (1000 * MIB, 999)],
)
def test_a_size_that_will_not_do_is_not_taken(size: int, number: int) -> None:
    assert part_size_for(size, f"{'0' * 32}-{number}") == part_size_for(size)


@pytest.mark.parametrize("at", [0, 511, 1023])
def test_a_bit_that_flips_in_our_storage_is_caught(at: int) -> None:
    job = Job()
    plan = job.plan()
    job.copy(plan, plan.segments[0])
    content, etag = job.r2.objects[plan.key]
    spoiled = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    job.r2.objects[plan.key] = spoiled, etag
    with pytest.raises(ChecksumMismatch):
        job.verify(plan, job.complete(plan))


def test_a_stored_part_that_is_not_the_part_that_was_read_raises_a_checksum_mismatch() -> None:
    job = Job()
    plan = job.in_parts()
    for segment in plan.segments:
        job.copy(plan, segment)
    parts = job.r2.unfinished[plan.upload_id][1]
    parts[3] = bytes(100)
    with pytest.raises(ChecksumMismatch):
        job.verify(plan, job.complete(plan))


def test_a_whole_whose_checksum_is_known_beforehand_must_have_it() -> None:
    job = Job()
    plan = job.plan()
    job.copy(plan, Segment(1, 1))
    known = f"{crc32(CONTENT):08x}"
    assert job.complete(replace(plan, crc32=known)).crc32 == known
    with pytest.raises(ChecksumMismatch):
        job.complete(replace(plan, crc32="00000000"))


@pytest.mark.parametrize("stored", [None, CONTENT[:-1], CONTENT + b"x", b""])
def test_an_object_of_another_size_or_none_is_caught(stored: bytes | None) -> None:
    job = Job()
    plan = job.plan()
    if stored is not None:
        job.r2.put(plan.key, stored, content_type="x")
    with pytest.raises(ChecksumMismatch):
        job.verify(plan, TransferResult(etag=None, crc32=None, verified=True))


def test_an_object_with_another_etag_is_caught() -> None:
    job = Job()
    plan = job.in_parts()
    for segment in plan.segments:
        job.copy(plan, segment)
    done = job.complete(plan)
    with pytest.raises(ChecksumMismatch):
        job.verify(plan, TransferResult(etag="0" * 32 + "-11", crc32=done.crc32, verified=True))


@pytest.mark.parametrize(
    ("media", "expected"),
    [
        (FILM, {"is_media": True, "truncated": False, "content_type": "video/mp4", "duration": 17}),
        (
            MediaFacts(container=Container.WEBM, has_video=False, has_audio=True, truncated=True),
            {"is_media": True, "truncated": True, "content_type": "audio/webm", "duration": None},
        ),
        (
            MediaFacts(container=Container.UNKNOWN),
            {"is_media": False, "truncated": False, "content_type": "application/octet-stream", "duration": None},
        ),
    ],
)
def test_a_verified_file_comes_with_its_media_facts(media: MediaFacts, expected: dict[str, object]) -> None:
    job = Job()
    plan = job.plan()
    job.copy(plan, Segment(1, 1))
    facts = job.verify(plan, job.complete(plan), media)
    assert {name: getattr(facts, name) for name in expected} == expected


def test_the_media_facts_of_a_small_file_take_no_request_of_their_own() -> None:
    job = Job()
    plan = job.plan()
    job.copy(plan, Segment(1, 1))
    reads: list[tuple[int, int]] = []
    read = job.r2.read

    def counted(key: str, first: int, last: int, *, etag: str | None = None) -> bytes:
        reads.append((first, last))
        return read(key, first, last, etag=etag)

    job.r2.read = counted  # type: ignore[method-assign]

    def read_media_facts(read_range: Callable[[int, int], bytes], size: int) -> MediaFacts:
        assert read_range(3, size - 1) == CONTENT[3:]
        return FILM

    VerifyTransfer(store=job.r2, read_media_facts=read_media_facts)(plan, job.complete(plan))
    assert reads == [(0, len(CONTENT) - 1)]


# ---------------------------------------------------------------- waiting for the upload


def running() -> World:
    world = World()
    world.start()
    return world


def test_an_uploaded_file_is_reported_at_once_and_no_token_is_stored() -> None:
    job = Job()
    assert job.check(job.recording) == UploadState(state="uploaded")
    assert job.memory.tokens == {}


def test_the_token_is_stored_for_the_webhook_while_the_file_is_not_uploaded() -> None:
    world = running()
    recording = world.stop()
    assert world.check(recording, "mine") is None
    assert world.memory.tokens == {("tenant_1", recording.id): "mine"}
    noted = world.recordings.get("tenant_1", recording.id).progress
    assert noted is not None
    assert (noted.step, noted.next_step_due) == ("waiting_for_upload", world.clock() + timedelta(seconds=5))
    assert noted.stuck_after == world.clock() + STALL_AFTER


def test_a_file_that_is_uploaded_before_the_token_is_stored_is_found() -> None:
    world = running()
    recording = world.stop()
    keep = world.recordings.store_task_token

    def and_upload(one: Recording, token: str) -> None:
        keep(one, token)
        world.cloudflare.upload("capture_1")

    world.recordings.store_task_token = and_upload  # type: ignore[method-assign, assignment]
    assert world.check(recording) == UploadState(state="uploaded")
    assert world.memory.tokens == {}


def test_a_file_that_never_comes_is_stalled_at_its_time_and_not_before() -> None:
    world = running()
    recording = world.stop()
    world.clock.advance(seconds=STALL_AFTER.total_seconds() - 1)
    assert world.check(recording) is None
    world.clock.advance(seconds=1)
    assert world.check(recording) == UploadState(state="stalled")


def test_an_errored_recording_fails_unless_cloudflare_offers_a_file() -> None:
    world = running()
    recording = world.stop()
    world.cloudflare.lose("capture_1")
    with pytest.raises(ProviderRecordingFailed):
        world.check(recording)
    world.cloudflare.lose("capture_1", url="https://rest")
    assert world.check(recording) == UploadState(state="uploaded", partial=True)


def test_a_recording_that_cloudflare_does_not_know_fails_after_a_second_check() -> None:
    world = running()
    recording = world.stop()
    del world.cloudflare.captured["capture_1"]
    assert world.check(recording) is None
    world.clock.advance(minutes=9, seconds=59)
    assert world.check(recording) is None
    world.clock.advance(seconds=1)
    with pytest.raises(ProviderRecordingFailed):
        world.check(recording)


def test_an_execution_whose_recording_has_ended_has_nothing_to_do() -> None:
    job = Job()
    MarkFailed(recordings=job.recordings, clock=job.clock)(job.attempt, Failure("x", "y"))
    assert job.check(job.recording) == UploadState(state="over")


def test_a_failing_cloudflare_is_for_the_workflow_to_repeat() -> None:
    job = Job()

    def down(cloudflare_recording_id: str) -> object:
        raise ProviderTimeout

    job.cloudflare.get = down  # type: ignore[method-assign, assignment]
    with pytest.raises(ProviderTimeout):
        job.check(job.recording)
    assert job.now() == job.recording


# ---------------------------------------------------------------- the end


def mark_ready(job: Job, seconds: int | None = 59) -> Status:
    mark = MarkReady(**job.ports("recordings", "provider", "store"), limits=job.limits)
    found = a_verified_file(size=1024, duration=seconds)
    return mark(job.attempt, found, key="k", errored=False)


def test_a_stored_file_makes_the_recording_ready_with_cloudflares_duration() -> None:
    job = Job()
    assert mark_ready(job) is Status.READY
    now = job.now()
    assert (now.status, now.duration_seconds, now.size_bytes, now.progress) == (Status.READY, 60, 1024, None)
    job.assert_sound()


def test_the_files_own_duration_counts_if_cloudflare_reports_none() -> None:
    job = Job()
    job.cloudflare.upload("capture_1", seconds=None)
    mark_ready(job)
    assert job.now().duration_seconds == 59


@pytest.mark.parametrize("expected", [0, -1, 10**18, 25 * 3600 + 1])
def test_an_impossible_duration_from_cloudflare_is_replaced_by_the_files_own(expected: int) -> None:
    job = Job()
    job.cloudflare.upload("capture_1", seconds=expected)
    mark_ready(job)
    assert job.now().duration_seconds == 59


@pytest.mark.parametrize("own", [0, -1, 10**298])
def test_a_duration_of_the_file_that_cannot_be_is_not_stored(own: int) -> None:
    job = Job()
    job.cloudflare.upload("capture_1", seconds=None)
    mark_ready(job, own)
    assert job.now().duration_seconds is None


def test_a_file_much_shorter_than_cloudflare_says_is_as_long_as_it_is() -> None:
    job = Job()
    job.cloudflare.upload("capture_1", seconds=1800)
    mark_ready(job)
    assert job.now().duration_seconds == 59


def test_a_recording_is_ready_even_when_cloudflare_forgot_it_meanwhile() -> None:
    job = Job()
    del job.cloudflare.captured["capture_1"]
    assert mark_ready(job) is Status.READY
    assert job.now().duration_seconds == 59


def test_marks_may_be_repeated_and_the_first_end_stands() -> None:
    job = Job()
    mark_ready(job)
    first = job.now()
    job.clock.advance(hours=1)
    assert mark_ready(job, 7) is Status.READY
    assert MarkFailed(recordings=job.recordings, clock=job.clock)(job.attempt, Failure("x", "y")) is Status.READY
    job.stalls()
    assert job.now() == first
    job.assert_sound()


def test_a_failed_recording_stores_its_failure_and_stays_failed() -> None:
    job = Job()
    assert MarkFailed(recordings=job.recordings, clock=job.clock)(job.attempt, Failure("lost", "y")) is Status.FAILED
    assert mark_ready(job) is Status.FAILED
    assert job.now().failure == Failure("lost", "y")
    job.assert_sound()


def test_an_attempt_that_gave_up_is_flagged_until_a_new_attempt_begins() -> None:
    job = Job()
    plan = job.plan()
    job.run(plan)
    job.stalls()
    stalled = job.now()
    assert (stalled.status, stalled.stalled, stalled.version) == (Status.PROCESSING, True, job.recording.version)
    # What the attempt wrote is gone: a late task of it must not make a file of that.
    assert plan.key not in job.r2.objects
    assert mark_ready(job) is Status.PROCESSING
    assert job.now() == stalled
    assert not stalled.recovered(at=job.clock()).stalled


def test_an_execution_of_an_older_attempt_changes_nothing() -> None:
    job = Job()
    before = job.now()
    after = before.recovered(at=job.clock())
    job.recordings.save(before, after)
    assert mark_ready(job) is Status.PROCESSING
    assert MarkFailed(recordings=job.recordings, clock=job.clock)(job.attempt, Failure("x", "y")) is Status.PROCESSING
    job.stalls()
    assert job.check(job.recording) == UploadState(state="over")
    assert job.now() == after


@pytest.mark.parametrize("times", [1, 4])
def test_a_change_in_between_is_read_again(times: int) -> None:
    job = Job()
    save, left = job.recordings.save, iter(range(times))

    def contended(before: Recording, after: Recording) -> Recording:
        if next(left, None) is not None:
            raise ConcurrentUpdate
        return save(before, after)

    job.recordings.save = contended  # type: ignore[method-assign]
    assert mark_ready(job) is Status.READY


def test_endless_changes_in_between_raise_concurrent_update() -> None:
    job = Job()

    def contended(before: Recording, after: Recording) -> Recording:
        raise ConcurrentUpdate

    job.recordings.save = contended  # type: ignore[method-assign]
    with pytest.raises(ConcurrentUpdate):
        mark_ready(job)
