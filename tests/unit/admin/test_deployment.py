"""What the commands about lists check before they touch a table."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from admin import AdminError, deployment
from admin.cli import run
from admin.deployment import LAYOUT_OUTPUT, MAX_FUNCTION_SECONDS
from tests.support.template import resources, template

ENDED = datetime(2026, 1, 6, 12, tzinfo=UTC)
OUTPUTS = {"TableName": "table", LAYOUT_OUTPUT: "rows"}

type Json = dict[str, Any]


class Stack:
    """CloudFormation and Lambda of one stack with two functions, the second of which has these weights."""

    def __init__(self, *, status: str = "UPDATE_COMPLETE", weights: Mapping[str, float] | None = None) -> None:
        self._status, self._weights = status, weights or {}

    def __call__(self, service: str) -> Any:
        return self

    def describe_stacks(self, *, StackName: str) -> Json:
        if StackName != "here":
            raise ClientError({"Error": {"Code": "ValidationError", "Message": "no stack"}}, "DescribeStacks")
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in OUTPUTS.items()]
        return {"Stacks": [{"StackStatus": self._status, "Outputs": outputs}]}

    def get_paginator(self, operation: str) -> Any:
        return {"list_stack_resources": Resources, "describe_stack_events": Events}[operation]()

    def get_alias(self, *, FunctionName: str, Name: str) -> Json:
        assert Name == "live"
        moving = FunctionName.endswith(":second")
        return {"RoutingConfig": {"AdditionalVersionWeights": self._weights}} if moving else {}


class Resources:
    def paginate(self, *, StackName: str) -> Iterator[Json]:
        prefix = "arn:aws:lambda:eu-west-1:123456789012:function"
        for name in ("first", "second"):
            alias = {"ResourceType": "AWS::Lambda::Alias", "PhysicalResourceId": f"{prefix}:{name}:live"}
            yield {"StackResourceSummaries": [{"ResourceType": "AWS::S3::Bucket", "PhysicalResourceId": "b"}, alias]}


class Events:
    def paginate(self, *, StackName: str) -> Iterator[Json]:
        later = {"PhysicalResourceId": "function", "StackId": "stack", "Timestamp": ENDED + timedelta(hours=1)}
        stack = {"PhysicalResourceId": "stack", "StackId": "stack", "Timestamp": ENDED}
        yield {"StackEvents": [later]}
        yield {"StackEvents": [stack, {**stack, "Timestamp": ENDED - timedelta(days=1)}]}


def test_the_outputs_of_a_deployed_stack_are_read() -> None:
    assert deployment.describe_outputs(Stack(), "here") == OUTPUTS


@pytest.mark.parametrize(
    ("stack", "name", "message"),
    [
        pytest.param(Stack(), "there", "There is no stack 'there'", id="no stack"),
        pytest.param(Stack(status="UPDATE_IN_PROGRESS"), "here", "in status UPDATE_IN_PROGRESS", id="an update"),
        pytest.param(Stack(status="UPDATE_ROLLBACK_FAILED"), "here", "in status UPDATE_ROLLBACK_FAILED", id="stuck"),
    ],
)
def test_a_stack_that_is_not_deployed_is_refused(stack: Stack, name: str, message: str) -> None:
    with pytest.raises(AdminError, match=message):
        deployment.describe_outputs(stack, name)


def test_a_stack_with_one_release_is_accepted() -> None:
    deployment.require_one_release(Stack(), "here", OUTPUTS)


def test_an_older_release_is_refused() -> None:
    with pytest.raises(AdminError, match="older release"):
        deployment.require_one_release(Stack(), "here", {"TableName": "table"})


def test_a_canary_is_refused_and_names_the_function() -> None:
    with pytest.raises(AdminError, match="Two versions of function second run"):
        deployment.require_one_release(Stack(weights={"4": 0.1}), "here", OUTPUTS)


@pytest.mark.parametrize(
    ("since", "expected"), [(0, MAX_FUNCTION_SECONDS), (MAX_FUNCTION_SECONDS - 10, 10), (MAX_FUNCTION_SECONDS, 0)]
)
def test_invocations_of_an_older_version_end_a_time_after_the_deployment(since: int, expected: float) -> None:
    now = ENDED + timedelta(seconds=since)
    assert deployment.seconds_until_alone(Stack(), "here", now) == expected


def test_the_template_has_what_the_commands_rely_on() -> None:
    assert template()["Outputs"][LAYOUT_OUTPUT]["Value"] == deployment.ROWS
    timeouts = [one.get("Timeout", 0) for one in resources("AWS::Serverless::Function").values()]
    assert max(timeouts) == MAX_FUNCTION_SECONDS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["tallies", "--stack", "x"], "Name either --check or --rebuild.", id="no action"),
        pytest.param(["tallies", "--stack", "x", "--check", "--rebuild"], "Name either", id="two actions"),
        pytest.param(["tallies", "--check", "--tenant", ""], "--tenant is empty", id="empty tenant"),
        pytest.param(["migrate", "--stack", "x", "--rate", "0"], "--rate", id="no rate"),
        pytest.param(["migrate", "--stack", "x", "--workers", "9"], "--workers", id="too many workers"),
    ],
)
def test_mistakes_in_a_command_line_are_named(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 1
    assert message in capsys.readouterr().err
