"""Names a call to AWS, R2 or Cloudflare by the head of its HTTP request (and a query-protocol body)."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlsplit

CLOUDFLARE_PATH: Final = "/client/v4/"
# JSON protocols: the operation is in a header (Smithy, "AWS JSON 1.0").
TARGET: Final = re.compile(r"(?im)^x-amz-target:\s*(\w+?)(?:_\d+)?\.(\w+)")
SERVICES: Final = {
    "DynamoDB": "DynamoDB",
    "AWSStepFunctions": "Step Functions",
    "AWSEvents": "EventBridge",
    "secretsmanager": "Secrets Manager",
}
# S3's operations by method and the name in the query (S3 API reference); the first that fits counts.
BY_QUERY: Final = (
    ("PUT", "partNumber", "UploadPart"),
    ("POST", "uploads", "CreateMultipartUpload"),
    ("GET", "uploads", "ListMultipartUploads"),
    ("POST", "uploadId", "CompleteMultipartUpload"),
    ("GET", "uploadId", "ListParts"),
    ("DELETE", "uploadId", "AbortMultipartUpload"),
    ("POST", "restore", "RestoreObject"),
    ("POST", "delete", "DeleteObjects"),
    ("GET", "versions", "ListObjectVersions"),
    ("GET", "list-type", "ListObjectsV2"),
)
BY_METHOD: Final = {"GET": "GetObject", "PUT": "PutObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
RECORDINGS: Final = {"POST": "start", "GET": "get", "PUT": "stop"}
MEETINGS: Final = {"POST": "create_meeting", "GET": "get_meeting", "PATCH": "set_meeting"}


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """`service` is DynamoDB, Step Functions, EventBridge, Secrets Manager, STS, R2, S3 or Cloudflare."""

    service: str
    operation: str

    def __str__(self) -> str:
        return f"{self.service} {self.operation}"


def call_of(head: str, body: bytes, *, r2_bucket: str) -> Call:
    """The call that a request makes. A bucket other than `r2_bucket` is the archive."""
    method, target, _ = head.split("\r\n", 1)[0].split(" ")
    url = urlsplit(target)
    if url.path.startswith(CLOUDFLARE_PATH):
        return Call("Cloudflare", _of_cloudflare(method, url.path))
    reported = TARGET.search(head)
    if reported is not None:
        return Call(SERVICES.get(reported[1], reported[1]), reported[2])
    action = re.search(rb"(?:^|&)Action=(\w+)", body) if method == "POST" and url.path == "/" else None
    if action is not None:
        return Call("STS", action[1].decode())
    query = parse_qs(url.query, keep_blank_values=True)
    fits = (name for verb, key, name in BY_QUERY if verb == method and key in query)
    store = "R2" if url.path.split("/")[1] == r2_bucket else "S3"
    return Call(store, next(fits, BY_METHOD.get(method, method)))


def _of_cloudflare(method: str, path: str) -> str:
    """RealtimeKit's operation, under the name that the stand-in's faults have for it."""
    below = path.removeprefix(CLOUDFLARE_PATH).split("/")[5:]
    match below:
        case ["recordings"] if method == "GET":
            return "list"
        case ["recordings", "active-recording", _]:
            return "active"
        case ["recordings", *_]:
            return RECORDINGS.get(method, method)
        case ["meetings", *_]:
            return MEETINGS.get(method, method)
        case ["sessions", *_]:
            return "session"
    return method
