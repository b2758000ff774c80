"""Runs the AWS emulator with changes that bring it nearer to AWS.

- A layer is unpacked once and linked into each process that starts (layers).
- A failed function reports the class of its error as `errorType`, as Lambda does: a state machine's `Retry` and
  `Catch` match on it.
- A function whose process dies fails with `Runtime.ExitError`, as on Lambda.
- A claim that is an object or null reaches a function as API Gateway writes it, `map[a:1]` and `<nil>`, not as JSON.
- A function whose code cannot be loaded fails with `Runtime.ImportModuleError`, `Runtime.HandlerNotFound` or
  `Runtime.UserCodeSyntaxError`, as on Lambda.
- What S3, R2, Lambda, Step Functions, EventBridge and STS refuse is refused: see `tools/local/rules`.
- Concurrent invocations are counted, refused and tried again as on AWS: see `tools/local/concurrency.py`.
- An alarm on an expression is stored as one on a metric that nothing publishes. The emulator refuses it otherwise, and
  it would evaluate neither.
- The settings of an HTTP API's stage have the API's names; the emulator keeps CloudFormation's, which no client reads.
- A function's log is filtered at its level, and the function receives the level (log_levels).
- A function is killed later than at its time-out, because a busy machine is slower than Lambda (timeouts).
- A function's process is a fork of one that has imported the libraries of its layers (workers).
- What comes over the loopback interface counts as secure transport: there is no TLS here, and the archive bucket's
  policy denies everything else.
"""

import json
import os
import re
import runpy
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import apigateway, lambda_svc
from ministack.services.cloudformation import provisioners

from tools.local import concurrency, layers, timeouts, workers
from tools.local.log_levels import shown, told_its_level
from tools.local.rules import functions, services, uploads

# The emulator's messages for a worker that died: at work, during its start, or idle.
DEATHS = ("Worker process died", "Worker process exited immediately", "[Errno 32] Broken pipe")
# The messages for code that cannot be loaded, and Lambda's names for these errors (awslambdaric, bootstrap.py).
NOT_LOADED = {
    "Runtime.ImportModuleError": r"No module named |cannot import name ",
    "Runtime.HandlerNotFound": r"module '[\w.]+' has no attribute 'handler'",
    "Runtime.UserCodeSyntaxError": r".*\(app\.py, line \d+\)",
}
_execute = lambda_svc._execute_function_warm
_resolve = iam_evaluator._resolve_condition_key
_alarm_record = provisioners._cw_metric_alarm_record
_stage_properties = provisioners._apigw_v2_stage_props


def error_class(log: str) -> str | None:
    """Return the class in the last traceback of a log."""
    _, found, trace = log.rpartition("Traceback (most recent call last):\n")
    line = re.search(r"^([A-Za-z_][\w.]*)(?::|$)", trace, re.MULTILINE) if found else None
    return line[1].rpartition(".")[2] if line else None


def named_error(body: dict[str, Any], log: str) -> dict[str, Any]:
    """Return Lambda's response for a failure that the emulator reports with `body` and this log."""
    if str(body.get("errorMessage", "")).startswith(DEATHS):
        return {**body, "errorType": "Runtime.ExitError", "errorMessage": "Runtime exited with error: signal: killed"}
    _, failed, reason = str(body.get("errorMessage", "")).partition("Worker init failed: ")
    if failed:
        kind = next((name for name, words in NOT_LOADED.items() if re.match(words, reason)), "Runtime.Unknown")
        return {**body, "errorType": kind, "errorMessage": reason}
    if body.get("errorType") == "Runtime.HandlerError":
        return {**body, "errorType": error_class(log) or body["errorType"]}
    return body


def execute(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
    """Run a function. A failure has the class of its error, and the log has the lines that Lambda would keep."""
    refusal = functions.payload_refusal("RequestResponse", functions.size(event))
    if refusal is not None:
        return {"body": {"errorMessage": refusal, "errorType": "RequestTooLargeException"}, "error": True}
    config = timeouts.with_longer_timeout(told_its_level(func.get("config") or func))
    configured = {**func, "config": config} if "config" in func else config
    result: dict[str, Any] = functions.response(_execute(configured, event, request_id))
    if result.get("error") and isinstance(result.get("body"), dict):
        result["body"] = named_error(result["body"], result.get("log", ""))
    if "log" in result:
        result["log"] = shown(result["log"], config)
    return result


def claim_text(value: Any) -> str:
    """Return a claim of a token as an HTTP API passes it to a function: always a string.

    Not documented. Strings, numbers, lists and objects have been seen; null is how the same notation, Go's, writes it.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{' '.join(map(claim_text, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{name}:{claim_text(value[name])}' for name in sorted(value))}]"
    return "<nil>" if value is None else json.dumps(value)


def resolve(key: str, context: Any) -> Any:
    """Return the value of a condition key."""
    return "true" if key.lower() == "aws:securetransport" else _resolve(key, context)


def alarm_record(name: str, properties: dict[str, Any]) -> Any:
    """Return the stored form of an alarm of a template."""
    if properties.get("Metrics"):
        kept = {key: value for key, value in properties.items() if key != "Metrics"}
        properties = {**kept, "Namespace": "Expressions", "MetricName": "Expression", "Statistic": "Sum", "Period": 60}
    return _alarm_record(name, properties)


def stage_properties(properties: dict[str, Any]) -> Any:
    """Return the stored form of a stage of a template."""

    def as_told(settings: dict[str, Any]) -> dict[str, float]:
        return {name[0].lower() + name[1:]: float(value) for name, value in settings.items()}

    by_route = {route: as_told(settings) for route, settings in properties.get("RouteSettings", {}).items()}
    default = as_told(properties.get("DefaultRouteSettings", {}))
    return _stage_properties({**properties, "RouteSettings": by_route, "DefaultRouteSettings": default})


def main() -> None:
    """Serve until stopped."""
    # Sixty functions that start at once must leave time to the stand-in and the gateway.
    os.nice(10)
    # Workers import the project from their layers, not from the caller's path.
    os.environ.pop("PYTHONPATH", None)
    lambda_svc._execute_function_warm = execute
    apigateway._jwt_claim_to_string = claim_text
    iam_evaluator._resolve_condition_key = resolve
    concurrency.install()
    timeouts.install()
    layers.install()
    workers.install()
    provisioners._cw_metric_alarm_record = alarm_record
    provisioners._apigw_v2_stage_props = stage_properties
    for rules in (uploads, functions, services):
        rules.install()
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
