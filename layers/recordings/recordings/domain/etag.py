"""What an ETag of an S3 service tells of a file's bytes.

One that was stored by a single request is named by its MD5, one that was stored in n parts by the MD5 of its parts'
MD5s and "-n" (R2, multipart-objects, "ETags"; S3 API reference, "Object", ETag). The size of the parts is not told;
most tools take whole MiB, all parts but the last equal.
"""

import re
from collections.abc import Iterable, Iterator
from hashlib import md5
from typing import Final

MIB: Final = 1024 * 1024
PARTS: Final = re.compile(r'"?([0-9a-f]{32})-([1-9]\d{0,4})"?')
WHOLE: Final = re.compile(r'"?([0-9a-f]{32})"?')
# Where several sizes fit: what uploaders take by default, most common first.
USUAL: Final = (8, 16, 5, 10, 64, 100, 32, 25, 50, 128, 20, 15, 6, 12)


def of_parts(md5s: Iterable[str]) -> str:
    """The ETag of an object made of parts with these MD5s, in hex."""
    sums = [bytes.fromhex(one) for one in md5s]
    return f"{md5(b''.join(sums), usedforsecurity=False).hexdigest()}-{len(sums)}"


def same(one: str | None, other: str | None) -> bool:
    """Whether both are known and are the same, quoted or not."""
    return one is not None and other is not None and one.strip('"') == other.strip('"')


def part_sizes(size: int, etag: str | None) -> Iterator[int]:
    """The sizes in bytes, whole MiB, that the parts of a file of this size and ETag may have; likely ones first."""
    told = PARTS.fullmatch(etag or "")
    if told is None or not size:
        return
    number = int(told[2])
    least = -(-size // number)
    # One byte less than this would still need one part less.
    most = -(-size // (number - 1)) - 1 if number > 1 else least + MIB - 1
    first, last = -(-least // MIB), most // MIB
    usual = [one for one in USUAL if first <= one <= last]
    yield from (one * MIB for one in usual)
    yield from (one * MIB for one in range(first, last + 1) if one not in usual)


def names(etag: str | None, content: bytes) -> bool:
    """Whether the ETag is the one of these bytes; False when it tells nothing of them."""
    whole = WHOLE.fullmatch(etag or "")
    if whole is not None:
        return whole[1] == _md5(content)
    return any(
        same(etag, of_parts(_md5(content[at : at + one]) for at in range(0, len(content), one)))
        for one in part_sizes(len(content), etag)
    )


def may_name(etag: str | None, size: int) -> bool:
    """Whether an ETag has the form that shows the bytes of a file of this size. One of this form need not: an object
    that is encrypted with a KMS key has another (S3 API reference, "Object", ETag)."""
    return WHOLE.fullmatch(etag or "") is not None or next(part_sizes(size, etag), None) is not None


def may_name_parts(etag: str | None, size: int, part_size: int) -> bool:
    """Whether an ETag may be that of a file of this size made of parts of this size."""
    return part_size in part_sizes(size, etag)


def _md5(content: bytes) -> str:
    return md5(content, usedforsecurity=False).hexdigest()
