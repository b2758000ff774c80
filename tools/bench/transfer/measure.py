"""Copies of the same file by the engine and by rclone, taking turns.

Both read the file from the same server and write into the same bucket, over HTTP or over TLS with a certificate that
both trust. rclone copies twice in each turn: in the engine's parts, as many at once, and with its own defaults. The
engine is measured in its process, which has loaded its code as a warm function has; rclone's figures are without the
time and the processor time of starting it.
"""

import ssl
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from tools.bench.transfer import rclone
from tools.bench.transfer.certificate import Certificate
from tools.bench.transfer.engine import Engine
from tools.bench.transfer.errors import BenchError
from tools.bench.transfer.local import NAME, api, control
from tools.bench.transfer.rclone import Usage
from tools.bench.transfer.servers import file_of
from tools.local import stack

BUCKET: Final = "bench"
# What the engine must reach, beside each of rclone's two ways.
MIN_THROUGHPUT_RATIO: Final = 1.10
MAX_CPU_RATIO: Final = 0.90
MAX_MEMORY_MB: Final = 300

type Scheme = Literal["http", "TLS"]


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy by the engine: what it used, its peak memory, the plan, the facts of the file, the calls of each task."""

    used: Usage
    peak_mb: float
    plan: Mapping[str, Any]
    facts: Mapping[str, Any]
    tasks: Mapping[str, Counter[str]]


@dataclass(frozen=True, slots=True)
class Turn:
    """One copy of `size` bytes by each: the engine, rclone with the engine's parts, rclone with its defaults."""

    size: int
    engine: Usage
    tuned: Usage
    default: Usage


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured over one scheme; `calls` are those of the tasks of a run that copy nothing."""

    scheme: Scheme
    turns: Sequence[Turn]
    last: Copy
    calls: Counter[str]


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit and what was measured."""

    name: str
    value: float
    limit: float
    at_least: bool

    @property
    def is_met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        word = "at least" if self.at_least else "at most"
        return f"{self.name}: {self.value:.2f} ({word} {self.limit:.2f}): {'met' if self.is_met else 'MISSED'}"


def bars(measured: Measured) -> list[Bar]:
    """Return the bars of one scheme: medians of the ratios, turn by turn."""
    found = []
    for name, other in (("the same parts", "tuned"), ("its defaults", "default")):
        pairs = [(turn.engine, getattr(turn, other)) for turn in measured.turns]
        rate = statistics.median(theirs.seconds / own.seconds for own, theirs in pairs)
        cpu = statistics.median(own.cpu / theirs.cpu for own, theirs in pairs)
        where = f"{measured.scheme}, rclone with {name}"
        found += [
            Bar(f"{where}: throughput, ratio", rate, MIN_THROUGHPUT_RATIO, at_least=True),
            Bar(f"{where}: processor time, ratio", cpu, MAX_CPU_RATIO, at_least=False),
        ]
    return found


def table(measured: Measured) -> str:
    """Return rates in MB/s and the processor's seconds: turn by turn, and the medians."""
    lines = [
        f"{measured.scheme:7}        engine          rclone, same parts    rclone, defaults",
        "turn        MB/s   CPU s          MB/s   CPU s          MB/s   CPU s",
    ]

    def line(name: str, figures: Sequence[tuple[float, float]]) -> str:
        return f"{name:7}" + "      ".join(f"{rate / 1e6:9.1f} {cpu:7.2f}" for rate, cpu in figures)

    columns = [
        [(turn.size / used.seconds, used.cpu) for turn in measured.turns for used in [getattr(turn, name)]]
        for name in ("engine", "tuned", "default")
    ]
    for number, figures in enumerate(zip(*columns, strict=True), start=1):
        lines.append(line(str(number), figures))
    medians = [
        (statistics.median(rate for rate, _ in column), statistics.median(cpu for _, cpu in column))
        for column in columns
    ]
    lines.append(line("median", medians))
    return "\n".join(lines)


class Ends:
    """The server of a file and that of the bucket, and who must be trusted to reach them."""

    def __init__(self, source: str, bucket: str, certificate: Certificate | None) -> None:
        self.source, self.bucket, self.certificate = source, bucket, certificate

    @property
    def engine_environment(self) -> dict[str, str]:
        """What the engine's environment has for them."""
        trusted = str(self.certificate.authority) if self.certificate else None
        return {"R2_ENDPOINT": self.bucket, "R2_BUCKET": BUCKET} | (
            {"BENCH_AUTHORITY": trusted, "AWS_CA_BUNDLE": trusted} if trusted else {}
        )

    def require_stored(self, key: str, size: int, etag: str) -> None:
        """Raise BenchError unless the bucket has this object; delete it."""
        context = ssl.create_default_context(cafile=self.certificate.authority) if self.certificate else None
        url = f"{self.bucket}/{BUCKET}/{key}"
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), context=context) as response:
            stored = int(response.headers["Content-Length"]), response.headers["ETag"].strip('"')
        if stored != (size, etag):
            raise BenchError(f"{key}: {stored} is stored, not {(size, etag)}")
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), context=context).close()


@contextmanager
def ends(scheme: Scheme, size: int, part_size: int) -> Iterator[Ends]:
    """Start the two servers, each in a process of its own, until the end of the block."""
    with tempfile.TemporaryDirectory() as folder:
        certificate = Certificate.make(Path(folder)) if scheme == "TLS" else None
        more = [f"--certificate={folder}"] if certificate else []
        command = [sys.executable, "-m", "tools.bench.transfer.servers"]
        started = [
            subprocess.Popen([*command, *what, *more], cwd=stack.ROOT, stdout=subprocess.PIPE, text=True)
            for what in (["source", f"--size={size}", f"--part-size={part_size}"], ["bucket"])
        ]
        try:
            urls = [process.stdout.readline().strip() for process in started if process.stdout]
            if not all(urls):
                raise BenchError("a server did not start: see above")
            yield Ends(f"{urls[0]}/file.mp4", urls[1], certificate)
        finally:
            for process in started:
                process.kill()
                process.wait()
                if process.stdout:
                    process.stdout.close()


def copy(engine: Engine, work: Mapping[str, Any], source: str) -> Copy:
    """Plan, copy all segments one after the other, complete and verify, as the workflow does.

    The source's ETag is as R2 makes it: it proves what was read, and nothing is read a second time.
    """
    planned = engine.call("plan_from", source, work)
    plan = planned.value
    segments = [engine.call("copy_from", source, work, plan, segment) for segment in plan["segments"]]
    completed = engine.task("complete_transfer", work, plan, checked=False)
    if not completed.value["verified"]:
        raise BenchError("the parts do not make the source's ETag")
    verified = engine.task("verify_transfer", plan, completed.value)
    copied: Counter[str] = Counter()
    for segment in segments:
        copied += segment.calls
    return Copy(
        Usage(
            sum(segment.seconds for segment in segments) + completed.seconds,
            sum(segment.cpu for segment in segments) + completed.cpu,
        ),
        max(segment.peak_mb for segment in segments),
        plan,
        verified.value,
        {"plan": planned.calls, "copy": copied, "complete": completed.calls, "verify": verified.calls},
    )


def a_recording(engine: Engine, running: dict[str, Any], size: int) -> dict[str, Any]:
    """Return the input of an execution for a new recording of this size, which the stand-in has stored."""
    room = api(running, "/rooms/bench", {"name": "Bench"}, method="PUT")
    wanted = {"meeting_id": room["cloudflare_meeting_id"], "size": size}
    made = control(running, "/recordings", wanted)["data"]
    work: dict[str, Any] = engine.call("register", room["id"], made["meeting_id"], made["id"]).value
    return work


def measure(running: dict[str, Any], scheme: Scheme, size: int, turns: int) -> Measured:
    """Copy a file of `size` bytes in turns; the first turn warms up connections, caches and pages, and is not counted.

    Raises:
        BenchError: what is stored is not the file, or rclone failed
    """
    program, home = rclone.find(), stack.folder(NAME)
    file, found = file_of(size), list[Turn]()
    start = rclone.run([program, "version"], {})
    with Engine(running) as plain:
        part_size = plain.call("shapes", [size]).value[0][0]
        concurrency = plain.call("threads").value
    etags = {one: file.etag(one) for one in (part_size, rclone.DEFAULT_PART_BYTES)}
    with ends(scheme, size, part_size) as both, Engine(running, **both.engine_environment) as engine:
        work = a_recording(engine, running, size)
        environment = rclone.environment(running["credentials"]["r2"], both.bucket, home)

        def by_rclone(part: int, at_once: int) -> Usage:
            authority = both.certificate.authority if both.certificate else None
            command = rclone.copy_command(
                program, both.source, BUCKET, "rclone.mp4", part_size=part, concurrency=at_once, authority=authority
            )
            used = rclone.run(command, environment)
            both.require_stored("rclone.mp4", size, etags[part])
            return Usage(used.seconds - start.seconds, used.cpu - start.cpu)

        for number in range(turns + 1):
            last = copy(engine, work, both.source)
            both.require_stored(last.plan["key"], size, etags[part_size])
            tuned = by_rclone(part_size, concurrency)
            default = by_rclone(rclone.DEFAULT_PART_BYTES, rclone.DEFAULT_CONCURRENCY)
            if number:
                found.append(Turn(size, last.used, tuned, default))
        calls = engine.call("look", work).calls + engine.call("mark", work, last.plan["key"], last.facts).calls
    return Measured(scheme, found, last, calls)


def peak_memory(running: dict[str, Any], size: int) -> Bar:
    """Copy a large file over TLS, and return the peak memory of the engine's process."""
    with Engine(running) as plain:
        part_size = plain.call("shapes", [size]).value[0][0]
    with ends("TLS", size, part_size) as both, Engine(running, **both.engine_environment) as engine:
        done = copy(engine, a_recording(engine, running, size), both.source)
    name = f"peak memory in MB, {size / 1e9:.0f} GB over TLS"
    return Bar(name, done.peak_mb, MAX_MEMORY_MB, at_least=False)
