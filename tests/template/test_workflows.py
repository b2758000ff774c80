"""Rules that every state machine keeps."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recordings.domain import errors
from recordings.services.sync.begin_sync import LEASE_DURATION
from tests.support.template import ROOT, resources

MACHINES = {path.name.removesuffix(".asl.json"): path for path in sorted((ROOT / "statemachines").glob("*.asl.json"))}
# Errors of Step Functions and of Lambda (Step Functions Developer Guide, "Handle Lambda service exceptions").
SERVICE_ERRORS = {
    "States.ALL",
    "States.Timeout",
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ResourceConflictException",
    "Lambda.ResourceNotReadyException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Runtime.HandlerNotFound",
    "Runtime.ImportModuleError",
    "Runtime.OutOfMemory",
    "Runtime.UserCodeSyntaxError",
    "Sandbox.Timedout",
}


def states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every state, also those within a Map."""
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def machine(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def tasks(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, state) for name, state in states(machine(path)) if state["Type"] == "Task")


def test_the_template_and_the_folder_have_the_same_machines() -> None:
    used = sorted(body["DefinitionUri"] for body in resources("AWS::Serverless::StateMachine").values())
    assert used == sorted(str(path.relative_to(ROOT)) for path in MACHINES.values())


@pytest.mark.parametrize("name", MACHINES)
def test_placeholders_are_substitutions(name: str) -> None:
    used = set(re.findall(r"\$\{(\w+)\}", MACHINES[name].read_text()))
    (body,) = [
        body
        for body in resources("AWS::Serverless::StateMachine").values()
        if body["DefinitionUri"].endswith(MACHINES[name].name)
    ]
    assert used == set(body["DefinitionSubstitutions"])


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_may_invoke_only_its_own_tasks(name: str) -> None:
    (body,) = [
        body
        for body in resources("AWS::Serverless::StateMachine").values()
        if body["DefinitionUri"].endswith(MACHINES[name].name)
    ]
    called = {value["Ref"].removesuffix(".Alias") for value in body["DefinitionSubstitutions"].values()}
    role = resources("AWS::IAM::Role")[body["Role"]["Fn::GetAtt"].split(".")[0]]
    (statement,) = [one for policy in role["Policies"] for one in policy["PolicyDocument"]["Statement"]]
    assert statement["Action"] == "lambda:InvokeFunction"
    # An execution keeps the definition that it started with. Older definitions name the function without its alias.
    expected = [{"Ref": f"{one}.Alias"} for one in called] + [{"Fn::GetAtt": f"{one}.Arn"} for one in called]
    assert sorted(map(str, statement["Resource"])) == sorted(map(str, expected))


@pytest.mark.parametrize("name", MACHINES)
def test_every_task_has_a_time_out_and_retries_with_jitter(name: str) -> None:
    for state_name, state in tasks(MACHINES[name]):
        assert isinstance(state["TimeoutSeconds"], int), state_name
        assert state["Retry"], state_name
        for retry in state["Retry"]:
            assert retry["JitterStrategy"] == "FULL", state_name
            assert retry["MaxDelaySeconds"] <= 300, state_name


@pytest.mark.parametrize("name", MACHINES)
def test_every_task_retries_the_transient_errors_and_no_others(name: str) -> None:
    """Step Functions compares exact names: a parent class in the list does not cover its subclasses."""
    transient = {error.__name__ for error in errors.RETRIED} | SERVICE_ERRORS - {"States.ALL"}
    for state_name, state in tasks(MACHINES[name]):
        listed = [error for retry in state["Retry"] for error in retry["ErrorEquals"]]
        assert len(listed) == len(set(listed)), state_name
        # The end of a wait is not an error: the execution continues and asks again.
        waits = ".waitForTaskToken" in state["Resource"]
        assert set(listed) == transient - ({"States.Timeout"} if waits else set()), state_name


@pytest.mark.parametrize("name", MACHINES)
def test_a_permanent_error_is_never_retried(name: str) -> None:
    """The last Catch ends the attempt: after an expired key, a missing permission or an invalid input."""
    permanent = {errors.InfrastructureError.__name__, errors.InvalidTaskInput.__name__}
    for state_name, state in states(machine(MACHINES[name])):
        for rule in (*state.get("Retry", []), *state.get("Catch", [])):
            assert not permanent & set(rule["ErrorEquals"]), state_name
        for retry in state.get("Retry", []):
            assert not {"States.ALL", "States.TaskFailed"} & set(retry["ErrorEquals"]), state_name


@pytest.mark.parametrize("name", MACHINES)
def test_every_failure_is_caught(name: str) -> None:
    within = {inner for _, state in states(machine(MACHINES[name])) if state["Type"] == "Map"
              for inner in state["ItemProcessor"]["States"]}  # fmt: skip
    for state_name, state in states(machine(MACHINES[name])):
        if state["Type"] not in {"Task", "Map"} or state_name in within or state_name == "AbandonArchive":
            # The Map catches the errors of its tasks. After AbandonArchive there is nothing left to do.
            continue
        assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"], state_name


@pytest.mark.parametrize("name", MACHINES)
def test_every_named_error_exists(name: str) -> None:
    text = MACHINES[name].read_text()
    named = {
        error
        for _, state in states(machine(MACHINES[name]))
        for rule in (*state.get("Retry", []), *state.get("Catch", []))
        for error in rule["ErrorEquals"]
    }
    for choice in re.findall(r"\$error in \[([^\]]*)\]", text):
        named |= set(re.findall(r"'(\w+)'", choice))
    for error in named:
        is_domain_error = isinstance(getattr(errors, error, None), type)
        assert is_domain_error or error in SERVICE_ERRORS, error


@pytest.mark.parametrize("name", MACHINES)
def test_every_state_is_reachable_and_every_transition_leads_to_a_state(name: str) -> None:
    loaded = machine(MACHINES[name])
    reached, pending = set(), [loaded["StartAt"]]
    while pending:
        at = pending.pop()
        if at in reached:
            continue
        reached.add(at)
        state = loaded["States"][at]
        pending += [state[key] for key in ("Next", "Default") if key in state]
        pending += [rule["Next"] for rule in (*state.get("Catch", []), *state.get("Choices", []))]
    assert reached == loaded["States"].keys()


def test_the_lease_of_a_sync_outlasts_its_longest_step() -> None:
    steps = dict(tasks(MACHINES["sync"]))
    batches = dict(states(machine(MACHINES["sync"])))["ReconcileBatches"]
    assert steps["ScanProviderRecordings"]["Arguments"]["Payload"]["nonce"] == batches["ItemSelector"]["nonce"]
    # The time-out of the task, and the longest pause before a retry of our own errors. A sync that waits for Lambda's
    # concurrency may lose the lease. Then another one runs beside it, and both store their changes conditionally.
    longest = timedelta(
        seconds=max(steps[name]["TimeoutSeconds"] for name in ("ScanProviderRecordings", "ReconcileBatch")) + 300
    )
    assert longest < LEASE_DURATION
