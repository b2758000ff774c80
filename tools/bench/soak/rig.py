"""The stack under test: kills its workers, lets time pass, and looks at everything there is."""

import hashlib
import json
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from admin.reconcile import reconcile
from admin.stack import client_factory
from tools.bench.soak.load import Tenant, Told
from tools.bench.soak.relay import FaultyRelay
from tools.bench.soak.verdict import Found, Held, ProviderRecording
from tools.listings import faults_of_lists
from tools.local import functions, stack
from tools.local.processes import function_of

type Json = dict[str, Any]

KILL_EVERY_SECONDS: Final = 4.0
BUSY_SECONDS: Final = 1.5
SYNC_EVERY_SECONDS: Final = 20
# Beyond the ten minutes that young work is left alone and that lie between two looks, and beyond every lease.
AGE: Final = timedelta(minutes=20)
# What two audits must lie apart to confirm each other, and more.
CONFIRMATION_PAUSE: Final = timedelta(hours=7)
ROUNDS: Final = 8
# Longer than the longest pause before a task of a state machine is tried again (300 s).
ROUND_SECONDS: Final = 360
# What a recording is counted and listed by, and what happened; all else of an open one may be waited for.
KEPT_TIMES: Final = frozenset({"created_at", "deleted_at", "history"})
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

_plain, _typed = TypeDeserializer().deserialize, TypeSerializer().serialize


class SoakError(Exception):
    """The run could not be made, or did not come to rest."""


class Killer:
    """Kills a worker of the emulator now and then, at best one that is at work."""

    def __init__(self, running: Json, relay: FaultyRelay, seed: int) -> None:
        self._running, self._relay, self._random = running, relay, random.Random(seed)
        self._names = {physical: logical for logical, physical in running["functions"].items()}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on)
        self.killed: Counter[str] = Counter()
        self.log: list[tuple[float, str]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(30)

    def _go_on(self) -> None:
        while not self._over.wait(self._random.uniform(0.5, 1.5) * KILL_EVERY_SECONDS):
            workers = self._workers()
            now = time.monotonic()
            busy = [one for one in workers if now - self._relay.last_call.get(one[1], 0) < BUSY_SECONDS]
            if busy or workers:
                pid, name = self._random.choice(busy or workers)
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                self.killed[name] += 1
                self.log.append((round(time.time(), 3), name))

    def _workers(self) -> list[tuple[int, str]]:
        """The emulator's processes that run a function of this stack, each with the function's name."""
        running = [(pid, function_of(pid)) for pid in stack.members(self._running["pids"]["ministack"])]
        return [(pid, self._names[function]) for pid, function in running if function in self._names]


def lead_through(running: Json, relay: FaultyRelay) -> None:
    """Let every function find AWS, R2 and Cloudflare at the relay. Links that people follow do not lead there."""
    for name, url in relay.urls.items():
        behind = {"AWS_ENDPOINT_URL": url, "CLOUDFLARE_API_URL": f"{url}/client/v4"}
        if name != "DownloadRecording":
            behind["R2_ENDPOINT"] = url
        functions.set_variables(stack.client(running, "lambda"), running["functions"][name], behind)


def stop_the_clock(running: Json) -> None:
    """No schedule fires by itself: the run starts each sync."""
    scheduler = stack.client(running, "scheduler")
    names = {"Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target"}
    for one in scheduler.list_schedules()["Schedules"]:
        known = scheduler.get_schedule(Name=one["Name"], GroupName=one["GroupName"])
        scheduler.update_schedule(**{name: known[name] for name in names}, State="DISABLED")


def begin_sync(running: Json) -> str:
    """Start a sync as the schedule does."""
    machines = stack.client(running, "stepfunctions")
    return str(machines.start_execution(stateMachineArn=running["state_machines"]["Sync"], input="{}")["executionArn"])


class Syncs:
    """Starts a sync now and then, as the schedule does: one that meets another ends at once."""

    def __init__(self, running: Json) -> None:
        self._running, self._over = running, threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(60)

    def _go_on(self) -> None:
        while not self._over.wait(SYNC_EVERY_SECONDS):
            begin_sync(self._running)


# ---------------------------------------------------------------- coming to rest


def until(look: Callable[[], object], *, seconds: float, what: str) -> None:
    """Wait for a condition. Raises SoakError when it does not come."""
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() > end:
            raise SoakError(f"{what} took longer than {seconds:.0f} s")
        time.sleep(0.5)


def rows(running: Json) -> list[Json]:
    """Every item of the table, as plain values."""
    pages = stack.client(running, "dynamodb").get_paginator("scan").paginate(TableName=running["tables"]["Table"])
    return [{name: _plain(value) for name, value in item.items()} for page in pages for item in page["Items"]]


def earlier(value: object, by: timedelta = AGE) -> object:
    """A value with every time in it moved back."""
    if isinstance(value, str) and TIME.fullmatch(value):
        return (datetime.fromisoformat(value) - by).astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        return {name: earlier(one, by) for name, one in value.items()}
    return value


def times_of(row: Json, waiting: set[str]) -> set[str]:
    """The attributes of an item in which the time is to pass."""
    if row["sk"] in waiting and row["pk"].endswith(("#REC", "#TRASH")):
        return set(row) - KEPT_TIMES
    # Leases; the ends of URLs that were given out; what an audit found missing, since when.
    kinds = {"#URLS": {"ends_at"}, "#SUSPECTS": {"at"}}
    return next((names for end, names in kinds.items() if row["pk"].endswith(end)), {"lease_until"}) & set(row)


def age(running: Json, by: timedelta = AGE) -> None:
    """Let time pass for what waits for it; no call of the budget is blocked any more."""
    dynamo, table, found = stack.client(running, "dynamodb"), running["tables"]["Table"], rows(running)
    waiting = {row["sk"] for row in found if row["pk"] == "OPEN"}
    for row in found:
        if row["pk"] == "BUDGET":
            dynamo.delete_item(TableName=table, Key={"pk": {"S": row["pk"]}, "sk": {"S": row["sk"]}})
            continue
        names = times_of(row, waiting)
        changed = {name: moved for name in names if (moved := earlier(row[name], by)) != row[name]}
        if not changed:
            continue
        keys = {f"#{at}": name for at, name in enumerate(changed)}
        guard = "version = :version" if "version" in row else "attribute_exists(pk)"
        values = {f":{at}": _typed(value) for at, value in enumerate(changed.values())}
        if "version" in row:
            values[":version"] = _typed(row["version"])
        try:
            dynamo.update_item(
                TableName=table,
                Key={"pk": {"S": row["pk"]}, "sk": {"S": row["sk"]}},
                UpdateExpression="SET " + ", ".join(f"#{at} = :{at}" for at in range(len(changed))),
                ConditionExpression=guard,
                ExpressionAttributeNames=keys,
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            # It changed this very moment, and its new state has a time of its own.


def make_next_sync_full(running: Json) -> None:
    """Let the next sync walk Cloudflare's whole list, as one a day does."""
    stack.client(running, "dynamodb").update_item(
        TableName=running["tables"]["Table"],
        Key={"pk": {"S": "SYNC"}, "sk": {"S": "STATE"}},
        UpdateExpression="REMOVE full_at",
    )


def under_way(running: Json) -> list[str]:
    """The executions that have not ended."""
    machines = stack.client(running, "stepfunctions")
    pages = machines.get_paginator("list_executions")
    return [
        run["name"]
        for machine in running["state_machines"].values()
        for page in pages.paginate(stateMachineArn=machine, statusFilter="RUNNING")
        for run in page["executions"]
    ]


def rest(running: Json) -> int:
    """Sync until nothing is left to do, a bounded number of times; gives how many rounds it took."""
    machines = stack.client(running, "stepfunctions")
    rounds = 0
    while rounds < ROUNDS:
        rounds += 1
        until(lambda: not under_way(running), seconds=ROUND_SECONDS, what="what was under way")
        age(running)
        make_next_sync_full(running)
        run = begin_sync(running)
        until(
            lambda run=run: machines.describe_execution(executionArn=run)["status"] != "RUNNING",  # type: ignore[misc]
            seconds=ROUND_SECONDS,
            what="a sync",
        )
        status = machines.describe_execution(executionArn=run)["status"]
        if status != "SUCCEEDED":
            raise SoakError(f"a sync without faults ended {status}")
        until(lambda: not under_way(running), seconds=ROUND_SECONDS, what="what a sync had started")
        if not [row for row in rows(running) if row["pk"] in {"OPEN", "LOOKS"}]:
            break
    return rounds


def finish_captures(control: httpx.Client) -> None:
    """Everybody leaves, and Cloudflare finishes what it has begun."""
    for one in control.get("/recordings").raise_for_status().json()["data"]:
        if one["status"] in {"INVOKED", "RECORDING", "PAUSED"}:
            control.post(f"/recordings/{one['id']}/end").raise_for_status()
    until(lambda: not _unfinished(control), seconds=60, what="Cloudflare's uploads")


def _unfinished(control: httpx.Client) -> list[Json]:
    made = control.get("/recordings").raise_for_status().json()["data"]
    return [one for one in made if one["status"] not in {"UPLOADED", "ERRORED"}]


# ---------------------------------------------------------------- what there is


def found(running: Json, tenants: Sequence[Tenant], reported: Told, control: httpx.Client) -> Found:
    """Look at everything."""
    table = rows(running)
    provider_recordings = [
        ProviderRecording(id=one["id"], meeting_id=one["meeting_id"], sha256=one["sha256"], size_bytes=one["size"])
        for one in control.get("/recordings").raise_for_status().json()["data"]
    ]
    stored = [row for row in table if row["pk"].startswith("T#") and row["pk"].endswith(("#REC", "#TRASH"))]
    rooms = [row for row in table if row["pk"].startswith("T#") and row["pk"].endswith("#ROOM")]
    orphans, phantoms = audited(running)
    ask_for_copies(
        running, [row["file"]["key"] for row in stored if row.get("file") and row["file"]["provider"] == "s3"]
    )
    return Found(
        provider_recordings=provider_recordings,
        recordings=[_held(row, _bytes_of(running, row)) for row in stored],
        owners={row["meeting_id"]: (row["tenant_id"], row["sk"]) for row in rooms},
        list_faults=[*faults_of_lists(table)],
        responses=dict(reported.responses),
        seen={one.name: frozenset(one.seen) for one in tenants},
        orphans=orphans,
        phantoms=phantoms,
        open=[row["sk"] for row in table if row["pk"] == "OPEN"],
        held_rooms=[row["sk"] for row in rooms if "active_recording_id" in row],
        complaints=[*reported.complaints],
    )


def _held(row: Json, sha256: str | None) -> Held:
    file: Json | None = row.get("file")
    archive: Json | None = row.get("archive")
    return Held(
        id=row["sk"],
        tenant_id=row["tenant_id"],
        room_id=row["room_id"],
        meeting_id=row["meeting_id"],
        cloudflare_recording_id=row.get("cloudflare_id"),
        status=row["status"],
        created_at=row["created_at"],
        deleted=row.get("deleted_at") is not None,
        moving=archive is not None and archive["state"] == "moving",
        size_bytes=int(file["size_bytes"]) if file else None,
        sha256=sha256,
    )


def _bytes_of(running: Json, row: Json) -> str | None:
    """The SHA-256 of a recording's stored file, read from the store itself; None when there is none."""
    file = row.get("file")
    if not file:
        return None
    store = stack.client(running, "r2" if file["provider"] == "r2" else "s3")
    bucket = running["buckets"]["r2" if file["provider"] == "r2" else "ArchiveBucket"]
    try:
        if file["provider"] == "s3":
            until(lambda: _readable(store, bucket, file["key"]), seconds=120, what="a restore")
        body = store.get_object(Bucket=bucket, Key=file["key"])["Body"]
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    whole = hashlib.sha256()
    for chunk in body.iter_chunks(1024 * 1024):
        whole.update(chunk)
    return whole.hexdigest()


def ask_for_copies(running: Json, keys: Sequence[str]) -> None:
    """Ask for a readable copy of everything that lies in cold storage."""
    s3, bucket = stack.client(running, "s3"), running["buckets"]["ArchiveBucket"]
    for key in keys:
        try:
            if not _readable(s3, bucket, key):
                asked = {"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}}
                s3.restore_object(Bucket=bucket, Key=key, RestoreRequest=asked)
        except ClientError as error:
            # One that is missing is told when it is to be read.
            if error.response["Error"]["Code"] not in {"RestoreAlreadyInProgress", "404", "NoSuchKey"}:
                raise


def _readable(s3: Any, bucket: str, key: str) -> bool:
    return 'ongoing-request="false"' in s3.head_object(Bucket=bucket, Key=key).get("Restore", "")


def repaired(running: Json) -> list[str]:
    """Let two audits with repair do their work, as far apart as they must be; gives what they removed."""
    make, name = client_factory(running["name"]), f"recordings-{running['name']}"
    removed: list[Json] = []
    for _ in range(2):
        reported = reconcile(make, name, tenant=None, repair=True, min_age_hours=0)
        removed += _all(reported, "removed")
        age(running, CONFIRMATION_PAUSE)
    return [f"{row['store']} {row['key']}" for row in removed]


def keep(running: Json, control: httpx.Client, relay: FaultyRelay, killer: Killer, path: Path) -> None:
    """Write down what is there and what struck, for whoever looks into what went wrong."""
    table = [row for row in rows(running) if not row["pk"].startswith("PARTS#")]
    provider_recordings = control.get("/recordings").raise_for_status().json()["data"]
    kept = {"rows": table, "captures": provider_recordings, "strikes": relay.log, "killed": killer.log}
    path.write_text(json.dumps(kept, indent=1, default=str))


def audited(running: Json) -> tuple[list[str], list[str]]:
    """What `./recordings-admin reconcile --min-age 0` calls orphans, and phantoms."""
    make, name = client_factory(running["name"]), f"recordings-{running['name']}"
    reported = reconcile(make, name, tenant=None, repair=False, min_age_hours=0)
    if reported["incomplete"] or reported["remaining_tenants"] or reported["omitted"]:
        raise SoakError(f"the audit did not see everything: {json.dumps(reported['incomplete'])}")
    orphans = [f"{row['store']} {row['key']} {row['upload_id']}".strip() for row in _all(reported, "orphans")]
    strays = [f"{row['store']} {row['key']}" for row in reported["strays"]]
    return [*orphans, *strays], [f"{row['recording_id']} {row['key']}" for row in _all(reported, "phantoms")]


def _all(reported: Json, kind: str) -> list[Json]:
    return [row for report in reported["reports"] for row in report[kind]]
