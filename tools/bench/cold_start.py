"""Cold start of each API function beside a bare handler: `python -m tools.bench.cold_start [--why FUNCTION]`.

What is timed is the import of a function's `app.py`: everything that Lambda does once per container and that our code
decides. The layers are built by their own Makefiles, for this machine's processor, with the bytecode that a deployment
ships; they are made read-only, and each import runs in a fresh interpreter that sees the standard library, the two
layers and the function's folder, and nothing else: a dependency that only the developer has is missing here too.

The bare handler creates a boto3 DynamoDB client, from the same layer, and does nothing more. It is timed in the same
rounds as the functions, so that a busy machine slows both. Linux only, because the layers hold Linux wheels.
"""

import argparse
import hashlib
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tools.local import template as sam

ROOT: Final = Path(__file__).resolve().parents[2]
BENCH: Final = ROOT / ".local" / "bench"
ROUNDS: Final = 15
BARE: Final = "(bare handler)"
BARE_CODE: Final = """\
import boto3

client = boto3.client("dynamodb")


def handler(event, context):
    return {}
"""
# Calling Cloudflare takes an HTTP client and a secret; a function that does neither has less to import.
PLAIN_TARGET: Final = 1.3
CLOUDFLARE_TARGET: Final = 1.6
SLOWEST_SHOWN: Final = 25

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
    """Something to import: its folder, the environment it reads, and the highest ratio wanted (None: the measure)."""

    name: str
    folder: Path
    environment: Mapping[str, str]
    target: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one candidate. `error` in place of figures when it cannot be imported."""

    name: str
    median_ms: float | None
    fastest_ms: float | None
    ratio: float | None
    target: float | None
    error: str | None = None

    @property
    def over(self) -> bool:
        return self.ratio is not None and self.target is not None and round(self.ratio, 2) > self.target


def answers_http(function: Mapping[str, Any]) -> bool:
    """Whether somebody waits for this function: its cold start is a caller's time."""
    return any(event["Type"] == "HttpApi" for event in function.get("Events", {}).values())


def target_of(function: Mapping[str, Any]) -> float:
    """The highest ratio to the bare handler that is wanted."""
    calls_cloudflare = {"Ref": "CallCloudflare"} in function.get("Policies", [])
    return CLOUDFLARE_TARGET if calls_cloudflare else PLAIN_TARGET


def value_of(name: str, given: object, parameters: Mapping[str, Any]) -> str:
    """A value that a variable can be imported with: a plain one, a parameter's default, or one of the right form."""
    if isinstance(given, str | int):
        return str(given)
    if isinstance(given, dict) and given.keys() == {"Ref"}:
        default = parameters.get(given["Ref"], {}).get("Default")
        if default is not None:
            return str(default)
    if name.endswith(("_URL", "_ENDPOINT")):
        return "http://127.0.0.1:9"
    if name.endswith("_ARN"):
        return "arn:aws:service:us-east-1:123456789012:kind:bench"
    return "bench"


def environment_of(template: Mapping[str, Any], function: Mapping[str, Any]) -> dict[str, str]:
    """What Lambda would set: the template's variables, credentials, a region."""
    parameters = template.get("Parameters", {})
    variables: dict[str, Any] = {}
    for source in (template["Globals"]["Function"], function):
        variables |= source.get("Environment", {}).get("Variables", {})
    return {name: value_of(name, given, parameters) for name, given in variables.items()} | {
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


def candidates(template: Mapping[str, Any], folder: Path) -> list[Candidate]:
    """The bare handler, then each function that answers HTTP, copied into `folder` without the developer's bytecode."""
    bare = folder / "functions" / "bare"
    bare.mkdir(parents=True)
    (bare / "app.py").write_text(BARE_CODE)
    found = [Candidate(BARE, bare, environment_of(template, {}), None)]
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::Serverless::Function" or not answers_http(resource["Properties"]):
            continue
        function = resource["Properties"]
        copy = folder / "functions" / name
        shutil.copytree(ROOT / function["CodeUri"], copy, ignore=shutil.ignore_patterns("__pycache__"))
        found.append(Candidate(name, copy, environment_of(template, function), target_of(function)))
    return found


def build(folder: Path) -> list[Path]:
    """Both layers as a deployment has them; what to put on the path. The dependencies are kept while their pins are."""
    pins = b"".join((ROOT / "layers/dependencies" / name).read_bytes() for name in ("Makefile", "requirements.txt"))
    dependencies = folder / f"dependencies-{hashlib.sha256(pins).hexdigest()[:16]}"
    if not (dependencies / "done").exists():
        for old in folder.glob("dependencies-*"):
            remove(old)
        _make("dependencies", "build-DependenciesLayer", dependencies)
        (dependencies / "done").touch()
    recordings = folder / "recordings"
    _make("recordings", "build-RecordingsLayer", recordings)
    return [dependencies / "python", recordings / "python"]


def _make(layer: str, target: str, artifacts: Path) -> None:
    artifacts.mkdir(parents=True)
    done = subprocess.run(
        [
            "make", "-C", str(ROOT / "layers" / layer), target, f"ARTIFACTS_DIR={artifacts}",
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
    """As /opt and /var/task are in Lambda."""
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
    """The line that says what is wrong, which comes last in a traceback."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it wrote nothing")


def run(candidate: Candidate, path: Sequence[Path], *options: str) -> subprocess.CompletedProcess[str]:
    """Import a candidate in a fresh interpreter."""
    places = [str(place) for place in (candidate.folder, *path)]
    return subprocess.run(
        [*INTERPRETER, *options, "-c", CHILD, *places],
        env=dict(candidate.environment), cwd=candidate.folder, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def measure(found: Sequence[Candidate], path: Sequence[Path], rounds: int) -> list[Row]:
    """Time all candidates in `rounds` rounds, each in another order, after one round that only fills the disk cache."""
    nanoseconds: dict[str, list[int]] = {one.name: [] for one in found}
    errors: dict[str, str] = {}
    for number in range(rounds + 1):
        for one in random.sample(found, len(found)):
            if one.name in errors:
                continue
            done = run(one, path)
            if done.returncode:
                errors[one.name] = last_line(done.stderr)
            elif number:
                nanoseconds[one.name].append(int(done.stdout))
    if BARE in errors:
        raise BenchError(f"the bare handler cannot be imported: {errors[BARE]}")
    bare = statistics.median(nanoseconds[BARE])
    rows = []
    for one in found:
        if one.name in errors:
            rows.append(Row(one.name, None, None, None, one.target, errors[one.name]))
            continue
        times = nanoseconds[one.name]
        median = statistics.median(times)
        rows.append(Row(one.name, median / 1e6, min(times) / 1e6, median / bare, one.target))
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'function':{width}}  median ms  fastest ms  ratio  target"]
    for row in rows:
        if row.error is not None:
            lines.append(f"{row.name:{width}}  cannot be imported: {row.error}")
            continue
        target = f"{row.target:6.1f}" if row.target is not None else "     -"
        mark = "  over" if row.over else ""
        lines.append(
            f"{row.name:{width}}  {row.median_ms:9.1f}  {row.fastest_ms:10.1f}  {row.ratio:5.2f}  {target}{mark}"
        )
    return "\n".join(lines)


def explain(candidate: Candidate, path: Sequence[Path]) -> str:
    """The imports that cost most, by `python -X importtime`: milliseconds with and without what they import."""
    done = run(candidate, path, "-X", "importtime")
    if done.returncode:
        raise BenchError(f"{candidate.name} cannot be imported: {last_line(done.stderr)}")
    costs = []
    for line in done.stderr.splitlines():
        if not line.startswith("import time:") or "|" not in line or "self [us]" in line:
            continue
        own, whole, module = line.removeprefix("import time:").split("|")
        costs.append((int(whole), int(own), module.strip()))
    lines = ["  with ms    own ms  module"]
    for whole_us, own_us, module in sorted(costs, reverse=True)[:SLOWEST_SHOWN]:
        lines.append(f"{whole_us / 1000:9.1f} {own_us / 1000:9.1f}  {module}")
    return "\n".join(lines)


def main() -> int:
    """Measure and print; 1 only when a function cannot be imported or nothing can be measured."""
    parser = argparse.ArgumentParser(
        prog=".venv/bin/python -m tools.bench.cold_start", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each is imported (default: {ROUNDS})")
    parser.add_argument("--why", metavar="FUNCTION", help="instead: the slowest imports of one function (logical id)")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds must be at least 1")
    try:
        if sys.platform != "linux":
            raise BenchError("the layers hold Linux wheels: run this on Linux")
        template = sam.read(ROOT / "template.yaml")
        for leftover in ("functions", "recordings"):
            remove(BENCH / leftover)
        path = build(BENCH)
        found = candidates(template, BENCH)
        for folder in (*path, BENCH / "functions"):
            make_read_only(folder)
        if args.why:
            chosen = next((one for one in found if one.name == args.why), None)
            if chosen is None:
                raise BenchError(f"no function '{args.why}': there are {', '.join(one.name for one in found[1:])}")
            print(explain(chosen, path))
            return 0
        rows = measure(found, path, args.rounds)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps([{"name": row.name, "median_ms": row.median_ms, "ratio": row.ratio} for row in rows]))
    else:
        print(f"Import of app.py, Python {platform.python_version()}, {architecture()}, {args.rounds} rounds\n")
        print(table(rows))
    return 1 if any(row.error for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
