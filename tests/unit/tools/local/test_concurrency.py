"""The emulator's limit of concurrent functions is Lambda's, and so is what its callers do about it."""

import json
from pathlib import Path
from typing import Any

import pytest
from ministack.services import lambda_svc, stepfunctions

from tools.local import concurrency


@pytest.mark.parametrize(
    ("running", "reserved", "refused"),
    [
        pytest.param({"a": 4, "b": 5}, {}, None, id="one is left"),
        pytest.param({"a": 4, "b": 6}, {}, "account", id="the account is full, whoever fills it"),
        pytest.param({"b": 7}, {"b": 3}, None, id="what runs on a reservation leaves the others their share"),
        pytest.param({"a": 7}, {"b": 3}, "account", id="what is reserved and not used is not there for others"),
        pytest.param({"a": 2, "b": 9}, {"a": 3}, None, id="a reservation is there when the account is full"),
        pytest.param({"a": 3}, {"a": 3}, "function", id="a reservation is a limit too"),
        pytest.param({}, {"a": 0}, "function", id="none reserved: switched off"),
    ],
)
def test_an_invocation_more(running: dict[str, int], reserved: dict[str, int], refused: str | None) -> None:
    assert concurrency.refusal("a", running, reserved, 10) == refused


def test_without_a_limit_of_the_account_any_number_runs() -> None:
    assert concurrency.refusal("a", {"a": 5_000}, {}, None) is None


def test_the_limit_is_read_from_a_file_that_may_change(tmp_path: Path) -> None:
    file = tmp_path / "concurrency"
    assert concurrency.limit(file) is None
    file.write_text("10")
    assert concurrency.limit(file) == 10
    file.write_text("")
    assert concurrency.limit(file) is None
    assert concurrency.limit(None) is None


@pytest.mark.parametrize(
    ("account", "wanted", "refused"),
    [(1_000, 900, None), (1_000, 901, "[100]"), (10, 1, "[10]"), (10, 0, None)],
    ids=["100 are left", "99 are left", "a new account has none to give", "to switch off is always allowed"],
)
def test_a_reservation_leaves_the_other_functions_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, account: int, wanted: int, refused: str | None
) -> None:
    (tmp_path / "limit").write_text(str(account))
    monkeypatch.setenv(concurrency.FILE, str(tmp_path / "limit"))
    stored: list[Any] = []

    def put(name: str, data: Any) -> Any:
        stored.append(data)
        return 200, {}, b"{}"

    monkeypatch.setattr(concurrency, "_put_concurrency", put)
    status, _, body = concurrency.reserve("copy", {"ReservedConcurrentExecutions": wanted})
    assert (status == 400) is (refused is not None)
    assert bool(stored) is (refused is None)
    assert refused is None or refused in json.loads(body)["message"]


def test_step_functions_is_told_of_a_throttle_by_name() -> None:
    cause = json.dumps({"__type": "TooManyRequestsException"})
    assert concurrency.throttle_named("Lambda.Unknown", cause) == "Lambda.TooManyRequestsException"
    assert concurrency.throttle_named("Lambda.Unknown", "{}") == "Lambda.Unknown"
    assert concurrency.throttle_named("Throttled", cause) == "Throttled"


def test_a_pause_is_drawn_below_the_longest() -> None:
    retry = {
        "ErrorEquals": ["E"], "IntervalSeconds": 2, "BackoffRate": 2, "MaxAttempts": 9, "MaxDelaySeconds": 10,
        "JitterStrategy": "FULL",
    }  # fmt: skip
    for tried, longest in ((0, 2), (2, 8), (8, 10)):
        pauses = []
        for _ in range(200):
            found, index = concurrency.retrier([retry], "E", {0: tried})
            assert found is not None
            assert index == 0
            pauses.append(found["IntervalSeconds"])
        assert 0 <= min(pauses) < longest / 2 < max(pauses) <= longest
    assert concurrency.retrier([retry], "E", {0: 9}) == (None, -1)
    exact, _ = concurrency.retrier([{**retry, "JitterStrategy": "NONE"}], "E", {0: 1})
    assert exact is not None
    assert exact["IntervalSeconds"] == 4


def test_the_http_api_answers_a_throttle_with_its_own_503() -> None:
    response, _ = concurrency.unavailable({"throttle": True}, pytest.fail)
    assert (response["statusCode"], response["body"]) == (503, '{"message":"Service Unavailable"}')
    assert concurrency.unavailable({"body": 1}, lambda result: (result, None)) == ({"body": 1}, None)


def test_an_event_waits_while_it_is_throttled_and_a_request_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    responses = [{"throttle": True}, {"throttle": True}, {"body": "done"}]
    pauses: list[float] = []
    monkeypatch.setattr(concurrency, "_execute", lambda func, event: responses.pop(0))
    monkeypatch.setattr("time.sleep", pauses.append)
    assert concurrency.execute({}, {}) == {"throttle": True}

    def invoke(func: Any, event: Any) -> Any:
        pauses.append(-1)
        return concurrency.execute({}, {})

    monkeypatch.setattr(concurrency, "_invoke_async", invoke)
    concurrency.invoke_async({}, {})
    assert responses == []
    assert pauses[0] == -1
    assert len(pauses) == 2
    assert pauses[1] > 0


def test_a_task_that_waits_by_token_fails_when_its_function_is_not_invoked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would wait for an answer that nobody is left to give."""

    def throttled(ref: str, event: Any) -> Any:
        raise stepfunctions._ExecutionError("Lambda.Unknown", '{"__type": "TooManyRequestsException"}')

    monkeypatch.setattr(concurrency, "_call_lambda", throttled)
    monkeypatch.setattr(stepfunctions, "_call_lambda", concurrency.call_lambda)
    resource = "arn:aws:states:::lambda:invoke.waitForTaskToken"
    with pytest.raises(stepfunctions._ExecutionError) as failed:
        concurrency.invoke_with_callback(resource, {"FunctionName": "f", "Payload": {}}, "t", {"TimeoutSeconds": 60})
    assert failed.value.error == "Lambda.TooManyRequestsException"


def test_a_wait_by_token_lasts_a_quarter_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "_invoke_with_callback", lambda resource, data, token, state: state)
    state = concurrency.invoke_with_callback("", {}, "t", {"TimeoutSeconds": 20, "Comment": "waits"})
    assert state == {"TimeoutSeconds": 5, "Comment": "waits"}


@pytest.mark.parametrize(
    ("properties", "status", "done"),
    [({}, 200, "deleted"), ({"ReservedConcurrentExecutions": 7}, 200, "reserved 7")],
    ids=["not named", "named"],
)
def test_a_deployment_sets_what_the_template_reserves(
    monkeypatch: pytest.MonkeyPatch, properties: dict[str, Any], status: int, done: str
) -> None:
    reported: list[str] = []

    def reserve(name: str, data: dict[str, Any]) -> Any:
        reported.append(f"reserved {data['ReservedConcurrentExecutions']}")
        return status, {}, b"{}"

    monkeypatch.setattr(concurrency, "reserve", reserve)
    monkeypatch.setattr(lambda_svc, "_delete_function_concurrency", lambda name: reported.append("deleted"))
    concurrency.reserve_by_template("copy", properties)
    assert reported == [done]


def test_a_deployment_fails_when_lambda_refuses_a_reservation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "limit").write_text("10")
    monkeypatch.setenv(concurrency.FILE, str(tmp_path / "limit"))
    with pytest.raises(ValueError, match=r"minimum value of \[10\]"):
        concurrency.reserve_by_template("copy", {"ReservedConcurrentExecutions": 1})


def test_a_reservation_counts_for_every_version_of_its_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An alias invokes the record of a version, which does not hold it."""
    arn = "arn:aws:lambda:us-east-1:000000000000:function:copy:3"
    version = {"config": {"FunctionName": "copy", "FunctionArn": arn, "Version": "3"}}
    stored = {("000000000000", "us-east-1", "copy"): {"concurrency": 1}}
    monkeypatch.setattr(lambda_svc._functions, "_data", stored)
    monkeypatch.delenv(concurrency.FILE, raising=False)
    key, _ = concurrency.acquire(version, version["config"])
    assert key is not None
    try:
        assert concurrency.acquire(version, version["config"]) == (None, "function")
    finally:
        lambda_svc._release_execution_slot(key)
