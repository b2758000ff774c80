"""Resolve values of an expanded template as CloudFormation does, with examples in place of names.

The result is as exact as the checks of policies need: service and type of an ARN, and its wildcards.
"""

import re
from typing import Any, Final

ACCOUNT: Final = "eu-west-1:123456789012"
PSEUDO: Final = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "stack",
    "AWS::StackId": f"arn:aws:cloudformation:{ACCOUNT}:stack/stack/id",
    "AWS::URLSuffix": "amazonaws.com",
}
# The ARN of a resource, by type ("Template reference", section "Return values" of each).
ARNS: Final = {
    "AWS::ApiGatewayV2::Api": "arn:aws:apigateway:eu-west-1::/apis/{0}",
    "AWS::CloudWatch::Alarm": f"arn:aws:cloudwatch:{ACCOUNT}:alarm:{{0}}",
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{ACCOUNT}:table/{{0}}",
    "AWS::Events::EventBus": f"arn:aws:events:{ACCOUNT}:event-bus/{{0}}",
    "AWS::Events::Rule": f"arn:aws:events:{ACCOUNT}:rule/{{0}}",
    "AWS::IAM::ManagedPolicy": "arn:aws:iam::123456789012:policy/{0}",
    "AWS::IAM::Role": "arn:aws:iam::123456789012:role/{0}",
    "AWS::Lambda::Alias": f"arn:aws:lambda:{ACCOUNT}:function:{{0}}:live",
    "AWS::Lambda::Function": f"arn:aws:lambda:{ACCOUNT}:function:{{0}}",
    "AWS::Lambda::Version": f"arn:aws:lambda:{ACCOUNT}:function:{{0}}:1",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{ACCOUNT}:log-group:{{0}}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{0}",
    "AWS::SNS::Topic": f"arn:aws:sns:{ACCOUNT}:{{0}}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{ACCOUNT}:{{0}}",
    "AWS::Scheduler::Schedule": f"arn:aws:scheduler:{ACCOUNT}:schedule/default/{{0}}",
    "AWS::StepFunctions::StateMachine": f"arn:aws:states:{ACCOUNT}:stateMachine:{{0}}",
}
# Types whose `Ref` is the ARN, not the name.
REF_IS_ARN: Final = frozenset(
    {
        "AWS::IAM::ManagedPolicy",
        "AWS::Lambda::Alias",
        "AWS::Lambda::Version",
        "AWS::SNS::Topic",
        "AWS::StepFunctions::StateMachine",
    }
)
# Examples for parameters that are ARNs. The first that matches the AllowedPattern is used.
PARAMETERS: Final = (
    f"arn:aws:secretsmanager:{ACCOUNT}:secret:name-AbCdEf",
    f"arn:aws:sns:{ACCOUNT}:name",
    f"arn:aws:kms:{ACCOUNT}:key/name",
)


class Unknown(Exception):
    """A value that cannot be resolved."""


def resolved(value: Any, template: dict[str, Any]) -> list[str]:
    """Return the texts that a value may become; both of a condition. Raises Unknown."""
    match value:
        case str():
            return [value]
        case list():
            return [text for one in value for text in resolved(one, template)]
        case {"Ref": "AWS::NoValue"}:
            return []
        case {"Fn::If": [_, then, other]}:
            return resolved(then, template) + resolved(other, template)
    return [_text(value, template)]


def _text(value: Any, template: dict[str, Any]) -> str:
    """Return the text of a function that has one. Raises Unknown."""
    match value:
        case {"Ref": str(name)}:
            return _referred(name, template)
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return _attribute(name, attribute, template)
        case {"Fn::GetAtt": str(path)}:
            name, _, attribute = path.partition(".")
            return _attribute(name, attribute, template)
        case {"Fn::Sub": str(text)}:
            return _substituted(text, {}, template)
        case {"Fn::Sub": [str(text), dict(given)]}:
            return _substituted(text, given, template)
        case {"Fn::Join": [str(between), list(parts)]}:
            return between.join(_single(part, template) for part in parts)
    raise Unknown(f"{value} is not understood")


def _single(value: Any, template: dict[str, Any]) -> str:
    found = resolved(value, template)
    if len(found) != 1:
        raise Unknown(f"{value} may become several texts")
    return found[0]


def _referred(name: str, template: dict[str, Any]) -> str:
    if name in PSEUDO:
        return PSEUDO[name]
    if name in template.get("Parameters", {}):
        pattern = template["Parameters"][name].get("AllowedPattern")
        return next((one for one in PARAMETERS if pattern and re.fullmatch(pattern, one)), f"value-of-{name}")
    kind = _type(name, template)
    return ARNS[kind].format(name) if kind in REF_IS_ARN else name


def _attribute(name: str, attribute: str, template: dict[str, Any]) -> str:
    kind = _type(name, template)
    if attribute in {"Arn", "FunctionArn", "TopicArn"} and kind in ARNS:
        return ARNS[kind].format(name)
    if attribute == "StreamArn":
        return f"{ARNS[kind].format(name)}/stream/2026-01-01T00:00:00.000"
    if attribute in {"Name", "QueueName", "RoleId"}:
        return name
    raise Unknown(f"{name}.{attribute} is not understood")


def _type(name: str, template: dict[str, Any]) -> str:
    if name not in template["Resources"]:
        raise Unknown(f"{name} is not in the template")
    return str(template["Resources"][name]["Type"])


def _substituted(text: str, given: dict[str, Any], template: dict[str, Any]) -> str:
    def of(found: re.Match[str]) -> str:
        name, _, attribute = found[1].partition(".")
        if found[1] in given:
            return _single(given[found[1]], template)
        return _attribute(name, attribute, template) if attribute else _referred(name, template)

    return re.sub(r"\$\{([^!}]+)\}", of, text)
