"""Files in Cloudflare R2 and in the S3 archive bucket, through boto3's S3 client.

Both speak one protocol (developers.cloudflare.com/r2/api/s3), so one class does the work. Sizes are bytes. What is sent
carries its MD5, which the store compares with what arrived (Content-MD5) and gives back as the ETag. S3 is sent CRC-32s
as well and keeps that of the whole object; R2 has none of an object made of parts (same page, "Checksum types").
"""

import base64
import gc
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote
from zlib import crc32

import boto3
from botocore.config import Config

from recordings import settings
from recordings.adapters.aws.deadline import bounded
from recordings.adapters.aws.errors import (
    CHANGED,
    DAMAGED,
    NO_OBJECT,
    NO_RESPONSE,
    NO_UPLOAD,
    PARTS_MISSING,
    Refused,
    translated_errors,
)
from recordings.adapters.aws.secrets import Age, Secret
from recordings.adapters.storage.r2_keys import PLACEHOLDER, R2Credentials
from recordings.domain.errors import ChecksumMismatch, SourceChanged, SourceUnavailable, Throttled
from recordings.domain.etag import of_parts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# A body is read in pieces of this size; a broken connection costs one.
PIECE: Final = 64 * 1024
# How often in a row nothing may come before a read gives up, and how often it may break at all: a link that gives a few
# bytes at a time is no link.
TRIES: Final = 5
MOST_BREAKS: Final = 200
DROPPED: Final = "the upload was dropped before it was complete"
# One request copies 5 GiB at most (R2 and S3, CopyObject and UploadPartCopy); R2's parts are of equal size.
MAX_COPY_BYTES: Final = 4 * 1024**3
COPY_PART_BYTES: Final = 1024**3


class Bucket:
    """One bucket of an S3 service."""

    # Whether the service compares and keeps the CRC-32 of an object that is made of parts.
    keeps_crc32: ClassVar[bool] = False

    @cached_property
    def client(self) -> "S3Client":
        raise NotImplementedError

    @cached_property
    def name(self) -> str:
        raise NotImplementedError

    @property
    def extra(self) -> Mapping[str, Any]:
        """What every new object is given besides its content type."""
        return {}

    def head(self, key: str) -> tuple[int, str] | None:
        """Size and ETag of a file, or None."""
        try:
            with translated_errors(NO_OBJECT):
                found = self.client.head_object(Bucket=self.name, Key=key)
        except Refused:
            return None
        return found["ContentLength"], found["ETag"].strip('"')

    def read(self, key: str, first: int, last: int, *, etag: str | None = None) -> bytes:
        """The bytes from `first` to `last`, both included; a broken connection goes on where it broke.

        Raises SourceChanged when the file is not the one with this ETag, SourceUnavailable when it cannot be read.
        """
        only: dict[str, Any] = {"IfMatch": f'"{etag}"'} if etag is not None else {}

        def fill(got: bytearray) -> None:
            wanted = f"bytes={first + len(got)}-{last}"
            answer = self.client.get_object(Bucket=self.name, Key=key, Range=wanted, **only)
            for piece in answer["Body"].iter_chunks(PIECE):
                got += piece

        try:
            with translated_errors(CHANGED | NO_OBJECT):
                return read_on(fill, last - first + 1, NO_RESPONSE)
        except Refused as refusal:
            if refusal.code in CHANGED:
                raise SourceChanged("the file changed while it was read") from refusal.__cause__
            raise SourceUnavailable("the file is not in the bucket") from refusal.__cause__

    def put(self, key: str, content: bytes, *, content_type: str) -> str:
        """Store a small file whole; gives its MD5 in hex. Raises ChecksumMismatch."""
        digest = hashlib.md5(content, usedforsecurity=False)
        try:
            with translated_errors(DAMAGED):
                answer = self.client.put_object(
                    Bucket=self.name,
                    Key=key,
                    Body=content,
                    ContentType=content_type,
                    ContentMD5=base64.b64encode(digest.digest()).decode(),
                    **(_named(crc32(content)) if self.keeps_crc32 else {}),
                    **self.extra,
                )
        except Refused as refusal:
            raise ChecksumMismatch("what arrived is not what was sent") from refusal.__cause__
        return _same(digest.hexdigest(), answer["ETag"])

    def create_upload(self, key: str, *, content_type: str) -> str:
        """Begin a multipart upload; gives its id. Only one caller at a time begins one at this key."""
        # S3 refuses a part with a checksum that the upload was not begun with, and boto3 adds one to every part.
        sums: dict[str, Any] = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"} if self.keeps_crc32 else {}
        with translated_errors():
            answer = self.client.create_multipart_upload(
                Bucket=self.name, Key=key, ContentType=content_type, **sums, **self.extra
            )
        if answer.get("ResponseMetadata", {}).get("RetryAttempts"):
            # botocore sent it more than once: the request whose answer was lost may have begun one as well, and its
            # parts would be paid for.
            for begun, upload_id in self.uploads(key):
                if begun == key and upload_id != answer["UploadId"]:
                    self.abort(key, upload_id)
        return answer["UploadId"]

    def upload_part(self, key: str, upload_id: str, number: int, content: bytes) -> str:
        """Store one part; gives its MD5 in hex. Raises ChecksumMismatch or SourceUnavailable (no such upload)."""
        digest = hashlib.md5(content, usedforsecurity=False)
        try:
            with translated_errors(DAMAGED | NO_UPLOAD):
                answer = self.client.upload_part(
                    Bucket=self.name,
                    Key=key,
                    UploadId=upload_id,
                    PartNumber=number,
                    Body=content,
                    ContentMD5=base64.b64encode(digest.digest()).decode(),
                    **(_named(crc32(content)) if self.keeps_crc32 else {}),
                )
        except Refused as refusal:
            if refusal.code in DAMAGED:
                raise ChecksumMismatch("what arrived is not what was sent") from refusal.__cause__
            raise SourceUnavailable(DROPPED) from refusal.__cause__
        if answer.get("ResponseMetadata", {}).get("RetryAttempts"):
            # botocore's own repeats leave the part in a cycle of error and frames; several would fill the memory.
            gc.collect()
        return _same(digest.hexdigest(), answer["ETag"])

    def parts(self, key: str, upload_id: str) -> Mapping[int, tuple[int, str]] | None:
        """Size and ETag of each stored part, or None when there is no such upload (any more)."""
        found: dict[int, tuple[int, str]] = {}
        try:
            with translated_errors(NO_UPLOAD):
                pages = self.client.get_paginator("list_parts").paginate(Bucket=self.name, Key=key, UploadId=upload_id)
                for page in pages:
                    for part in page.get("Parts", []):
                        found[part["PartNumber"]] = part["Size"], part["ETag"].strip('"')
        except Refused:
            return None
        return found

    def complete(self, key: str, upload_id: str, etags: Mapping[int, str], crcs: Mapping[int, int]) -> str | None:
        """Make one object of the parts; gives the CRC-32 of the whole in hex where the service tells it.

        Raises SourceUnavailable when the upload, or one of its parts, is not there.
        """
        parts: list[Any] = [
            {"PartNumber": number, "ETag": f'"{etags[number]}"', **(_named(crcs[number]) if self.keeps_crc32 else {})}
            for number in sorted(etags)
        ]
        answer = self._complete(key, upload_id, parts)
        if answer.get("ChecksumType") != "FULL_OBJECT" or "ChecksumCRC32" not in answer:
            return None
        return base64.b64decode(answer["ChecksumCRC32"]).hex()

    def _complete(self, key: str, upload_id: str, parts: Sequence[Any]) -> Mapping[str, Any]:
        """The answer to CompleteMultipartUpload; an empty one when it was done before and that answer was lost."""
        try:
            with translated_errors(NO_UPLOAD | PARTS_MISSING):
                return self.client.complete_multipart_upload(
                    Bucket=self.name, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
                )
        except Refused as refusal:
            if refusal.code in PARTS_MISSING:
                raise SourceUnavailable("parts are missing") from refusal.__cause__
            # An upload ends when it is completed, so a repeat finds none.
            found = self.head(key)
            if found is None or found[1] != of_parts(part["ETag"].strip('"') for part in parts):
                raise SourceUnavailable(DROPPED) from refusal.__cause__
            return {}

    def abort(self, key: str, upload_id: str) -> None:
        """Drop an unfinished upload and its parts; one that is gone is no error."""
        try:
            with translated_errors(NO_UPLOAD):
                self.client.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload_id)
        except Refused:
            return

    def uploads(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Key and id of every unfinished upload under a prefix."""
        for key, upload_id, _ in self.begun_uploads(prefix):
            yield key, upload_id

    def begun_uploads(self, prefix: str) -> Iterator[tuple[str, str, datetime]]:
        """Key, id and beginning of every unfinished upload under a prefix."""
        with translated_errors():
            pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name, Prefix=prefix)
            for page in pages:
                for upload in page.get("Uploads", []):
                    yield upload["Key"], upload["UploadId"], upload["Initiated"]

    def objects(self, prefix: str, *, after: str | None = None) -> Iterator[tuple[str, int, str, datetime]]:
        """Key, size, ETag and time of every file under a prefix, by key; from the first one after a key on."""
        only: dict[str, Any] = {"StartAfter": after} if after is not None else {}
        with translated_errors():
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix, **only)
            for page in pages:
                for found in page.get("Contents", []):
                    yield found["Key"], found["Size"], found["ETag"].strip('"'), found["LastModified"]

    def entries(self, prefix: str) -> Iterator[str]:
        """The names right under a prefix; a folder's ends with a slash."""
        with translated_errors():
            lister = self.client.get_paginator("list_objects_v2")
            for page in lister.paginate(Bucket=self.name, Prefix=prefix, Delimiter="/"):
                for folder in page.get("CommonPrefixes", []):
                    yield folder["Prefix"].removeprefix(prefix)
                for file in page.get("Contents", []):
                    yield file["Key"].removeprefix(prefix)

    def delete(self, key: str) -> None:
        """Remove a file; one that is gone is no error."""
        with translated_errors():
            self.client.delete_object(Bucket=self.name, Key=key)

    def copy(self, source: str, target: str) -> None:
        """Copy a file within the bucket: the service does it, no byte passes through here."""
        with translated_errors():
            found = self.client.head_object(Bucket=self.name, Key=source)
            if found["ContentLength"] <= MAX_COPY_BYTES:
                origin: Any = {"Bucket": self.name, "Key": source}
                self.client.copy_object(Bucket=self.name, Key=target, CopySource=origin, **self.extra)
                return
        # A copy that died half-way left its parts.
        for key, upload_id in [*self.uploads(target)]:
            self.abort(key, upload_id)
        self._copy_in_parts(source, target, found["ContentLength"], content_type=found["ContentType"])

    def _copy_in_parts(self, source: str, target: str, size: int, *, content_type: str) -> None:
        upload_id = self.create_upload(target, content_type=content_type)
        parts: list[Any] = []
        with translated_errors():
            for number, first in enumerate(range(0, size, COPY_PART_BYTES), start=1):
                answer = self.client.upload_part_copy(
                    Bucket=self.name,
                    Key=target,
                    UploadId=upload_id,
                    PartNumber=number,
                    CopySource={"Bucket": self.name, "Key": source},
                    CopySourceRange=f"bytes={first}-{min(first + COPY_PART_BYTES, size) - 1}",
                )
                parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
        self._complete(target, upload_id, parts)


class R2Bucket(Bucket):
    """The bucket that recordings are served from."""

    def __init__(self) -> None:
        self._settings = settings.R2_BUCKET()
        self._secret = Secret(self._settings.secret_arn, ttl=settings.SECRETS().ttl)
        self.credentials = R2Credentials(self._secret)
        # The key that R2 has accepted, and when.
        self._accepted: tuple[Mapping[str, str], Age] | None = None

    @cached_property
    def client(self) -> "S3Client":
        client: S3Client = boto3.client(
            "s3",
            endpoint_url=self._settings.endpoint_url,
            region_name="auto",
            aws_access_key_id=PLACEHOLDER,
            aws_secret_access_key=PLACEHOLDER,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                # R2 refuses the checksums that boto3 adds by default since 1.36 (cloudflare-docs, R2 with boto3).
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                connect_timeout=3,
                read_timeout=60,
                max_pool_connections=8,
                retries={"mode": "standard", "total_max_attempts": 5},
            ),
        )
        return self.credentials.sign(bounded(client))

    @cached_property
    def name(self) -> str:
        return self._settings.bucket

    def presign(self, key: str, *, file_name: str, content_type: str, expires_in: int) -> str:
        """A URL that downloads the file under a readable name for `expires_in` seconds (R2 allows 7 days).

        Raises InfrastructureError when R2 accepts the keys no more.
        """
        self._see_keys_accepted(key)
        return presigned(self.client, self.name, key, file_name, content_type, expires_in)

    def _see_keys_accepted(self, key: str) -> None:
        """Ask R2 for a file's head, once in a period: it has no part in signing, so a URL may be dead."""
        if self._accepted is not None:
            keys, at = self._accepted
            if keys == self.credentials.read() and at.seconds() < self._secret.ttl_seconds:
                return
        began = Age.now()
        try:
            self.head(key)
        except Throttled:
            # That R2 is busy or away says nothing of the keys, and the URL lives longer than that.
            pass
        self._accepted = self.credentials.read(), began


def presigned(client: "S3Client", bucket: str, key: str, file_name: str, content_type: str, expires_in: int) -> str:
    """A GET URL with which a browser saves the file under a readable name."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._-") else "_" for c in file_name)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"
    with translated_errors():
        return client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": bucket,
                "Key": key,
                "ResponseContentDisposition": disposition,
                "ResponseContentType": content_type,
            },
            ExpiresIn=expires_in,
        )


def read_on(fill: Callable[[bytearray], None], wanted: int, broken: tuple[type[Exception], ...]) -> bytes:
    """Have `fill` append what is still missing until all of it is there; a `broken` connection goes on where it broke.

    Raises SourceUnavailable when too little comes.
    """
    got = bytearray()
    idle = 0
    for _ in range(MOST_BREAKS):
        before = len(got)
        try:
            fill(got)
        except broken as error:
            # What came before the break is in `got`; the next try asks for the rest.
            _forget(error)
        if len(got) == wanted:
            return bytes(got)
        idle = 0 if len(got) > before else idle + 1
        if idle == TRIES:
            break
    raise SourceUnavailable(f"{len(got)} of {wanted} bytes came before giving up")


def _forget(error: BaseException | None) -> None:
    """Let go of what a caught error holds: its traceback keeps frames and their buffers until a full collection."""
    while error is not None:
        error.__traceback__ = None
        error = error.__context__


def _named(crc: int) -> dict[str, Any]:
    """A CRC-32 as the API takes it."""
    return {"ChecksumCRC32": base64.b64encode(crc.to_bytes(4)).decode()}


def _same(wanted: str, etag: str) -> str:
    if etag.strip('"') != wanted:
        raise ChecksumMismatch(f"stored {etag}, read {wanted}")
    return wanted
