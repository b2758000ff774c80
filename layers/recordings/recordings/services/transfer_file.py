"""Carry a file from one store to another in checked parts: the engine of processing and of archiving.

Each step is safe to repeat: a part that is stored, with its checksum noted, is not copied again, and a file that is
whole is left as it is. Bytes pass through memory only, a few parts at a time.
"""

import gc
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import md5, sha256
from typing import Final, Protocol, TypedDict
from zlib import crc32

from recordings.domain.checksum import combined
from recordings.domain.errors import ChecksumMismatch, SourceDenied, SourceUnavailable

MIB: Final = 1024 * 1024
# Below this one request carries the file; from it on, parts of at least this size do.
SINGLE_BELOW: Final = 16 * MIB
# R2 and S3 take 10,000 parts, R2 all but the last of one size (R2, multipart-objects); some are kept in reserve.
MOST_PARTS: Final = 9_000
# At 20 MB/s a segment takes under two minutes of a function's time.
SEGMENT_BYTES: Final = 2 * 1024 * MIB
THREADS: Final = 4
# What all threads together may hold: two buffers of a part each.
BUFFERS: Final = 512 * MIB


class Work(TypedDict):
    """Which recording, and which attempt at it, a run is about."""

    tenant_id: str
    recording_id: str
    attempt: int


class Plan(TypedDict):
    """How a file is copied. `upload_id` is empty for a single request; segments are part numbers, both included.

    `source` is the key in the store it comes from, empty when it comes from Cloudflare. `crc32` is that of the whole
    source, where it is known beforehand.
    """

    source: str
    key: str
    size: int
    etag: str | None
    ranges: bool
    content_type: str
    crc32: str | None
    part_size: int
    upload_id: str
    segments: list[list[int]]


class Done(TypedDict):
    """What a completed transfer must have become: its ETag (of a multipart object) and its CRC-32 in hex."""

    etag: str | None
    crc32: str | None


class Source(Protocol):
    """A file where it is copied from."""

    @property
    def size(self) -> int: ...
    @property
    def etag(self) -> str | None: ...
    @property
    def ranges(self) -> bool: ...


class Reader(Protocol):
    """Reads the source; `place` is a URL or a key. Raises SourceChanged, SourceDenied or SourceUnavailable."""

    def measure(self, place: str) -> Source: ...
    def read(self, place: str, plan: Plan, first: int, last: int) -> bytes: ...
    def stream(self, place: str, plan: Plan) -> Iterator[bytes]: ...


class Files(Protocol):
    """The store that is copied to. Raises ChecksumMismatch when what it stored is not what it was given."""

    def head(self, key: str) -> tuple[int, str] | None: ...
    def read(self, key: str, first: int, last: int) -> bytes: ...
    def put(self, key: str, content: bytes, *, content_type: str) -> str: ...
    def create_upload(self, key: str, *, content_type: str) -> str: ...
    def upload_part(self, key: str, upload_id: str, number: int, content: bytes) -> str: ...
    def parts(self, key: str, upload_id: str) -> Mapping[int, tuple[int, str]] | None: ...
    def complete(self, key: str, upload_id: str, etags: Mapping[int, str]) -> None: ...
    def abort(self, key: str, upload_id: str) -> None: ...
    def uploads(self, prefix: str) -> Iterator[tuple[str, str]]: ...


class PartSums(Protocol):
    """The CRC-32 of each part that was stored, kept until the file is whole."""

    def note(self, upload: str, number: int, crc: int) -> None: ...
    def of(self, upload: str) -> Mapping[int, int]: ...


type Locate = Callable[[Work, Plan], str]


def part_size_for(size: int) -> int:
    """The equal part size for a file: a whole number of MiB, at least SINGLE_BELOW, at most MOST_PARTS of them."""
    return max(SINGLE_BELOW, -(-size // (MOST_PARTS * MIB)) * MIB)


def segments_for(size: int, part_size: int, *, ranges: bool) -> list[list[int]]:
    """Runs of parts for one function each. A file that cannot be read in ranges is one run."""
    parts = max(1, -(-size // part_size))
    run = max(1, SEGMENT_BYTES // part_size) if ranges else parts
    return [[first, min(first + run - 1, parts)] for first in range(1, parts + 1, run)]


def plan_for(
    source: Source, files: Files, *, place: str, key: str, family: str, content_type: str, crc: str | None = None
) -> Plan:
    """Plan a copy to `key`, with its upload begun; unfinished uploads of earlier plans (`family` is a prefix) go."""
    for old_key, upload_id in files.uploads(family):
        files.abort(old_key, upload_id)
    part_size = part_size_for(source.size)
    single = source.size < SINGLE_BELOW
    return Plan(
        source=place,
        key=key,
        size=source.size,
        etag=source.etag,
        ranges=source.ranges,
        content_type=content_type,
        crc32=crc,
        part_size=part_size,
        upload_id="" if single else files.create_upload(key, content_type=content_type),
        segments=segments_for(source.size, part_size, ranges=source.ranges),
    )


def plan_without_copying(place: str, key: str, found: tuple[int, str], content_type: str, crc: str | None) -> Plan:
    """A plan for a file that is where it should be already: `found` is its size and its ETag."""
    return Plan(
        source=place,
        key=key,
        size=found[0],
        etag=found[1],
        ranges=True,
        content_type=content_type,
        crc32=crc,
        part_size=part_size_for(found[0]),
        upload_id="",
        segments=[],
    )


def length_of(plan: Plan, number: int) -> int:
    """The bytes of one part."""
    return min(plan["part_size"], plan["size"] - (number - 1) * plan["part_size"])


def _sums_of(plan: Plan) -> str:
    # A single request has no upload id; its key is of its attempt alone.
    return plan["upload_id"] or plan["key"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySegment:
    """Copy a run of parts, each read whole and then stored: two buffers a thread at most."""

    locate: Locate
    files: Files
    reader: Reader
    sums: PartSums

    def __call__(self, work: Work, plan: Plan, segment: list[int]) -> int:
        """Give the number of parts copied now.

        Raises SourceChanged, SourceUnavailable, SourceExpired or ChecksumMismatch.
        """
        if not plan["upload_id"]:
            return self._whole(work, plan)
        # What an earlier segment's broken connections left in this container's memory is not carried along.
        gc.collect()
        done = self.files.parts(plan["key"], plan["upload_id"])
        if done is None:
            if self.files.head(plan["key"]) is not None:
                # A repeat after the file was completed.
                return 0
            raise SourceUnavailable("the upload was dropped before it was complete")
        place = self.locate(work, plan)
        if not plan["ranges"]:
            return self._in_order(place, plan, done)
        summed = self.sums.of(_sums_of(plan))
        missing = [
            number
            for number in range(segment[0], segment[1] + 1)
            if number not in summed or done.get(number, (-1, ""))[0] != length_of(plan, number)
        ]
        threads = max(1, min(THREADS, BUFFERS // (2 * plan["part_size"])))
        with ThreadPoolExecutor(threads) as pool:
            # list() hears of every failure; the parts that were stored stay stored for the next try.
            return len(list(pool.map(lambda number: self._copy(work, place, plan, number), missing)))

    def _whole(self, work: Work, plan: Plan) -> int:
        place = self.locate(work, plan)
        if not plan["ranges"]:
            content = b"".join(self.reader.stream(place, plan))
        else:
            content = self.reader.read(place, plan, 0, plan["size"] - 1) if plan["size"] else b""
        self.files.put(plan["key"], content, content_type=plan["content_type"])
        self.sums.note(_sums_of(plan), 1, crc32(content))
        return 1

    def _copy(self, work: Work, place: str, plan: Plan, number: int) -> None:
        first = (number - 1) * plan["part_size"]
        last = first + length_of(plan, number) - 1
        try:
            content = self.reader.read(place, plan, first, last)
        except SourceDenied:
            # The URL has run out while the file has not: Cloudflare gives a fresh one.
            content = self.reader.read(self.locate(work, plan), plan, first, last)
        self._store(plan, number, content)

    def _store(self, plan: Plan, number: int, content: bytes) -> None:
        self.files.upload_part(plan["key"], plan["upload_id"], number, content)
        # After the part: one without a checksum is copied again, one without a part would never be missed.
        self.sums.note(_sums_of(plan), number, crc32(content))

    def _in_order(self, place: str, plan: Plan, done: Mapping[int, tuple[int, str]]) -> int:
        copied = 0
        for number, content in enumerate(self.reader.stream(place, plan), start=1):
            if done.get(number) != (len(content), md5(content, usedforsecurity=False).hexdigest()):
                self._store(plan, number, content)
                copied += 1
            else:
                self.sums.note(_sums_of(plan), number, crc32(content))
        return copied


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteTransfer:
    """Make one object of the parts."""

    files: Files
    sums: PartSums

    def __call__(self, plan: Plan) -> Done:
        """Give what the object must have become. Raises SourceUnavailable (parts are missing) or ChecksumMismatch."""
        if not plan["segments"]:
            # It was there already: there is nothing to complete, and nothing was read.
            return Done(etag=plan["etag"], crc32=plan["crc32"])
        wanted = range(1, plan["segments"][-1][1] + 1)
        summed = self.sums.of(_sums_of(plan))
        if not all(number in summed for number in wanted):
            raise SourceUnavailable("parts are missing")
        whole = f"{combined([(summed[number], length_of(plan, number)) for number in wanted]):08x}"
        if plan["crc32"] not in (None, whole):
            raise ChecksumMismatch(f"the source's CRC-32 was {plan['crc32']}, what was read has {whole}")
        if not plan["upload_id"]:
            return Done(etag=None, crc32=whole)
        parts = self.files.parts(plan["key"], plan["upload_id"])
        if parts is None:
            # A repeat: the object is there already, or Verify will miss it.
            return Done(etag=None, crc32=whole)
        if [parts[n][0] for n in wanted if n in parts] != [length_of(plan, n) for n in wanted]:
            raise SourceUnavailable("parts are missing")
        etags = {number: parts[number][1] for number in wanted}
        self.files.complete(plan["key"], plan["upload_id"], etags)
        # The ETag of a multipart object is the MD5 of its parts' MD5s (R2, multipart-objects, "ETags").
        digest = md5(b"".join(bytes.fromhex(etags[n]) for n in wanted), usedforsecurity=False).hexdigest()
        return Done(etag=f"{digest}-{len(etags)}", crc32=whole)


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
    content_type_of: Callable[[bytes], str]
    duration_of: Callable[[Callable[[int, int], bytes], int], int | None]

    def __call__(self, plan: Plan, done: Done) -> dict[str, object]:
        """Give the facts of the stored file. Raises ChecksumMismatch."""
        etag = check_stored(self.files, plan, done)
        facts = facts_of(self.files, plan["key"], plan["size"], done["crc32"], self.content_type_of, self.duration_of)
        return facts | {"etag": etag}


def facts_of(
    files: Files,
    key: str,
    size: int,
    crc: str | None,
    content_type_of: Callable[[bytes], str],
    duration_of: Callable[[Callable[[int, int], bytes], int], int | None],
) -> dict[str, object]:
    """Size, content type, duration in whole seconds and checksums of a stored file. Raises ChecksumMismatch."""
    head = files.read(key, 0, min(size, 16) - 1) if size else b""
    # A small file is read back whole: the bytes themselves are the best proof.
    whole = files.read(key, 0, size - 1) if 0 < size < SINGLE_BELOW else None if size else b""
    if whole is not None:
        read = f"{crc32(whole):08x}"
        if crc not in (None, read):
            raise ChecksumMismatch(f"CRC-32 {crc} was stored, {read} was read back")
        crc = read
    kind = content_type_of(head)
    return {
        "size": size,
        "content_type": kind,
        "duration": duration_of(lambda first, last: files.read(key, first, last), size) if "/" in kind else None,
        "crc32": crc,
        "sha256": sha256(whole).hexdigest() if whole is not None else None,
    }
