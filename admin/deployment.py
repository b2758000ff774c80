"""What can be known of a stack's deployment: whether it is complete, and since when."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from admin import AdminError
from admin.stack import ClientFactory

type Json = dict[str, Any]

# The output of template.yaml that names the newest layout of lists that its functions know. Older releases have none.
LAYOUT_OUTPUT: Final = "ListLayout"
ROWS: Final = "rows"
# The longest time-out of a function (template.yaml). An invocation of an older version may run that long after the
# alias has moved.
MAX_FUNCTION_SECONDS: Final = 900


def describe_outputs(make_client: ClientFactory, stack: str) -> Json:
    """Return the outputs of a stack whose deployment is complete.

    Raises:
        AdminError: there is no such stack, or it is being deployed
    """
    try:
        (found,) = make_client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise AdminError(f"There is no stack '{stack}' in this region and account.") from None
    if not found["StackStatus"].endswith("_COMPLETE"):
        raise AdminError(f"The stack is in status {found['StackStatus']}. Repeat the command when it is deployed.")
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


def require_one_release(make_client: ClientFactory, stack: str, outputs: Json) -> None:
    """Check that the stack's aliases name versions of a release that knows rows, and no others.

    Raises:
        AdminError: the stack has an older release, or calls still move to new versions
    """
    if outputs.get(LAYOUT_OUTPUT) != ROWS:
        raise AdminError("The stack has an older release than this command. Deploy this release first.")
    functions = make_client("lambda")
    for alias in _aliases(make_client, stack):
        function, _, name = alias.rpartition(":")
        weights = functions.get_alias(FunctionName=function, Name=name).get("RoutingConfig", {})
        if weights.get("AdditionalVersionWeights"):
            raise AdminError(
                f"Two versions of function {function.rpartition(':')[2]} run: its deployment is not complete. "
                "Repeat the command when CodeDeploy has moved all calls."
            )


def seconds_until_alone(make_client: ClientFactory, stack: str, now: datetime | None = None) -> float:
    """Return the seconds until no invocation of an older version can run any more: 0 if that is so now.

    The last event of the stack itself is the end of its last deployment.
    """
    events = make_client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack)
    ended: datetime = next(
        event["Timestamp"]
        for page in events
        for event in page["StackEvents"]
        if event["PhysicalResourceId"] == event["StackId"]
    )
    since = ((now or datetime.now(UTC)) - ended).total_seconds()
    return max(0.0, MAX_FUNCTION_SECONDS - since)


def _aliases(make_client: ClientFactory, stack: str) -> Iterator[str]:
    pages = make_client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    for page in pages:
        for resource in page["StackResourceSummaries"]:
            if resource["ResourceType"] == "AWS::Lambda::Alias":
                yield resource["PhysicalResourceId"]
