"""The stand-in's files: their ETags are those that R2 would give to their very bytes."""

from dataclasses import replace
from hashlib import md5

import pytest

from tools.local.standin.media import BLOCK, Media


def content_of(media: Media) -> bytes:
    return b"".join(media.read(0, media.size - 1)) if media.size else b""


@pytest.mark.parametrize("size", [0, 1, BLOCK, 3 * BLOCK + 7])
def test_a_file_stored_by_one_request_is_named_by_its_md5(size: int) -> None:
    media = Media(b"", "seed", size, exact=True)
    assert media.etag(None) == md5(content_of(media)).hexdigest()
    assert media.etag(8 * BLOCK) == media.etag(None)


def test_a_file_stored_in_parts_is_named_by_its_parts() -> None:
    media = Media(b"a base", "seed", 3 * BLOCK + 7)
    content = content_of(media)
    checksums = [md5(content[at : at + 2 * BLOCK]).digest() for at in range(0, len(content), 2 * BLOCK)]
    assert media.etag(2 * BLOCK) == f"{md5(b''.join(checksums)).hexdigest()}-2"


def test_another_file_under_the_same_name_has_another_etag() -> None:
    before = Media(b"", "seed", BLOCK, exact=True)
    reported = before.etag(None)
    after = replace(before, seed="another")
    assert after.etag(None) == md5(content_of(after)).hexdigest() != reported
    assert before.etag(None) == reported
