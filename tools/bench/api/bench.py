"""What the measured calls need: the functions, recordings of usual size, and a meter around each call."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from botocore.client import BaseClient
from moto.dynamodb.models.utilities import dynamo_to_dict
from ulid import ULID

from recordings.adapters.dynamodb.layout import NEW_TABLE, current_layout, store_layout
from recordings.adapters.dynamodb.rate_limit import DynamoRateLimiter
from recordings.adapters.dynamodb.settings import TABLE
from recordings.domain.actor import system
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Failure, Recording
from recordings.domain.room import Room
from recordings.domain.storage_keys import archive_key, attempt_key
from recordings.domain.stored_file import StoredFile
from recordings.observability import metrics
from recordings.request_context import request_context
from tests.support.context import Context
from tests.support.deployed import HOUR, Deployed
from tests.support.table import stored
from tools.bench.api.frozen import NOW
from tools.bench.api.meter import Costs, Meter, replaced
from tools.bench.units import STORAGE_OVERHEAD_BYTES, item_size
from tools.local.standin.state import Recording as ProviderRecording

type Json = dict[str, Any]

TENANT: Final = "tenant_1"
DAY: Final = timedelta(days=1)
HALF_AN_HOUR: Final = timedelta(minutes=30)
SIZE_BYTES: Final = 523_986_010


class BenchError(Exception):
    """A call did not do what its case says, so its costs would be those of something else."""


@dataclass
class Bench:
    """One run of all cases. `costs` are those of each case by its function and name."""

    app: Deployed
    costs: dict[tuple[str, str], Costs] = field(default_factory=dict)
    # Of one recording that is ready, beside others of its day.
    recording_bytes: int = 0
    _numbers: int = 0

    def __post_init__(self) -> None:
        self._meter = Meter(lambda: [one["operation"] for one in self.app.standin.world.requests])

    # ---------------------------------------------------------------- measured calls

    def api(self, function: str, case: str, expected: int, id: str | None = None, **request: Any) -> Any:
        """Measure a request and return the response's `data`, or its body. Raises BenchError for another status."""
        event = self.app.event(function, id, **{"tenant": TENANT} | request)
        response = self._measured(function, case, event)
        body = json.loads(response["body"])
        if response["statusCode"] != expected:
            raise BenchError(f"{function}, {case}: {response['statusCode']} instead of {expected}: {body}")
        return body.get("data", body)

    def task(self, function: str, case: str = "", **message: Any) -> Any:
        """Measure a task of a state machine, or a function that an event triggers, and return its response."""
        return self._measured(function, case, message)

    def _measured(self, function: str, case: str, event: Json) -> Any:
        if (function, case) in self.costs:
            raise BenchError(f"{function}, {case}: measured twice in one run")
        handler = self.app.handler(function)
        metrics.clear_metrics()
        with self._meter.measured() as costs:
            response = handler(event, Context(HOUR))
        metrics.clear_metrics()
        self.costs[function, case] = costs
        return response

    # ---------------------------------------------------------------- what is there before

    def clear(self) -> None:
        """Empty the table, the buckets and Cloudflare. The rate limit has just admitted a call."""
        self.app.empty()
        self.app.standin.clear()
        settings = self.app.standin.world.settings
        # What was begun stays as it is until a case changes it.
        settings.start_seconds = settings.upload_seconds = HOUR
        # The stand-in compares the end of a URL with a clock that runs.
        settings.url_seconds = 100 * 365 * 24 * 3600
        self._numbers = 0
        for bucket in ("files", "archive"):
            for found in self.app.archive.list_objects_v2(Bucket=bucket).get("Contents", []):
                self.app.archive.delete_object(Bucket=bucket, Key=found["Key"])
        DynamoRateLimiter("background").acquire()
        store_layout(NEW_TABLE, expected=None)
        # Read once a minute, so the call that reads it is rare.
        current_layout()

    def stored_bytes(self) -> int:
        """Bytes of the table, as its storage is billed."""
        items = (item for partition in stored().tables[TABLE].items.values() for item in partition.values())
        return sum(item_size(dynamo_to_dict(one.to_json()["Attributes"])) + STORAGE_OVERHEAD_BYTES for one in items)

    def uuid(self) -> str:
        self._numbers += 1
        return str(UUID(int=0x9D3C0000_0000_4000_8000_000000000000 + self._numbers))

    def room(self, id: str = "room_1") -> Room:
        """A room with a meeting at Cloudflare."""
        return self.app.room(tenant_id=TENANT, id=id, name=f"Lecture hall {id}")

    def recording(
        self,
        status: Status = Status.READY,
        at: datetime = NOW - DAY,
        *,
        room: str = "room_1",
        meeting_id: str | None = None,
        cloudflare_recording_id: str | None = None,
        **facts: Any,
    ) -> Recording:
        """A recording of half an hour that began `at`. `facts` are attributes that it does not have usually."""
        self._numbers += 1
        recording = Recording.begin(
            id=f"rec_{str(ULID.from_datetime(at))[:10]}{self._numbers:016}",
            tenant_id=TENANT,
            room_id=room,
            room_name=f"Lecture hall {room}",
            meeting_id=meeting_id or self.uuid(),
            cloudflare_recording_id=cloudflare_recording_id or self.uuid(),
            origin="api",
            at=at,
            cause="api_start",
        )
        recording = replace(_in_status(recording, status, at + HALF_AN_HOUR), **facts)
        with written_one_by_one():
            self.app.recordings.add(recording, lease_nonce=None)
        return self.app.recordings.get_including_deleted(TENANT, recording.id)

    def cloudflare_recording(self, room: Room, *, finished: bool = False) -> ProviderRecording:
        """A recording at Cloudflare that runs, or whose file is complete."""
        provider_recording = self.app.standin.begin(room.meeting_id)
        if finished:
            self.app.standin.finish(provider_recording)
        return provider_recording

    def file(self, recording: Recording, bucket: str, content: bytes = b"film", **facts: Any) -> None:
        """The file of a recording, in the bucket where the recording says it is."""
        if recording.file is None:
            raise BenchError(f"recording {recording.id} has no file")
        self.app.archive.put_object(Bucket=bucket, Key=recording.file.key, Body=content, **facts)


def _in_status(recording: Recording, status: Status, at: datetime) -> Recording:
    """The recording, half an hour later, on the usual way to its status."""
    if status is Status.RECORDING:
        return recording
    if status is Status.FAILED:
        return recording.failed(Failure("capture_failed", "Cloudflare lost the recording."), at=at, cause="errored")
    recording = recording.stopped(at=at, cause="api_stop")
    if status is Status.PROCESSING:
        return recording
    file = _file("r2", attempt_key(recording))
    recording = recording.stored(file, duration_seconds=1800, partial=False, at=at, cause="file_verified")
    if status is Status.READY:
        return recording
    recording = recording.archiving(at=at)
    cold = _file("s3", archive_key(recording, 1))
    return recording.archive_completed(cold, storage_class="GLACIER", at=at).source_emptied()


def _file(store: Any, key: str) -> StoredFile:
    return StoredFile(store=store, key=key, size_bytes=SIZE_BYTES, content_type="video/mp4", crc32="3610a686")


@contextmanager
def written_one_by_one() -> Iterator[None]:
    """Write the items of a transaction one after another. moto copies its whole table for each transaction."""

    backend = stored()

    def send(call: Callable[..., Any], client: Any, operation: str, parameters: Mapping[str, Any]) -> Any:
        if operation != "TransactWriteItems":
            return call(client, operation, parameters)
        for action in parameters["TransactItems"]:
            for name, arguments in action.items():
                _write(backend, name, arguments)
        return {}

    with replaced(BaseClient, "_make_api_call", send):
        yield


def _write(backend: Any, name: str, arguments: Mapping[str, Any]) -> None:
    """Carry out one action of a transaction, without its condition."""
    table = arguments["TableName"]
    match name:
        case "Put":
            backend.put_item(table, arguments["Item"])
        case "Delete":
            backend.delete_item(table, arguments["Key"])
        case "Update":
            backend.update_item(
                table,
                arguments["Key"],
                update_expression=arguments["UpdateExpression"],
                expression_attribute_names=_used(arguments, "Names"),
                expression_attribute_values=_used(arguments, "Values"),
            )


def _used(arguments: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The names or values that the update uses. moto refuses those of the condition alone."""
    used = set(re.findall(r"[#:]\w+", arguments["UpdateExpression"]))
    return {name: value for name, value in arguments.get(f"ExpressionAttribute{kind}", {}).items() if name in used}


type Case = Callable[[Bench], None]


@request_context(tenant_id=None, actor=system("workflow"))
def run_all(bench: Bench, cases: Mapping[str, Case]) -> Mapping[tuple[str, str], Costs]:
    """Run every case, each on an empty table, and return what its calls cost."""
    bench.costs = {}
    for case in cases.values():
        bench.clear()
        case(bench)
    return bench.costs
