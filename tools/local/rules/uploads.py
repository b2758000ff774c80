"""S3's and R2's rules on objects and multipart uploads.

R2 is the emulator's account `R2_ACCOUNT`. Errors have the codes and words that S3 answers with.
Sources: S3 User Guide, "Checking object integrity" and "Multipart upload limits"; S3 API reference, UploadPart and
CompleteMultipartUpload; R2's documentation, "S3 API compatibility" and "Multipart objects".
"""

import re
import zlib
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from itertools import pairwise
from typing import Any, Final
from xml.etree import ElementTree

from ministack.core.responses import get_account_id
from ministack.services import s3

R2_ACCOUNT: Final = "222222222222"
MIN_PART_BYTES: Final = 5 * 1024 * 1024
COMPOSITE, FULL_OBJECT = "COMPOSITE", "FULL_OBJECT"
# The first type is the one of an upload that names none.
S3_TYPES: Final = {
    "CRC32": (COMPOSITE, FULL_OBJECT),
    "CRC32C": (COMPOSITE, FULL_OBJECT),
    "CRC64NVME": (FULL_OBJECT,),
    "SHA1": (COMPOSITE,),
    "SHA256": (COMPOSITE,),
}
R2_TYPES: Final = {**S3_TYPES, "CRC32": (COMPOSITE,), "CRC32C": (COMPOSITE,)}
R2_CLASSES: Final = ("STANDARD", "STANDARD_IA")
R2_LACKS_HEADERS: Final = (
    "x-amz-acl", "x-amz-grant-", "x-amz-tagging", "x-amz-object-lock-", "x-amz-bypass-governance-retention",
    "x-amz-mfa", "x-amz-request-payer", "x-amz-website-redirect-location", "x-amz-expected-bucket-owner",
    "x-amz-source-expected-bucket-owner", "x-amz-server-side-encryption-aws-kms", "x-amz-trailer",
)  # fmt: skip
R2_LACKS: Final = frozenset({
    "accelerate", "acl", "analytics", "attributes", "intelligent-tiering", "inventory", "legal-hold", "logging",
    "metrics", "notification", "object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock",
    "replication", "requestPayment", "restore", "retention", "select", "tagging", "torrent", "versionId", "versioning",
    "versions", "website",
})  # fmt: skip

type Answer = tuple[int, dict[str, str], bytes]
type Part = tuple[int, str, frozenset[str]]

_dispatch, _create, _upload, _complete = (
    s3._dispatch, s3._create_multipart_upload, s3._upload_part, s3._complete_multipart_upload,
)  # fmt: skip
_composite = s3._composite_checksum
_whole: ContextVar[str | None] = ContextVar("whole", default=None)


def is_r2() -> bool:
    """Return whether the request is for R2."""
    return str(get_account_id()) == R2_ACCOUNT


def refused(code: str, text: str, status: int = 400) -> Answer:
    """Return an error document."""
    response: Answer = s3._error(code, text, status)
    return response


def lacking(method: str, key: str, headers: Mapping[str, str], query: Mapping[str, Any]) -> str | None:
    """Return what a request asks for and R2 does not have."""
    for name, value in headers.items():
        if name.lower().startswith(R2_LACKS_HEADERS):
            return name
        if name.lower() == "x-amz-server-side-encryption" and value != "AES256":
            return name
    if method == "POST" and not key and "delete" not in query:
        # A form; R2 presigns GET, HEAD, PUT and DELETE alone.
        return "POST"
    return next((name for name in query if name in R2_LACKS), None)


def dispatch(method: str, bucket: str, key: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
    """Answer a request; what R2 does not have is NotImplemented there."""
    if is_r2():
        name = lacking(method, key, headers, query)
        if name is not None:
            return refused("NotImplemented", f"{name} is not implemented", 501)
        if headers.get("x-amz-storage-class", "STANDARD") not in R2_CLASSES:
            return refused("InvalidStorageClass", "The storage class you specified is not valid.")
    response: Answer = _dispatch(method, bucket, key, headers, body, query)
    return response


def create(bucket: str, key: str, headers: dict[str, str]) -> Answer:
    """Begin an upload; it keeps the type of its checksum."""
    algorithm = headers.get("x-amz-checksum-algorithm", "").upper()
    named = headers.get("x-amz-checksum-type", "").upper()
    if named and not algorithm:
        return refused(
            "InvalidRequest",
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
        )
    types = (R2_TYPES if is_r2() else S3_TYPES).get(algorithm, ())
    if named and types and named not in types:
        return refused(
            "InvalidRequest",
            f"The {named} checksum type cannot be used with the {algorithm.lower()} checksum algorithm.",
        )
    status, answered, document = _create(bucket, key, headers)
    created = re.search(rb"<UploadId>([^<]+)<", document)
    if status == 200 and created and types:
        kind = named or types[0]
        s3._multipart_uploads[created[1].decode()]["checksum_type"] = kind
        answered = {**answered, "x-amz-checksum-type": kind}
    return status, answered, document


def sent_checksums(headers: Mapping[str, str]) -> list[str]:
    """Return the algorithms whose checksum a request carries."""
    return [one for one in S3_TYPES if f"x-amz-checksum-{one.lower()}" in headers]


def upload_part(bucket: str, key: str, body: bytes, query: dict[str, Any], headers: dict[str, str]) -> Answer:
    """Store a part. Its checksum must be of its upload's algorithm."""
    upload = s3._multipart_uploads.get(s3._qp(query, "uploadId"))
    if upload is not None:
        expected = upload.get("checksum_algorithm")
        sent = sent_checksums(headers)
        missing = not sent and upload.get("checksum_type") == COMPOSITE
        if missing or any(one != expected for one in sent):
            wanted = expected.lower() if expected else "null"
            actual = next((one.lower() for one in sent if one != expected), "null")
            return refused(
                "InvalidRequest",
                f"Checksum Type mismatch occurred, expected checksum Type: {wanted}, actual checksum Type: {actual}",
            )
    response: Answer = _upload(bucket, key, body, query, headers)
    return response


def parts_of(document: bytes) -> Iterator[Part]:
    """Yield number, ETag and named checksums of each part of a completion, in its order."""
    for element in ElementTree.fromstring(document):
        if element.tag.rpartition("}")[2] != "Part":
            continue
        found = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
        checksums = frozenset(name.removeprefix("Checksum") for name in found if name.startswith("Checksum"))
        yield int(found["PartNumber"]), found.get("ETag", "").strip('"'), checksums


def completion_refusal(upload: Mapping[str, Any], parts: Sequence[Part], *, r2: bool) -> Answer | None:
    """Return why an upload cannot be completed with these parts, or None."""
    numbers = [number for number, _, _ in parts]
    if not numbers:
        return refused("MalformedXML", "The XML you provided was not well-formed or did not validate.")
    if any(first >= second for first, second in pairwise(numbers)):
        return refused("InvalidPartOrder", "The list of parts was not in ascending order.")
    stored = upload["parts"]
    if any(number not in stored or stored[number]["etag"].strip('"') != etag for number, etag, _ in parts):
        return refused("InvalidPart", "One or more of the specified parts could not be found.")
    algorithm = upload.get("checksum_algorithm")
    if upload.get("checksum_type") == COMPOSITE:
        without = next((number for number, _, checksums in parts if algorithm not in checksums), None)
        if without is not None:
            return refused(
                "InvalidRequest",
                f"The upload was created using a {str(algorithm).lower()} checksum. The complete request must include "
                f"the checksum for each part. It was missing for part {without} in the request.",
            )
    sizes = [stored[number]["size"] for number in numbers]
    if any(size < MIN_PART_BYTES for size in sizes[:-1]):
        return refused("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
    if r2 and (len({*sizes[:-1]}) > 1 or sizes[-1] > sizes[0]):
        return refused("InvalidPart", "All non-trailing parts must have the same length. (10048)")
    return None


def whole_checksum(algorithm: str, bodies: Sequence[bytes]) -> str:
    """Return the checksum of the parts together, as S3 writes it."""
    if algorithm == "CRC32":
        crc = 0
        for body in bodies:
            crc = zlib.crc32(body, crc)
        return b64encode(crc.to_bytes(4)).decode()
    return str(s3._compute_s3_checksum(algorithm, b"".join(bodies)))


def composite(algorithm: str, checksums: list[Any]) -> str | None:
    """Return the checksum that a completed upload's object has."""
    checksum: str | None = _whole.get() or _composite(algorithm, checksums)
    return checksum


def complete(
    bucket: str, key: str, document: bytes, query: dict[str, Any], headers: dict[str, str] | None = None
) -> Answer:
    """Make an object of the parts, if S3, or R2, would."""
    upload_id = s3._qp(query, "uploadId")
    upload = s3._multipart_uploads.get(upload_id)
    if upload is None or (upload["bucket"], upload["key"]) != (bucket, key):
        response: Answer = _complete(bucket, key, document, query, headers)
        return response
    try:
        parts = [*parts_of(document)]
    except (ElementTree.ParseError, KeyError, ValueError):
        return refused("MalformedXML", "The XML you provided was not well-formed or did not validate.")
    refusal = completion_refusal(upload, parts, r2=is_r2())
    if refusal is not None:
        return refusal
    kind = upload.get("checksum_type")
    named = (headers or {}).get("x-amz-checksum-type")
    if named is not None and named != kind:
        return refused("InvalidRequest", f"The upload was created using the {kind} checksum mode.")
    if kind != FULL_OBJECT:
        response = _complete(bucket, key, document, query, headers)
        return response
    bodies = [upload["parts"][number]["body"] for number, _, _ in parts]
    token = _whole.set(whole_checksum(upload["checksum_algorithm"], bodies))
    try:
        response = _complete(bucket, key, document, query, headers)
    finally:
        _whole.reset(token)
    if response[0] == 200:
        response = (response[0], response[1], response[2].replace(b">COMPOSITE<", b">FULL_OBJECT<"))
        s3._ensure_bucket(bucket)["objects"][key]["checksum_type"] = FULL_OBJECT
        # What a repeated completion is answered with.
        s3._completed_multipart_uploads[upload_id]["response"] = response
    return response


def install() -> None:
    """Put these in the emulator's places."""
    s3._dispatch = dispatch
    s3._create_multipart_upload = create
    s3._upload_part = upload_part
    s3._complete_multipart_upload = complete
    s3._composite_checksum = composite
