"""A stranger can fill in the form: every parameter is grouped, labelled, described and checked."""

import re
import tomllib
from itertools import chain
from typing import Any

import pytest

from tests.support.template import ROOT, template
from tools.local.deployment import parameters_of

PARAMETERS: dict[str, dict[str, Any]] = template()["Parameters"]
INTERFACE: dict[str, Any] = template()["Metadata"]["AWS::CloudFormation::Interface"]
APPLICATION: dict[str, Any] = template()["Metadata"]["AWS::ServerlessRepo::Application"]

SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:recordings/dev/r2-AbCdEf"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:alarms"
URLS = ["https://issuer.example.com", "https://issuer.example.com/realms/a", "http://127.0.0.1:8080/issuer"]
NO_URLS = [
    "", "issuer.example.com", "http://issuer.example.com", "https://user@issuer.example.com", "https://", "ftp://a",
    "https://issuer.example.com/a b", "http://127.0.0.1.example.com:80", "http://127.0.0.1/issuer",
]  # fmt: skip

# What each text parameter takes, and what it does not. A new parameter needs a row here, or AllowedValues.
EXAMPLES: dict[str, tuple[list[str], list[str]]] = {
    "JwtIssuer": (URLS, NO_URLS),
    "JwtAudience": (["recordings", "https://api.example.com", "urn:x:y"], ["", "a b", "a" * 257]),
    "TenantClaim": (["tenant_id", "custom:tenant", "https://example.com/tenant"], ["", "tenant id", "5", "a" * 129]),
    "ActorClaim": (["sub", "custom:user", "https://example.com/user"], ["", "user id", "5", "a" * 129]),
    "CloudflareAccountId": (["0123456789abcdef0123456789abcdef"], ["", "0123", "0123456789ABCDEF0123456789ABCDEF"]),
    "RealtimeKitAppId": (["2ab3d5f1-0d5c-4a36-9a4e-4f6f2d1f7a10", "local-app"], ["", "a/b", "a b", "a" * 65]),
    "CloudflareApiUrl": (URLS, NO_URLS),
    "CloudflareWebhookKeyUrl": (URLS, NO_URLS),
    "CaptureHosts": (
        ["127.0.0.1", "a.example.com, *.b.example.com"],
        ["", "*", "*.com", "localhost", "a.example.com/x", "https://a.example.com", "a.example.com:80"],
    ),
    "CloudflareSecretArn": ([SECRET], ["", "recordings/dev/r2", SECRET[:-7], TOPIC, f"{SECRET} "]),
    "R2SecretArn": ([SECRET, SECRET.replace("aws", "aws-us-gov", 1)], ["", "recordings/dev/r2", SECRET[:-7], TOPIC]),
    "R2Endpoint": (
        [
            "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com",
            "https://0123456789abcdef0123456789abcdef.eu.r2.cloudflarestorage.com",
            "http://127.0.0.1:4566",
        ],
        [
            *NO_URLS,
            "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com/recordings",
            "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com.example.com",
            "https://s3.amazonaws.com",
        ],
    ),
    "R2Bucket": (["recordings", "recordings-dev-2"], ["", "ab", "Recordings", "-a-", "a.b.c", "a" * 64]),
    "SyncSchedule": (
        ["rate(1 minute)", "rate(5 minutes)", "rate(2 hours)", "cron(0/5 * * * ? *)", "cron(0 1 ? * SUN *)"],
        ["", "5 minutes", "rate(0 minutes)", "rate(5 seconds)", "cron(0 1 * *)", "at(2030-01-01T00:00:00)"],
    ),
    "AlarmTopicArn": (["", TOPIC], ["alarms", "a@example.com", SECRET, f"{TOPIC}.fifo"]),
}  # fmt: skip


def test_every_parameter_is_in_one_group() -> None:
    grouped = [*chain.from_iterable(group["Parameters"] for group in INTERFACE["ParameterGroups"])]
    assert sorted(grouped) == sorted(PARAMETERS)
    labels = [group["Label"]["default"] for group in INTERFACE["ParameterGroups"]]
    assert len(labels) == len(set(labels))


def test_every_parameter_has_a_label_of_its_own() -> None:
    labels = {name: label["default"] for name, label in INTERFACE["ParameterLabels"].items()}
    assert sorted(labels) == sorted(PARAMETERS)
    assert len(set(labels.values())) == len(labels)
    for name, label in labels.items():
        # The unit is in the label where the value is a number of something.
        for ending, unit in (
            ("Seconds", "(seconds)"),
            ("PerSecond", "per second)"),
            ("Days", "(days)"),
            ("Percent", "(percent)"),
            ("Arn", "(ARN)"),
        ):
            assert not name.endswith(ending) or label.endswith(unit), f"{name}: {label}"


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_says_what_it_takes_and_refuses_the_rest(name: str) -> None:
    parameter = PARAMETERS[name]
    assert parameter["Description"]
    if "AllowedValues" in parameter:
        assert parameter["Default"] in parameter["AllowedValues"]
        return
    # CloudFormation answers with this instead of the pattern.
    assert parameter["ConstraintDescription"]
    if parameter["Type"] == "Number":
        assert parameter["MinValue"] <= parameter["Default"] <= parameter["MaxValue"]
        return
    taken, refused = EXAMPLES[name]
    if "Default" in parameter:
        taken = [*taken, parameter["Default"]]
    for value in taken:
        assert re.fullmatch(parameter["AllowedPattern"], value), value
    for value in refused:
        assert not re.fullmatch(parameter["AllowedPattern"], value), value
    assert parameter["AllowedPattern"].startswith("^"), "CloudFormation and sam look for a match of the whole"
    assert parameter["AllowedPattern"].endswith("$"), "CloudFormation and sam look for a match of the whole"


def test_the_docs_name_every_parameter_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE))
    for name, parameter in PARAMETERS.items():
        reported = rows[name].strip("`")
        default = parameter.get("Default")
        wanted = {None: "required", "": "empty"}.get(default, str(default))
        assert reported in {wanted, "Cloudflare's"}, name


def test_what_the_local_stack_gives_is_taken() -> None:
    reported = {
        "name": "x",
        "issuer": "http://127.0.0.1:20001/issuer",
        "cloudflare_api_url": "http://127.0.0.1:20001/client/v4",
        "secrets": {"cloudflare": SECRET, "r2": SECRET},
        "endpoints": {"r2": "http://127.0.0.1:20002"},
    }
    for name, value in parameters_of(reported, template()).items():
        parameter = PARAMETERS[name]
        assert re.fullmatch(parameter.get("AllowedPattern", ".*"), value), name
        if "AllowedValues" in parameter:
            assert value in map(str, parameter["AllowedValues"]), name
        elif parameter["Type"] == "Number":
            assert parameter["MinValue"] <= float(value) <= parameter["MaxValue"], name


def test_the_application_is_described_for_the_repository() -> None:
    """Limits: Serverless Application Repository API reference, "Applications", CreateApplication."""
    assert re.fullmatch(r"[a-zA-Z0-9-]{1,140}", APPLICATION["Name"])
    assert re.fullmatch(r"[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?", APPLICATION["Author"])
    assert 0 < len(APPLICATION["Description"]) <= 256
    assert 0 < len(APPLICATION["Labels"]) <= 10
    assert all(re.fullmatch(r"[a-zA-Z0-9+\-_:/@]{1,127}", label) for label in APPLICATION["Labels"])
    assert APPLICATION["SpdxLicenseId"] == "MIT"
    assert (ROOT / APPLICATION["LicenseUrl"]).read_text().startswith("MIT License")
    assert (ROOT / APPLICATION["ReadmeUrl"]).read_text().startswith("# ")


def test_there_is_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert APPLICATION["SemanticVersion"] == project["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])


def test_the_guide_names_what_has_to_be_typed_in() -> None:
    text = (ROOT / "docs/deploy.md").read_text()
    reported = re.search(r"Enter the (\w+) that have none \((.*?)\)", text, re.DOTALL)
    assert reported
    required = [name for name, parameter in PARAMETERS.items() if "Default" not in parameter]
    assert re.findall(r"`(\w+)`", reported[2]) == required
    assert reported[1] == {8: "eight"}[len(required)]


@pytest.mark.parametrize("environment", ["default", "prod"])
def test_the_committed_settings_deploy_safely_and_again(environment: str) -> None:
    text = (ROOT / "samconfig.toml").read_text()
    reported = tomllib.loads(text)[environment]["deploy"]["parameters"]
    assert reported["confirm_changeset"] is True
    assert reported["fail_on_empty_changeset"] is False, "a deployment that changes nothing has succeeded"
    assert reported["disable_rollback"] is False
    assert (reported["resolve_s3"], reported["capabilities"]) == (True, "CAPABILITY_IAM")
    stages = {"default": "dev", "prod": "prod"}
    assert reported["stack_name"] == f"recordings-{stages[environment]}"
    overrides = dict(one.split("=", 1) for one in reported["parameter_overrides"])
    assert overrides["Stage"] == stages[environment]
    for name, value in overrides.items():
        assert value in PARAMETERS[name].get("AllowedValues", [value]), name
