"""Throughput of the copy engine beside rclone's, and what a transfer costs, on a local stack of its own.

Both carry the same stand-in recording from the same URL into the same bucket, in parts of the same size, as many at
once, taking turns. The engine is the code of the processing workflow's functions, in a child process with their
environment: the emulator's way of starting functions is not in the figures. rclone reads with `copyurl`: a presigned
URL is for GET alone, and rclone's other ways of reading HTTP want HEAD.

The cost of a recording of `size` bytes is computed from what one copy needed, counted call by call:

    parts          ceil(size / part size), segments ceil(parts / parts of a segment): what the workflow plans
    GB-seconds     MemorySize of CopySegment / 1024 * size / throughput; its time alone, the other tasks take moments
    transitions    states that a real run entered, other than CopySegment, + segments; a wait for Cloudflare's upload
                   adds its own
    calls          of each task, as counted: UploadPart per part; the other calls of CopySegment per segment; ListParts
                   once more for each 1,000 parts; all else as often as in the run, whatever the size
    DynamoDB       write units of items up to 1 KB: a write is one, in a transaction two; checksums per part,
                   the budget of calls to Cloudflare per segment, all else as often as in the run
    USD            calls / 1,000,000 * price of a million, and so on; R2 asks nothing for what leaves it
"""

import argparse
import json
import math
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from inspect import BoundArguments, signature
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tools.local import progress, stack
from tools.local import template as sam

NAME: Final = "bench"
TENANT: Final = "bench"
MIB: Final = 1024 * 1024
GB: Final = 1_000_000_000
RUNS: Final = 3
ROOT: Final = stack.ROOT
TOOL: Final = ROOT / ".tools/rclone/usr/bin/rclone"
# The recording that a whole workflow carries, to count the steps of a run: it has parts and takes seconds.
COUNTED_MB: Final = 48
SIZES_GB: Final = (1, 10, 50)
SLOW: Final = 20_000_000
# R2's operations by price class (R2, pricing, "Class A operations"); deleting and aborting are free.
CLASS_A: Final = frozenset(
    {"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "PutObject", "ListParts", "ListMultipartUploads"}
)
CLASS_B: Final = frozenset({"HeadObject", "GetObject"})
# USD for a million (R2, pricing, as of 2026-08-03).
CLASS_A_PRICE: Final = 4.50
CLASS_B_PRICE: Final = 0.36
WRITES: Final = {"PutItem": 1, "UpdateItem": 1, "DeleteItem": 1, "TransactedItem": 2}


class BenchError(Exception):
    """One clear line: what is wrong and what cures it."""


# ---------------------------------------------------------------- the engine in a process of its own


class Failed(Exception):
    """What was called in the engine's process raised; `kind` is the class."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call gave, its time and the processor's, its calls to AWS and R2 (`s3.UploadPart`), the peak memory."""

    value: Any
    seconds: float
    cpu: float
    calls: Counter[str]
    peak_mb: float


class Engine:
    """A process with a function's environment, in which the code of the functions is called."""

    def __init__(self, running: Mapping[str, Any], function: str = "CopySegment", **changed: str) -> None:
        deployed = stack.client(dict(running), "lambda").get_function_configuration(
            FunctionName=running["functions"][function]
        )
        keys = running["credentials"]["aws"]
        env = deployed["Environment"]["Variables"] | {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": f"{ROOT / 'layers/recordings'}{os.pathsep}{ROOT}",
            "AWS_ENDPOINT_URL": running["endpoints"]["aws"],
            "AWS_ACCESS_KEY_ID": keys["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": keys["secret_access_key"],
            "AWS_REGION": running["region"],
            "AWS_DEFAULT_REGION": running["region"],
            # No profile of the person at this machine may have a say.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "POWERTOOLS_METRICS_DISABLED": "true",
            # A line for each call to Cloudflare would come between the figures.
            "POWERTOOLS_LOG_LEVEL": "ERROR",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from tools.bench.transfer import serve; serve()"],
            env=env | changed, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def send(self, what: str, *arguments: Any, **named: Any) -> None:
        """Begin a call; `what` is `module:name`."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([what, arguments, named]) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Answer:
        """The end of the call begun. Raises Failed."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise BenchError(f"the engine's process ended with {self.process.wait()}")
        told = json.loads(line)
        if "error" in told:
            raise Failed(*told["error"])
        return Answer(told["value"], told["seconds"], told["cpu"], Counter(told["calls"]), told["peak_mb"])

    def call(self, what: str, *arguments: Any, **named: Any) -> Answer:
        """Call and wait. Raises Failed."""
        self.send(what, *arguments, **named)
        return self.answer()

    def task(self, function: str, *arguments: Any, name: str | None = None, **named: Any) -> Answer:
        """Call what a workflow's function wires together: by default its own name in its `app.py`."""
        return self.call(f"functions.workflow.{function}.app:{name or function}", *arguments, **named)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def serve() -> None:
    """The engine's process: calls what it is told, a line of JSON each, until nobody is there any more."""
    from pydantic_core import to_jsonable_python

    from recordings.adapters.aws.clients import shared_session

    counted: Counter[str] = Counter()

    def count(**event: Any) -> None:
        _before, service, operation = event["event_name"].split(".")
        counted[f"{service}.{operation}"] += 1
        if operation == "TransactWriteItems":
            counted[f"{service}.TransactedItem"] += len(json.loads(event["request"].body)["TransactItems"])

    shared_session().register("before-send", count)
    # Log lines of what is called must not come between the answers.
    told, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        what, arguments, named = json.loads(line)
        counted.clear()
        try:
            module, name = what.split(":")
            called = getattr(import_module(module), name)
            typed = _typed(called, arguments, named)
            _reset_peak()
            began, worked = time.perf_counter(), time.process_time()
            value = called(*typed.args, **typed.kwargs)
            seconds, cpu = time.perf_counter() - began, time.process_time() - worked
            answer = {
                "value": to_jsonable_python(value),
                "seconds": seconds,
                "cpu": cpu,
                "calls": counted,
                "peak_mb": _peak_mb(),
            }
        except Exception as error:
            answer = {"error": [type(error).__name__, str(error)]}
        print(json.dumps(answer), file=told, flush=True)


def _typed(called: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any]) -> BoundArguments:
    """The JSON values as the types that `called` takes."""
    from pydantic import TypeAdapter

    called_with = signature(called, eval_str=True)
    bound = called_with.bind(*arguments, **named)
    for name, value in bound.arguments.items():
        bound.arguments[name] = TypeAdapter(called_with.parameters[name].annotation).validate_python(value)
    return bound


def _reset_peak() -> None:
    # "5" puts the peak back to what is resident now (proc(5), clear_refs).
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    # Not getrusage: its peak is inherited from the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def register(room_id: str, meeting_id: str, capture_id: str) -> dict[str, Any]:
    """In the engine's process: a recording that waits for its file; gives the work of a workflow's run over it."""
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.system import new_id, now
    from recordings.domain.recording import Recording

    at = now()
    recording = Recording.begin(
        id=new_id(at),
        tenant_id=TENANT,
        room_id=room_id,
        room_name=room_id,
        meeting_id=meeting_id,
        cloudflare_recording_id=capture_id,
        origin="auto",
        at=at,
        cause="auto_started",
    ).ended(at=at, cause="capture_ended")
    DynamoRecordings().add(recording, lease_nonce=None)
    return {"tenant_id": TENANT, "recording_id": recording.id, "attempt": 1}


def shapes(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """In the engine's process: part size and number of segments of files of these sizes."""
    from recordings.domain.transfer import part_size_for, segments_for

    return [(part_size_for(one), len(segments_for(one, part_size_for(one), ranges=True))) for one in sizes]


def threads() -> int:
    """In the engine's process: how many parts are copied at once."""
    from recordings.services.transfer.parts import MAX_THREADS

    return MAX_THREADS


def url_of(work: dict[str, Any]) -> str:
    """In the engine's process: the file's presigned URL, as the engine finds it."""
    from recordings.domain.transfer import Attempt
    from recordings.services.transfer.provider_file import ProviderFileUrl

    copy_segment = import_module("functions.workflow.copy_segment.app").copy_segment
    known = {name: getattr(copy_segment, name) for name in ("recordings", "provider", "clock", "deadlines")}
    return ProviderFileUrl(**known).of_attempt(Attempt(**work))


# ---------------------------------------------------------------- the stand-in and the stack


def control(running: Mapping[str, Any], path: str, body: Any = None, *, method: str | None = None) -> Any:
    """Call the stand-in's control API."""
    return _json(f"{running['cloudflare_control_url']}{path}", body, {}, method)


def api(running: dict[str, Any], path: str, body: Any = None, *, method: str | None = None) -> Any:
    """Call the API as the bench's tenant."""
    token = stack.token(running, TENANT)
    return _json(f"{running['api_url']}/api/v1{path}", body, {"Authorization": f"Bearer {token}"}, method)["data"]


def _json(url: str, body: Any, headers: Mapping[str, str], method: str | None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method=method)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read() or b"null")


def count_a_run(running: dict[str, Any]) -> int:
    """Let the deployed workflow bring one recording in; how many states it entered, other than CopySegment.

    That one is entered for each segment. The emulator's history leaves it out, AWS's does not.
    """
    room = api(running, "/rooms/counted", {"name": "Counted"}, method="PUT")
    control(running, "/recordings", {"meeting_id": room["cloudflare_meeting_id"], "size": COUNTED_MB * MIB})
    recording_id = api(running, "/rooms/counted/recordings/sync", {})["recordings"][0]["id"]
    machines = stack.client(running, "stepfunctions")
    arn = running["state_machines"]["Processing"]
    end = time.monotonic() + 120
    while time.monotonic() < end:
        runs = machines.list_executions(stateMachineArn=arn, statusFilter="SUCCEEDED")["executions"]
        found = [run["executionArn"] for run in runs if recording_id in run["name"]]
        if found:
            pages = machines.get_paginator("get_execution_history").paginate(executionArn=found[0])
            entered = [
                event["stateEnteredEventDetails"]["name"]
                for page in pages
                for event in page["events"]
                if event["type"].endswith("StateEntered")
            ]
            return len(entered) - entered.count("CopySegment")
        time.sleep(0.5)
    raise BenchError(f"the recording was not brought in: see `.venv/bin/python -m tools.local --name {NAME} logs`")


# ---------------------------------------------------------------- rclone


def rclone() -> str:
    """The program, installed or unpacked."""
    found = shutil.which("rclone") or (str(TOOL) if TOOL.exists() else None)
    if found is None:
        raise BenchError(
            "rclone is missing: `apt-get install -y rclone`, or without root"
            " `apt-get download rclone && dpkg -x rclone_*.deb .tools/rclone`."
        )
    return found


def rclone_command(program: str, url: str, bucket: str, key: str, part_size: int, threads: int) -> list[str]:
    """Copy a URL into a bucket in parts of this size, so many at once; the store is named by the environment."""
    return [
        program, "copyurl", url, f"r2:{bucket}/{key}", f"--s3-chunk-size={part_size // MIB}M",
        f"--s3-upload-concurrency={threads}", "--s3-upload-cutoff=0", "--s3-no-check-bucket", "--retries=1", "-q",
    ]  # fmt: skip


def rclone_environment(running: Mapping[str, Any]) -> dict[str, str]:
    """A remote `r2` without a configuration file."""
    keys = running["credentials"]["r2"]
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(stack.folder(NAME)),
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_R2_TYPE": "s3",
        "RCLONE_CONFIG_R2_PROVIDER": "Other",
        "RCLONE_CONFIG_R2_ENDPOINT": running["endpoints"]["r2"],
        "RCLONE_CONFIG_R2_REGION": "auto",
        "RCLONE_CONFIG_R2_ACCESS_KEY_ID": keys["access_key_id"],
        "RCLONE_CONFIG_R2_SECRET_ACCESS_KEY": keys["secret_access_key"],
    }


# ---------------------------------------------------------------- measuring


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy: bytes a second, the processor's seconds, and of the engine its peak memory and each task's calls."""

    rate: float
    cpu: float
    peak_mb: float
    plan: Mapping[str, Any]
    facts: Mapping[str, Any]
    tasks: Mapping[str, Counter[str]]


def copy(engine: Engine, work: Mapping[str, Any]) -> Copy:
    """Plan, copy all segments one after the other, complete and verify, as the workflow does.

    The stand-in's ETag is as R2 makes it: it proves what was read, and nothing is read a second time.
    """
    planned = engine.task("plan_transfer", work)
    plan = planned.value
    segments = [engine.task("copy_segment", work, plan, segment) for segment in plan["segments"]]
    completed = engine.task("complete_transfer", work, plan, checked=False)
    if not completed.value["verified"]:
        raise BenchError("the parts do not make the source's ETag")
    verified = engine.task("verify_transfer", plan, completed.value)
    copied: Counter[str] = Counter()
    for one in segments:
        copied += one.calls
    return Copy(
        plan["size"] / (sum(one.seconds for one in segments) + completed.seconds),
        sum(one.cpu for one in segments) + completed.cpu,
        max(one.peak_mb for one in segments),
        plan,
        verified.value,
        {"plan": planned.calls, "copy": copied, "complete": completed.calls, "verify": verified.calls},
    )


def copy_by_rclone(command: Sequence[str], environment: Mapping[str, str], size: int) -> Copy:
    """The same by rclone; starting it is part of its time, a few hundredths of a second."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise BenchError(f"rclone failed: {(done.stderr.strip().splitlines() or ['it wrote nothing'])[-1]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Copy(size / seconds, cpu, 0.0, {}, {}, {})


def measure(running: dict[str, Any], size: int, runs: int) -> tuple[list[Copy], list[Copy], Counter[str]]:
    """The engine's copies, rclone's, and the calls that the other tasks of a run make."""
    program = rclone()
    store, bucket = stack.client(running, "r2"), running["buckets"]["r2"]
    room = api(running, "/rooms/bench", {"name": "Bench"}, method="PUT")
    wanted = {"meeting_id": room["cloudflare_meeting_id"], "size": size}
    made = control(running, "/recordings", wanted)["data"]
    ours: list[Copy] = []
    theirs: list[Copy] = []
    with Engine(running) as engine:
        work = engine.call("tools.bench.transfer:register", room["id"], made["meeting_id"], made["id"]).value
        at_once = engine.call("tools.bench.transfer:threads").value
        for number in range(runs + 1):
            one = copy(engine, work)
            store.delete_object(Bucket=bucket, Key=one.plan["key"])
            url = engine.call("tools.bench.transfer:url_of", work).value
            command = rclone_command(program, url, bucket, "rclone.mp4", one.plan["part_size"], at_once)
            other = copy_by_rclone(command, rclone_environment(running), size)
            stored = store.head_object(Bucket=bucket, Key="rclone.mp4")["ContentLength"]
            if stored != size:
                raise BenchError(f"rclone stored {stored} bytes of {size}")
            store.delete_object(Bucket=bucket, Key="rclone.mp4")
            # The first turn of each warms up connections, caches and pages: it is not counted.
            if number:
                ours.append(one)
                theirs.append(other)
        looked = engine.call("tools.bench.transfer:look", work)
        marked = engine.call("tools.bench.transfer:mark", work, ours[-1].plan["key"], ours[-1].facts)
    return ours, theirs, looked.calls + marked.calls


def look(work: dict[str, Any]) -> None:
    """In the engine's process: what CheckUpload does for a recording that is uploaded."""
    from datetime import timedelta

    from recordings.domain.transfer import Attempt

    check_upload = import_module("functions.workflow.check_upload.app").check_upload
    check_upload(Attempt(**work), token="bench", wait=timedelta(seconds=5))


def mark(work: dict[str, Any], key: str, facts: dict[str, Any]) -> None:
    """In the engine's process: what MarkReady does with what VerifyTransfer found."""
    from pydantic import TypeAdapter

    from recordings.domain.transfer import Attempt, VerifiedFile

    found = TypeAdapter(VerifiedFile).validate_python(facts)
    import_module("functions.workflow.mark_ready.app").mark_ready(Attempt(**work), found, key=key, errored=False)


def archive(work: dict[str, Any]) -> None:
    """In the engine's process: what the API stores before a move begins."""
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.system import now

    recordings = DynamoRecordings()
    ready = recordings.get_including_deleted(work["tenant_id"], work["recording_id"])
    recordings.save(ready, ready.archiving(at=now()))


# ---------------------------------------------------------------- cost


@dataclass(frozen=True, slots=True)
class Counted:
    """What one transfer needed: calls by task, states entered other than CopySegment, its parts and segments."""

    tasks: Mapping[str, Counter[str]]
    transitions: int
    parts: int
    segments: int
    memory_mb: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a transfer of `size` bytes needs; `gb_seconds` at the measured and at a slow rate."""

    size: int
    parts: int
    segments: int
    gb_seconds: float
    slow_gb_seconds: float
    transitions: int
    class_a: int
    class_b: int
    writes: int


def pages(parts: int) -> int:
    """How many calls list so many parts."""
    return max(1, math.ceil(parts / 1000))


def scaled(counted: Counted, parts: int, segments: int) -> Counter[str]:
    """The calls of a transfer of so many parts and segments, from those of the one that was counted."""
    total: Counter[str] = Counter()
    for task, calls in counted.tasks.items():
        for call, times in calls.items():
            operation = call.partition(".")[2]
            if call in ("s3.UploadPart", "dynamodb.PutItem") and task == "copy":
                total[call] += round(times * parts / counted.parts)
                continue
            # What a task of a segment does goes with the segments; a listing also with the pages it takes.
            grows = segments / counted.segments if task == "copy" else 1.0
            if operation == "ListParts":
                grows *= pages(parts) / pages(counted.parts)
            total[call] += round(times * grows)
    return total


def cost(counted: Counted, size: int, part_size: int, segments: int, rate: float) -> Cost:
    """What a transfer of `size` bytes needs at `rate` bytes a second."""
    parts = max(1, math.ceil(size / part_size))
    calls = scaled(counted, parts, segments)
    s3 = {call.removeprefix("s3."): times for call, times in calls.items() if call.startswith("s3.")}
    unknown = s3.keys() - CLASS_A - CLASS_B - {"AbortMultipartUpload", "DeleteObject"}
    if unknown:
        raise BenchError(
            f"the price class of {', '.join(sorted(unknown))} is not known here: add it to tools/bench/transfer.py"
        )
    memory_gb = counted.memory_mb / 1024
    return Cost(
        size,
        parts,
        segments,
        memory_gb * size / rate,
        memory_gb * size / SLOW,
        counted.transitions + segments,
        sum(times for name, times in s3.items() if name in CLASS_A),
        sum(times for name, times in s3.items() if name in CLASS_B),
        sum(calls[f"dynamodb.{name}"] * units for name, units in WRITES.items()),
    )


@dataclass(frozen=True, slots=True)
class Prices:
    """USD: R2's for a million operations; AWS's per GB-second, for a thousand transitions, a million write units."""

    class_a: float = CLASS_A_PRICE
    class_b: float = CLASS_B_PRICE
    gb_second: float | None = None
    thousand_transitions: float | None = None
    million_writes: float | None = None

    def r2(self, one: Cost) -> float:
        return (one.class_a * self.class_a + one.class_b * self.class_b) / 1_000_000

    def aws(self, one: Cost) -> float | None:
        """None unless all three prices are known."""
        if self.gb_second is None or self.thousand_transitions is None or self.million_writes is None:
            return None
        return (
            one.gb_seconds * self.gb_second
            + one.transitions * self.thousand_transitions / 1000
            + one.writes * self.million_writes / 1_000_000
        )


def memory_of(function: str) -> int:
    """MB that the template gives a function."""
    template = sam.read(ROOT / "template.yaml")
    own = template["Resources"][function]["Properties"].get("MemorySize")
    return int(own or template["Globals"]["Function"]["MemorySize"])


# ---------------------------------------------------------------- telling


def throughput_table(engine: Sequence[Copy], other: Sequence[Copy]) -> str:
    """Rates and the processor's seconds for people: run by run, the medians, the ratio of the rates."""
    lines = ["run      engine MB/s  CPU s  rclone MB/s  CPU s"]

    def line(name: str, ours: tuple[float, float], theirs: tuple[float, float]) -> str:
        return f"{name:7} {ours[0] / 1e6:12.1f} {ours[1]:6.1f} {theirs[0] / 1e6:12.1f} {theirs[1]:6.1f}"

    def median(copies: Sequence[Copy]) -> tuple[float, float]:
        return statistics.median(one.rate for one in copies), statistics.median(one.cpu for one in copies)

    for number, (ours, theirs) in enumerate(zip(engine, other, strict=True), start=1):
        lines.append(line(str(number), (ours.rate, ours.cpu), (theirs.rate, theirs.cpu)))
    mine, its = median(engine), median(other)
    lines.append(f"{line('median', mine, its)}   ratio {mine[0] / its[0]:.2f}")
    return "\n".join(lines)


def cost_table(costs: Sequence[Cost], prices: Prices, rate: float) -> str:
    """The costs, a column for each size."""
    rows: list[tuple[str, list[str]]] = [
        ("recording", [f"{one.size / GB:.0f} GB" for one in costs]),
        ("parts / segments", [f"{one.parts} / {one.segments}" for one in costs]),
        (f"Lambda GB-seconds at {rate / 1e6:.0f} MB/s", [f"{one.gb_seconds:.0f}" for one in costs]),
        (f"Lambda GB-seconds at {SLOW / 1e6:.0f} MB/s", [f"{one.slow_gb_seconds:.0f}" for one in costs]),
        ("Step Functions transitions", [f"{one.transitions}" for one in costs]),
        ("R2 class A operations", [f"{one.class_a}" for one in costs]),
        ("R2 class B operations", [f"{one.class_b}" for one in costs]),
        ("DynamoDB write units", [f"{one.writes}" for one in costs]),
        ("R2 operations, USD", [f"{prices.r2(one):.5f}" for one in costs]),
    ]
    aws = [prices.aws(one) for one in costs]
    if all(one is not None for one in aws):
        rows.append(("AWS, USD", [f"{one:.5f}" for one in aws]))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}" + "".join(f"{value:>12}" for value in values) for name, values in rows)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog=".venv/bin/python -m tools.bench.transfer", description=(__doc__ or "").split("\n")[0]
    )
    top.add_argument("--size-mb", type=int, default=1024, help="MiB of the recording (default: 1024)")
    top.add_argument("--runs", type=int, default=RUNS, help=f"counted copies of each (default: {RUNS})")
    top.add_argument("--r2-class-a", type=float, default=CLASS_A_PRICE, help="USD for a million (2026-08-03: 4.50)")
    top.add_argument("--r2-class-b", type=float, default=CLASS_B_PRICE, help="USD for a million (2026-08-03: 0.36)")
    top.add_argument("--lambda-gb-second", type=float, help="USD for a GB-second; no default: it differs by region")
    top.add_argument("--transitions", type=float, help="USD for a thousand Step Functions transitions; no default")
    top.add_argument("--dynamodb-writes", type=float, help="USD for a million DynamoDB write units; no default")
    return top


def main() -> int:
    """Measure and print."""
    top = parser()
    args = top.parse_args()
    if args.size_mb < 32 or args.runs < 1:
        top.error("--size-mb must be at least 32 (smaller files have no parts), --runs at least 1")
    prices = Prices(args.r2_class_a, args.r2_class_b, args.lambda_gb_second, args.transitions, args.dynamodb_writes)
    try:
        if sys.platform != "linux":
            raise BenchError("the memory of a process is read as Linux tells it: run this on Linux")
        rclone()
        report(args.size_mb * MIB, args.runs, prices)
    except (BenchError, Failed, stack.StackError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def report(size: int, runs: int, prices: Prices) -> None:
    """Bring the stack up, measure, and print both tables."""
    with progress.shown():
        running = stack.up(NAME)
    try:
        control(running, "/settings", {"own_bucket": "ignore"})
        transitions = count_a_run(running)
        copies, other, others = measure(running, size, runs)
        with Engine(running) as engine:
            shapes = engine.call("tools.bench.transfer:shapes", [gigabytes * GB for gigabytes in SIZES_GB]).value
    finally:
        stack.down(NAME)
    plan, rates = copies[-1].plan, [one.rate for one in copies]
    version = subprocess.run([rclone(), "version"], capture_output=True, text=True, check=False).stdout.split("\n")[0]
    print(
        f"A recording of {size / MIB:.0f} MiB from the stand-in into the emulator's R2, in parts of"
        f" {plan['part_size'] / MIB:.0f} MiB\nPython {platform.python_version()}, {version},"
        f" {os.cpu_count()} processors, {len(rates)} runs\n"
    )
    print(throughput_table(copies, other))
    print(f"peak memory of the engine's process: {max(one.peak_mb for one in copies):.0f} MB\n")
    counted = Counted(
        {**copies[-1].tasks, "others": others},
        transitions,
        math.ceil(size / plan["part_size"]),
        len(plan["segments"]),
        memory_of("CopySegment"),
    )
    rate = statistics.median(rates)
    costs = [
        cost(counted, gigabytes * GB, part_size, segments, rate)
        for gigabytes, (part_size, segments) in zip(SIZES_GB, shapes, strict=True)
    ]
    print(f"What a transfer needs: CopySegment has {counted.memory_mb} MB, a run enters {transitions} states and one")
    print("for each segment\n")
    print(cost_table(costs, prices, rate))
    print(f"\nR2 takes USD {prices.class_a} and {prices.class_b} for a million operations of class A and B.")
