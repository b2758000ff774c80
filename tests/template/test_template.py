"""What must stay true of template.yaml, whoever edits it."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.template import ROOT, granted, mentioned, resources, template

FUNCTIONS = resources("AWS::Serverless::Function")
ROUTES = {
    name: [event["Properties"] for event in body["Events"].values() if event["Type"] == "HttpApi"]
    for name, body in FUNCTIONS.items()
    if any(event["Type"] == "HttpApi" for event in body.get("Events", {}).values())
}

# Actions that IAM lets nobody limit to a resource.
WITHOUT_RESOURCE = {
    "states:SendTaskSuccess",
    "states:SendTaskFailure",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
}


def source(name: str) -> str:
    return Path(ROOT, FUNCTIONS[name]["CodeUri"], "app.py").read_text()


# ---------------------------------------------------------------- names


def test_functions_and_folders_are_the_same_list() -> None:
    folders = sorted(str(app.parent.relative_to(ROOT)) for app in (ROOT / "functions").glob("*/*/app.py"))
    assert sorted(body["CodeUri"] for body in FUNCTIONS.values()) == folders


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_named_after_its_folder(name: str) -> None:
    root, room, folder = FUNCTIONS[name]["CodeUri"].split("/")
    assert root == "functions"
    assert room in {"api", "workflow", "trigger"}
    assert name == "".join(word.title() for word in folder.split("_"))


@pytest.mark.parametrize("name", ROUTES)
def test_the_first_line_of_a_function_is_its_route(name: str) -> None:
    words = ast.get_docstring(ast.parse(source(name)))
    assert words is not None
    assert words.split(":")[0] == ", ".join(f"{route['Method']} {route['Path']}" for route in ROUTES[name])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_an_example(name: str) -> None:
    folder = FUNCTIONS[name]["CodeUri"].split("/")[-1]
    event = json.loads((ROOT / "events" / f"{folder}.json").read_text())
    if name in ROUTES:
        keys = [f"{route['Method']} {route['Path']}" for route in ROUTES[name]]
        assert event["routeKey"] in keys
        assert event["requestContext"]["routeKey"] == event["routeKey"]


# ---------------------------------------------------------------- who may call


@pytest.mark.parametrize("name", ROUTES)
def test_the_gateway_and_the_function_ask_for_the_same_scope(name: str) -> None:
    asked = re.search(r"scope=(None|\"([^\"]*)\")", source(name))
    assert asked is not None
    for route in ROUTES[name]:
        if asked[1] == "None":
            assert route["Auth"] == {"Authorizer": "NONE"}
        else:
            assert route["Auth"] == {"AuthorizationScopes": [asked[2]]}
            reading = "recordings:audit" if name == "ListAccess" else "recordings:read"
            assert asked[2] == (reading if route["Method"] == "GET" else "recordings:write")


def test_only_the_webhook_goes_without_a_token() -> None:
    assert [name for name in ROUTES if "scope=None" in source(name)] == ["ReceiveWebhook"]
    for api in resources("AWS::Serverless::HttpApi").values():
        assert api["Auth"]["DefaultAuthorizer"] in api["Auth"]["Authorizers"]


# ---------------------------------------------------------------- who may do what


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_lists_named_policies_only(name: str) -> None:
    policies = FUNCTIONS[name].get("Policies", [])
    assert all(policy.keys() == {"Ref"} for policy in policies)
    assert {policy["Ref"] for policy in policies} <= resources("AWS::IAM::ManagedPolicy").keys()


def test_nothing_is_fetched_from_elsewhere_unless_somebody_says_so() -> None:
    assert template()["Parameters"]["LoopbackCaptures"]["Default"] == "off"
    rule = template()["Rules"]["NoLoopbackInProduction"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Equals": [{"Ref": "LoopbackCaptures"}, "off"]}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_reads_a_stream_may_keep_what_it_cannot_handle(name: str) -> None:
    streams = [e for e in FUNCTIONS[name].get("Events", {}).values() if e["Type"] == "DynamoDB"]
    assert bool(streams) == ("SendToChangeDeadLetterQueue" in granted(name))
    for event in streams:
        assert event["Properties"]["DestinationConfig"]["OnFailure"]
        assert event["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.parametrize("name", [name for name, routes in ROUTES.items() if {r["Method"] for r in routes} == {"GET"}])
def test_who_only_reads_may_not_write(name: str) -> None:
    # A download notes until when its URL works.
    assert ("WriteRecordings" in granted(name)) == (name == "DownloadRecording")


def statements() -> list[tuple[str, dict[str, Any]]]:
    found = [
        (name, statement)
        for name, body in resources("AWS::IAM::ManagedPolicy").items()
        for statement in body["PolicyDocument"]["Statement"]
    ]
    for name, role in resources("AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            found += [(name, statement) for statement in policy["PolicyDocument"]["Statement"]]
    return found


def test_no_policy_allows_every_action_or_everything() -> None:
    for name, statement in statements():
        if statement["Effect"] == "Deny":
            continue
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        assert not any("*" in action for action in actions), name
        everything = "*" in (
            statement["Resource"],
            *(statement["Resource"] if isinstance(statement["Resource"], list) else ()),
        )
        assert not everything or set(actions) <= WITHOUT_RESOURCE, name


def test_a_state_machine_that_traces_may_write_its_traces() -> None:
    """SAM adds the permission to roles that it makes itself, and to no other."""
    machines = resources("AWS::Serverless::StateMachine")
    assert machines
    for machine in machines.values():
        assert machine["Tracing"] == {"Enabled": True}
        role = resources("AWS::IAM::Role")[machine["Role"]["Fn::GetAtt"].removesuffix(".Arn")]
        assert {"Ref": "WriteTraces"} in role["ManagedPolicyArns"]


def test_a_resource_with_a_wildcard_stands_under_a_comment_that_says_why() -> None:
    lines = (ROOT / "template.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        if not re.search(r"\bResource:.*\*", line.split(" #")[0]):
            continue
        start = next(at for at in range(number, -1, -1) if re.match(r"\s*- .*Effect", lines[at]))
        assert lines[start - 1].lstrip().startswith("#"), f"line {number + 1}: no reason is given"


# ---------------------------------------------------------------- the stack as a whole


def test_data_outlives_the_stack() -> None:
    table = template()["Resources"]["Table"]
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_news_of_a_restored_copy_is_kept_whether_it_was_not_handed_over_or_not_handled() -> None:
    """A rule hands over and is done: its retries and its queue know nothing of what the function makes of it."""
    function = FUNCTIONS["TrackRestore"]
    assert function["Events"]["Restores"]["Properties"]["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": "LostRestores.Arn"}
    assert function["DeadLetterQueue"] == {"Type": "SQS", "TargetArn": {"Fn::GetAtt": "LostRestores.Arn"}}


def test_the_archive_moves_on_what_is_small_too_and_keeps_no_trace_of_what_was_purged() -> None:
    lifecycle = template()["Resources"]["ArchiveBucket"]["Properties"]["LifecycleConfiguration"]
    assert lifecycle["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
    (cold,) = [rule for rule in lifecycle["Rules"] if "Transitions" in rule]
    assert [one["StorageClass"] for one in cold["Transitions"]] == ["GLACIER", "DEEP_ARCHIVE"]
    (old,) = [rule for rule in lifecycle["Rules"] if "NoncurrentVersionExpiration" in rule]
    assert old["ExpiredObjectDeleteMarker"] is True


def test_globals_mention_nothing_that_depends_on_a_function() -> None:
    """Else the stack is a circle, which cfn-lint does not see."""
    late = {"AWS::Serverless::StateMachine", "AWS::Serverless::HttpApi", "AWS::Serverless::Function"}
    named = mentioned(template()["Globals"]) & template()["Resources"].keys()
    assert not {name for name in named if template()["Resources"][name]["Type"] in late}
