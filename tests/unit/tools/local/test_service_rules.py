"""The local Step Functions, EventBridge, STS and HTTP API do what the real ones do."""

import asyncio
import json
from typing import Any

import pytest
from ministack.services import stepfunctions, sts

from tools.local.rules import services

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:m"


@pytest.fixture(autouse=True)
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "get_region", lambda: "us-east-1")
    monkeypatch.setattr(services, "get_account_id", lambda: "000000000000")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A state machine's executions; what the emulator would start is refused as its second of a name."""
    executions: dict[str, Any] = {}

    def start(data: dict[str, Any]) -> Any:
        arn = f"arn:aws:states:us-east-1:000000000000:execution:m:{data.get('name', 'drawn')}"
        if arn in executions:
            return 400, {}, b'{"__type": "ExecutionAlreadyExists"}'
        executions[arn] = {"status": "RUNNING", "input": data.get("input", "{}"), "startDate": 1}
        return 200, {}, json.dumps({"executionArn": arn}).encode()

    monkeypatch.setattr(services, "_start", start)
    monkeypatch.setattr(stepfunctions, "_executions", executions)
    monkeypatch.setattr(stepfunctions, "_state_machines", {MACHINE: {"name": "m"}})
    monkeypatch.setattr(stepfunctions, "_resolve_state_machine_arn", lambda arn: arn)
    return executions


def started(name: str | None, given: str = "{}") -> tuple[int, dict[str, Any]]:
    named = {} if name is None else {"name": name}
    status, _, body = services.start_execution({"stateMachineArn": MACHINE, "input": given, **named})
    return status, json.loads(body)


def test_the_same_execution_may_be_started_again_while_it_runs(known: dict[str, Any]) -> None:
    _, first = started("one", '{"a": 1}')
    assert started("one", '{"a": 1}') == (200, {**first, "startDate": 1})
    assert started("one", '{"a": 2}')[1]["__type"] == "ExecutionAlreadyExists"
    (execution,) = known.values()
    for status in ("SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"):
        execution["status"] = status
        assert started("one", '{"a": 1}')[1]["__type"] == "ExecutionAlreadyExists"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a:b", "a\n", "a\x7f", "x" * 81, "a#b", "a\ufffe"], ids=ascii)
def test_names_of_executions_that_are_refused(known: dict[str, Any], name: str) -> None:
    assert started(name)[1]["__type"] == "InvalidName"


@pytest.mark.parametrize("name", ["rec_1-12", "x" * 80, "a.b+c=d@e", "é", None], ids=ascii)
def test_names_of_executions_that_are_taken(known: dict[str, Any], name: str | None) -> None:
    assert started(name)[0] == 200


@pytest.mark.parametrize(
    ("given", "status"),
    [('"%s"' % ("x" * 262_142), 200), ('"%s"' % ("x" * 262_143), 400), ('"%s"' % ("é" * 131_072), 400), ("{", 400)],
    ids=["largest", "larger", "in bytes", "no JSON"],
)
def test_an_input_that_is_too_large_is_refused(known: dict[str, Any], given: str, status: int) -> None:
    assert started("one", given)[0] == status


def exited(output: str) -> Any:
    return services.add_event({"events": []}, "TaskStateExited", {"stateExitedEventDetails": {"output": output}})


def test_a_state_that_gives_too_much_ends_the_execution() -> None:
    exited("x" * 262_144)
    with pytest.raises(stepfunctions._ExecutionError) as failed:
        exited("x" * 262_145)
    assert failed.value.error == "States.DataLimitExceeded"


def test_a_history_that_is_too_long_ends_the_execution() -> None:
    execution: dict[str, Any] = {"events": [{}] * 24_998}
    services.add_event(execution, "PassStateEntered")
    with pytest.raises(stepfunctions._ExecutionError) as failed:
        services.add_event(execution, "PassStateExited")
    assert failed.value.error == "States.Runtime"
    services.add_event(execution, "ExecutionFailed")
    assert len(execution["events"]) == 25_000


def entry(**changes: Any) -> dict[str, Any]:
    return {"Source": "s", "DetailType": "t", "Detail": "{}", "EventBusName": "b"} | changes


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    taken: list[dict[str, Any]] = []

    def put(data: dict[str, Any], allow: bool) -> Any:
        taken.extend(data["Entries"])
        reported = {"FailedEntryCount": 0, "Entries": [{"EventId": str(len(taken))} for _ in data["Entries"]]}
        return 200, {}, json.dumps(reported).encode()

    monkeypatch.setattr(services, "_put_events", put)
    return taken


def test_events_that_are_too_large_together_are_refused(events: list[dict[str, Any]]) -> None:
    detail = json.dumps({"a": "x" * (512 * 1024 - 11)})
    assert services.event_bytes(entry(Detail=detail)) == 512 * 1024
    assert services.put_events({"Entries": [entry(Detail=detail)] * 2})[0] == 200
    status, _, body = services.put_events({"Entries": [entry(Detail=detail), entry(Detail=detail, Source="ss")]})
    assert (status, json.loads(body)["__type"]) == (400, "ValidationException")
    assert len(events) == 2


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({"Detail": "no JSON"}, "MalformedDetail"),
        ({"Detail": "[]"}, "MalformedDetail"),
        ({"Detail": None}, "InvalidArgument"),
        ({"Source": ""}, "InvalidArgument"),
        ({"DetailType": None}, "InvalidArgument"),
    ],
    ids=json.dumps,
)
def test_a_malformed_event_is_refused_alone(events: list[dict[str, Any]], bad: dict[str, Any], code: str) -> None:
    _, _, body = services.put_events({"Entries": [entry(), entry(**bad), entry()]})
    reported = json.loads(body)
    assert reported["FailedEntryCount"] == 1
    assert [one.get("ErrorCode") for one in reported["Entries"]] == [None, code, None]
    assert events == [entry(), entry()]


@pytest.mark.parametrize("protocol", ["query", "json"])
@pytest.mark.parametrize(
    ("principal", "seconds", "status"),
    [("AssumedRole", 3600, 200), ("AssumedRole", 3601, 400), ("User", 43_200, 200)],
)
def test_a_role_assumed_by_a_role_lasts_an_hour(
    monkeypatch: pytest.MonkeyPatch, protocol: str, principal: str, seconds: int, status: int
) -> None:
    async def answered(*request: Any) -> Any:
        return 200, {}, b""

    monkeypatch.setattr(services, "_sts", answered)
    monkeypatch.setattr(sts, "_caller_identity", lambda *_: {"principalType": principal})
    if protocol == "json":
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "X.AssumeRole"}
        body = json.dumps({"DurationSeconds": seconds}).encode()
    else:
        headers, body = {}, f"Action=AssumeRole&DurationSeconds={seconds}".encode()
    assert asyncio.run(services.assume_role("POST", "/", headers, body, {}))[0] == status


def test_cookies_are_a_list_of_their_own_in_an_event() -> None:
    event = {
        "version": "2.0",
        "headers": {"cookie": "a=1; b=2", "accept": "*/*"},
        "requestContext": {"http": {"method": "GET"}},
        "pathParameters": None,
    }
    made = services.http_event(event)
    assert made["cookies"] == ["a=1", "b=2"]
    assert made["headers"] == {"accept": "*/*"}
    assert "pathParameters" not in made


@pytest.mark.parametrize(
    "event", [{"version": "2.0", "a": 1}, ["x"], "text", {"requestContext": {"http": {}}}], ids=repr
)
def test_other_events_stay_as_they_are(event: Any) -> None:
    assert services.http_event(event) is event


@pytest.mark.parametrize(
    ("result", "status"),
    [({"error": True, "body": {"errorMessage": "secret"}}, 500), ({"error": True, "throttle": True}, 503), ({}, 200)],
    ids=json.dumps,
)
def test_an_api_tells_nothing_of_a_function_that_failed(result: dict[str, Any], status: int) -> None:
    response = services.failed(result, lambda known: ({"statusCode": 503 if known else 200}, None))[0]
    assert response["statusCode"] == status
    assert "secret" not in json.dumps(response)
