"""Runs of the processing state machine: one per recording and attempt; dead tokens are no error."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from moto.core.models import patch_client

from recordings.adapters.aws import executions as step_functions
from recordings.adapters.aws.executions import ArchivingStateMachine, ProcessingStateMachine, answer_task, fail_task
from recordings.domain.errors import InfrastructureError, Throttled
from tests.support.builders import a_recording

DEAD = ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with mock_aws():
        patch_client(step_functions._client)
        arn: str = boto3.client("stepfunctions").create_state_machine(
            name="processing",
            definition=json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1, "End": True}}}),
            roleArn="arn:aws:iam::123456789012:role/processing",
        )["stateMachineArn"]
        monkeypatch.setenv("PROCESSING_ARN", arn)
        yield arn


@pytest.fixture
def client() -> Iterator[Stubber]:
    with Stubber(step_functions._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def runs_of(arn: str) -> list[str]:
    return sorted(
        run["name"] for run in boto3.client("stepfunctions").list_executions(stateMachineArn=arn)["executions"]
    )


def test_a_run_is_named_after_recording_and_attempt_and_told_which(machine: str) -> None:
    recording = a_recording(tenant_id="a#b/ü", attempt=2)
    ProcessingStateMachine().start(recording)
    assert runs_of(machine) == [f"{recording.id}-2"]
    arn = machine.replace("stateMachine", "execution") + f":{recording.id}-2"
    told = json.loads(boto3.client("stepfunctions").describe_execution(executionArn=arn)["input"])
    assert told == {"tenant_id": "a#b/ü", "recording_id": recording.id, "attempt": 2}


def test_a_run_is_started_once_and_each_attempt_has_its_own(machine: str) -> None:
    recording = a_recording()
    for one in (recording, recording, replace(recording, status=recording.status, partial=True)):
        ProcessingStateMachine().start(one)
    assert len(runs_of(machine)) == 1
    ProcessingStateMachine().start(replace(recording, attempt=2))
    assert len(runs_of(machine)) == 2


def test_a_new_attempt_ends_the_run_before_it(machine: str) -> None:
    before = a_recording()
    after = replace(before, attempt=2)
    ProcessingStateMachine().start(before)
    assert ProcessingStateMachine().is_running(before)
    for _ in range(2):
        ProcessingStateMachine().replace(before, after)
        assert not ProcessingStateMachine().is_running(before)
        assert ProcessingStateMachine().is_running(after)
    assert len(runs_of(machine)) == 2


def test_a_run_that_never_was_is_replaced_too_and_counts_as_not_yet_started(machine: str) -> None:
    before = a_recording()
    assert ProcessingStateMachine().is_running(before)
    ProcessingStateMachine().replace(before, replace(before, attempt=2))
    assert runs_of(machine) == [f"{before.id}-2"]


def test_a_run_that_has_ended_is_replaced_too(client: Stubber) -> None:
    client.add_client_error("stop_execution", "ValidationException", "Execution is not running")
    client.add_response("start_execution", {"executionArn": "arn:run", "startDate": datetime.now(UTC)})
    before = a_recording()
    ProcessingStateMachine().replace(before, replace(before, attempt=2))


@pytest.mark.parametrize("method", ["stop_execution", "describe_execution"])
def test_a_run_that_cannot_be_asked_is_told(client: Stubber, method: str) -> None:
    client.add_client_error(method, "AccessDeniedException")
    act = (
        ProcessingStateMachine().is_running
        if method == "describe_execution"
        else lambda one: ProcessingStateMachine().replace(one, one)
    )
    with pytest.raises(InfrastructureError):
        act(a_recording())


def test_a_move_to_the_archive_is_a_run_of_its_own(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIVING_ARN", machine)
    recording = a_recording(archive_attempt=3, attempt=2)
    for _ in range(2):
        ArchivingStateMachine().start(recording)
    assert runs_of(machine) == [f"{recording.id}-3"]


def test_a_name_fits_what_step_functions_allows() -> None:
    assert len(f"{a_recording().id}-{10**6}") <= 80


def test_a_run_that_was_started_with_other_input_is_still_the_run(client: Stubber) -> None:
    client.add_client_error("start_execution", "ExecutionAlreadyExists")
    ProcessingStateMachine().start(a_recording())


@pytest.mark.parametrize("code", ["StateMachineDoesNotExist", "AccessDeniedException"])
def test_a_run_that_cannot_be_started_is_told(client: Stubber, code: str) -> None:
    client.add_client_error("start_execution", code)
    with pytest.raises(InfrastructureError, match=code):
        ProcessingStateMachine().start(a_recording())


@pytest.mark.parametrize("code", ["ThrottlingException", "ExecutionLimitExceeded"])
def test_where_there_is_no_room_for_a_run_the_caller_comes_again(client: Stubber, code: str) -> None:
    client.add_client_error("start_execution", code)
    with pytest.raises(Throttled):
        ProcessingStateMachine().start(a_recording())


def test_waking_lets_the_run_look_again(client: Stubber) -> None:
    client.add_response("send_task_success", {}, {"taskToken": "token", "output": json.dumps({"state": "look_again"})})
    ProcessingStateMachine().complete_task("token")


def test_an_answer_is_json_and_a_failure_has_name_and_cause(client: Stubber) -> None:
    client.add_response("send_task_success", {}, {"taskToken": "t", "output": '{"state": "uploaded", "partial": true}'})
    client.add_response("send_task_failure", {}, {"taskToken": "t", "error": "ProviderRecordingFailed", "cause": "why"})
    answer_task("t", {"state": "uploaded", "partial": True})
    fail_task("t", "ProviderRecordingFailed", "why")


SENDERS: list[tuple[str, Callable[[], None]]] = [
    ("send_task_success", lambda: ProcessingStateMachine().complete_task("t")),
    ("send_task_success", lambda: answer_task("t", {})),
    ("send_task_failure", lambda: fail_task("t", "E", "c")),
]


@pytest.mark.parametrize("code", DEAD)
@pytest.mark.parametrize(("method", "send"), SENDERS)
def test_a_token_that_has_died_is_no_error(client: Stubber, method: str, send: Callable[[], None], code: str) -> None:
    client.add_client_error(method, code)
    send()


@pytest.mark.parametrize(("method", "send"), SENDERS)
def test_an_answer_that_was_not_taken_is_told(client: Stubber, method: str, send: Callable[[], None]) -> None:
    client.add_client_error(method, "AccessDeniedException")
    with pytest.raises(InfrastructureError):
        send()
