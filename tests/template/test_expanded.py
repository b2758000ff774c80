"""The gates of `make check` close on what CloudFormation would refuse, IAM would never grant, or a review would."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.template import ROOT
from tools.checks import iam, names, quotas
from tools.checks.__main__ import expansions, found_in, main, service_authorization
from tools.checks.faults import Excuse, Fault, excuses, kept

type Template = dict[str, Any]

# What the template says, what would be wrong in its place, and what the gates say of it.
FAULTS = [
    ("        Regularly:\n", "        Schedule:\n", r"^cfn-lint E3007 SyncSchedule"),
    ("OmitName: true", "OmitName: false", r"^names Name AuditWeekly: Name is AuditWeekly in every stack"),
    ("!Sub ${AWS::StackName}-events", "events", r"^names Name Events: Name is events in every stack"),
    ("states:StopExecution", "states:EndExecution", r"^iam action-unknown RunProcessing: .*states:EndExecution"),
    (
        "IgnorePublicAcls: true, RestrictPublicBuckets: true",
        "IgnorePublicAcls: true, RestrictPublicBuckets: false",
        r"^checkov CKV_AWS_56 ArchiveBucket",
    ),
    (
        "  Stage:\n    Type: String\n",
        "  Unused: {Type: String}\n  Stage:\n    Type: String\n",
        r"^cfn-lint W2001 Unused",
    ),
]
WITHOUT_FAULT = ("AWS::Lambda::", "AWS::CodeDeploy::", "AWS::CloudWatch::")


def test_what_would_be_refused_is_found(tmp_path: Path) -> None:
    """`make check` lets the template pass as it is, so each of these lines is the doing of its fault."""
    text = (ROOT / "template.yaml").read_text()
    for right, wrong, _ in FAULTS:
        assert right in text
        text = text.replace(right, wrong)
    for folder in ("statemachines", "layers", "functions"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    changed = tmp_path / "template.yaml"
    changed.write_text(text)

    # One way to expand it shows what a gate finds. These resources, of which there are hundreds, have no part in it.
    whole = yaml.safe_load(expansions(changed)[-1])
    whole["Resources"] = {
        name: body for name, body in whole["Resources"].items() if not body["Type"].startswith(WITHOUT_FAULT)
    }
    lines = [*found_in([yaml.safe_dump(whole)])]

    for _, _, fault in FAULTS:
        assert any(re.search(fault, line) for line in lines), (fault, lines)


@pytest.fixture(scope="module")
def template() -> Template:
    """The template as CloudFormation gets it."""
    whole: Template = yaml.safe_load(expansions(ROOT / "template.yaml")[-1])
    return whole


@pytest.fixture(scope="module")
def reference() -> iam.Reference:
    return service_authorization()


def with_statement(template: Template, **statement: Any) -> Template:
    """The template with one more policy, of one statement."""
    whole = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}
    policy = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": whole}}
    return {**template, "Resources": {**template["Resources"], "Mine": policy}}


TABLE, MACHINE, BUCKET = (
    {"Fn::GetAtt": ["Table", "Arn"]}, {"Ref": "Processing"}, {"Fn::GetAtt": ["ArchiveBucket", "Arn"]},
)  # fmt: skip
OBJECTS = {"Fn::Sub": "${ArchiveBucket.Arn}/recordings/1"}
SECRET = {"Ref": "R2SecretArn"}

# A statement, and the rule that it breaks.
STATEMENTS = [
    pytest.param({"Action": "dynamodb:ReadItem", "Resource": TABLE}, "action-unknown", id="no such action"),
    pytest.param({"Action": "dynamo:GetItem", "Resource": TABLE}, "action-unknown", id="no such service"),
    pytest.param({"Action": "s3:ListObjectsV2", "Resource": BUCKET}, "action-unknown", id="an operation, no action"),
    pytest.param({"Action": "dynamodb:GetItem", "Resource": BUCKET}, "resource-type", id="another service's resource"),
    pytest.param({"Action": "s3:GetObject", "Resource": BUCKET}, "resource-type", id="the bucket for its objects"),
    pytest.param({"Action": "s3:ListBucket", "Resource": OBJECTS}, "resource-type", id="the objects for the bucket"),
    pytest.param(
        {"Action": "states:StopExecution", "Resource": MACHINE}, "resource-type", id="the machine for its executions"
    ),
    pytest.param(
        {"Action": "s3:GetObject", "Resource": [OBJECTS, TABLE]}, "resource-type", id="one resource too many"
    ),
    pytest.param(
        {"Action": "states:SendTaskSuccess", "Resource": MACHINE}, "resource-needless", id="a resource for nothing"
    ),
    pytest.param({"Action": "dynamodb:GetItem", "Resource": "*"}, "wildcard", id="everything"),
    pytest.param(
        {"Action": "s3:GetObject", "Resource": {"Fn::Sub": "${ArchiveBucket.Arn}/*"}}, "wildcard", id="every object"
    ),
    pytest.param({"Action": "s3:Get*", "Resource": OBJECTS}, "wildcard-action", id="every action of a kind"),
    pytest.param({"NotAction": "s3:GetObject", "Resource": OBJECTS}, "open-ended", id="all actions but one"),
    pytest.param(
        {"Action": "dynamodb:GetItem", "Resource": TABLE, "Condition": {"StringLike": {"s3:prefix": "a/*"}}},
        "condition-key",
        id="a key of another service",
    ),
    pytest.param(
        {"Action": "dynamodb:GetItem", "Resource": TABLE, "Condition": {"StringEquals": {"aws:SourceTenant": "a"}}},
        "condition-key",
        id="a global key that does not exist",
    ),
    pytest.param({"Action": "dynamodb:GetItem", "Resource": {"Ref": "Nothing"}}, "resource-unknown", id="no resource"),
    pytest.param(
        {"Action": "s3:GetObject", "Resource": OBJECTS, "Principal": "*"}, "principal", id="everybody"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "rule"), STATEMENTS)
def test_a_statement_that_is_wrong_is_named(
    template: Template, reference: iam.Reference, statement: dict[str, Any], rule: str
) -> None:
    changed = with_statement(template, **statement)
    assert rule in {one.rule for one in iam.faults(changed, reference) if one.logical_id == "Mine"}


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param({"Action": ["dynamodb:GetItem", "dynamodb:Query"], "Resource": TABLE}, id="a table"),
        pytest.param({"Action": ["s3:GetObject", "s3:ListBucket"], "Resource": [BUCKET, OBJECTS]}, id="both kinds"),
        pytest.param({"Action": "secretsmanager:GetSecretValue", "Resource": SECRET}, id="a parameter's ARN"),
        pytest.param({"Action": "xray:PutTraceSegments", "Resource": "*"}, id="an action without resources"),
        pytest.param(
            {"Action": "s3:ListBucket", "Resource": BUCKET, "Condition": {"StringLike": {"s3:prefix": "a/*"}}},
            id="a key of the action",
        ),
        pytest.param(
            {"Action": "s3:GetObject", "Resource": OBJECTS, "Condition": {"StringEquals": {"aws:ResourceTag/a": "b"}}},
            id="a tag",
        ),
        pytest.param({"Action": "S3:getobject", "Resource": OBJECTS}, id="IAM takes any case"),
    ],
)
def test_a_statement_that_is_right_passes(
    template: Template, reference: iam.Reference, statement: dict[str, Any]
) -> None:
    changed = with_statement(template, **statement)
    assert [one for one in iam.faults(changed, reference) if one.logical_id == "Mine"] == []


def trusting_everybody(template: Template) -> None:
    role = template["Resources"]["DownloadRole"]["Properties"]
    root = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] = root


def in_a_queue_policy(template: Template) -> None:
    policy = template["Resources"]["LostRestoresPolicy"]["Properties"]
    policy["PolicyDocument"]["Statement"][0]["Action"] = "sqs:SendMessages"


def in_a_role(template: Template) -> None:
    policy = template["Resources"]["DownloadRole"]["Properties"]["Policies"][0]
    policy["PolicyDocument"]["Statement"][0]["Resource"] = BUCKET


@pytest.mark.parametrize(
    ("change", "resource", "rule"),
    [
        pytest.param(trusting_everybody, "DownloadRole", "principal", id="a role that trusts the whole account"),
        pytest.param(in_a_queue_policy, "LostRestoresPolicy", "action-unknown", id="a queue's policy"),
        pytest.param(in_a_role, "DownloadRole", "resource-type", id="a role's own policy"),
    ],
)
def test_policies_are_looked_at_wherever_they_are(
    reference: iam.Reference, template: Template, change: Callable[[Template], None], resource: str, rule: str
) -> None:
    changed = yaml.safe_load(yaml.safe_dump(template))
    change(changed)
    assert (resource, rule) in {(one.logical_id, one.rule) for one in iam.faults(changed, reference)}


def test_every_policy_of_today_is_looked_at(template: Template, reference: iam.Reference) -> None:
    """A gate that finds no policy finds no fault in one."""
    asked: list[str] = []

    class Asked(iam.Reference):
        def actions(self, pattern: str) -> Any:
            asked.append(pattern)
            return reference.actions(pattern)

    assert list(names.faults(template)) == []
    list(iam.faults(template, Asked(Path())))
    reported = set(
        re.findall(r"\b(?:dynamodb|s3|states|sqs|events|lambda|secretsmanager|sts|xray):[A-Z]\w+", str(template))
    )
    assert reported <= set(asked)


# ---------------------------------------------------------------- quotas


def test_a_stack_that_is_too_large_is_found(template: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(quotas.faults(template)) == []
    monkeypatch.setattr(quotas, "MAX_IN_STACK", {"Resources": 40, "Parameters": 30})
    assert [(one.rule, re.sub(r"\d+", "n", one.text, count=1)) for one in quotas.faults(template)] == [
        ("Resources", "n Resources; CloudFormation allows 40 in a stack"),
        ("Parameters", "n Parameters; CloudFormation allows 30 in a stack"),
    ]


# ---------------------------------------------------------------- excuses

FAULT = Fault("checkov", "CKV_1", "Table", "AWS::DynamoDB::Table", "is not so")
REASON = "It is so for a reason that takes a sentence to say."


@pytest.mark.parametrize(
    ("excuse", "lines"),
    [
        pytest.param(Excuse("checkov", "CKV_1", ["Table"], REASON), [], id="by its name"),
        pytest.param(Excuse("checkov", "CKV_1", ["AWS::DynamoDB::Table"], REASON), [], id="by its type"),
        pytest.param(Excuse("checkov", "CKV_1", ["Tab*"], REASON), [], id="by a pattern"),
        pytest.param(
            Excuse("checkov", "CKV_1", ["Table"], "no"), ["checkov CKV_1: excused without a reason"], id="no reason"
        ),
        pytest.param(
            Excuse("checkov", "CKV_1", ["Table", "Other"], REASON),
            ["checkov CKV_1: Other is excused and needs no excuse"],
            id="one too many",
        ),
        pytest.param(
            Excuse("checkov", "CKV_2", ["Table"], REASON),
            ["checkov CKV_1 Table: is not so", "checkov CKV_2: Table is excused and needs no excuse"],
            id="of another rule",
        ),
        pytest.param(
            Excuse("iam", "CKV_1", ["Table"], REASON),
            ["checkov CKV_1 Table: is not so", "iam CKV_1: Table is excused and needs no excuse"],
            id="of another gate",
        ),
    ],
)
def test_only_what_is_excused_with_a_reason_is_kept(excuse: Excuse, lines: list[str]) -> None:
    assert [*kept([FAULT], [excuse])] == lines


def test_the_committed_excuses_are_complete() -> None:
    assert len(excuses()) > 5


def test_the_gates_end_with_an_error_where_something_is_found(monkeypatch: Any, capsys: Any) -> None:
    for lines, code in ([], 0), (["a fault"], 1):
        monkeypatch.setattr("tools.checks.__main__.found", lambda _, lines=lines: iter(lines))
        assert main("template.yaml") == code
        assert capsys.readouterr().out.split("\n")[:-1] == lines
