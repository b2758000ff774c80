"""Rules of Step Functions, EventBridge and STS, and the shape of an HTTP API's event.

Sources: Step Functions Developer Guide, "Quotas", and API reference, StartExecution; EventBridge API reference,
PutEvents; IAM User Guide, "Role chaining"; API Gateway Developer Guide, "AWS Lambda proxy integrations for HTTP APIs".
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from ministack.core.responses import error_response_json, get_account_id, get_region, json_response
from ministack.services import eventbridge, lambda_svc, stepfunctions, sts

MAX_STATE_BYTES: Final = 256 * 1024
MAX_HISTORY_EVENTS: Final = 25_000
MAX_NAME_LENGTH: Final = 80
# Step Functions API reference, StartExecution, `name`.
REFUSED_IN_NAMES: Final = re.compile(
    '[\\s<>{}\\[\\]?*"#%\\\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\U0010ffff]'
)
MAX_EVENTS_BYTES: Final = 1024 * 1024
MAX_CHAINED_SECONDS: Final = 3600

_start = stepfunctions._start_execution
_add_event = stepfunctions._add_event
_put_events = eventbridge._put_events
_sts = sts.handle_request
_run = lambda_svc._execute_function_with_config_scope


def start_execution(data: dict[str, Any]) -> Any:
    """Start an execution; the same name and input while it runs give the running one again."""
    name, given = data.get("name"), data.get("input", "{}")
    if len(given.encode()) > MAX_STATE_BYTES:
        return error_response_json("InvalidExecutionInput", f"The input is longer than {MAX_STATE_BYTES} bytes", 400)
    try:
        json.loads(given)
    except ValueError:
        return error_response_json("InvalidExecutionInput", "The input is no JSON", 400)
    if name is not None:
        if not name or len(name) > MAX_NAME_LENGTH or REFUSED_IN_NAMES.search(name):
            return error_response_json("InvalidName", f"Invalid Name: '{name}'", 400)
        machine = stepfunctions._resolve_state_machine_arn(data.get("stateMachineArn", ""))
        if machine is not None:
            known = stepfunctions._state_machines[machine]["name"]
            arn = f"arn:aws:states:{get_region()}:{get_account_id()}:execution:{known}:{name}"
            found = stepfunctions._executions.get(arn)
            if found and found["status"] == "RUNNING" and found["input"] == given:
                return json_response({"executionArn": arn, "startDate": found["startDate"]})
    return _start(data)


def add_event(execution: dict[str, Any], kind: str, details: dict[str, Any] | None = None) -> Any:
    """Write an execution's history; too long a history, and too large a state, end the execution."""
    if not kind.startswith("Execution"):
        if len(execution["events"]) >= MAX_HISTORY_EVENTS - 1:
            raise stepfunctions._ExecutionError(
                "States.Runtime",
                f"The execution reached the maximum number of history events ({MAX_HISTORY_EVENTS}).",
            )
        output = ((details or {}).get("stateExitedEventDetails") or {}).get("output") or ""
        if len(output.encode()) > MAX_STATE_BYTES:
            raise stepfunctions._ExecutionError(
                "States.DataLimitExceeded",
                "The state returned a result with a size exceeding the maximum number of bytes service limit.",
            )
    return _add_event(execution, kind, details)


def event_bytes(entry: Mapping[str, Any]) -> int:
    """Return an event's size (EventBridge User Guide, "Calculating PutEvents event entry size")."""
    texts = [entry.get(name) or "" for name in ("Source", "DetailType", "Detail")] + (entry.get("Resources") or [])
    return sum(len(text.encode()) for text in texts) + (14 if entry.get("Time") is not None else 0)


def entry_refusal(entry: Mapping[str, Any]) -> dict[str, str] | None:
    """Return what EventBridge says of one event that it does not take, or None."""
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            return {
                "ErrorCode": "InvalidArgument",
                "ErrorMessage": f"Parameter {name} is not valid. Reason: {name} is a required argument.",
            }
    try:
        detail = json.loads(entry["Detail"])
    except ValueError:
        detail = None
    if not isinstance(detail, dict):
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    return None


def put_events(data: dict[str, Any], allow_aws_source: bool = False) -> Any:
    """Take events; what is too large is refused whole, what is malformed alone."""
    entries = data.get("Entries", [])
    if sum(map(event_bytes, entries)) > MAX_EVENTS_BYTES:
        return error_response_json(
            "ValidationException", "Total size of the entries in the request is over the limit.", 400
        )
    refusals = [entry_refusal(entry) for entry in entries]
    if allow_aws_source or not any(refusals):
        return _put_events(data, allow_aws_source)
    good = [entry for entry, refusal in zip(entries, refusals, strict=True) if refusal is None]
    status, headers, body = _put_events({**data, "Entries": good}, allow_aws_source)
    if status != 200:
        return status, headers, body
    response = json.loads(body)
    taken = iter(response["Entries"])
    results = [refusal or next(taken) for refusal in refusals]
    failed = response["FailedEntryCount"] + sum(1 for refusal in refusals if refusal)
    return json_response({"FailedEntryCount": failed, "Entries": results})


def asked(headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of a request to STS."""
    found = {name: value[0] if isinstance(value, list) else value for name, value in query.items()}
    if "json" in headers.get("content-type", ""):
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        return found | {"Action": action} | {name: str(value) for name, value in json.loads(body or b"{}").items()}
    return found | {name: value[0] for name, value in parse_qs(body.decode("utf-8", "replace")).items()}


def session_refusal(caller: Mapping[str, Any], seconds: int) -> str | None:
    """Return why a session of this length is refused, or None."""
    if caller.get("principalType") == "AssumedRole" and seconds > MAX_CHAINED_SECONDS:
        return "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
    return None


async def assume_role(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
    """Answer a request to STS; a role assumed with a role's credentials lasts an hour at most."""
    wanted = asked(headers, body, query)
    if wanted.get("Action") == "AssumeRole" and wanted.get("DurationSeconds", "").isdecimal():
        caller = sts._caller_identity(headers, query)
        if isinstance(caller, dict):
            refusal = session_refusal(caller, int(wanted["DurationSeconds"]))
            if refusal is not None:
                return sts._error(400, "ValidationError", refusal, ns="sts")
    return await _sts(method, path, headers, body, query)


def http_event(event: Any) -> Any:
    """Return an event of an HTTP API as payload format 2.0 has it: cookies are a list of their own, not a header."""
    if not isinstance(event, dict) or event.get("version") != "2.0" or "http" not in event.get("requestContext", {}):
        return event
    headers = dict(event["headers"])
    cookies = headers.pop("cookie", None)
    made = {**event, "headers": headers}
    if cookies:
        made["cookies"] = [one.strip() for one in cookies.split(";") if one.strip()]
    if made.get("pathParameters") is None:
        made.pop("pathParameters", None)
    return made


def run(func: dict[str, Any], event: Any) -> Any:
    """Run a function for an API or an invocation."""
    return _run(func, http_event(event))


def failed(result: dict[str, Any], received: Any) -> Any:
    """Return an HTTP API's response for a function's result. A failure is a 500 without details."""
    if result.get("error") and not result.get("throttle"):
        error = {"statusCode": 500, "headers": {"Content-Type": "application/json"}}
        return {**error, "body": '{"message":"Internal Server Error"}'}, None
    return received(result)


def install() -> None:
    """Put these in the emulator's places."""
    received = lambda_svc.lambda_execute_result_to_api_proxy_response
    lambda_svc.lambda_execute_result_to_api_proxy_response = lambda result: failed(result, received)
    stepfunctions._start_execution = start_execution
    stepfunctions._add_event = add_event
    eventbridge._put_events = put_events
    sts.handle_request = assume_role
    lambda_svc._execute_function_with_config_scope = run
