"""docs/limits.md says how much of each quota is used: numbers that the template gives are compared with it."""

import re
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import pytest

from tests.support.expanded import expanded
from tests.support.template import ROOT, template
from tools.checks.arns import resolved

TEXT = (ROOT / "docs/limits.md").read_text()
QUOTAS = TEXT[TEXT.index("\n## Quotas") :]
ROWS = {
    cells[0].split(" ([")[0].removesuffix(" (same page)"): cells
    for cells in (
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in QUOTAS.splitlines() if line[:1] == "|"
    )
}


@pytest.fixture(scope="module")
def production() -> dict[str, Any]:
    return expanded("prod")


def of_type(production: dict[str, Any], *kinds: str) -> dict[str, Any]:
    return {name: body.get("Properties", {}) for name, body in production["Resources"].items() if body["Type"] in kinds}


def reported(quota: str) -> list[int]:
    """The numbers in the cell that says what happens here."""
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", ROWS[quota][2])]


def is_told(numbers: list[int], used: list[int]) -> bool:
    """Whether the page says "fewer than" so many: more than are used, and not many more."""
    return len(numbers) == len(used) and all(
        use < number <= use * 1.4 + 10 for number, use in zip(numbers, used, strict=True)
    )


def test_resources_parameters_and_outputs(production: dict[str, Any]) -> None:
    assert is_told(reported("CloudFormation: resources in a stack")[:1], [len(production["Resources"])])
    used = [len(production["Parameters"]), len(production["Outputs"])]
    assert is_told(reported("CloudFormation: parameters; outputs"), used)
    assert len(production["Resources"]) < 500


def test_roles_and_policies(production: dict[str, Any]) -> None:
    roles = of_type(production, "AWS::IAM::Role")
    policies = of_type(production, "AWS::IAM::ManagedPolicy")
    assert is_told(reported("IAM: roles; customer managed policies"), [len(roles), len(policies)])
    adding = [role["Ref"] for policy in policies.values() for role in policy.get("Roles", [])]
    attached = {name: len(role.get("ManagedPolicyArns", [])) + adding.count(name) for name, role in roles.items()}
    assert reported("IAM: managed policies attached to a role") == [max(attached.values())], attached
    assert max(attached.values()) <= 10


def test_alarms_and_routes(production: dict[str, Any]) -> None:
    alarms = of_type(production, "AWS::CloudWatch::Alarm")
    assert is_told(reported("CloudWatch: alarms"), [len(alarms)])
    (api,) = of_type(production, "AWS::ApiGatewayV2::Api").values()
    routes = sum(len(path) for path in api["Body"]["paths"].values())
    assert is_told(reported("API Gateway: routes of an API"), [routes])
    assert routes <= 300


def test_functions_behind_the_gateway_end_before_it_does(production: dict[str, Any]) -> None:
    behind = {
        name
        for name, body in template()["Resources"].items()
        for event in body.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }
    longest = max(of_type(production, "AWS::Lambda::Function")[name]["Timeout"] for name in behind)
    assert reported("API Gateway: integration time-out") == [longest]
    assert longest < 30


def test_memory_and_layers(production: dict[str, Any]) -> None:
    functions = of_type(production, "AWS::Lambda::Function").values()
    assert reported("Lambda: memory of a function") == [max(one["MemorySize"] for one in functions)]
    layers, megabytes = reported("Lambda: layers of a function; all its code unpacked")
    assert layers == max(len(one["Layers"]) for one in functions) <= 5
    # What the requirements of the layer install for the functions; here for this machine's processor.
    assert megabytes <= 250
    assert size_of_layers() <= megabytes * 1_000_000


def size_of_layers() -> int:
    """Bytes of what the layers hold: the packages of their requirements as this environment has them, and our code."""
    names = re.findall(r"^([a-z0-9-]+)==", (ROOT / "layers/dependencies/requirements.txt").read_text(), re.MULTILINE)
    found = [*(ROOT / "layers/recordings/recordings").rglob("*.py")]
    for name in names:
        try:
            found += [Path(str(file.locate())) for file in files(name) or []]
        except PackageNotFoundError:
            # Of another platform's markers.
            continue
    sizes = [path.stat().st_size for path in found if path.is_file()]
    assert len(sizes) > 500
    return sum(sizes)


def test_environment_variables(production: dict[str, Any]) -> None:
    """With values as long as usual ones: ARNs and names as CloudFormation makes them, defaults where there are some."""
    usual = {name: str(parameter.get("Default") or "x" * 60) for name, parameter in production["Parameters"].items()}
    sizes = []
    for function in of_type(production, "AWS::Lambda::Function").values():
        size = 0
        for name, value in function["Environment"]["Variables"].items():
            text = usual.get(value["Ref"], "") if isinstance(value, dict) and "Ref" in value else ""
            # A generated name has the stack's and 13 characters more.
            size += len(name) + len(text or f"{resolved(value, production)[0]}-{'x' * 40}")
        sizes.append(size)
    (most,) = reported("Lambda: environment variables of a function")
    assert max(sizes) <= most <= 4096


def test_readers_of_the_stream(production: dict[str, Any]) -> None:
    readers = [
        one["FunctionName"] for one in of_type(production, "AWS::Lambda::EventSourceMapping").values()
        if "StreamArn" in str(one["EventSourceArn"])
    ]  # fmt: skip
    assert len(readers) == 2
    assert ROWS["Lambda: readers of a shard of a DynamoDB stream"][1] == "2"


def test_calls_of_cloudflare() -> None:
    default = template()["Parameters"]["CloudflareCallsPerMinute"]["Default"]
    assert reported("DynamoDB: throughput of a partition")[0] == default
    # Five minutes touch six of the budget's minutes.
    assert default * 6 < 1200


def test_every_quota_says_what_happens_here_and_where_its_number_is_from() -> None:
    known: set[str] = set()
    for name, cells in ROWS.items():
        if name in {"quota", "---"}:
            continue
        assert len(cells) == 4, name
        assert cells[1], name
        assert cells[2], name
        known.add(name.split(":")[0])
        source = re.search(r"\(\[|\(same page\)|\((Lambda|Step Functions|DynamoDB) quotas\)", cells[0])
        assert source, name
    assert known >= {
        "Lambda", "CloudFormation", "IAM", "CloudWatch", "Step Functions", "API Gateway", "DynamoDB", "EventBridge",
        "Secrets Manager", "CloudWatch Logs", "S3", "R2", "Cloudflare's API",
    }  # fmt: skip
