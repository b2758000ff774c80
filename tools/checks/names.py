"""Fixed names, which a second stack in the same account and region could not use."""

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
# Their names are not the account's: authorizer and stage belong to an API, an alias to a function, a policy to a role.
WITHIN: Final = frozenset(
    {"AWS::ApiGatewayV2::Authorizer", "AWS::ApiGatewayV2::Stage", "AWS::IAM::Policy", "AWS::Lambda::Alias"}
)


def faults(template: dict[str, Any]) -> Iterator[Fault]:
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] in WITHIN:
            continue
        named = {name: value for name, value in resource.get("Properties", {}).items() if name in NAMES}
        for name, value in named.items():
            # A reference is the name of another resource, which is checked by itself.
            text = value if isinstance(value, str) else dict(value).get("Fn::Sub")
            if text is not None and "AWS::StackName" not in str(text):
                sentence = f"{name} is {text} in every stack; let CloudFormation name it, or use the stack's name"
                yield Fault("names", name, logical_id, resource["Type"], sentence)
