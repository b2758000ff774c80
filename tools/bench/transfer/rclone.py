"""rclone, the program that the engine is compared with."""

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tools.bench.transfer.errors import BenchError
from tools.local import stack

TOOL: Final = stack.ROOT / ".tools/rclone/usr/bin/rclone"
MIB: Final = 1024 * 1024
# --s3-chunk-size and --s3-upload-concurrency, if nobody sets them (rclone documentation, "Amazon S3").
DEFAULT_PART_BYTES: Final = 5 * MIB
DEFAULT_CONCURRENCY: Final = 4


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used: seconds of time and of the processor."""

    seconds: float
    cpu: float


def find() -> str:
    """Return the program, installed or unpacked.

    Raises:
        BenchError: there is none
    """
    found = shutil.which("rclone") or (str(TOOL) if TOOL.exists() else None)
    if found is None:
        raise BenchError(
            "rclone is missing: `apt-get install -y rclone`, or without root"
            " `apt-get download rclone && dpkg -x rclone_*.deb .tools/rclone`."
        )
    return found


def version(program: str) -> str:
    """Return the first line of `rclone version`."""
    return subprocess.run([program, "version"], capture_output=True, text=True, check=False).stdout.split("\n")[0]


def copy_command(
    program: str, url: str, bucket: str, key: str, *, part_size: int, concurrency: int, authority: Path | None
) -> list[str]:
    """The command that copies a URL into a bucket in parts of this size, so many at once.

    The environment names the bucket's service. `copyurl` reads with GET: a presigned URL is for GET alone, and the
    other ways of rclone to read HTTP need HEAD.
    """
    return [
        program, "copyurl", url, f"r2:{bucket}/{key}", f"--s3-chunk-size={part_size // MIB}M",
        f"--s3-upload-concurrency={concurrency}", "--s3-upload-cutoff=0", "--s3-no-check-bucket", "--retries=1", "-q",
        *([f"--ca-cert={authority}"] if authority else []),
    ]  # fmt: skip


def environment(keys: Mapping[str, Any], endpoint: str, home: Path) -> dict[str, str]:
    """The environment of a remote `r2` without a configuration file."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(home),
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_R2_TYPE": "s3",
        "RCLONE_CONFIG_R2_PROVIDER": "Other",
        "RCLONE_CONFIG_R2_ENDPOINT": endpoint,
        "RCLONE_CONFIG_R2_REGION": "auto",
        "RCLONE_CONFIG_R2_ACCESS_KEY_ID": keys["access_key_id"],
        "RCLONE_CONFIG_R2_SECRET_ACCESS_KEY": keys["secret_access_key"],
    }


def run(command: Sequence[str], environment: Mapping[str, str]) -> Usage:
    """Run a command to its end.

    Raises:
        BenchError: it failed
    """
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise BenchError(f"rclone failed: {(done.stderr.strip().splitlines() or ['it wrote nothing'])[-1]}")
    return Usage(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
