"""Lambda's limits: payloads, environment variables, memory.

Sources: Lambda Developer Guide, "Lambda quotas" and "Defined runtime environment variables"; API reference, Invoke.
"""

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ministack.core import lambda_runtime
from ministack.core.responses import error_response_json
from ministack.services import lambda_svc

MAX_SYNC_BYTES: Final = 6 * 1024 * 1024
# Above the limit of what comes in, so that an answer of that size has room for what Lambda puts around it.
MAX_ANSWER_BYTES: Final = MAX_SYNC_BYTES + 100
MAX_ASYNC_BYTES: Final = 1024 * 1024
MAX_ENVIRONMENT_BYTES: Final = 4096
RESERVED: Final = frozenset({
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
})  # fmt: skip
WATCH_SECONDS: Final = 0.25

_handle = lambda_svc.handle_request
_invoke = lambda_runtime.Worker.invoke


def size(value: Any) -> int:
    """Return how many bytes a payload has as JSON."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


def payload_refusal(kind: str, length: int) -> str | None:
    """Return why an invocation of this kind is refused for its size, or None."""
    limit = MAX_ASYNC_BYTES if kind == "Event" else MAX_SYNC_BYTES
    if length <= limit:
        return None
    return f"{length} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"


async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
    """Answer a request to Lambda's API."""
    if method == "POST" and path.rstrip("/").endswith("/invocations"):
        named = {name.lower(): value for name, value in headers.items()}
        refusal = payload_refusal(named.get("x-amz-invocation-type", "RequestResponse"), len(body))
        if refusal is not None:
            return error_response_json("RequestTooLargeException", refusal, 413)
    return await _handle(method, path, headers, body, query)


def response(result: dict[str, Any]) -> dict[str, Any]:
    """Return a function's result, or the failure that Lambda makes of one that is too large."""
    if result.get("error") or size(result.get("body")) <= MAX_ANSWER_BYTES:
        return result
    message = f"Response payload size exceeded maximum allowed payload size ({MAX_ANSWER_BYTES} bytes)."
    return {
        **result,
        "body": {"errorMessage": message, "errorType": "Function.ResponseSizeTooLarge"},
        "error": True,
    }


def environment_refusal(properties: Mapping[str, Any]) -> str | None:
    """Return why a function's environment variables are refused, or None."""
    variables = (properties.get("Environment") or {}).get("Variables") or {}
    reserved = sorted(RESERVED & variables.keys())
    if reserved:
        return (
            "Lambda was unable to configure your environment variables because the environment variables you have "
            f"provided contains reserved keys that are currently not supported for modification. Reserved keys used "
            f"in this request: {', '.join(reserved)}"
        )
    if size(variables) > MAX_ENVIRONMENT_BYTES:
        return (
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided exceeded the 4KB limit."
        )
    return None


def resident_bytes(process: int) -> int:
    """Return the memory that a process holds, or 0 if it is gone."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * 4096


class MemoryWatch:
    """Ends a worker that holds more than its function's memory, as Lambda does."""

    def __init__(self) -> None:
        self._watched: dict[lambda_runtime.Worker, int] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def invoke(self, worker: lambda_runtime.Worker, *args: Any, **named: Any) -> Any:
        """Run one invocation under watch."""
        with self._changed:
            self._watched[worker] = int(worker.config.get("MemorySize", 128)) * 1024 * 1024
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="memory-watch")
                self._thread.start()
            self._changed.notify()
        try:
            return _invoke(worker, *args, **named)
        finally:
            with self._changed:
                self._watched.pop(worker, None)

    def check(self) -> None:
        """End each watched worker that holds too much."""
        with self._changed:
            watched = [*self._watched.items()]
        for worker, limit in watched:
            process = worker._proc
            if process is not None and resident_bytes(process.pid) > limit:
                process.kill()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._watched))
            self.check()
            time.sleep(WATCH_SECONDS)


def install() -> None:
    """Put these in the emulator's places."""
    from ministack.services.cloudformation import provisioners

    watch = MemoryWatch()

    def invoke(worker: lambda_runtime.Worker, *args: Any, **named: Any) -> Any:
        return watch.invoke(worker, *args, **named)

    lambda_svc.handle_request = handle
    lambda_runtime.Worker.invoke = invoke
    handlers = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]
    create, update = handlers["create"], handlers["update"]

    def create_checked(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        refusal = environment_refusal(properties)
        if refusal is not None:
            raise ValueError(refusal)
        return create(logical_id, properties, stack_name)

    def update_checked(
        physical_id: str, old: Any, new: dict[str, Any], stack_name: str, *more: Any, **named: Any
    ) -> Any:
        refusal = environment_refusal(new)
        if refusal is not None:
            raise ValueError(refusal)
        return update(physical_id, old, new, stack_name, *more, **named)

    handlers["create"], handlers["update"] = create_checked, update_checked
