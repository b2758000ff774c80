"""DynamoDB's conflict rule as a model, and how often transactions meet each other by it.

Emulators never reject a transaction because of another one. DynamoDB does: of two transactions that have an item in
common, the one that arrives while the other is carried out is cancelled (Developer Guide, "Amazon DynamoDB
Transactions: How it works"). A transaction that is carried out takes time and changes nothing here.
"""

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final, cast

from botocore.awsrequest import AWSResponse

from recordings.domain.errors import Throttled

# How long DynamoDB works on a transaction of about ten items.
TRANSACTION_SECONDS: Final = 0.010

type Key = tuple[str, str]


@dataclass
class ConflictModel:
    """Answers TransactWriteItems by the conflict rule; counts what it answers."""

    transaction_seconds: float = TRANSACTION_SECONDS
    committed: int = 0
    cancelled: int = 0
    _held: set[Key] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def answering(self, client: Any) -> Iterator[None]:
        """Answer the transactions of a client within the block. Nothing is sent."""
        event = "before-send.dynamodb.TransactWriteItems"
        client.meta.events.register_first(event, self._answer)
        try:
            yield
        finally:
            client.meta.events.unregister(event, self._answer)

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        keys = [_key_of(action) for action in json.loads(request.body)["TransactItems"]]
        with self._lock:
            reasons = [{"Code": "TransactionConflict" if key in self._held else "None"} for key in keys]
            conflicts = any(reason["Code"] != "None" for reason in reasons)
            if not conflicts:
                self._held.update(keys)
        if conflicts:
            with self._lock:
                self.cancelled += 1
            kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException"
            return _response(request.url, 400, {"__type": kind, "CancellationReasons": reasons})
        time.sleep(self.transaction_seconds)
        with self._lock:
            self._held.difference_update(keys)
            self.committed += 1
        return _response(request.url, 200, {})


def _key_of(action: Mapping[str, Any]) -> Key:
    ((_, arguments),) = action.items()
    key = arguments.get("Key") or arguments["Item"]
    return key["pk"]["S"], key["sk"]["S"]


def _response(url: str, status: int, document: Mapping[str, Any]) -> AWSResponse:
    body = json.dumps(document).encode()
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "content-length": str(len(body)),
        "x-amz-crc32": str(zlib.crc32(body)),
    }
    return AWSResponse(url, status, cast(Any, headers), cast(Any, _Body(body)))


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._content


@dataclass(frozen=True)
class Outcome:
    """What a load met: transactions that were written and given up, cancelled attempts, and seconds for each."""

    written: int
    given_up: int
    cancelled: int
    seconds: Sequence[float]

    @property
    def median_seconds(self) -> float:
        return median(self.seconds)

    @property
    def max_seconds(self) -> float:
        return max(self.seconds)


def load(client: Any, commits: Sequence[Sequence[Callable[[], None]]]) -> Outcome:
    """Let each process commit its transactions one after the other, all processes at the same time."""
    model, ready = ConflictModel(), threading.Barrier(len(commits))

    def work(process: Sequence[Callable[[], None]]) -> list[tuple[bool, float]]:
        ready.wait()
        return [_timed(commit) for commit in process]

    with model.answering(client), ThreadPoolExecutor(len(commits)) as pool:
        done = [one for some in pool.map(work, commits) for one in some]
    written = sum(succeeded for succeeded, _ in done)
    return Outcome(written, len(done) - written, model.cancelled, [seconds for _, seconds in done])


def _timed(commit: Callable[[], None]) -> tuple[bool, float]:
    began = time.monotonic()
    try:
        commit()
    except Throttled:
        return False, time.monotonic() - began
    return True, time.monotonic() - began
