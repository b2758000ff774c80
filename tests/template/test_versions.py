"""Everybody calls a published version by its alias, and whatever changes about a function is published."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.expanded import expanded, expansions
from tests.support.template import ROOT, mentioned, resources, template

FUNCTIONS = sorted(resources("AWS::Serverless::Function"))
STAGES = ("dev", "prod")


def of_type(stage: str, kind: str) -> dict[str, dict[str, Any]]:
    return {name: body for name, body in expanded(stage)["Resources"].items() if body["Type"] == kind}


def versions(stack: dict[str, Any]) -> dict[str, str]:
    """The logical id of each function's version: another id is another version."""
    return {
        body["Properties"]["FunctionName"]["Ref"]: name
        for name, body in stack["Resources"].items()
        if body["Type"] == "AWS::Lambda::Version"
    }


# ---------------------------------------------------------------- who calls


@pytest.mark.parametrize("stage", STAGES)
def test_every_function_is_published_under_the_alias(stage: str) -> None:
    aliases = of_type(stage, "AWS::Lambda::Alias")
    assert sorted(aliases) == [f"{name}Aliaslive" for name in FUNCTIONS]
    for alias in aliases.values():
        assert alias["Properties"]["Name"] == "live"
        (version,) = mentioned(alias["Properties"]["FunctionVersion"])
        assert expanded(stage)["Resources"][version]["DeletionPolicy"] == "Retain"


def callers(stack: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each place of the stack that names a function in order to have it called."""
    for name, body in stack["Resources"].items():
        properties = body.get("Properties", {})
        match body["Type"]:
            case "AWS::ApiGatewayV2::Api":
                for path, methods in properties["Body"]["paths"].items():
                    for operation in methods.values():
                        yield f"{name} {path}", operation["x-amazon-apigateway-integration"]["uri"]
            case "AWS::Lambda::Permission" | "AWS::Lambda::EventSourceMapping":
                yield name, properties["FunctionName"]
            case "AWS::Events::Rule":
                yield from ((name, target["Arn"]) for target in properties["Targets"])
            case "AWS::StepFunctions::StateMachine":
                yield from ((f"{name} {key}", one) for key, one in properties["DefinitionSubstitutions"].items())


def test_everybody_calls_the_alias() -> None:
    found = list(callers(expanded("prod")))
    names = {place: mentioned(called) & expanded("prod")["Resources"].keys() for place, called in found}
    assert set().union(*names.values()) == {f"{name}Aliaslive" for name in FUNCTIONS}
    assert {place: called for place, called in names.items() if len(called) != 1} == {}


# ---------------------------------------------------------------- what is published


def test_a_new_layer_code_or_setting_publishes_every_function() -> None:
    text = (ROOT / "template.yaml").read_text()
    changes = [
        ("ContentUri: layers/recordings", "ContentUri: s3://bucket/other"),
        ("ContentUri: layers/dependencies", "ContentUri: s3://bucket/other"),
        ("MemorySize: 512", "MemorySize: 513"),
        ("POWERTOOLS_METRICS_NAMESPACE: Recordings", "POWERTOOLS_METRICS_NAMESPACE: Other"),
    ]
    for right, _ in changes:
        assert right in text
    before = versions(expanded("dev"))
    changed = [{"template": text.replace(right, wrong, 1), "parameters": {"Stage": "dev"}} for right, wrong in changes]
    after = [versions(one) for one in expansions(changed)]
    assert sorted(before) == FUNCTIONS
    own = {name for name, body in resources("AWS::Serverless::Function").items() if "MemorySize" in body}
    for (right, _), found in zip(changes, after, strict=True):
        unchanged = {name for name in FUNCTIONS if found[name] == before[name]}
        assert unchanged == (own if right.startswith("MemorySize") else set()), right


def test_layers_outlive_the_deployment_that_replaces_them() -> None:
    layers = of_type("prod", "AWS::Lambda::LayerVersion")
    assert len(layers) == 2
    assert {layer["DeletionPolicy"] for layer in layers.values()} == {"Retain"}


def test_another_value_of_a_parameter_publishes_every_function() -> None:
    """SAM does not see it; so the versions' description is the number of a resource that holds all these values."""
    functions = resources("AWS::Serverless::Function")
    everywhere = {k: v for k, v in template()["Globals"]["Function"].items() if k != "DeploymentPreference"}
    # Reserved concurrency is the function's, whatever its versions are.
    beside = {"Events", "Policies", "ReservedConcurrentExecutions", "VersionDescription"}
    named = mentioned(everywhere) | mentioned(
        [{k: v for k, v in body.items() if k not in beside} for body in functions.values()]
    )
    # Their names change when CloudFormation must replace them.
    stores = {"Table", "ArchiveBucket"}
    assert stores <= named
    (configuration,) = resources("AWS::AppConfig::HostedConfigurationVersion").values()
    held = set(re.findall(r"(?m)^(\w+)=\$\{\1\}$", configuration["Content"]["Fn::Sub"]))
    assert held == (named & template()["Parameters"].keys()) | stores
    assert {body["VersionDescription"]["Ref"] for body in functions.values()} == {"Configuration"}
    # Lambda refuses to publish what has not changed (Lambda API Reference, "PublishVersion").
    assert everywhere["Environment"]["Variables"]["CONFIGURATION_VERSION"] == {"Ref": "Configuration"}


# ---------------------------------------------------------------- how calls move


def test_in_production_calls_move_bit_by_bit_and_back_at_an_alarm() -> None:
    groups = of_type("prod", "AWS::CodeDeploy::DeploymentGroup")
    assert sorted(groups) == [f"{name}DeploymentGroup" for name in FUNCTIONS]
    for group in groups.values():
        properties = group["Properties"]
        assert "Canary10Percent5Minutes" in str(properties["DeploymentConfigName"])
        assert properties["AlarmConfiguration"]["Enabled"] is True
        assert mentioned(properties["AlarmConfiguration"]) == {"CrashAlarm", "InfrastructureAlarm"}
        assert "DEPLOYMENT_STOP_ON_ALARM" in properties["AutoRollbackConfiguration"]["Events"]
    for name, alias in of_type("prod", "AWS::Lambda::Alias").items():
        policy = alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        assert policy["DeploymentGroupName"] == {"Ref": f"{name.removesuffix('Aliaslive')}DeploymentGroup"}


def test_in_development_calls_move_at_once() -> None:
    assert of_type("dev", "AWS::CodeDeploy::DeploymentGroup") == {}
    assert all("UpdatePolicy" not in alias for alias in of_type("dev", "AWS::Lambda::Alias").values())


def test_each_type_of_deployment_is_known_for_each_stage() -> None:
    parameters, mappings = template()["Parameters"], template()["Mappings"]
    kinds = parameters["DeploymentType"]["AllowedValues"]
    for mapping in ("GradualDeployment", "DeploymentTypes"):
        assert list(mappings[mapping]) == kinds
        assert all(row.keys() == set(parameters["Stage"]["AllowedValues"]) for row in mappings[mapping].values())
    for kind in set(kinds) - {"ByStage", "None"}:
        assert set(mappings["DeploymentTypes"][kind].values()) == {kind}
        assert set(mappings["GradualDeployment"][kind].values()) == {"true"}


def test_no_alarm_that_stops_a_deployment_waits_for_a_function() -> None:
    """Else the stack is a circle: alias, deployment group, alarm, function, state machine, alias."""
    for name in ("CrashAlarm", "InfrastructureAlarm", "Crashes"):
        assert mentioned(template()["Resources"][name]["Properties"]) <= {
            "AWS::StackName",
            "AlarmTopicArn",
            "Logs",
        }
