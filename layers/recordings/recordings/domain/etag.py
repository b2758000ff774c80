"""What the ETag of an S3 service shows about the bytes of a file.

The ETag of an object that one request stored is its MD5. The ETag of an object made of n parts is the MD5 of the parts'
MD5s and "-n" (R2, "Multipart objects"; S3 API reference, "Object"). It does not show the size of the parts. Most tools
use whole MiB, and one size for all parts but the last.
"""

import re
from collections.abc import Iterable, Iterator
from hashlib import md5
from typing import Final

MIB: Final = 1024 * 1024
PARTS: Final = re.compile(r'"?([0-9a-f]{32})-([1-9]\d{0,4})"?')
WHOLE: Final = re.compile(r'"?([0-9a-f]{32})"?')
# The default part sizes of tools that upload, in MiB, most common first.
COMMON_PART_SIZES: Final = (8, 16, 5, 10, 64, 100, 32, 25, 50, 128, 20, 15, 6, 12)


def of_parts(md5s: Iterable[str]) -> str:
    """Return the ETag of an object whose parts have these MD5s, in hex."""
    digests = [bytes.fromhex(digest) for digest in md5s]
    return f"{md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def same(first: str | None, second: str | None) -> bool:
    """Whether both ETags are known and equal, with or without quotes."""
    return first is not None and second is not None and first.strip('"') == second.strip('"')


def part_sizes(size: int, etag: str | None) -> Iterator[int]:
    """Yield the part sizes that a file of this size and ETag may have: bytes, whole MiB only, likely ones first."""
    found = PARTS.fullmatch(etag or "")
    if found is None or not size:
        return
    number = int(found[2])
    least = -(-size // number)
    # With one byte more the file would have one part less.
    most = -(-size // (number - 1)) - 1 if number > 1 else least + MIB - 1
    first, last = -(-least // MIB), most // MIB
    common = [mib for mib in COMMON_PART_SIZES if first <= mib <= last]
    yield from (mib * MIB for mib in common)
    yield from (mib * MIB for mib in range(first, last + 1) if mib not in common)


def names(etag: str | None, content: bytes) -> bool:
    """Whether the ETag is that of these bytes. False also if it shows nothing about them."""
    whole = WHOLE.fullmatch(etag or "")
    if whole is not None:
        return whole[1] == _md5(content)
    return any(
        same(etag, of_parts(_md5(content[first : first + size]) for first in range(0, len(content), size)))
        for size in part_sizes(len(content), etag)
    )


def may_name(etag: str | None, size: int) -> bool:
    """Whether the ETag has the form of a checksum of a file of this size.

    It need not be one: objects that a KMS key encrypts have other ETags (S3 API reference, "Object").
    """
    return WHOLE.fullmatch(etag or "") is not None or next(part_sizes(size, etag), None) is not None


def may_name_parts(etag: str | None, size: int, part_size: int) -> bool:
    """Whether the ETag may be that of a file of this size that was made of parts of this size."""
    return part_size in part_sizes(size, etag)


def _md5(content: bytes) -> str:
    return md5(content, usedforsecurity=False).hexdigest()
