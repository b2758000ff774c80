"""Executions of the state machines: one for each recording and attempt. An invalid task token is no error."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from moto.core.models import patch_client

from recordings.adapters.aws import step_functions
from recordings.adapters.aws.executions import MAX_RESTARTS, ArchivingStateMachine, ProcessingStateMachine
from recordings.adapters.aws.task_tokens import StepFunctionsTasks, complete_task, fail_task
from recordings.domain.errors import InfrastructureError, Throttled
from tests.support.builders import a_recording

INVALID_TOKEN = ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with mock_aws():
        patch_client(step_functions.client)
        arn: str = boto3.client("stepfunctions").create_state_machine(
            name="processing",
            definition=json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1, "End": True}}}),
            roleArn="arn:aws:iam::123456789012:role/processing",
        )["stateMachineArn"]
        monkeypatch.setenv("PROCESSING_ARN", arn)
        yield arn


@pytest.fixture
def client() -> Iterator[Stubber]:
    with Stubber(step_functions.client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def executions_of(arn: str) -> list[str]:
    return sorted(
        run["name"] for run in boto3.client("stepfunctions").list_executions(stateMachineArn=arn)["executions"]
    )


def test_an_execution_has_the_name_and_the_input_of_its_attempt(machine: str) -> None:
    recording = a_recording(tenant_id="a#b/ü", attempt=2)
    ProcessingStateMachine().start(recording)
    assert executions_of(machine) == [f"{recording.id}-2"]
    arn = machine.replace("stateMachine", "execution") + f":{recording.id}-2"
    reported = json.loads(boto3.client("stepfunctions").describe_execution(executionArn=arn)["input"])
    assert reported == {"tenant_id": "a#b/ü", "recording_id": recording.id, "attempt": 2}


def test_an_attempt_has_one_execution_and_each_attempt_its_own(machine: str) -> None:
    recording = a_recording()
    for one in (recording, recording, replace(recording, status=recording.status, partial=True)):
        ProcessingStateMachine().start(one)
    assert len(executions_of(machine)) == 1
    ProcessingStateMachine().start(replace(recording, attempt=2))
    assert len(executions_of(machine)) == 2


def test_a_new_attempt_stops_the_execution_before_it(machine: str) -> None:
    before = a_recording()
    after = replace(before, attempt=2)
    ProcessingStateMachine().start(before)
    assert ProcessingStateMachine().is_running(before)
    for _ in range(2):
        ProcessingStateMachine().replace(before, after)
        assert not ProcessingStateMachine().is_running(before)
        assert ProcessingStateMachine().is_running(after)
    assert len(executions_of(machine)) == 2


def test_an_attempt_without_execution_is_running_and_can_be_replaced(machine: str) -> None:
    before = a_recording()
    assert ProcessingStateMachine().is_running(before)
    ProcessingStateMachine().replace(before, replace(before, attempt=2))
    assert executions_of(machine) == [f"{before.id}-2"]


def test_an_execution_that_has_ended_can_be_replaced(client: Stubber) -> None:
    client.add_client_error("stop_execution", "ValidationException", "Execution is not running")
    client.add_response("start_execution", {"executionArn": "arn:run", "startDate": datetime.now(UTC)})
    before = a_recording()
    ProcessingStateMachine().replace(before, replace(before, attempt=2))


@pytest.mark.parametrize("method", ["stop_execution", "describe_execution"])
def test_a_denied_stop_or_describe_is_an_error(client: Stubber, method: str) -> None:
    client.add_client_error(method, "AccessDeniedException")
    act = (
        ProcessingStateMachine().is_running
        if method == "describe_execution"
        else lambda one: ProcessingStateMachine().replace(one, one)
    )
    with pytest.raises(InfrastructureError):
        act(a_recording())


def test_a_move_to_the_archive_is_an_execution_of_its_own(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIVING_ARN", machine)
    recording = a_recording(archive_attempt=3, attempt=2)
    for _ in range(2):
        ArchivingStateMachine().start(recording)
    assert executions_of(machine) == [f"{recording.id}-3"]


def test_a_move_is_restarted_a_limited_number_of_times_and_only_after_its_execution_has_ended(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHIVING_ARN", machine)
    recording = a_recording(archive_attempt=3)
    first = f"{recording.id}-3"
    names = [first, *(f"{first}-again-{number}" for number in range(1, MAX_RESTARTS + 1))]
    for started, name in enumerate(names, start=1):
        # The first one may never have started.
        assert ArchivingStateMachine().restart(recording)
        assert not ArchivingStateMachine().restart(recording)
        assert executions_of(machine) == sorted(names[:started])
        arn = machine.replace("stateMachine", "execution") + f":{name}"
        boto3.client("stepfunctions").stop_execution(executionArn=arn)
    assert not ArchivingStateMachine().restart(recording)
    assert executions_of(machine) == sorted(names)


def test_a_name_is_short_enough_for_step_functions() -> None:
    assert len(f"{a_recording().id}-{10**6}") <= 80


def test_an_execution_that_exists_with_other_input_is_no_error(client: Stubber) -> None:
    client.add_client_error("start_execution", "ExecutionAlreadyExists")
    ProcessingStateMachine().start(a_recording())


@pytest.mark.parametrize("code", ["StateMachineDoesNotExist", "AccessDeniedException"])
def test_a_denied_start_is_an_error(client: Stubber, code: str) -> None:
    client.add_client_error("start_execution", code)
    with pytest.raises(InfrastructureError, match=code):
        ProcessingStateMachine().start(a_recording())


@pytest.mark.parametrize("code", ["ThrottlingException", "ExecutionLimitExceeded"])
def test_a_start_beyond_a_quota_is_throttled(client: Stubber, code: str) -> None:
    client.add_client_error("start_execution", code)
    with pytest.raises(Throttled):
        ProcessingStateMachine().start(a_recording())


def test_a_completed_wait_checks_again(client: Stubber) -> None:
    client.add_response("send_task_success", {}, {"taskToken": "token", "output": json.dumps({"state": "check_again"})})
    StepFunctionsTasks().check_again("token")


def test_a_result_is_json_and_a_failure_has_name_and_cause(client: Stubber) -> None:
    client.add_response("send_task_success", {}, {"taskToken": "t", "output": '{"state": "uploaded", "partial": true}'})
    client.add_response("send_task_failure", {}, {"taskToken": "t", "error": "ProviderRecordingFailed", "cause": "why"})
    complete_task("t", {"state": "uploaded", "partial": True})
    fail_task("t", "ProviderRecordingFailed", "why")


SENDERS: list[tuple[str, Callable[[], None]]] = [
    ("send_task_success", lambda: StepFunctionsTasks().check_again("t")),
    ("send_task_success", lambda: complete_task("t", {})),
    ("send_task_failure", lambda: fail_task("t", "E", "c")),
]


@pytest.mark.parametrize("code", INVALID_TOKEN)
@pytest.mark.parametrize(("method", "send"), SENDERS)
def test_an_invalid_token_is_no_error(client: Stubber, method: str, send: Callable[[], None], code: str) -> None:
    client.add_client_error(method, code)
    send()


@pytest.mark.parametrize(("method", "send"), SENDERS)
def test_a_denied_result_is_an_error(client: Stubber, method: str, send: Callable[[], None]) -> None:
    client.add_client_error(method, "AccessDeniedException")
    with pytest.raises(InfrastructureError):
        send()
