"""The files that the stand-in records: real MP4 files with picture and sound, of any size.

A file is a base (made once by ffmpeg for each length) followed by one `free` box (ISO/IEC 14496-12, 8.1.2), which
players skip. The box holds the recording's id, so that no two files are alike, and as many bytes as are wanted,
computed from the id and their place: gigabytes cost no memory, and any range of them is at hand.
"""

import hashlib
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import imageio_ffmpeg

BLOCK = 1024 * 1024
# The smallest start of an MP4: its type and a movie box without tracks (ISO/IEC 14496-12, 4.3 and 8.2.1).
MIN_MP4 = (20).to_bytes(4) + b"ftypisom" + bytes(4) + b"isom" + (8).to_bytes(4) + b"moov"
# Two recordings of the same length must not write the same base file at the same time.
_making = threading.Lock()


@lru_cache(maxsize=32)
def base_file(folder: Path, seconds: int) -> bytes:
    """Return a playable MP4 (H.264 and AAC, as RealtimeKit's default) of this many seconds."""
    path = folder / f"base-{seconds}.mp4"
    with _making:
        if not path.exists():
            _make(folder, path, seconds)
    return path.read_bytes()


def _make(folder: Path, path: Path, seconds: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"making-{seconds}.mp4"
    subprocess.run(
        [
            imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-threads", "1",
            "-f", "lavfi", "-i", f"testsrc=size=320x180:rate=10:duration={seconds}",
            "-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}",
            "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "32k",
            "-movflags", "+faststart", str(made),
        ],
        check=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    made.rename(path)


@lru_cache(maxsize=8)
def _pattern(seed: str) -> bytes:
    return hashlib.shake_128(seed.encode()).digest(BLOCK)


@dataclass
class Media:
    """The bytes of one recording: `base`, then a box that fills the file up to `size`."""

    base: bytes
    seed: str
    wanted_size: int | None = None
    flipped_at: int | None = field(default=None)
    exact: bool = False
    # Not copied: a file that replaces this one has other bytes.
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, compare=False, repr=False)
    _etags: dict[int, str] = field(default_factory=dict, init=False, compare=False, repr=False)

    @cached_property
    def size(self) -> int:
        if self.exact:
            assert self.wanted_size is not None
            return self.wanted_size
        least = len(self.base) + 16 + len(self.seed)
        return max(least, self.wanted_size or 0)

    @cached_property
    def _head(self) -> bytes:
        if self.exact:
            # Such tests need no playable file, so it is as small as possible. A smaller file is no media.
            room = self.size - len(MIN_MP4)
            return MIN_MP4 + (1).to_bytes(4) + b"mdat" + room.to_bytes(8) if room >= 16 else b""
        box = self.size - len(self.base)
        return self.base + (1).to_bytes(4) + b"free" + box.to_bytes(8) + self.seed.encode()

    def _block(self, number: int) -> bytes:
        start = number * BLOCK
        body = number.to_bytes(8) + _pattern(self.seed)[8:]
        if start < len(self._head):
            body = self._head[start : start + BLOCK] + body[len(self._head[start : start + BLOCK]) :]
        return body[: self.size - start]

    def read(self, first: int, last: int) -> Iterator[bytes]:
        """Yield the bytes from `first` to `last`, both included, in blocks."""
        for number in range(first // BLOCK, last // BLOCK + 1):
            block = self._block(number)
            start = number * BLOCK
            if self.flipped_at is not None and start <= self.flipped_at < start + len(block):
                at = self.flipped_at - start
                block = block[:at] + bytes([block[at] ^ 1]) + block[at + 1 :]
            yield block[max(0, first - start) : last + 1 - start]

    @cached_property
    def sha256(self) -> str:
        """Return the SHA-256 of the whole true file in lower-case hex. It takes about 2 s for a gigabyte."""
        digest = hashlib.sha256()
        for number in range(-(-self.size // BLOCK)):
            digest.update(self._block(number))
        return digest.hexdigest()

    def etag(self, part: int | None) -> str:
        """What R2 calls the file when it was stored in parts of so many bytes, or (None) by one request: as long to
        compute as its SHA-256, once."""
        size = part or self.size + 1
        with self._lock:
            if size not in self._etags:
                parts = [
                    self._md5(first, min(first + size, self.size) - 1) for first in range(0, max(self.size, 1), size)
                ]
                # R2 stores a file of one part with one request.
                whole = hashlib.md5(b"".join(one.digest() for one in parts)).hexdigest()
                self._etags[size] = parts[0].hexdigest() if self.size < size else f"{whole}-{len(parts)}"
            return self._etags[size]

    def first(self, size: int) -> "Media":
        """Return the same file, cut after so many bytes."""
        return Beginning(self.base, self.seed, min(size, self.size), exact=True, whole=self)

    def _md5(self, first: int, last: int) -> "hashlib._Hash":
        digest = hashlib.md5()
        for block in self.read(first, last) if last >= first else ():
            digest.update(block)
        return digest


@dataclass
class Given(Media):
    """A file with given bytes."""

    @cached_property
    def size(self) -> int:
        return len(self.base)

    @cached_property
    def _head(self) -> bytes:
        return self.base


@dataclass(kw_only=True)
class Beginning(Media):
    """The first bytes of another file."""

    whole: Media

    def _block(self, number: int) -> bytes:
        return self.whole._block(number)[: self.size - number * BLOCK]
