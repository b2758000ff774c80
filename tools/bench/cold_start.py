"""Cold start of each function, as ratios: `python -m tools.bench.cold_start [--rounds N] [--all] [--why FUNCTION]`.

It times the import of a function's `app.py`: everything that Lambda does once per container and that our code decides.
The layers' own Makefiles build the layers, for this machine's processor, with the bytecode that a deployment ships. The
layers are read-only, and each import runs in a fresh interpreter that sees the standard library, the two layers and the
function's folder, and nothing else: a dependency that only the developer has is missing here too.

Each function is compared with two others:

* a bare handler, which creates a boto3 DynamoDB client from the same layer and does nothing more;
* the same function as it was at the commit BASELINE, on the layers of that commit, built from git.

All three are timed in the same rounds, each round in another order, so that a busy machine slows all of them. A ratio
compares the fastest times: other processes can only add to a time. Linux only, because the layers hold Linux wheels.
"""

import argparse
import hashlib
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tools.environment import sample_environment
from tools.local import template as sam

ROOT: Final = Path(__file__).resolve().parents[2]
BENCH: Final = ROOT / ".local" / "bench"
ROUNDS: Final = 15
# The last commit before pydantic and pynamodb. What they cost must be saved elsewhere.
BASELINE: Final = "f4069c0"
BARE: Final = "(bare handler)"
BARE_CODE: Final = """\
import boto3

client = boto3.client("dynamodb")


def handler(event, context):
    return {}
"""
# Ratios to the bare handler. Calling Cloudflare takes an HTTP client and a secret; the others have less to import.
MAX_PLAIN_RATIO: Final = 1.5
MAX_CLOUDFLARE_RATIO: Final = 1.8
# Ratio to the same function at BASELINE.
MAX_BASELINE_RATIO: Final = 1.1
IMPORTS_SHOWN: Final = 25

# `site` is not imported, and nothing of the environment reaches the interpreter but what the code itself reads.
INTERPRETER: Final = (sys.executable, "-I", "-S", "-B")
CHILD: Final = """\
import sys
import time
sys.path[:0] = sys.argv[1:]
began = time.perf_counter_ns()
import app
took = time.perf_counter_ns() - began
assert callable(app.handler), "app.handler is no function"
print(took)
"""


class BenchError(Exception):
    """One clear line: what is wrong."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A folder with an `app.py` to import, the layers on its path, and the environment that it reads.

    `max_ratio`: the highest ratio to the bare handler; None if there is no limit.
    """

    name: str
    folder: Path
    layers: tuple[Path, ...]
    environment: Mapping[str, str]
    max_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """The fastest import of one candidate, or the last line of the error that its import ended with."""

    fastest_ms: float | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One function beside the bare handler and beside itself at BASELINE. None: not known."""

    name: str
    fastest_ms: float | None
    bare_ratio: float | None
    max_bare_ratio: float | None
    baseline_ms: float | None
    baseline_ratio: float | None
    error: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether a ratio, as the table shows it, is above its limit."""
        over_bare = self.bare_ratio is not None and self.max_bare_ratio is not None
        return (over_bare and round(self.bare_ratio or 0, 2) > (self.max_bare_ratio or 0)) or (
            self.baseline_ratio is not None and round(self.baseline_ratio, 2) > MAX_BASELINE_RATIO
        )


def serves_http(function: Mapping[str, Any]) -> bool:
    """Whether a caller waits while this function starts."""
    return any(event["Type"] == "HttpApi" for event in function.get("Events", {}).values())


def max_ratio_of(function: Mapping[str, Any]) -> float:
    """The highest ratio to the bare handler that is allowed."""
    calls_cloudflare = {"Ref": "CallCloudflare"} in function.get("Policies", [])
    return MAX_CLOUDFLARE_RATIO if calls_cloudflare else MAX_PLAIN_RATIO


def environment_of(template: Mapping[str, Any], function: Mapping[str, Any]) -> dict[str, str]:
    """What Lambda would set: the template's variables, credentials, a region."""
    return sample_environment(template, function) | {
        "PATH": os.environ.get("PATH", ""),
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        # No profile of the person at this machine may have a say.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def candidates(source: Path, folder: Path, layers: Sequence[Path], *, every: bool = False) -> list[Candidate]:
    """The functions of a checkout, copied into `folder` without the developer's bytecode: all, or those behind HTTP."""
    template = sam.read(source / "template.yaml")
    found = []
    for name, resource in template["Resources"].items():
        function = resource.get("Properties", {})
        if resource["Type"] != "AWS::Serverless::Function" or not (every or serves_http(function)):
            continue
        copy = folder / name
        shutil.copytree(source / function["CodeUri"], copy, ignore=shutil.ignore_patterns("__pycache__"))
        environment = environment_of(template, function) | {"LAMBDA_TASK_ROOT": str(copy)}
        found.append(Candidate(name, copy, tuple(layers), environment, max_ratio_of(function)))
    return found


def bare_handler(source: Path, folder: Path, layers: Sequence[Path]) -> Candidate:
    """The measure: a handler with a boto3 client, as anyone would write it."""
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(BARE_CODE)
    environment = environment_of(sam.read(source / "template.yaml"), {})
    return Candidate(BARE, folder, tuple(layers), environment | {"LAMBDA_TASK_ROOT": str(folder)})


def check_out(repository: Path, commit: str, folder: Path) -> Path:
    """The layers, functions and template of a commit, unpacked into `folder`. An earlier copy is used again."""
    source = folder / f"baseline-{commit}"
    if (source / "template.yaml").exists():
        return source
    archive = subprocess.run(
        ["git", "-C", str(repository), "archive", commit, "layers", "functions", "template.yaml"],
        capture_output=True, check=False,
    )  # fmt: skip
    if archive.returncode:
        raise BenchError(f"git has no commit {commit}: fetch the whole history, or name another with --baseline")
    source.mkdir(parents=True)
    packed = source / "commit.tar"
    packed.write_bytes(archive.stdout)
    with tarfile.open(packed) as tar:
        # The template comes last, and says that the rest is there.
        tar.extractall(source, filter="data")
    packed.unlink()
    return source


def build(source: Path, folder: Path) -> tuple[Path, Path]:
    """Both layers of a checkout as a deployment has them. The dependencies are built again if their sources changed."""
    sources = sorted(path for path in (source / "layers/dependencies").iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    dependencies = folder / f"dependencies-{digest}"
    if not (dependencies / "done").exists():
        for outdated in folder.glob("dependencies-*"):
            remove(outdated)
        _make(source / "layers/dependencies", "build-DependenciesLayer", dependencies)
        (dependencies / "done").touch()
    recordings = folder / "recordings"
    remove(recordings)
    _make(source / "layers/recordings", "build-RecordingsLayer", recordings)
    return dependencies / "python", recordings / "python"


def _make(layer: Path, target: str, artifacts: Path) -> None:
    artifacts.mkdir(parents=True)
    done = subprocess.run(
        [
            "make", "-C", str(layer), target, f"ARTIFACTS_DIR={artifacts}",
            f"PYTHON={sys.executable}", f"ARCHITECTURE={architecture()}",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise BenchError(f"`make {target}` failed: {last_line(done.stderr or done.stdout)}")


def architecture() -> str:
    """This machine's processor as the template names it."""
    return "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"


def make_read_only(folder: Path) -> None:
    """Make a folder as /opt and /var/task are on Lambda."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)


def remove(folder: Path) -> None:
    """Delete a folder, read-only or not."""
    if not folder.exists():
        return
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


def last_line(text: str) -> str:
    """The line that says what is wrong: the last one of a traceback."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it wrote nothing")


def run(candidate: Candidate, *options: str) -> subprocess.CompletedProcess[str]:
    """Import a candidate in a fresh interpreter."""
    places = [str(place) for place in (candidate.folder, *candidate.layers)]
    return subprocess.run(
        [*INTERPRETER, *options, "-c", CHILD, *places],
        env=dict(candidate.environment), cwd=candidate.folder, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def measure(found: Sequence[Candidate], rounds: int) -> list[Timing]:
    """Time all candidates in `rounds` rounds, each in another order, after one round that only fills the disk cache."""
    fastest: dict[int, int] = {}
    errors: dict[int, str] = {}
    for number in range(rounds + 1):
        for at in random.sample(range(len(found)), len(found)):
            if at in errors:
                continue
            done = run(found[at])
            if done.returncode:
                errors[at] = last_line(done.stderr)
            elif number:
                fastest[at] = min(int(done.stdout), fastest.get(at, sys.maxsize))
    return [
        Timing(None, errors[at]) if at in errors else Timing(fastest[at] / 1e6)
        for at in range(len(found))
    ]  # fmt: skip


def compare(
    bare: Candidate, functions: Sequence[Candidate], baseline: Sequence[Candidate], rounds: int
) -> tuple[float, list[Row]]:
    """Measure everything in the same rounds. Returns the bare handler's milliseconds and a row for each function.

    Raises:
        BenchError: the bare handler or a function of the baseline cannot be imported
    """
    timings = measure([bare, *functions, *baseline], rounds)
    measures = {BARE: timings[0]} | {
        one.name: timing for one, timing in zip(baseline, timings[1 + len(functions) :], strict=True)
    }
    for name, timing in measures.items():
        if timing.error is not None:
            raise BenchError(f"{name} of the measure cannot be imported: {timing.error}")
    bare_ms = measures.pop(BARE).fastest_ms or 0.0
    rows = []
    for one, timing in zip(functions, timings[1 : 1 + len(functions)], strict=True):
        then = measures[one.name].fastest_ms if one.name in measures else None
        if timing.fastest_ms is None:
            rows.append(Row(one.name, None, None, one.max_ratio, then, None, timing.error))
            continue
        rows.append(
            Row(
                name=one.name,
                fastest_ms=timing.fastest_ms,
                bare_ratio=timing.fastest_ms / bare_ms,
                max_bare_ratio=one.max_ratio,
                baseline_ms=then,
                baseline_ratio=timing.fastest_ms / then if then else None,
            )
        )
    return bare_ms, rows


def table(bare_ms: float, rows: Sequence[Row], baseline: str) -> str:
    """The rows as a table for people."""
    width = max(len(name) for name in (BARE, *(row.name for row in rows)))
    lines = [
        f"{'function':{width}}  fastest ms  / bare  limit  {baseline} ms  / {baseline}  limit",
        f"{BARE:{width}}  {bare_ms:10.1f}    1.00      -",
    ]
    for row in rows:
        if row.error is not None:
            lines.append(f"{row.name:{width}}  cannot be imported: {row.error}")
            continue
        line = f"{row.name:{width}}  {row.fastest_ms:10.1f}  {row.bare_ratio:6.2f}  {row.max_bare_ratio:5.1f}"
        if row.baseline_ratio is not None:
            line += f"  {row.baseline_ms:{len(baseline) + 3}.1f}  {row.baseline_ratio:{len(baseline) + 2}.2f}"
            line += f"  {MAX_BASELINE_RATIO:5.1f}"
        lines.append(line + ("  over" if row.is_over else ""))
    return "\n".join(lines)


def explain(candidate: Candidate) -> str:
    """The slowest imports, by `python -X importtime`: milliseconds with and without what they import in turn."""
    done = run(candidate, "-X", "importtime")
    if done.returncode:
        raise BenchError(f"{candidate.name} cannot be imported: {last_line(done.stderr)}")
    costs = []
    for line in done.stderr.splitlines():
        if not line.startswith("import time:") or "|" not in line or "self [us]" in line:
            continue
        own, whole, module = line.removeprefix("import time:").split("|")
        costs.append((int(whole), int(own), module.strip()))
    lines = ["  with ms    own ms  module"]
    for whole_us, own_us, module in sorted(costs, reverse=True)[:IMPORTS_SHOWN]:
        lines.append(f"{whole_us / 1000:9.1f} {own_us / 1000:9.1f}  {module}")
    return "\n".join(lines)


def prepare(*, every: bool) -> tuple[Candidate, list[Candidate]]:
    """Build the layers, the bare handler and the functions of the checkout."""
    if sys.platform != "linux":
        raise BenchError("the layers hold Linux wheels: run this on Linux")
    remove(BENCH / "functions")
    layers = build(ROOT, BENCH)
    bare = bare_handler(ROOT, BENCH / "functions" / "bare", layers)
    functions = candidates(ROOT, BENCH / "functions" / "now", layers, every=every)
    for folder in (*layers, BENCH / "functions"):
        make_read_only(folder)
    return bare, functions


def prepare_baseline(commit: str, functions: Sequence[Candidate]) -> list[Candidate]:
    """Build the same functions as they were at a commit, on the layers of that commit."""
    source = check_out(ROOT, commit, BENCH)
    layers = build(source, BENCH / f"layers-{commit}")
    remove(BENCH / "baseline")
    then = candidates(source, BENCH / "baseline", layers, every=True)
    for folder in (*layers, BENCH / "baseline"):
        make_read_only(folder)
    names = {one.name for one in functions}
    return [one for one in then if one.name in names]


def main() -> int:
    """Measure and print; 1 only when a function cannot be imported or nothing can be measured."""
    parser = argparse.ArgumentParser(
        prog=".venv/bin/python -m tools.bench.cold_start", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each is imported (default: {ROUNDS})")
    parser.add_argument("--all", action="store_true", help="all functions, not only those that serve HTTP")
    parser.add_argument("--baseline", default=BASELINE, help=f"the commit to compare with (default: {BASELINE})")
    parser.add_argument("--why", metavar="FUNCTION", help="instead: the slowest imports of one function (logical id)")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds must be at least 1")
    try:
        bare, functions = prepare(every=args.all or bool(args.why))
        if args.why:
            chosen = next((one for one in functions if one.name == args.why), None)
            if chosen is None:
                raise BenchError(f"no function '{args.why}': there are {', '.join(one.name for one in functions)}")
            print(explain(chosen))
            return 0
        then = prepare_baseline(args.baseline, functions)
        bare_ms, rows = compare(bare, functions, then, args.rounds)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if args.json:
        figures = ("name", "fastest_ms", "bare_ratio", "baseline_ms", "baseline_ratio")
        print(
            json.dumps({"bare_ms": bare_ms, "rows": [{name: getattr(row, name) for name in figures} for row in rows]})
        )
    else:
        print(f"Import of app.py, Python {platform.python_version()}, {architecture()}, {args.rounds} rounds\n")
        print(table(bare_ms, rows, args.baseline))
    return 1 if any(row.error for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
