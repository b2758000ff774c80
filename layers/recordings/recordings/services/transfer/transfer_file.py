"""Carry a file from one store to another in checked parts: the engine of processing and of archiving.

Each step is safe to repeat: a part that is stored, with its checksum noted, is not copied again, and a file that is
whole is left as it is. Bytes pass through memory only, a few parts at a time.

From the first read on every byte is covered by a CRC-32 and by the MD5 that the store compares. That the first read was
right is proved too: by the source's CRC-32 where that is known; else by its ETag, which is the MD5 of its bytes or,
where our parts are as large as those it was made of, of our parts' MD5s; and where neither proves it, by reading the
source once more.
"""

import gc
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from hashlib import md5, sha256
from typing import Final, NotRequired, Protocol, TypedDict
from zlib import crc32

from recordings.domain import etag as etags
from recordings.domain.admission import Proof
from recordings.domain.checksum import combined
from recordings.domain.errors import ChecksumMismatch, RangesRefused, SourceDenied, SourceUnavailable
from recordings.domain.media import MediaFacts

MIB: Final = 1024 * 1024
# Below this one request carries the file; from it on, parts of at least this size do.
SINGLE_BELOW: Final = 16 * MIB
# R2 and S3 take 10,000 parts, R2 all but the last of one size (R2, multipart-objects); some are kept in reserve.
MOST_PARTS: Final = 9_000
# Parts as large as the source's own are taken from what R2 and S3 allow up to what one thread can hold.
LEAST_PART: Final = 5 * MIB
MOST_PART: Final = 64 * MIB
# At 20 MB/s a segment takes under two minutes of a function's time.
SEGMENT_BYTES: Final = 2 * 1024 * MIB
# As many segments are copied at once (MaxConcurrency of the state machines' Map).
SEGMENTS_AT_ONCE: Final = 4
THREADS: Final = 4
# What all threads together may hold, two buffers of a part each: with its libraries a copy stays under 300 MB.
BUFFERS: Final = 160 * MIB
# How often a part is sent that is damaged on its way: a transfer that begins anew would fetch the whole file again.
SENDS: Final = 3
# How much is copied between two notes of the progress.
NOTED_EVERY: Final = 256 * MIB


class Work(TypedDict):
    """Which recording, and which attempt at it, a run is about."""

    tenant_id: str
    recording_id: str
    attempt: int


class Plan(TypedDict):
    """How a file is copied. `upload_id` is empty for a single request; segments are part numbers, both included.

    `source` is the key in the store it comes from, empty when it comes from Cloudflare. `etag` and `modified`
    (Last-Modified) are the source's, `crc32` that of the whole source, where they are known. A file that is `present`
    is at `key` already: its segments are read for their checksums alone.
    """

    source: str
    key: str
    size: int
    etag: str | None
    modified: str | None
    ranges: bool
    content_type: str
    crc32: str | None
    part_size: int
    upload_id: str
    segments: list[list[int]]
    present: bool
    announced: NotRequired["Announced"]


class Announced(TypedDict):
    """What Cloudflare says of the file when it is planned; `expires_at` (RFC 3339) is when its copy is gone.

    `errored`: it could not record or upload it. Nothing is announced of a recording that it does not know (any more).
    """

    size: int | None
    seconds: int | None
    errored: bool
    expires_at: str | None


class Done(TypedDict):
    """What a completed transfer must have become: its ETag (of a multipart object) and its CRC-32 in hex.

    One that is not `proven` is not complete: its segments are to be checked first.
    """

    etag: str | None
    crc32: str | None
    proven: bool


class Source(Protocol):
    """A file where it is copied from."""

    @property
    def size(self) -> int: ...
    @property
    def etag(self) -> str | None: ...
    @property
    def modified(self) -> str | None: ...
    @property
    def ranges(self) -> bool: ...


class Reader(Protocol):
    """Reads the source; `place` is a URL or a key. Raises SourceChanged, SourceDenied or SourceUnavailable."""

    def measure(self, place: str) -> Source: ...
    def read(self, place: str, plan: Plan, first: int, last: int) -> bytes: ...
    def stream(self, place: str, plan: Plan) -> Iterator[bytes]: ...


class Uploads(Protocol):
    """A store in which uploads may lie unfinished."""

    def uploads(self, prefix: str) -> Iterator[tuple[str, str]]: ...
    def abort(self, key: str, upload_id: str) -> None: ...


class Files(Uploads, Protocol):
    """The store that is copied to. Raises ChecksumMismatch when what it stored is not what it was given."""

    def head(self, key: str) -> tuple[int, str] | None: ...
    def read(self, key: str, first: int, last: int, *, etag: str | None = None) -> bytes: ...
    def put(self, key: str, content: bytes, *, content_type: str) -> str: ...
    def create_upload(self, key: str, *, content_type: str) -> str: ...
    def upload_part(self, key: str, upload_id: str, number: int, content: bytes) -> str: ...
    def parts(self, key: str, upload_id: str) -> Mapping[int, tuple[int, str]] | None: ...
    def complete(self, key: str, upload_id: str, etags: Mapping[int, str], crcs: Mapping[int, int]) -> str | None: ...


class PartChecksums(Protocol):
    """The CRC-32 of each part that was stored, kept until the file is whole."""

    def note(self, upload: str, number: int, crc: int) -> None: ...
    def of(self, upload: str) -> Mapping[int, int]: ...


class Progressing(Protocol):
    """Hears how many bytes more have been copied."""

    def __call__(self, work: Work, copied: int) -> None: ...


type Locate = Callable[[Work, Plan], str]
# Raises AttemptReplaced when a newer attempt has taken over: asked before every effect that others could see.
type Fence = Callable[[Work], object]
# Takes a reader of ranges (first and last byte) and the size of the file.
type ReadMediaFacts = Callable[[Callable[[int, int], bytes], int], MediaFacts]


def part_size_for(size: int, etag: str | None = None) -> int:
    """The equal part size for a file, a whole number of MiB: that of the parts it was made of, if its ETag hints at one
    that will do; else at least SINGLE_BELOW, so that there are MOST_PARTS at most."""
    for one in etags.part_sizes(size, etag):
        if LEAST_PART <= one <= MOST_PART and -(-size // one) <= MOST_PARTS:
            return one
    return max(SINGLE_BELOW, -(-size // (MOST_PARTS * MIB)) * MIB)


def segments_for(size: int, part_size: int, *, ranges: bool) -> list[list[int]]:
    """Runs of parts for one function each. A file that cannot be read in ranges is one run."""
    parts = max(1, -(-size // part_size))
    run = max(1, SEGMENT_BYTES // part_size) if ranges else parts
    return [[first, min(first + run - 1, parts)] for first in range(1, parts + 1, run)]


def plan_for(
    source: Source,
    files: Files,
    *,
    place: str,
    key: str,
    family: str,
    attempt: int,
    content_type: str,
    crc: str | None = None,
    ranges: bool = True,
) -> Plan:
    """Plan a copy to `key`, with its upload begun; unfinished uploads of earlier plans go (drop_unfinished).

    Without `ranges` the source is read as one stream, whatever it says of itself.
    """
    drop_unfinished(files, family, until=attempt)
    single = source.size < SINGLE_BELOW
    # What one request carries is one part, whatever the source was made of.
    part_size = part_size_for(source.size, None if single else source.etag)
    return Plan(
        source=place,
        key=key,
        size=source.size,
        etag=source.etag,
        modified=source.modified,
        ranges=source.ranges and ranges,
        content_type=content_type,
        crc32=crc,
        part_size=part_size,
        upload_id="" if single else files.create_upload(key, content_type=content_type),
        segments=[[1, 1]] if single else segments_for(source.size, part_size, ranges=source.ranges and ranges),
        present=False,
    )


def drop_unfinished(files: Uploads, family: str, *, until: int) -> None:
    """Abort the uploads that the attempts up to this one have begun and will not finish, and none of a later attempt.

    `family` is the prefix of their keys; the number of the attempt comes next (domain/storage_keys.py).
    """
    for key, upload_id in [*files.uploads(family)]:
        attempt = key.removeprefix(family).partition("/")[0]
        if attempt.isdecimal() and int(attempt) <= until:
            files.abort(key, upload_id)


def plan_without_copying(
    place: str, key: str, found: tuple[int, str], content_type: str, crc: str | None, *, read: bool
) -> Plan:
    """A plan for a file that is where it should be already: `found` is its size and its ETag.

    With `read` its segments are read for their checksums, unless it is small enough to be read when it is verified.
    """
    size, etag = found
    part_size = part_size_for(size)
    return Plan(
        source=place,
        key=key,
        size=size,
        etag=etag,
        modified=None,
        ranges=True,
        content_type=content_type,
        crc32=crc,
        part_size=part_size,
        upload_id="",
        segments=segments_for(size, part_size, ranges=True) if read and size >= SINGLE_BELOW else [],
        present=True,
    )


def length_of(plan: Plan, number: int) -> int:
    """The bytes of one part."""
    return min(plan["part_size"], plan["size"] - (number - 1) * plan["part_size"])


def _range_of(plan: Plan, number: int) -> tuple[int, int]:
    """The first and the last byte of one part."""
    first = (number - 1) * plan["part_size"]
    return first, first + length_of(plan, number) - 1


def _sums_of(plan: Plan) -> str:
    """What the checksums of a plan's parts are kept under."""
    if plan["present"]:
        return f"{plan['key']}@{plan['etag']}"
    # A single request has no upload id; its key is of its attempt alone.
    return plan["upload_id"] or plan["key"]


def _disputed(plan: Plan) -> str:
    """What the parts are kept under that two reads of the source disagreed about."""
    return f"{_sums_of(plan)} disputed"


class _Meter:
    """Adds up what the threads of one segment have copied, and tells of it now and then."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell, self._lock, self._untold = tell, threading.Lock(), 0

    def add(self, copied: int) -> bool:
        """Give whether it was told now."""
        with self._lock:
            self._untold += copied
            if self._untold < NOTED_EVERY:
                return False
            told, self._untold = self._untold, 0
        self._tell(told)
        return True

    def close(self) -> None:
        if self._untold:
            self._tell(self._untold)


class _Place:
    """Where the source is read, for all threads of a segment: found once, and again when it may not be read there."""

    def __init__(self, find: Callable[[], str]) -> None:
        self._find, self._lock, self.now = find, threading.Lock(), find()

    def instead_of(self, denied: str) -> str:
        with self._lock:
            # Each question counts in Cloudflare's limit: what one thread has learned is not asked by the next.
            if self.now == denied:
                self.now = self._find()
            return self.now


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segments:
    """What copying a run of parts and checking it have in common."""

    locate: Locate
    fence: Fence
    files: Files
    reader: Reader
    sums: PartChecksums

    def _place(self, work: Work, plan: Plan) -> _Place:
        return _Place(lambda: self.locate(work, plan))

    def _read(self, place: _Place, plan: Plan, number: int) -> bytes:
        first, last = _range_of(plan, number)
        url = place.now
        try:
            return self.reader.read(url, plan, first, last)
        except SourceDenied:
            # The URL has run out while the file has not: Cloudflare gives a fresh one.
            return self.reader.read(place.instead_of(url), plan, first, last)

    def _store(self, plan: Plan, number: int, content: bytes) -> None:
        _sent(lambda: self.files.upload_part(plan["key"], plan["upload_id"], number, content))
        # After the part: one without a checksum is copied again, one without a part would never be missed.
        self.sums.note(_sums_of(plan), number, crc32(content))

    def _each(self, plan: Plan, numbers: Sequence[int], do: Callable[[int], bool]) -> int:
        """Do something with several parts at once, two buffers a thread at most; how often it was True."""
        # What an earlier segment's broken connections left in this container's memory is not carried along.
        gc.collect()
        threads = max(1, min(THREADS, BUFFERS // (2 * plan["part_size"])))
        with ThreadPoolExecutor(threads) as pool:
            # A thread has no context of its own: each part gets a copy, which names the tenant it is copied for.
            contexts = [copy_context() for _ in numbers]
            # sum() hears of every failure; the parts that were stored stay stored for the next try.
            return sum(pool.map(lambda context, number: context.run(do, number), contexts, numbers))


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySegment(_Segments):
    """Copy a run of parts, each read whole and then stored: two buffers a thread at most."""

    progressing: Progressing | None = None

    def __call__(self, work: Work, plan: Plan, segment: list[int]) -> int:
        """Give the number of parts copied now (of a file that is present: read now).

        Raises SourceChanged, SourceUnavailable, SourceExpired, ChecksumMismatch or AttemptReplaced.
        """
        self.fence(work)
        meter = _Meter(lambda copied: self.progressing(work, copied) if self.progressing else None)
        try:
            return self._copy_all(work, plan, segment, meter)
        finally:
            meter.close()

    def _copy_all(self, work: Work, plan: Plan, segment: list[int], meter: _Meter) -> int:
        numbers = range(segment[0], segment[1] + 1)
        if plan["present"]:
            summed = self.sums.of(_sums_of(plan))
            unread = [number for number in numbers if number not in summed]
            return self._each(plan, unread, lambda number: self._sum(plan, number, meter))
        if not plan["upload_id"]:
            return self._whole(work, plan, meter)
        done = self.files.parts(plan["key"], plan["upload_id"])
        if done is None:
            if self.files.head(plan["key"]) is not None:
                # A repeat after the file was completed.
                return 0
            raise SourceUnavailable("the upload was dropped before it was complete")
        place = self._place(work, plan)
        if not plan["ranges"]:
            return self._in_order(work, place.now, plan, done, meter)
        summed = self.sums.of(_sums_of(plan))
        missing = [
            number
            for number in numbers
            if number not in summed or done.get(number, (-1, ""))[0] != length_of(plan, number)
        ]
        return self._each(plan, missing, lambda number: self._copy(work, place, plan, number, meter))

    def _sum(self, plan: Plan, number: int, meter: _Meter) -> bool:
        content = self.files.read(plan["key"], *_range_of(plan, number), etag=plan["etag"])
        self.sums.note(_sums_of(plan), number, crc32(content))
        meter.add(len(content))
        return True

    def _whole(self, work: Work, plan: Plan, meter: _Meter) -> int:
        place = self._place(work, plan)

        ranges = plan["ranges"]

        def read() -> bytes:
            nonlocal ranges
            if not plan["size"]:
                return b""
            if ranges:
                try:
                    return self._read(place, plan, 1)
                except RangesRefused:
                    ranges = False
            return b"".join(self.reader.stream(place.now, plan))

        content = read()
        if not _is_proven(plan, content):
            content = _agreed(plan, content, read)
        # Reading may have taken long.
        self.fence(work)
        _sent(lambda: self.files.put(plan["key"], content, content_type=plan["content_type"]))
        self.sums.note(_sums_of(plan), 1, crc32(content))
        meter.add(len(content))
        return 1

    def _copy(self, work: Work, place: _Place, plan: Plan, number: int, meter: _Meter) -> bool:
        content = self._read(place, plan, number)
        self._store(plan, number, content)
        self._count(work, meter, len(content))
        return True

    def _count(self, work: Work, meter: _Meter, copied: int) -> None:
        if meter.add(copied):
            # Parts go into this attempt's own upload, so it is enough to ask now and then.
            self.fence(work)

    def _in_order(self, work: Work, place: str, plan: Plan, done: Mapping[int, tuple[int, str]], meter: _Meter) -> int:
        copied = 0
        for number, content in enumerate(self.reader.stream(place, plan), start=1):
            if done.get(number) != (len(content), md5(content, usedforsecurity=False).hexdigest()):
                self._store(plan, number, content)
                self._count(work, meter, len(content))
                copied += 1
            else:
                self.sums.note(_sums_of(plan), number, crc32(content))
        return copied


def _sent(send: Callable[[], object]) -> None:
    """Send what the store refuses because it was damaged on its way once more: it is still whole here.

    Raises ChecksumMismatch when nothing arrives whole.
    """
    for _ in range(SENDS - 1):
        try:
            send()
        except ChecksumMismatch:
            continue
        return
    send()


def _is_proven(plan: Plan, content: bytes) -> bool:
    """Whether a whole file that was read is known to be the source's."""
    if plan["crc32"] is not None:
        return plan["crc32"] == f"{crc32(content):08x}"
    return not content or etags.names(plan["etag"], content)


def _agreed(plan: Plan, first: bytes, read: Callable[[], bytes]) -> bytes:
    """The read that the source's checksum or ETag proves, else what two of three agree on. Raises ChecksumMismatch.

    Where an ETag looks like a proof, two reads that agree and do not fit it are not enough: the third may fit.
    """
    second = read()
    if _is_proven(plan, second):
        return second
    if second == first and not etags.may_name(plan["etag"], plan["size"]):
        return second
    third = read()
    if _is_proven(plan, third):
        return third
    if second == first:
        return second
    if third not in (first, second):
        raise ChecksumMismatch("three reads of the source gave three files")
    return third


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSegment(_Segments):
    """Read a run of parts once more, where nothing else proves that what was copied is what the source holds.

    Where reads of a part disagree, the one that makes the source's ETag counts, else what two of three agree on. If the
    ETag could prove the file, such a part is noted as disputed: CompleteTransfer wants the proof then.
    """

    def __call__(self, work: Work, plan: Plan, segment: list[int]) -> int:
        """Give the number of parts that had come wrong and are right now.

        Raises SourceChanged, SourceUnavailable, SourceExpired, ChecksumMismatch (reads keep disagreeing) or
        AttemptReplaced.
        """
        self.fence(work)
        summed = self.sums.of(_sums_of(plan))
        numbers = range(segment[0], segment[1] + 1)
        if not all(number in summed for number in numbers):
            raise SourceUnavailable("parts are missing")
        parts = self.files.parts(plan["key"], plan["upload_id"])
        if parts is None:
            # A repeat after the file was completed.
            return 0
        place = self._place(work, plan)
        if not plan["ranges"]:
            for number, content in enumerate(self.reader.stream(place.now, plan), start=1):
                if crc32(content) != summed[number]:
                    # Which of the two streams was right a new plan finds out.
                    raise ChecksumMismatch(f"two reads of part {number} differ")
            return 0
        named = {number: etag for number, (_, etag) in parts.items()}
        return self._each(plan, numbers, lambda number: self._mend(place, plan, number, summed[number], named))

    def _mend(self, place: _Place, plan: Plan, number: int, crc: int, named: Mapping[int, str]) -> bool:
        second = self._read(place, plan, number)
        if crc32(second) == crc:
            return False
        if _makes_etag(plan, named, number, second):
            self._store(plan, number, second)
            return True
        third = self._read(place, plan, number)
        if _makes_etag(plan, named, number, third):
            self._store(plan, number, third)
            return True
        if etags.may_name_parts(plan["etag"], plan["size"], plan["part_size"]):
            self.sums.note(_disputed(plan), number, crc)
        if crc32(third) == crc:
            return False
        if third != second:
            raise ChecksumMismatch(f"three reads of part {number} differ")
        self._store(plan, number, third)
        return True


def _makes_etag(plan: Plan, named: Mapping[int, str], number: int, content: bytes) -> bool:
    """Whether the file is the source's when this part is as read now, and the others are as stored."""
    parts = {**named, number: md5(content, usedforsecurity=False).hexdigest()}
    return etags.same(plan["etag"], etags.of_parts(parts[one] for one in sorted(parts)))


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteTransfer:
    """Make one object of the parts."""

    files: Files
    sums: PartChecksums
    fence: Fence

    def __call__(self, plan: Plan, *, work: Work | None = None, checked: bool = True) -> Done:
        """Complete, unless the parts are neither `checked` nor proven to be the source's: then nothing is done yet.

        `work` is None in executions that began before it was passed. Raises SourceUnavailable (parts are missing),
        ChecksumMismatch or AttemptReplaced.
        """
        if work is not None:
            self.fence(work)
        if not plan["segments"]:
            # It was there already: there is nothing to complete, and nothing was read.
            return Done(etag=plan["etag"], crc32=plan["crc32"], proven=True)
        wanted = range(1, plan["segments"][-1][1] + 1)
        summed = self.sums.of(_sums_of(plan))
        if not all(number in summed for number in wanted):
            raise SourceUnavailable("parts are missing")
        whole = f"{combined([(summed[number], length_of(plan, number)) for number in wanted]):08x}"
        if plan["present"]:
            return Done(etag=plan["etag"], crc32=whole, proven=True)
        parts = self.files.parts(plan["key"], plan["upload_id"]) if plan["upload_id"] else None
        if parts is None:
            # A single request, which was proven when it was made; or a repeat: the object is there already, or Verify
            # will miss it.
            self._compare(plan, whole)
            return Done(etag=None, crc32=whole, proven=True)
        if [parts[n][0] for n in wanted if n in parts] != [length_of(plan, n) for n in wanted]:
            raise SourceUnavailable("parts are missing")
        named = {number: parts[number][1] for number in wanted}
        etag = etags.of_parts(named[number] for number in wanted)
        proven = plan["crc32"] == whole if plan["crc32"] is not None else etags.same(plan["etag"], etag)
        if not proven and not checked:
            return Done(etag=None, crc32=None, proven=False)
        self._compare(plan, whole)
        if not proven and self.sums.of(_disputed(plan)):
            raise ChecksumMismatch("reads disagreed, and what most of them gave does not make the source's ETag")
        told = self.files.complete(plan["key"], plan["upload_id"], named, summed)
        if told not in (None, whole):
            raise ChecksumMismatch(f"the store's CRC-32 of the object is {told}, that of what was read {whole}")
        return Done(etag=etag, crc32=whole, proven=True)

    def _compare(self, plan: Plan, whole: str) -> None:
        if plan["crc32"] not in (None, whole):
            raise ChecksumMismatch(f"the source's CRC-32 was {plan['crc32']}, what was read has {whole}")


def check_stored(files: Files, plan: Plan, done: Done) -> str:
    """Give the object's ETag. Raises ChecksumMismatch unless it has the size and the ETag it must have."""
    found = files.head(plan["key"])
    if found is None or found[0] != plan["size"]:
        raise ChecksumMismatch(f"{found[0] if found else 'no'} bytes are stored of {plan['size']}")
    if done["etag"] is not None and found[1] != done["etag"]:
        raise ChecksumMismatch(f"the object's ETag is {found[1]}, its parts' is {done['etag']}")
    return found[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyTransfer:
    """Is what we stored what we read, and what is it?"""

    files: Files
    read_media_facts: ReadMediaFacts

    def __call__(self, plan: Plan, done: Done) -> dict[str, object]:
        """Give the facts of the stored file. Raises ChecksumMismatch."""
        etag = check_stored(self.files, plan, done)
        facts = facts_of(self.files, plan["key"], plan["size"], done["crc32"], etag, self.read_media_facts)
        return facts | {"etag": etag, "proof": _proof(plan, done, etag), "announced": plan.get("announced")}


def _proof(plan: Plan, done: Done, etag: str) -> Proof:
    """What shows that the stored bytes are the source's."""
    if plan["present"]:
        return Proof.NONE
    by_checksum = plan["crc32"] is not None and plan["crc32"] == done["crc32"]
    # Both are made of the same MD5s, of the whole or of the parts.
    return Proof.SOURCE if by_checksum or etags.same(plan["etag"], etag) else Proof.READS


def facts_of(
    files: Files, key: str, size: int, crc: str | None, etag: str, read_media_facts: ReadMediaFacts
) -> dict[str, object]:
    """Size, checksums and media facts of a stored file; `duration` in whole seconds. Raises ChecksumMismatch."""
    # A small file is read back whole: the bytes themselves are the best proof.
    whole = files.read(key, 0, size - 1) if 0 < size < SINGLE_BELOW else None if size else b""
    if whole is not None:
        read = f"{crc32(whole):08x}"
        if crc not in (None, read):
            raise ChecksumMismatch(f"CRC-32 {crc} was stored, {read} was read back")
        crc = read

    def read_range(first: int, last: int) -> bytes:
        return whole[first : last + 1] if whole is not None else files.read(key, first, last, etag=etag)

    media = read_media_facts(read_range, size)
    return {
        "size": size,
        "is_media": media.is_media,
        "truncated": media.truncated,
        "content_type": media.content_type,
        "duration": media.duration_seconds,
        "crc32": crc,
        "sha256": sha256(whole).hexdigest() if whole is not None else None,
    }
