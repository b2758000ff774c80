"""Names that a second stack in the account and region would want too, and so would be refused."""

from collections.abc import Iterator
from typing import Any, Final

from tools.checks.faults import Fault

# The properties that name a thing in the account and region (CloudFormation User Guide, "Name type").
NAMES: Final = frozenset(
    {
        "AlarmName",
        "BucketName",
        "DashboardName",
        "FunctionName",
        "LayerName",
        "LogGroupName",
        "ManagedPolicyName",
        "Name",
        "QueueName",
        "RoleName",
        "RuleName",
        "StateMachineName",
        "TableName",
        "TopicName",
    }
)
# Name no thing of the account: authorizer and stage are an API's, an alias a function's, a policy's name its role's.
WITHIN: Final = frozenset(
    {"AWS::ApiGatewayV2::Authorizer", "AWS::ApiGatewayV2::Stage", "AWS::IAM::Policy", "AWS::Lambda::Alias"}
)


def faults(template: dict[str, Any]) -> Iterator[Fault]:
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] in WITHIN:
            continue
        named = {name: value for name, value in resource.get("Properties", {}).items() if name in NAMES}
        for name, value in named.items():
            # A reference is another resource's name, and that one is looked at itself.
            text = value if isinstance(value, str) else dict(value).get("Fn::Sub")
            if text is not None and "AWS::StackName" not in str(text):
                told = f"{name} is {text} in every stack; let CloudFormation name it, or the stack"
                yield Fault("names", name, logical_id, resource["Type"], told)
