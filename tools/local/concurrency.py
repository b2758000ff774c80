"""Lambda's limits on concurrency for the emulator, and callers that wait for it as AWS services do.

The emulator counts what runs, but its callers do not know a throttle: a state machine fails with `Lambda.Unknown`, the
HTTP API passes a 429 on, an event is tried three times within seconds, and a task that waits by token waits on.

- The account's limit is read from a file at each invocation, so a test can lower it while the stack runs.
- No other function can use the share of a function with reserved concurrency (Lambda Developer Guide, "Configuring
  reserved concurrency for a function"). To reserve is refused when less than 100, or all, would be left.
- Step Functions receives `Lambda.TooManyRequestsException` (Step Functions Developer Guide, "Handle Lambda service
  exceptions"), and waits between its tries with jitter, for `MaxDelaySeconds` at most.
- A task that waits by token fails at once if its function cannot be invoked, or fails. It waits a quarter of its time:
  the emulator counts from the end of the invocation, and the stand-in's files are there within seconds.
- The HTTP API answers 503 with `{"message":"Service Unavailable"}`.
- An asynchronous invocation is tried again for six hours, 1 s to 5 min apart; the function's own failures are counted
  apart from that (Lambda Developer Guide, "How Lambda handles errors and retries with asynchronous invocation").
"""

import json
import os
import random
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

from ministack.core.responses import error_response_json
from ministack.services import eventbridge, lambda_svc, stepfunctions

FILE: Final = "LOCAL_CONCURRENCY_FILE"
# Lambda Developer Guide, "Lambda quotas". The second is what reservations must leave to the other functions.
DEFAULT_LIMIT: Final = 1_000
MIN_UNRESERVED: Final = 100
MAX_EVENT_AGE_SECONDS: Final = 6 * 60 * 60
MAX_PAUSE_SECONDS: Final = 300.0
WAIT_SHARE: Final = 0.25

type Result = dict[str, Any]

_asynchronous: ContextVar[bool] = ContextVar("asynchronous", default=False)
_waiting_token: ContextVar[str | None] = ContextVar("waiting_token", default=None)
_execute = lambda_svc._execute_function
_invoke_async = lambda_svc.invoke_async_with_retry
_put_concurrency = lambda_svc._put_function_concurrency
_call_lambda = stepfunctions._call_lambda
_invoke_with_callback = stepfunctions._invoke_with_callback
_retrier = stepfunctions._find_matching_retrier


def limit(file: Path | None) -> int | None:
    """The account's limit of functions that run at once, from a file; None if the file is missing or empty."""
    try:
        text = file.read_text().strip() if file else ""
    except FileNotFoundError:
        return None
    return int(text) if text else None


def account_limit() -> int | None:
    """The current limit."""
    named = os.environ.get(FILE)
    return limit(Path(named) if named else None)


def refusal(key: str, running: dict[str, int], reserved: dict[str, int], account: int | None) -> str | None:
    """Return which limit refuses another invocation of the function `key`: its own, the account's, or none.

    `running` and `reserved` are by function.
    """
    if key in reserved:
        return "function" if running.get(key, 0) >= reserved[key] else None
    shared = sum(count for function, count in running.items() if function not in reserved)
    if account is not None and shared >= account - sum(reserved.values()):
        return "account"
    return None


def acquire(func: dict[str, Any], config: dict[str, Any]) -> tuple[str | None, str | None]:
    """Acquire one unit of concurrency. Returns its key, or None and the limit that refused it."""
    key = lambda_svc._inflight_key(config)
    account = account_limit() or lambda_svc._ACCOUNT_CONCURRENCY_CAP or None
    with lambda_svc._inflight_lock:
        # By name, because an alias invokes the record of a version, and that has no reservation.
        reserved = reservations()
        refused = refusal(key, lambda_svc._inflight, reserved, account)
        if refused is not None:
            return None, refused
        lambda_svc._inflight[key] = lambda_svc._inflight.get(key, 0) + 1
        lambda_svc._inflight_total += 1
    return key, None


def reservations() -> dict[str, int]:
    """Return the reserved concurrency of each function that has one."""
    return {
        ":".join(key): int(func["concurrency"])
        for key, func in list(lambda_svc._functions._data.items())
        if func.get("concurrency") is not None
    }


def reserve(name: str, data: dict[str, Any]) -> Any:
    """PutFunctionConcurrency. Refused if too little remains for the other functions."""
    wanted = int(data.get("ReservedConcurrentExecutions", 0))
    account = account_limit() or DEFAULT_LIMIT
    least = min(MIN_UNRESERVED, account)
    others = sum(count for key, count in reservations().items() if not key.endswith(f":{name}"))
    if wanted and account - others - wanted < least:
        return error_response_json(
            "InvalidParameterValueException",
            "Specified ReservedConcurrentExecutions for function decreases account's "
            f"UnreservedConcurrentExecution below its minimum value of [{least}].",
            400,
        )
    return _put_concurrency(name, data)


def reserve_by_template(name: str, properties: dict[str, Any]) -> None:
    """Apply a function's reserved concurrency from a template, which the emulator ignores.

    Raises ValueError when Lambda would refuse it: the deployment fails, as on AWS.
    """
    wanted = properties.get("ReservedConcurrentExecutions")
    if wanted is None:
        lambda_svc._delete_function_concurrency(name)
        return
    status, _, body = reserve(name, {"ReservedConcurrentExecutions": wanted})
    if status >= 400:
        raise ValueError(json.loads(body)["message"])


def execute(func: dict[str, Any], event: Any) -> Result:
    """Run a function. A throttled asynchronous invocation waits."""
    result: Result = _execute(func, event)
    began, pause = time.monotonic(), 1.0
    while _asynchronous.get() and result.get("throttle") and time.monotonic() - began < MAX_EVENT_AGE_SECONDS:
        time.sleep(random.uniform(pause / 2, pause))
        pause = min(2 * pause, MAX_PAUSE_SECONDS)
        result = _execute(func, event)
    return result


def invoke_async(func: dict[str, Any], event: Any) -> None:
    """Invoke a function asynchronously, in a thread that keeps this context."""
    token = _asynchronous.set(True)
    try:
        _invoke_async(func, event)
    finally:
        _asynchronous.reset(token)


def invoke_by_rule(arn: str, payload: str) -> None:
    """Invoke an EventBridge target asynchronously. The emulator itself invokes it once and ignores an error."""
    func, config, _ = lambda_svc._get_func_record_for_ref(arn)
    if func and config:
        invoke_async(lambda_svc._execution_record_for_config(func, config), json.loads(payload))


def call_lambda(ref: str, event: Any) -> Any:
    """Invoke the function of a task. A throttle has the error name that state machines retry."""
    try:
        return _call_lambda(ref, event)
    except stepfunctions._ExecutionError as failed:
        error = throttle_named(failed.error, failed.cause)
        token = _waiting_token.get()
        if token is not None and token in stepfunctions._task_tokens:
            waiting = stepfunctions._task_tokens[token]
            waiting["error"] = {"Error": error, "Cause": failed.cause}
            waiting["event"].set()
        raise stepfunctions._ExecutionError(error, failed.cause) from None


def throttle_named(error: str, cause: str) -> str:
    """Return the name of a task's error: a throttle's if that is the cause, else `error`."""
    if error == "Lambda.Unknown" and '"TooManyRequestsException"' in str(cause):
        return "Lambda.TooManyRequestsException"
    return error


def invoke_with_callback(resource: str, data: Any, token: str, state: dict[str, Any]) -> Any:
    """Run a task that waits for its token. `call_lambda` sees that it belongs to such a task."""
    waiting = _waiting_token.set(token)
    try:
        return _invoke_with_callback(
            resource, data, token, {**state, "TimeoutSeconds": WAIT_SHARE * state["TimeoutSeconds"]}
        )
    finally:
        _waiting_token.reset(waiting)


def retrier(retriers: list[dict[str, Any]], error: str, counts: dict[int, int]) -> tuple[dict[str, Any] | None, int]:
    """Return the retrier of an error with a pause. The emulator has neither jitter nor `MaxDelaySeconds`."""
    found, index = _retrier(retriers, error, counts)
    if found is None:
        return found, index
    longest = found.get("IntervalSeconds", 1) * found.get("BackoffRate", 2.0) ** counts.get(index, 0)
    longest = min(longest, found.get("MaxDelaySeconds", longest))
    pause = random.uniform(0, longest) if found.get("JitterStrategy") == "FULL" else longest
    return {**found, "IntervalSeconds": pause, "BackoffRate": 1.0}, index


def unavailable(result: Result, response: Any) -> Any:
    """Return the HTTP API's response: its own 503 for a throttled function, else `answer` of the result."""
    if result.get("throttle"):
        headers = {"Content-Type": "application/json"}
        return {"statusCode": 503, "headers": headers, "body": '{"message":"Service Unavailable"}'}, None
    return response(result)


def install() -> None:
    """Replace the emulator's functions with these."""
    # This imports every service of the emulator and takes two seconds.
    from ministack.services.cloudformation import provisioners

    response = lambda_svc.lambda_execute_result_to_api_proxy_response
    lambda_svc._acquire_execution_slot = acquire
    lambda_svc._execute_function = execute
    lambda_svc.invoke_async_with_retry = invoke_async
    lambda_svc._put_function_concurrency = reserve
    lambda_svc.lambda_execute_result_to_api_proxy_response = lambda result: unavailable(result, response)
    eventbridge._dispatch_to_lambda = invoke_by_rule
    stepfunctions._call_lambda = call_lambda
    stepfunctions._invoke_with_callback = invoke_with_callback
    stepfunctions._find_matching_retrier = retrier
    handlers = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]
    create, update = handlers["create"], handlers["update"]

    def create_reserved(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        made = create(logical_id, properties, stack_name)
        reserve_by_template(made[0], properties)
        return made

    def update_reserved(
        physical_id: str, old: Any, new: dict[str, Any], stack_name: str, *more: Any, **named: Any
    ) -> Any:
        made = update(physical_id, old, new, stack_name, *more, **named)
        reserve_by_template(made[0] if isinstance(made, tuple) else made or physical_id, new)
        return made

    handlers["create"], handlers["update"] = create_reserved, update_reserved
