"""How long a state machine waits for Lambda, for a deployment, and for a task of its own."""

import pytest

from recordings.domain.transfer import MAX_CONCURRENT_SEGMENTS
from tests.support.template import resources, template
from tests.template.test_workflows import MACHINES, machine, states, tasks

# The account's concurrency is used up (Step Functions Developer Guide, "Handle Lambda service exceptions").
THROTTLED = {"Lambda.TooManyRequestsException"}
# Lambda itself failed, or the function is being made or woken (Lambda API reference, Invoke, "Errors").
LAMBDA_FAILED = {
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ResourceConflictException",
    "Lambda.ResourceNotReadyException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
}
# The code could not be loaded: it came before its layer, or a deployment is broken until it is rolled back
# (awslambdaric, bootstrap.py).
NOT_LOADED = {"Runtime.HandlerNotFound", "Runtime.ImportModuleError", "Runtime.UserCodeSyntaxError"}
PATIENCE_SECONDS = 30 * 60
# Step Functions Developer Guide, "Service quotas": execution history size.
MAX_HISTORY_EVENTS = 25_000
# TaskScheduled, TaskStarted, TaskFailed.
EVENTS_OF_A_TRY = 3


def delays(retry: dict[str, float]) -> list[float]:
    """The longest delay before each retry; full jitter draws it between 0 and this."""
    first, rate, longest = retry["IntervalSeconds"], retry["BackoffRate"], retry["MaxDelaySeconds"]
    return [min(first * rate**number, longest) for number in range(int(retry["MaxAttempts"]))]


@pytest.mark.parametrize("name", MACHINES)
def test_every_task_waits_half_an_hour_for_lambda_and_for_a_deployment(name: str) -> None:
    """Each by a retrier of its own: Step Functions counts the retries of each retrier apart."""
    for state_name, state in tasks(MACHINES[name]):
        for errors in (THROTTLED, LAMBDA_FAILED, NOT_LOADED):
            (retry,) = [one for one in state["Retry"] if errors & set(one["ErrorEquals"])]
            assert set(retry["ErrorEquals"]) == errors, state_name
            assert retry["JitterStrategy"] == "FULL", state_name
            # With full jitter half of the sum is waited on average. The deviation of the sum is small beside it.
            pauses = delays(retry)
            deviation = sum(one**2 / 12 for one in pauses) ** 0.5
            assert sum(pauses) / 2 - 3 * deviation >= PATIENCE_SECONDS, state_name
            # The first retry comes soon: the account is most often full for a moment.
            assert pauses[0] <= 2, state_name


def test_the_patience_of_all_segments_of_the_largest_file_fits_into_the_history() -> None:
    """Every segment of a round is throttled to the end; the other rounds and steps take what is left."""
    for name in MACHINES:
        for state_name, state in tasks(MACHINES[name]):
            tries = sum(int(retry["MaxAttempts"]) for retry in state["Retry"])
            assert MAX_CONCURRENT_SEGMENTS * tries * EVENTS_OF_A_TRY < MAX_HISTORY_EVENTS / 4, state_name


@pytest.mark.parametrize("name", MACHINES)
def test_a_task_waits_ten_to_sixty_seconds_longer_than_its_function_runs(name: str) -> None:
    """Sooner, a second invocation would begin beside the first; later, a lost answer would hold the execution up."""
    found = resources("AWS::Serverless::Function")
    default = template()["Globals"]["Function"]["Timeout"]
    for state_name, state in tasks(MACHINES[name]):
        function = found[state["Arguments"]["FunctionName"].removeprefix("${").removesuffix("Arn}")]
        margin = state["TimeoutSeconds"] - function.get("Timeout", default)
        assert 10 <= margin <= 60, (state_name, margin)


@pytest.mark.parametrize("name", MACHINES)
def test_no_state_waits_for_a_heartbeat_that_no_function_sends(name: str) -> None:
    for state_name, state in states(machine(MACHINES[name])):
        assert not {"HeartbeatSeconds", "TimeoutSecondsPath", "HeartbeatSecondsPath"} & state.keys(), state_name


def test_a_wait_for_a_token_tells_the_function_how_long_it_lasts() -> None:
    for name in MACHINES:
        for state_name, state in tasks(MACHINES[name]):
            if ".waitForTaskToken" in state["Resource"]:
                assert state["Arguments"]["Payload"]["wait_seconds"] == state["TimeoutSeconds"], state_name
