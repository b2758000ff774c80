"""What can go wrong with a call, and which fault strikes which call."""

import random
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tools.bench.soak.calls import Call

type Kind = Literal["answer", "drop", "lost", "hang", "slow", "cut", "flip"]

HTML: Final = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
JSON, XML, PAGE = "application/json", "application/xml", "text/html"


@dataclass(frozen=True, slots=True)
class Fault:
    """`answer` gives this status and body; the other kinds say how the connection behaves."""

    name: str
    kind: Kind
    status: int = 500
    body: str = ""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


DROP: Final = Fault("the connection breaks before the call", "drop")
LOST: Final = Fault("the call is carried out, its answer lost", "lost")
HANG: Final = Fault("no answer, then the connection breaks", "hang")
SLOW: Final = Fault("the answer comes late", "slow")
CUT: Final = Fault("the answer breaks off", "cut")
FLIP: Final = Fault("one bit is wrong", "flip")
BAD_GATEWAY: Final = Fault("502 with an HTML page", "answer", 502, HTML, PAGE)
CONNECTIONS: Final = (DROP, LOST, HANG, SLOW)


def _aws(name: str, status: int, code: str) -> Fault:
    return Fault(name, "answer", status, f'{{"__type": "{code}", "message": "a fault was asked for"}}')


def _s3(name: str, status: int, code: str) -> Fault:
    return Fault(name, "answer", status, f"<Error><Code>{code}</Code><Message>a fault</Message></Error>", XML)


def _query(name: str, status: int, code: str) -> Fault:
    """An error in the query protocol's envelope (Smithy, "AWS query protocol")."""
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>a fault</Message></Error>"
    return Fault(name, "answer", status, f"<ErrorResponse>{error}</ErrorResponse>", "text/xml")


def _kit(name: str, status: int, body: str, *headers: tuple[str, str]) -> Fault:
    return Fault(name, "answer", status, body, JSON, headers)


_GATEWAY: Final = (
    '{"success": false, "errors": [{"code": 10000, "message": "a fault"}], "messages": [], "result": null}'
)
_KIT: Final = '{"success": false, "error": {"code": 500, "message": "a fault"}}'
_CONFLICT: Final = (
    '{"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "message": "[TransactionConflict]",'
    ' "CancellationReasons": [{"Code": "TransactionConflict"}]}'
)
OBJECTS: Final = (
    _s3("500 InternalError", 500, "InternalError"),
    _s3("503 SlowDown", 503, "SlowDown"),
    _s3("503 ServiceUnavailable", 503, "ServiceUnavailable"),
    BAD_GATEWAY,
    *CONNECTIONS,
)
BY_SERVICE: Final[Mapping[str, Sequence[Fault]]] = {
    "Cloudflare": (
        _kit("500 in RealtimeKit's envelope", 500, _KIT),
        _kit("503 in the gateway's envelope", 503, _GATEWAY),
        _kit("401 in the gateway's envelope", 401, _GATEWAY),
        _kit("404 in RealtimeKit's envelope", 404, _KIT),
        _kit("429 with a pause of a second", 429, _GATEWAY, ("Retry-After", "1")),
        _kit("200 without success", 200, _KIT),
        _kit("200 with nothing", 200, ""),
        BAD_GATEWAY,
        Fault("504 with an HTML page", "answer", 504, HTML, PAGE),
        CUT,
        *CONNECTIONS,
    ),
    "DynamoDB": (
        _aws("500 InternalServerError", 500, "com.amazonaws.dynamodb.v20120810#InternalServerError"),
        _aws("400 ThrottlingException", 400, "com.amazon.coral.availability#ThrottlingException"),
        _aws("400 ProvisionedThroughputExceededException", 400, "ProvisionedThroughputExceededException"),
        BAD_GATEWAY,
        *CONNECTIONS,
    ),
    "Step Functions": (
        _aws("500 InternalFailure", 500, "InternalFailure"),
        _aws("400 ThrottlingException", 400, "ThrottlingException"),
        _aws("400 ExecutionLimitExceeded", 400, "ExecutionLimitExceeded"),
        BAD_GATEWAY,
        *CONNECTIONS,
    ),
    "EventBridge": (
        _aws("500 InternalException", 500, "InternalException"),
        _aws("400 ThrottlingException", 400, "ThrottlingException"),
        *CONNECTIONS,
    ),
    "Secrets Manager": (
        _aws("500 InternalServiceError", 500, "InternalServiceError"),
        _aws("400 ThrottlingException", 400, "ThrottlingException"),
        *CONNECTIONS,
    ),
    "STS": (
        _query("500 InternalFailure", 500, "InternalFailure"),
        _query("400 Throttling", 400, "Throttling"),
        *CONNECTIONS,
    ),
    "R2": OBJECTS,
    "S3": OBJECTS,
}
# What only some operations can meet.
BY_OPERATION: Final[Mapping[Call, Sequence[Fault]]] = {
    Call("DynamoDB", "TransactWriteItems"): (Fault("400 TransactionConflict", "answer", 400, _CONFLICT),),
    Call("S3", "RestoreObject"): (
        _s3("503 GlacierExpeditedRetrievalNotAvailable", 503, "GlacierExpeditedRetrievalNotAvailable"),
    ),
    **{Call(store, name): (CUT, FLIP) for store in ("R2", "S3") for name in ("GetObject",)},
    **{Call(store, name): (FLIP,) for store in ("R2", "S3") for name in ("UploadPart", "PutObject")},
}
# How many calls of an operation are struck. What is called all the time is struck seldom, so that work gets on.
RATES: Final[Mapping[str, float]] = {
    "DynamoDB": 0.03,
    "Cloudflare": 0.2,
    "R2": 0.2,
    "S3": 0.2,
    "Step Functions": 0.2,
    "EventBridge": 0.2,
    "Secrets Manager": 0.3,
    "STS": 0.3,
}
# What is called seldom.
SELDOM: Final[Mapping[str, float]] = {
    "create_meeting": 0.35,
    "set_meeting": 0.35,
    "session": 0.35,
    "CreateMultipartUpload": 0.3,
    "CompleteMultipartUpload": 0.3,
    "AbortMultipartUpload": 0.4,
    "ListParts": 0.3,
    "ListMultipartUploads": 0.3,
    "ListObjectsV2": 0.2,
    "RestoreObject": 0.35,
    "DeleteObject": 0.2,
    "StopExecution": 0.4,
    "SendTaskSuccess": 0.2,
    "SendTaskFailure": 0.4,
    "BatchGetItem": 0.05,
    "DeleteItem": 0.05,
    "PutItem": 0.05,
}


def faults_of(call: Call) -> Sequence[Fault]:
    """What a call can meet."""
    return (*BY_SERVICE.get(call.service, ()), *BY_OPERATION.get(call, ()))


class Chooser:
    """Decides of each call whether it is struck, and by what: by what has struck this operation least so far."""

    def __init__(self, seed: int, *, severity: float = 1.0) -> None:
        self._random = random.Random(seed)
        self._severity = severity
        self._guard = threading.Lock()
        self.on = False
        self.struck: Counter[tuple[Call, str]] = Counter()
        self.seen: Counter[Call] = Counter()

    def choose(self, call: Call) -> Fault | None:
        with self._guard:
            self.seen[call] += 1
            kinds = faults_of(call)
            rate = SELDOM.get(call.operation, RATES.get(call.service, 0.0)) * self._severity
            if not self.on or not kinds or self._random.random() >= rate:
                return None
            least = min(self.struck[call, fault.name] for fault in kinds)
            fault = self._random.choice([one for one in kinds if self.struck[call, one.name] == least])
            self.struck[call, fault.name] += 1
            return fault
