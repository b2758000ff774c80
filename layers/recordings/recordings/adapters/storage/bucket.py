"""A bucket of a service that speaks the S3 protocol, through botocore's S3 client.

R2 and S3 share the protocol (developers.cloudflare.com/r2/api/s3). Every request that sends bytes carries their MD5
(Content-MD5). The service compares it with what arrived and returns it as the ETag. S3 receives CRC-32s as well, and
keeps that of the whole object. R2 keeps none for an object made of parts (same page, "Checksum types").
"""

import base64
import gc
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote
from zlib import crc32

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
from recordings.adapters.storage.resume import CHUNK_BYTES, Filling, read_resuming
from recordings.domain.errors import ChecksumMismatch, SourceChanged, SourceUnavailable
from recordings.domain.etag import of_parts
from recordings.domain.objects import DownloadUrl, ListedObject, ObjectHead, UnfinishedUpload, UploadedPart
from recordings.domain.stored_file import Store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from recordings.domain.purge import StoreItem
    from recordings.ports.storage import Content

ABORTED: Final = "the upload was aborted before it was complete"
# One request copies at most 5 GiB (S3 API reference, CopyObject and UploadPartCopy). R2 requires parts of equal size.
MAX_COPY_BYTES: Final = 4 * 1024**3
COPY_PART_BYTES: Final = 1024**3


class Bucket:
    """Implements ports.storage.ObjectStore."""

    store: ClassVar[Store]
    # Whether the bucket keeps versions of its objects. R2 cannot.
    is_versioned: ClassVar[bool]
    # Whether the service compares and keeps the CRC-32 of an object that is made of parts.
    keeps_crc32: ClassVar[bool]
    max_copy_bytes: int = MAX_COPY_BYTES
    copy_part_bytes: int = COPY_PART_BYTES

    @cached_property
    def client(self) -> "S3Client":
        raise NotImplementedError

    @cached_property
    def name(self) -> str:
        raise NotImplementedError

    @property
    def object_options(self) -> Mapping[str, Any]:
        """What requests that create an object carry besides its content type."""
        return {}

    # ---------------------------------------------------------------- read

    def head(self, key: str) -> ObjectHead | None:
        try:
            with translated_errors(NO_OBJECT):
                found = self.client.head_object(Bucket=self.name, Key=key)
        except Refused:
            return None
        return ObjectHead(found["ContentLength"], _unquoted(found["ETag"]))

    def read(self, key: str, first: int, last: int, *, etag: str | None = None) -> bytes:
        content = bytearray(last - first + 1)
        self.read_into(key, first, content, etag=etag)
        return bytes(content)

    def read_into(self, key: str, first: int, buffer: bytearray, *, etag: str | None = None) -> None:
        condition: dict[str, Any] = {"IfMatch": f'"{etag}"'} if etag is not None else {}
        last = first + len(buffer) - 1

        def request_rest(filling: Filling) -> None:
            missing = f"bytes={first + filling.received}-{last}"
            response = self.client.get_object(Bucket=self.name, Key=key, Range=missing, **condition)
            for chunk in response["Body"].iter_chunks(CHUNK_BYTES):
                filling.append(chunk)

        try:
            with translated_errors(CHANGED | NO_OBJECT):
                read_resuming(request_rest, buffer, NO_RESPONSE)
        except Refused as refusal:
            if refusal.code in CHANGED:
                raise SourceChanged("the file changed while it was read") from refusal.__cause__
            raise SourceUnavailable("the file is not in the bucket") from refusal.__cause__

    def presign_download(
        self, key: str, *, file_name: str, content_type: str, expires_in_seconds: int, now: datetime
    ) -> DownloadUrl:
        url = presigned_url(self.client, self.name, key, file_name, content_type, expires_in_seconds)
        return DownloadUrl(url, now + timedelta(seconds=expires_in_seconds))

    # ---------------------------------------------------------------- write

    def put(self, key: str, content: "Content", *, content_type: str) -> str:
        # botocore takes a bytearray (botocore.validate), and its stubs do not.
        body: Any = content
        digest = hashlib.md5(content, usedforsecurity=False)
        try:
            with translated_errors(DAMAGED):
                response = self.client.put_object(
                    Bucket=self.name,
                    Key=key,
                    Body=body,
                    ContentType=content_type,
                    ContentMD5=base64.b64encode(digest.digest()).decode(),
                    **self._crc32_option(content),
                    **self.object_options,
                )
        except Refused as refusal:
            raise ChecksumMismatch("what arrived is not what was sent") from refusal.__cause__
        return _require_same(digest.hexdigest(), response["ETag"])

    def create_upload(self, key: str, *, content_type: str) -> str:
        # botocore adds a checksum to every part. S3 rejects one if the upload was created without.
        checksums: dict[str, Any] = (
            {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"} if self.keeps_crc32 else {}
        )
        with translated_errors():
            response = self.client.create_multipart_upload(
                Bucket=self.name, Key=key, ContentType=content_type, **checksums, **self.object_options
            )
        if response.get("ResponseMetadata", {}).get("RetryAttempts"):
            # botocore sent the request more than once. If a response was lost, that request created an upload as well.
            # Nobody knows its id, and its parts would be paid for.
            for upload in self.list_uploads(key):
                if upload.key == key and upload.upload_id != response["UploadId"]:
                    self.abort_upload(key, upload.upload_id)
        return response["UploadId"]

    def upload_part(
        self, key: str, upload_id: str, number: int, content: "Content", *, crc32: int | None = None
    ) -> str:
        body: Any = content
        digest = hashlib.md5(content, usedforsecurity=False)
        try:
            with translated_errors(DAMAGED | NO_UPLOAD):
                response = self.client.upload_part(
                    Bucket=self.name,
                    Key=key,
                    UploadId=upload_id,
                    PartNumber=number,
                    Body=body,
                    ContentMD5=base64.b64encode(digest.digest()).decode(),
                    **self._crc32_option(content, crc32),
                )
        except Refused as refusal:
            if refusal.code in DAMAGED:
                raise ChecksumMismatch("what arrived is not what was sent") from refusal.__cause__
            raise SourceUnavailable(ABORTED) from refusal.__cause__
        if response.get("ResponseMetadata", {}).get("RetryAttempts"):
            # A retry of botocore leaves the part in a reference cycle of an error and its frames. Several of them would
            # fill the memory.
            gc.collect()
        return _require_same(digest.hexdigest(), response["ETag"])

    def list_parts(self, key: str, upload_id: str) -> Mapping[int, UploadedPart] | None:
        found: dict[int, UploadedPart] = {}
        try:
            with translated_errors(NO_UPLOAD):
                pages = self.client.get_paginator("list_parts").paginate(Bucket=self.name, Key=key, UploadId=upload_id)
                for page in pages:
                    for part in page.get("Parts", []):
                        crc = part.get("ChecksumCRC32")
                        found[part["PartNumber"]] = UploadedPart(
                            part["Size"],
                            _unquoted(part["ETag"]),
                            int.from_bytes(base64.b64decode(crc)) if crc is not None else None,
                        )
        except Refused:
            return None
        return found

    def complete_upload(
        self, key: str, upload_id: str, etags: Mapping[int, str], part_checksums: Mapping[int, int]
    ) -> str | None:
        parts: list[Any] = [
            {
                "PartNumber": number,
                "ETag": f'"{etags[number]}"',
                **(_crc32_option(part_checksums[number]) if self.keeps_crc32 else {}),
            }
            for number in sorted(etags)
        ]
        response = self._complete(key, upload_id, parts)
        if response.get("ChecksumType") != "FULL_OBJECT" or "ChecksumCRC32" not in response:
            return None
        return base64.b64decode(response["ChecksumCRC32"]).hex()

    def _complete(self, key: str, upload_id: str, parts: Sequence[Any]) -> Mapping[str, Any]:
        """Return the response, or an empty one if an earlier request completed the upload."""
        try:
            with translated_errors(NO_UPLOAD | PARTS_MISSING):
                return self.client.complete_multipart_upload(
                    Bucket=self.name, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
                )
        except Refused as refusal:
            if refusal.code in PARTS_MISSING:
                raise SourceUnavailable("parts are missing") from refusal.__cause__
            # A completed upload no longer exists. If the response was lost, the object shows that it was completed.
            found = self.head(key)
            if found is None or found.etag != of_parts(_unquoted(part["ETag"]) for part in parts):
                raise SourceUnavailable(ABORTED) from refusal.__cause__
            return {}

    def _crc32_option(self, content: "Content", known: int | None = None) -> dict[str, Any]:
        """What sends the CRC-32 with the content. `known` is the CRC-32, if it was computed before."""
        if not self.keeps_crc32:
            return {}
        return _crc32_option(crc32(content) if known is None else known)

    def copy(self, source_key: str, target_key: str) -> None:
        with translated_errors():
            found = self.client.head_object(Bucket=self.name, Key=source_key)
            if found["ContentLength"] <= self.max_copy_bytes:
                source: Any = {"Bucket": self.name, "Key": source_key}
                self.client.copy_object(Bucket=self.name, Key=target_key, CopySource=source, **self.object_options)
                return
        # A copy that ended half-way left its upload.
        for upload in [*self.list_uploads(target_key)]:
            self.abort_upload(upload.key, upload.upload_id)
        self._copy_in_parts(source_key, target_key, found["ContentLength"], content_type=found["ContentType"])

    def _copy_in_parts(self, source_key: str, target_key: str, size: int, *, content_type: str) -> None:
        upload_id = self.create_upload(target_key, content_type=content_type)
        parts: list[Any] = []
        with translated_errors():
            for number, first in enumerate(range(0, size, self.copy_part_bytes), start=1):
                response = self.client.upload_part_copy(
                    Bucket=self.name,
                    Key=target_key,
                    UploadId=upload_id,
                    PartNumber=number,
                    CopySource={"Bucket": self.name, "Key": source_key},
                    CopySourceRange=f"bytes={first}-{min(first + self.copy_part_bytes, size) - 1}",
                )
                parts.append({"PartNumber": number, "ETag": response["CopyPartResult"]["ETag"]})
        self._complete(target_key, upload_id, parts)

    # ---------------------------------------------------------------- list

    def list_uploads(self, prefix: str) -> Iterator[UnfinishedUpload]:
        with translated_errors():
            pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name, Prefix=prefix)
            for page in pages:
                for upload in page.get("Uploads", []):
                    yield UnfinishedUpload(upload["Key"], upload["UploadId"], upload["Initiated"])

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[ListedObject]:
        start: dict[str, Any] = {"StartAfter": after} if after is not None else {}
        with translated_errors():
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix, **start)
            for page in pages:
                for found in page.get("Contents", []):
                    yield ListedObject(found["Key"], found["Size"], _unquoted(found["ETag"]), found["LastModified"])

    def list_names(self, prefix: str) -> Iterator[str]:
        with translated_errors():
            paginator = self.client.get_paginator("list_objects_v2")
            for page in paginator.paginate(Bucket=self.name, Prefix=prefix, Delimiter="/"):
                for folder in page.get("CommonPrefixes", []):
                    yield folder["Prefix"].removeprefix(prefix)
                for found in page.get("Contents", []):
                    yield found["Key"].removeprefix(prefix)

    def list_items(self, prefix: str) -> "Iterator[StoreItem]":
        # Few functions list or erase items, and the others load no domain.purge.
        from recordings.domain.purge import ItemKind, StoreItem

        if self.is_versioned:
            yield from self._list_versions(prefix)
        else:
            for listed in self.list_objects(prefix):
                yield StoreItem(store=self.store, key=listed.key, kind=ItemKind.OBJECT)
        for upload in self.list_uploads(prefix):
            yield StoreItem(store=self.store, key=upload.key, kind=ItemKind.UPLOAD, id=upload.upload_id)

    def _list_versions(self, prefix: str) -> "Iterator[StoreItem]":
        from recordings.domain.purge import ItemKind, StoreItem

        with translated_errors():
            pages = self.client.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=prefix)
            for page in pages:
                for version in page.get("Versions", []):
                    yield StoreItem(
                        store=self.store, key=version["Key"], kind=ItemKind.VERSION, id=version["VersionId"]
                    )
                for marker in page.get("DeleteMarkers", []):
                    yield StoreItem(
                        store=self.store, key=marker["Key"], kind=ItemKind.DELETE_MARKER, id=marker["VersionId"]
                    )

    # ---------------------------------------------------------------- delete

    def abort_upload(self, key: str, upload_id: str) -> None:
        try:
            with translated_errors(NO_UPLOAD):
                self.client.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload_id)
        except Refused:
            return

    def delete(self, key: str) -> None:
        with translated_errors():
            self.client.delete_object(Bucket=self.name, Key=key)

    def erase(self, item: "StoreItem") -> None:
        from recordings.domain.purge import ItemKind

        # In a bucket with versions DeleteObject adds a marker. Only a request that names the id deletes a version (S3
        # User Guide, "Deleting object versions from a versioning-enabled bucket").
        match item.kind:
            case ItemKind.UPLOAD:
                self.abort_upload(item.key, item.id)
            case ItemKind.OBJECT:
                self.delete(item.key)
            case ItemKind.VERSION | ItemKind.DELETE_MARKER:
                with translated_errors():
                    self.client.delete_object(Bucket=self.name, Key=item.key, VersionId=item.id)


def presigned_url(
    client: "S3Client", bucket: str, key: str, file_name: str, content_type: str, expires_in_seconds: int
) -> str:
    """Return the URL of a GET request whose response a browser saves under `file_name`."""
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
            ExpiresIn=expires_in_seconds,
        )


def _crc32_option(crc: int) -> dict[str, Any]:
    return {"ChecksumCRC32": base64.b64encode(crc.to_bytes(4)).decode()}


def _unquoted(etag: str) -> str:
    return etag.strip('"')


def _require_same(md5: str, etag: str) -> str:
    if _unquoted(etag) != md5:
        raise ChecksumMismatch(f"the bucket stored {etag}, the MD5 of what was sent is {md5}")
    return md5
