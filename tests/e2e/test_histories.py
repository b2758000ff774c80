"""Random histories of Cloudflare, of people, of failures and of crashes, against the deployed stack.

The counterpart of the model in tests/unit/services: there the fakes are made to fail in one process, here deployed
functions are killed at their calls to DynamoDB, Step Functions, R2 and Cloudflare. Many histories run at once, each
with a tenant of its own; then Cloudflare finishes what it has begun, scheduled syncs run until all is quiet, and what
we hold must be what Cloudflare made, counted right and announced, with nothing left behind.

The histories are the same in each run. HISTORIES_SEED makes others, HISTORIES_ONLY (numbers, with commas) plays some
of them; a failure prints both, with what happened.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import pairwise
from typing import Any, Final

import httpx
import pytest
from boto3.dynamodb.types import TypeDeserializer
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from recordings.domain.lifecycle import TRANSITIONS, Status
from tests.e2e.conftest import calm, stop_the_clock
from tests.e2e.support import (
    MAX_WAIT_SECONDS,
    Json,
    client_of,
    digest,
    downloaded,
    fault,
    keys,
    outcome,
    repeated,
    settle,
    soon,
    tallies,
    total,
    unfinished,
    until,
)
from tests.support.crashes import Crash, Crashes, End
from tools.listings import faults_of_lists
from tools.local import functions, stack

SEED = int(os.environ.get("HISTORIES_SEED", "1"))
HISTORIES = 28
ONLY = [int(number) for number in os.environ.get("HISTORIES_ONLY", "").split(",") if number]
AT_ONCE = 16
# Kinds of steps that a history has at least: hypothesis likes to repeat itself.
VARIETY = 5
ROOMS = ("room_1", "room_2")
# A file of two parts.
TWO_PARTS = 17 * 1024 * 1024
# Beyond the ten minutes that a young run is left alone, and every lease.
AGE = timedelta(minutes=15)
ROUNDS = 6
PATIENCE_SECONDS = 6

type Step = tuple[Any, ...]


class Work(StrEnum):
    """Functions that nobody calls by name: they die when they next work for a history's tenant."""

    ANNOUNCE = "AnnounceChanges"
    CHECK = "CheckUpload"
    PLAN = "PlanTransfer"
    COPY = "CopySegment"
    COMPLETE = "CompleteTransfer"
    VERIFY = "VerifyTransfer"
    READY = "MarkReady"
    FAILED = "MarkFailed"
    STALLED = "MarkStalled"
    ABORT = "AbortTransfer"
    BEGIN_ARCHIVE = "BeginArchive"
    PLAN_ARCHIVE = "PlanArchive"
    COPY_ARCHIVE = "CopyToArchive"
    COMPLETE_ARCHIVE = "CompleteArchive"
    FINISH_ARCHIVE = "FinishArchive"
    ABANDON = "AbandonArchive"


CALLED: Final = {
    "start": "StartRecording",
    "stop": "StopRecording",
    "sync room": "SyncRecordings",
    "archive": "ArchiveRecording",
    "delete": "DeleteRecording",
    "undelete": "UndeleteRecording",
    "recover": "RecoverRecording",
}
# What a caller may be told when nothing died; a 500 or an answer that is not ours may not.
TROUBLE: Final = {502: "provider_error", 504: "provider_timeout"}
BUSY: Final = {"throttled", "provider_throttled", "tenant_throttled"}
REFUSED: Final = {
    "start": {"room_already_recording", "concurrent_update"},
    "stop": {"no_active_recording", "concurrent_update"},
    "sync room": {"concurrent_update"},
    "archive": {"recording_not_found", "recording_not_archivable", "concurrent_update"},
    "delete": {"recording_not_found", "recording_in_progress", "concurrent_update"},
    "undelete": {"recording_not_found", "concurrent_update"},
    "recover": {"recording_not_found", "recording_not_recoverable", "concurrent_update"},
}

# ---------------------------------------------------------------- histories


@dataclass(frozen=True)
class Blow:
    """The n-th call that a function makes for the history, from 0, and how it ends."""

    nth: int
    end: End


@dataclass(frozen=True)
class History:
    """What happens, and how the captures that Cloudflare has begun come to their ends: the n-th as the n-th says."""

    steps: Sequence[Step]
    ends: Sequence[str]


ROOM, NUMBER = st.sampled_from(["room_1", "room_1", "room_2"]), st.sampled_from([0, 0, 0, 1, 1, 2, 3])
ENDS = st.sampled_from([End.BEFORE, End.AFTER, End.AFTER, End.LOST])
BLOW, EARLY = st.builds(Blow, st.integers(0, 5), ENDS), st.builds(Blow, st.sampled_from([0, 0, 1, 2, 3]), ENDS)
BLOWS = st.one_of(st.none(), BLOW, BLOW)
FAULTS = st.one_of(
    st.none(),
    st.none(),
    st.tuples(
        st.sampled_from(["start", "start", "stop", "get", "active", "list", "media"]),
        st.sampled_from(
            [
                {"kind": "answer", "status": 500},
                {"kind": "answer", "status": 502, "body": "html"},
                {"kind": "answer", "status": 503, "body": "errors"},
                {"kind": "answer", "body": "unsuccessful"},
                {"kind": "answer", "status": 502, "body": "html", "effect": True},
                {"kind": "answer", "status": 200, "body": "empty", "effect": True},
                {"kind": "drop"},
                {"kind": "drop", "effect": True},
                {"kind": "delay", "seconds": 1},
                {"kind": "answer", "status": 429, "body": "errors", "retry_after": 1},
            ]
        ),
        st.sampled_from([1, 1, 2, 3]),
    ),
)
STEPS = st.one_of(
    # What Cloudflare does, to the capture that came n-th from the last.
    st.tuples(st.just("begins by itself"), ROOM, st.sampled_from([None, None, None, TWO_PARTS])),
    st.tuples(st.sampled_from(["ends", "uploads"]), NUMBER),
    st.tuples(st.sampled_from(["uploads", "is lost", "is lost in part"]), NUMBER),
    # What arrives of it beside what is sent at once, if that is sent: late, old, more than once, in any order.
    st.tuples(
        st.just("webhook"),
        NUMBER,
        st.sampled_from([None, None, "RECORDING", "UPLOADING", "UPLOADED", "ERRORED"]),
        st.sampled_from([1, 1, 2]),
        BLOWS,
    ),
    # What people ask for.
    st.tuples(st.just("start"), ROOM, FAULTS, BLOWS),
    st.tuples(st.sampled_from(["start", "stop", "sync room"]), ROOM, FAULTS, BLOWS),
    st.tuples(st.sampled_from(["stop", "sync room"]), ROOM, FAULTS, BLOWS),
    st.tuples(st.sampled_from(["recover", "archive"]), NUMBER, BLOWS),
    st.tuples(st.just("delete"), NUMBER, BLOWS),
    st.tuples(st.sampled_from(["delete", "undelete"]), NUMBER, BLOWS),
    st.tuples(st.just("a whole recording"), ROOM, st.sampled_from(["uploads", "is lost", "is lost in part"])),
    st.tuples(st.just("a whole archived recording"), ROOM, BLOWS),
    # What goes on by itself, and dies.
    st.tuples(st.just("dies"), st.sampled_from(Work), EARLY),
    st.tuples(st.just("dies"), st.sampled_from(Work), EARLY),
    st.tuples(
        st.just("sync"),
        st.one_of(
            st.none(),
            st.tuples(st.sampled_from(["BeginSync", "ScanProviderRecordings", "ReconcileBatch", "EndSync"]), EARLY),
        ),
    ),
    # Until the newest recording has changed so often.
    st.tuples(st.just("waits"), st.sampled_from([1, 1, 2, 3])),
)
FIRST = st.one_of(
    st.tuples(st.just("begins by itself"), ROOM, st.sampled_from([None, TWO_PARTS])),
    st.tuples(st.just("start"), ROOM, FAULTS, BLOWS),
    st.tuples(st.just("dies"), st.sampled_from(Work), EARLY),
)
SECOND = st.one_of(
    st.tuples(st.just("a whole recording"), ROOM, st.sampled_from(["uploads", "is lost", "is lost in part"])),
    st.tuples(st.just("a whole archived recording"), ROOM, BLOWS),
    st.tuples(st.just("stop"), ROOM, FAULTS, BLOWS),
)
ALL = st.builds(
    History,
    st.builds(
        lambda first, second, rest: [first, second, *rest],
        FIRST,
        SECOND,
        st.integers(4, 10).flatmap(lambda least: st.lists(STEPS, min_size=least, max_size=least + 6)),
    ),
    st.lists(st.sampled_from(["uploads", "uploads", "is lost", "is lost in part"]), min_size=1, max_size=4),
).filter(lambda history: len({step[0] for step in history.steps}) >= VARIETY)


def drawn(number: int) -> History:
    """The history of this number, the same each time for a seed."""
    found: list[History] = []

    # A few, because hypothesis begins with the least there is; and each from a seed of its own, because those that it
    # makes one after the other are much alike.
    @seed(SEED * 1000 + number)
    @settings(
        max_examples=3, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=[*HealthCheck]
    )
    @given(ALL)
    def draw(history: History) -> None:
        found.append(history)

    draw()
    return found[-1]


# ---------------------------------------------------------------- playing them


def tenant_of(number: int) -> str:
    return f"history-{number:02}-of-{SEED}"


@dataclass
class Played:
    """A history on the stack: a tenant with two rooms, and what each step was answered."""

    number: int
    history: History
    running: Json
    crashes: Crashes
    api: httpx.Client
    cloudflare: httpx.Client
    meetings: dict[str, str] = field(default_factory=dict)
    provider_recordings: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    reported: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    armed: list[Crash] = field(default_factory=list)

    @property
    def tenant(self) -> str:
        return tenant_of(self.number)

    def prepare(self) -> None:
        for room in ROOMS:
            response = self.api.put(f"/rooms/{room}", json={"name": room})
            assert response.status_code == 201, response.text
            self.meetings[room] = response.json()["data"]["cloudflare_meeting_id"]

    def play(self) -> None:
        for step in self.history.steps:
            try:
                reported = self._do(step)
            except AssertionError as error:
                self.wrong.append(f"at {step}: {error}")
                reported = "WRONG"
            self.reported.append(f"{step} -> {reported}")

    # ------------------------------------------------------------ each step

    def _do(self, step: Step) -> object:  # noqa: C901 - one case for each kind of step
        match step:
            case "begins by itself", room, size:
                asked = {"meeting_id": self.meetings[room]} | ({"size": size} if size else {})
                response = self.cloudflare.post("/auto-start", json=asked)
                assert response.status_code == 201, response.text
                return response.json()["data"]["id"]
            case ("ends" | "uploads" | "is lost" | "is lost in part") as what, n:
                provider_recording = self._capture(n)
                return self.happens(what, provider_recording) if provider_recording else None
            case "webhook", n, status, copies, blow:
                provider_recording = self._capture(n)
                if provider_recording is None:
                    return None
                if blow is not None:
                    # It comes when it comes.
                    self._arm("ReceiveWebhook", blow)
                reported = {"recording_id": provider_recording["id"], "copies": copies} | (
                    {"status": status} if status else {}
                )
                return self.cloudflare.post("/webhooks/resend", json=reported).raise_for_status().status_code
            case ("start" | "stop" | "sync room") as what, room, strikes, blow:
                if strikes is not None:
                    on, facts, times = strikes
                    fault(self.cloudflare, on, **facts, times=times, meeting_id=self.meetings[room])
                call = "sync" if what == "sync room" else what
                return self._call(what, f"/rooms/{room}/recordings/{call}", blow)
            case ("archive" | "delete" | "undelete" | "recover") as what, n, blow:
                self._see()
                if not self.ids:
                    return None
                path = f"/recordings/{self.ids[::-1][n % len(self.ids)]}"
                return self._call(what, path if what == "delete" else f"{path}/{what}", blow)
            case "a whole recording", room, what:
                return self._whole(room, what)
            case "a whole archived recording", room, blow:
                whole = self._whole(room, "uploads")
                if not self._becomes_ready():
                    return whole
                return *whole, self._call("archive", f"/recordings/{self.ids[-1]}/archive", blow)
            case "dies", function, blow:
                self._arm(function.value, blow)
            case "sync", strikes:
                if strikes is not None:
                    function, blow = strikes
                    # It works for all tenants: any of its calls will do.
                    self._arm(function, blow, names=())
                begin_sync(self.running)
            case "waits", changes:
                return self._changes(changes)
            case _:
                raise TypeError(f"{step} is no step")
        return None

    def _whole(self, room: str, what: str) -> tuple[object, ...]:
        began = self._call("start", f"/rooms/{room}/recordings/start", None)
        ended = self._call("stop", f"/rooms/{room}/recordings/stop", None)
        provider_recording = self._capture(0)
        return began, ended, self.happens(what, provider_recording) if provider_recording else None

    def _becomes_ready(self) -> bool:
        """Whether the newest recording is soon ready; what befell it may have made that impossible."""
        return self._newest(lambda one: one["status"] not in {"recording", "processing"})

    def _changes(self, times: int) -> bool | None:
        """Whether the newest recording changes so often soon; None if nothing is under way that could change it."""
        self._see()
        versions: list[int] = []

        def look(one: Json) -> bool:
            versions.append(one["version"])
            return versions[-1] >= versions[0] + times or one["status"] != "processing"

        changed = self._newest(look)
        return changed if len(versions) > 1 else None

    def _newest(self, look: Callable[[Json], bool]) -> bool:
        """Look at the newest recording until it is so, for a few seconds at most. False if there is none to look at."""
        gone = False

        def seen() -> bool:
            nonlocal gone
            response = self.api.get(f"/recordings/{self.ids[-1]}")
            gone = response.status_code != 200
            return gone or look(response.json()["data"])

        return bool(self.ids) and soon(seen, seconds=PATIENCE_SECONDS) and not gone

    def _names(self) -> tuple[str, ...]:
        """What a call of this history holds: its tenant, a meeting, or a capture."""
        return (self.tenant, *self.meetings.values(), *self.provider_recordings)

    def _arm(self, function: str, blow: Blow, names: tuple[str, ...] | None = None) -> Crash:
        crash = Crash(function, blow.end, blow.nth, self._names() if names is None else names)
        self.armed.append(crash)
        self.crashes.arm(crash)
        return crash

    def _call(self, what: str, path: str, blow: Blow | None) -> object:
        """What the API answers, which must be of the contract unless the function died of it."""
        self.look()
        crash = self._arm(CALLED[what], blow) if blow is not None else None
        response = self.api.request("DELETE" if what == "delete" else "POST", path)
        if crash is not None:
            self.crashes.disarm(crash)
        struck = crash.struck if crash is not None else None
        died = struck is not None and crash is not None and crash.end is not End.LOST
        code = response.json().get("code") if response.headers["Content-Type"].endswith("json") else None
        if died:
            # All that API Gateway tells of a function that failed.
            assert (response.status_code, response.json()) == (500, {"message": "Internal Server Error"}), response.text
        else:
            known = response.is_success or code in REFUSED[what] or TROUBLE.get(response.status_code) == code
            assert known or (response.status_code == 503 and code in BUSY), f"{response.status_code} {response.text}"
            assert response.status_code != 503 or "Retry-After" in response.headers
        if response.is_success and "id" in response.json()["data"] and response.json()["data"]["id"] not in self.ids:
            self.ids.append(response.json()["data"]["id"])
        return f"{response.status_code} {code or ''}{f', {crash.end} in {struck}' if crash and struck else ''}"

    def look(self) -> list[Json]:
        """What Cloudflare made in the rooms, oldest first."""
        made: list[Json] = []
        for meeting in self.meetings.values():
            made += self.cloudflare.get("/recordings", params={"meeting_id": meeting}).raise_for_status().json()["data"]
        self.provider_recordings += [one["id"] for one in made if one["id"] not in self.provider_recordings]
        return sorted(made, key=lambda one: self.provider_recordings.index(one["id"]))

    def _capture(self, n: int) -> Json | None:
        made = self.look()[::-1]
        return made[n % len(made)] if made else None

    def _see(self) -> None:
        listed = self.api.get("/recordings", params={"limit": 100})
        assert listed.status_code == 200, listed.text
        for row in listed.json()["data"][::-1]:
            if row["id"] not in self.ids:
                self.ids.append(row["id"])

    def happens(self, what: str, provider_recording: Json) -> str:
        """As Cloudflare does it: a capture ends, and then its file is there or is not."""
        at, running = (
            f"/recordings/{provider_recording['id']}",
            provider_recording["status"] in {"INVOKED", "RECORDING"},
        )
        match what:
            case "ends" if running:
                response = self.cloudflare.post(f"{at}/end")
            case "uploads" if provider_recording["status"] == "UPLOADING":
                response = self.cloudflare.post(f"{at}/status", json={"status": "UPLOADED"})
            case "is lost" if running or provider_recording["status"] == "UPLOADING":
                response = self.cloudflare.post(f"{at}/status", json={"status": "ERRORED"})
            case "is lost in part" if running or provider_recording["status"] == "UPLOADING":
                response = self.cloudflare.patch(at, json={"partial": True})
            case _:
                return f"not to one that is {provider_recording['status']}"
        return str(response.raise_for_status().status_code)

    # ------------------------------------------------------------ its end

    def finish(self) -> None:
        """Cloudflare comes to the end of all that it has begun."""
        for n, provider_recording in enumerate(self.look()):
            if provider_recording["status"] in {"INVOKED", "RECORDING"}:
                self.happens("ends", provider_recording)
                provider_recording |= {"status": "UPLOADING"}
            self.happens(self.history.ends[n % len(self.history.ends)], provider_recording)

    def report(self) -> str:
        struck = [f"{one.function} {one.end}: {one.struck}" for one in self.armed if one.struck]
        again = f"HISTORIES_SEED={SEED} HISTORIES_ONLY={self.number} python -m pytest {os.path.relpath(__file__)}"
        lines = [f"history {self.number}, again with: {again}", *(f"    {one}" for one in self.reported)]
        lines += [f"  ends: {self.history.ends}", f"  rooms: {self.meetings}"]
        return "\n".join([*lines, f"  struck: {struck}", *(f"  WRONG: {one}" for one in self.wrong)])


# ---------------------------------------------------------------- the stack


@pytest.fixture(scope="module")
def running() -> Iterator[Json]:
    """A stack of its own: what is killed and aged here would disturb other tests."""
    started = stack.up("histories")
    try:
        stop_the_clock(started)
        yield started
    finally:
        stack.down("histories")


@pytest.fixture(scope="module")
def crashes(running: Json) -> Iterator[Crashes]:
    with Crashes(
        aws=running["endpoints"]["aws"], cloudflare=running["cloudflare_api_url"], functions=running["functions"]
    ) as made:
        for name, url in made.urls.items():
            behind = {"AWS_ENDPOINT_URL": url, "CLOUDFLARE_API_URL": f"{url}/client/v4"}
            if name != "DownloadRecording":
                # A link that a person follows does not lead through here.
                behind["R2_ENDPOINT"] = url
            functions.set_variables(stack.client(running, "lambda"), running["functions"][name], behind)
        yield made


@pytest.fixture(scope="module")
def heard(running: Json) -> Callable[[], list[Json]]:
    """Everything that came over the bus so far."""
    events, sqs = stack.client(running, "events"), stack.client(running, "sqs")
    (bus,) = [one["Name"] for one in events.list_event_buses()["EventBuses"] if one["Name"].endswith("-events")]
    queue = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="heard", EventBusName=bus, EventPattern=json.dumps({"source": ["recordings"]}))
    events.put_targets(Rule="heard", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    kept: list[Json] = []

    def read() -> list[Json]:
        while found := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            for message in found:
                kept.append(json.loads(message["Body"])["detail"])
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return kept

    return read


def begin_sync(running: Json) -> str:
    """Start a sync as the schedule does."""
    machines = stack.client(running, "stepfunctions")
    return str(machines.start_execution(stateMachineArn=running["state_machines"]["Sync"], input="{}")["executionArn"])


def sync(running: Json) -> None:
    """One scheduled sync, from its begin to its good end."""
    run = begin_sync(running)
    if outcome(running, run, seconds=120) != "SUCCEEDED":
        reported = stack.client(running, "stepfunctions").get_execution_history(executionArn=run, reverseOrder=True)
        raise AssertionError(f"the sync failed: {[one for one in reported['events'] if 'Failed' in one['type']]}")


def rows(running: Json) -> list[Json]:
    """Every item of the table, as plain values."""
    plain = TypeDeserializer().deserialize
    pages = stack.client(running, "dynamodb").get_paginator("scan").paginate(TableName=running["tables"]["Table"])
    return [_row(item, plain) for page in pages for item in page["Items"]]


class Row(dict[str, Any]):
    """An item of the table. What it does not have is None."""

    def __missing__(self, name: str) -> None:
        return None


def _row(item: Json, plain: Callable[[Any], Any]) -> Row:
    return Row((name, plain(value)) for name, value in item.items())


def age(running: Json) -> None:
    """Let time pass: what waits for it has begun earlier, and leases are over."""
    dynamo, past = stack.client(running, "dynamodb"), datetime.now(UTC) - AGE

    def write(row: Json, values: Mapping[str, str]) -> None:
        if values:
            dynamo.update_item(
                TableName=running["tables"]["Table"],
                Key={"pk": {"S": row["pk"]}, "sk": {"S": row["sk"]}},
                UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in values),
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues={f":{name}": {"S": value} for name, value in values.items()},
            )

    found = rows(running)
    waiting = {row["sk"] for row in found if row["pk"] == "OPEN"}
    for row in found:
        if "lease_until" in row:
            write(row, {"lease_until": past.isoformat()})
        elif row["sk"] in waiting and row["pk"].endswith(("#REC", "#TRASH")):
            names = ("stopped_at", "recovered_at", "archived_at")
            earlier = {name: datetime.fromisoformat(row[name]) - AGE for name in names if row[name]}
            write(row, {name: at.isoformat().replace("+00:00", "Z") for name, at in earlier.items()})


def under_way(running: Json) -> list[str]:
    """The runs over recordings that have not ended."""
    machines = stack.client(running, "stepfunctions")
    pages = machines.get_paginator("list_executions")
    return [
        run["name"]
        for name in ("Processing", "Archiving")
        for page in pages.paginate(stateMachineArn=running["state_machines"][name], statusFilter="RUNNING")
        for run in page["executions"]
    ]


# ---------------------------------------------------------------- what must be true


@dataclass
class Found:
    """The stack once all is quiet."""

    rows: Sequence[Json]
    changes: Mapping[str, Sequence[Json]]
    events: Sequence[Json]
    r2: Sequence[str]
    s3: Sequence[str]
    unfinished: Sequence[str]

    def of(self, tenant: str, kind: str) -> list[Json]:
        return [row for row in self.rows if row["pk"] == f"T#{tenant}#{kind}"]

    def recordings(self, tenant: str) -> list[Json]:
        return self.of(tenant, "REC") + self.of(tenant, "TRASH")


def changes_of(running: Json) -> dict[str, list[Json]]:
    """Every image of each recording, oldest first, from the table's stream."""
    plain, streams = TypeDeserializer().deserialize, stack.client(running, "dynamodbstreams")
    table = stack.client(running, "dynamodb").describe_table(TableName=running["tables"]["Table"])["Table"]
    found: dict[str, list[Json]] = {}
    described = streams.describe_stream(StreamArn=table["LatestStreamArn"])["StreamDescription"]
    for shard in described["Shards"]:
        place = streams.get_shard_iterator(
            StreamArn=table["LatestStreamArn"], ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while place:
            response = streams.get_records(ShardIterator=place)
            for record in response["Records"]:
                image = record["dynamodb"].get("NewImage")
                if image and image["pk"]["S"].endswith(("#REC", "#TRASH")):
                    row = _row(image, plain)
                    found.setdefault(row["sk"], []).append(row)
            place = response.get("NextShardIterator") if response["Records"] else None
    return found


def each_capture_is_one_recording(one: Played, found: Found) -> None:
    made, recording = (
        {provider_recording["id"]: provider_recording for provider_recording in one.look()},
        found.recordings(one.tenant),
    )
    assert Counter(row["cloudflare_id"] for row in recording) == Counter(made.keys())
    rooms = {meeting: room for room, meeting in one.meetings.items()}
    for row in recording:
        provider_recording = made[row["cloudflare_id"]]
        assert (row["room_id"], row["meeting_id"]) == (
            rooms[provider_recording["meeting_id"]],
            provider_recording["meeting_id"],
        )
        assert row["origin"] == ("auto" if provider_recording["auto"] else "api")
        links = [link for link in found.rows if link["pk"] == f"CLOUDFLARE#{provider_recording['id']}"]
        assert [(link["tenant_id"], link["recording_id"]) for link in links] == [(one.tenant, row["sk"])]


def each_file_is_had_or_lost(one: Played, found: Found) -> None:
    made = {provider_recording["id"]: provider_recording for provider_recording in one.look()}
    for row in found.recordings(one.tenant):
        provider_recording = made.get(row["cloudflare_id"])
        assert provider_recording is not None, f"{row['sk']} is of no capture"
        here, there = [key for key in found.r2 if row["sk"] in key], [key for key in found.s3 if row["sk"] in key]
        said = f"{row['sk']} of {provider_recording}: {row}"
        if provider_recording["sha256"] is None:
            assert (row["status"], row["file"]) == ("failed", None), said
            assert row["failure"], said
            assert there == [], said
            continue
        assert row["status"] in {"ready", "archived"}, said
        assert row["failure"] is None, said
        assert row["partial"] == (provider_recording["status"] == "ERRORED"), said
        assert row["duration_seconds"] == provider_recording["duration"], said
        archived = row["status"] == "archived"
        assert row["file"]["provider"] == ("s3" if archived else "r2"), said
        assert row["file"]["key"] in (found.s3 if archived else found.r2), said
        # A URL of it may still have to work.
        kept = archived and row["archive"].get("source_kept_until")
        assert not archived or kept or row["archive"]["moved_from"] not in found.r2, said
        # What attempts that were given up have left is for the audit; nothing else lies about.
        assert all(_attempt(key) < row["attempt"] for key in here if key != row["file"]["key"]), (here, said)
        abandoned = row["archive_attempt"] - (0 if row["archive_error"] else 1)
        assert all(_attempt(key) <= abandoned for key in there if key != row["file"]["key"]), (there, said)


def _attempt(key: str) -> int:
    """The attempt that wrote a file."""
    return int(key.rsplit("/", 2)[1])


def everything_is_counted(one: Played, found: Found) -> None:
    live = found.of(one.tenant, "REC")

    def counted(some: Sequence[Json]) -> dict[str, int]:
        of = Counter(row["status"] for row in some)
        return {"all": len(some), **{status.value: of[status.value] for status in Status}}

    assert tallies(one.api) == counted(live)
    for room in ROOMS:
        reported = {status.value: total(one.api, room_id=room, status=status.value) for status in Status}
        expected = counted([row for row in live if row["room_id"] == room])
        assert {"all": total(one.api, room_id=room), **reported} == expected, room
    of_tenant = [row for row in found.rows if row["pk"].startswith(f"T#{one.tenant}#") or row["pk"] == "LAYOUT"]
    assert [*faults_of_lists(of_tenant)] == []


def nothing_is_held(one: Played, found: Found) -> None:
    now = datetime.now(UTC)
    for room in one.api.get("/rooms").json()["data"]:
        assert room["active_recording_id"] is None, room
    for row in found.of(one.tenant, "ROOM"):
        assert "active_recording_id" not in row, row
        assert "lease_until" not in row or datetime.fromisoformat(row["lease_until"]) <= now, row
    waiting = [row for row in found.rows if row["pk"] == "OPEN" and row["tenant_id"] == one.tenant]
    assert waiting == []
    assert [key for key in found.unfinished if one.tenant in key] == []


def no_status_went_back(one: Played, found: Found) -> None:
    for row in found.recordings(one.tenant):
        images = found.changes[row["sk"]]
        assert images[0]["version"] == len(images[0]["history"]), images[0]
        assert images[0]["history"][0]["status"] == "recording"
        for before, after in pairwise(images):
            said = f"{row['sk']}: {before} -> {after}"
            longer = len(after["history"]) - len(before["history"])
            same = after["version"] == before["version"]
            assert same or after["version"] == before["version"] + 1, said
            assert longer in ((0,) if same else (0, 1)), said
            assert after["history"][: len(before["history"])] == before["history"], said
            assert after["history"][-1]["status"] == after["status"], said
            assert longer or after["status"] == before["status"], said
            if same:
                assert after["pk"] == before["pk"], said
        ways = [entry["status"] for entry in row["history"]]
        for left, entered in pairwise(ways):
            assert Status(entered) in TRANSITIONS[Status(left)].values(), ways
        assert images[-1] == row


def told_once(one: Played, found: Found) -> None:
    """One event for each transition and import, whatever it took to send it, and none for anything else."""
    expected = {
        (row["sk"], len(row["history"])): (row["history"][-2]["status"] if at else None, row["status"])
        for row in found.recordings(one.tenant)
        for at, row in enumerate(_entries(found.changes[row["sk"]]))
    }
    reported: dict[tuple[str, int], set[tuple[Any, ...]]] = {}
    for event in found.events:
        if event["tenant_id"] == one.tenant:
            place = (event["recording_id"], len(event["recording"]["history"]))
            reported.setdefault(place, set()).add((event["event_id"], event["version"], event["from"], event["to"]))
    assert reported.keys() == expected.keys()
    for place, (left, entered) in expected.items():
        assert len(reported[place]) == 1, reported[place]
        ((_, _, told_left, told_entered),) = reported[place]
        assert (told_left, told_entered) == (left, entered), place


def _entries(images: Sequence[Json]) -> list[Json]:
    """The images in which a status was entered."""
    return [
        image for at, image in enumerate(images) if at == 0 or len(image["history"]) > len(images[at - 1]["history"])
    ]


def what_was_deleted_comes_back(one: Played, found: Found) -> None:
    for row in found.of(one.tenant, "TRASH"):
        assert one.api.get(f"/recordings/{row['sk']}").status_code == 404
        assert one.api.post(f"/recordings/{row['sk']}/undelete").status_code == 200
    assert total(one.api) == len(found.recordings(one.tenant))


def each_file_is_what_was_recorded(one: Played, found: Found) -> None:
    made = {provider_recording["id"]: provider_recording["sha256"] for provider_recording in one.look()}
    for row in found.recordings(one.tenant):
        path, sha256 = f"/recordings/{row['sk']}", made[row["cloudflare_id"]]
        if row["status"] == "archived":
            assert one.api.post(f"{path}/restore", json={"days": 1}).status_code == 202

            def readable(path: str = path) -> Json | None:
                response = one.api.get(f"{path}/download")
                return response.json() if response.status_code == 200 else None

            link = until(readable, every=0.5)
            assert link is not None
            assert digest(link) == sha256, row
        elif row["status"] == "ready":
            assert downloaded(one.api, row["sk"]) == sha256, row
        else:
            assert one.api.get(f"{path}/download").json()["code"] == "recording_failed"


def every_room_can_be_recorded(one: Played, found: Found) -> None:
    for room in ROOMS:
        response, refused = repeated(partial(one.api.post, f"/rooms/{room}/recordings/start"))
        assert response.status_code == 201 or (refused and response.json()["code"] == "room_already_recording"), (
            response.text
        )
        response, refused = repeated(partial(one.api.post, f"/rooms/{room}/recordings/stop"))
        assert response.status_code == 200 or (refused and response.json()["code"] == "no_active_recording"), (
            response.text
        )


CHECKS: Sequence[Callable[[Played, Found], None]] = (
    each_capture_is_one_recording,
    each_file_is_had_or_lost,
    everything_is_counted,
    nothing_is_held,
    no_status_went_back,
    told_once,
    # From here on things are changed.
    what_was_deleted_comes_back,
    each_file_is_what_was_recorded,
    every_room_can_be_recorded,
)


def check(one: Played, found: Found) -> None:
    for promise in CHECKS:
        try:
            promise(one, found)
        except AssertionError as error:
            one.wrong.append(f"{promise.__name__}: {error}")


# ---------------------------------------------------------------- the test


def quiet(running: Json) -> list[str]:
    """Let scheduled syncs and runs do their work until nothing is left to do; gives how long each round took."""
    took = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        age(running)
        sync(running)
        until(lambda: not under_way(running), every=0.5)
        took.append(f"{time.monotonic() - began:.0f} s")
        if not [row for row in rows(running) if row["pk"] == "OPEN"]:
            break
    return took


def of_recordings(some: Sequence[Json]) -> list[Json]:
    """The rows without those that the sync keeps for itself."""
    return sorted((row for row in some if row["pk"] not in {"SYNC", "BUDGET"}), key=lambda row: (row["pk"], row["sk"]))


def taken(running: Json, heard: Callable[[], list[Json]]) -> Found:
    """Look at everything, once all that is to be announced has been."""
    changes = changes_of(running)
    entered = sum(len(_entries(images)) for images in changes.values())
    until(
        lambda: len({(e["recording_id"], len(e["recording"]["history"])) for e in heard()}) >= entered,
        every=0.5,
    )
    left = [key for store in ("r2", "s3") for key in unfinished(running, store, "")]
    return Found(rows(running), changes, heard(), keys(running, "r2", ""), keys(running, "s3", ""), left)


@pytest.mark.timeout(1800)
def test_whatever_happened_and_died_our_records_come_to_what_is_true(
    running: Json, crashes: Crashes, heard: Callable[[], list[Json]]
) -> None:
    clock = [time.monotonic()]

    def lap() -> float:
        clock.append(time.monotonic())
        return round(clock[-1] - clock[-2], 1)

    with ExitStack() as opened, ThreadPoolExecutor(AT_ONCE) as pool:
        cloudflare = opened.enter_context(
            httpx.Client(base_url=running["cloudflare_control_url"], timeout=MAX_WAIT_SECONDS)
        )
        played = []
        for number in ONLY or range(HISTORIES):
            api = opened.enter_context(client_of(running, tenant_of(number)))
            played.append(Played(number, drawn(number), running, crashes, api, cloudflare))
        [*pool.map(Played.prepare, played)]
        prepared = lap()

        # Half of them hear of each change at once, twice, and not always in order; the other half only what is resent.
        settle(cloudflare, stall_in="UPLOADING", webhook_copies=2)
        [*pool.map(Played.play, [one for one in played if one.number % 2])]
        settle(cloudflare, stall_in="UPLOADING", webhooks=False)
        [*pool.map(Played.play, [one for one in played if not one.number % 2])]
        playing = lap()

        crashes.calm()
        calm(running, cloudflare)
        settle(cloudflare, stall_in="UPLOADING", webhooks=False)
        [*pool.map(Played.finish, played)]
        rounds = quiet(running)
        settled = lap()

        before = of_recordings(rows(running))
        sync(running)
        assert of_recordings(rows(running)) == before
        found = taken(running, heard)
        [*pool.map(partial(check, found=found), played)]
        checked = lap()

    struck = Counter((one.function, one.end) for one in crashes.struck)
    print(
        f"{len(played)} histories: prepared {prepared} s, played {playing} s, quiet {settled} s {rounds}, {checked} s"
    )
    print(f"{sum(len(one.provider_recordings) for one in played)} captures, {struck.total()} blows:")
    print("\n".join(f"  {count:3} {function} {end}" for (function, end), count in sorted(struck.items())))
    assert not [one for one in played if one.wrong], "\n\n".join(one.report() for one in played if one.wrong)
    # So that it is about what it says.
    died = [one for one in crashes.struck if one.end is not End.LOST]
    assert ONLY or (len(died) >= len(played) // 2 and len({one.function for one in died}) >= 8), struck
