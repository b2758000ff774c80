"""The engine: the code of the workflow's functions, in a process of its own with a function's environment."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from tools.bench.transfer.errors import BenchError, Failed
from tools.local import stack

TENANT: Final = "bench"
INSIDE: Final = "tools.bench.transfer.inside"
ROOT: Final = stack.ROOT


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call returned, its seconds and the processor's, its calls to AWS and R2 (`s3.UploadPart`), its memory."""

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
            [sys.executable, "-c", "from tools.bench.transfer.serve import serve; serve()"],
            env=env | changed, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def send(self, what: str, *arguments: Any, **named: Any) -> None:
        """Begin a call; `what` is `module:name`."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([what, arguments, named]) + "\n")
        self.process.stdin.flush()

    def response(self) -> Answer:
        """Return the result of the call that was begun. Raises Failed."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise BenchError(f"the engine's process ended with {self.process.wait()}")
        result = json.loads(line)
        if "error" in result:
            raise Failed(*result["error"])
        return Answer(result["value"], result["seconds"], result["cpu"], Counter(result["calls"]), result["peak_mb"])

    def call(self, what: str, *arguments: Any, **named: Any) -> Answer:
        """Call and wait; `what` is `module:name`, or a name in inside.py. Raises Failed."""
        self.send(what if ":" in what else f"{INSIDE}:{what}", *arguments, **named)
        return self.response()

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
