"""Run the audit of a deployed stack, in as many executions as it needs."""

import json
import sys
from collections.abc import Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from admin import AdminError
from admin.progress import step
from admin.report import DONE, FOUND, number
from admin.stack import ClientFactory

type Json = dict[str, Any]

# The alias of the function (template.yaml, AutoPublishAlias). It names one complete version, even during a deployment.
AUDIT_ALIAS: Final = "AuditStorageAliaslive"
NOTHING_FOUND, FAILED, SOMETHING_FOUND = 0, 1, 3


def reconcile(
    make_client: ClientFactory, stack: str, *, tenant: str | None, repair: bool, min_age_hours: int | None
) -> Json:
    """Audit one tenant, or all tenants, and return the merged result of all executions.

    Raises:
        AdminError: the stack or the tenant does not exist, or an execution failed
    """
    function = _find_function(make_client, stack)
    # `tenant` is the name of the last release: a stack that still has it must not audit all tenants.
    request: Json = {"tenant_id": tenant, "tenant": tenant, "repair": repair}
    if min_age_hours is not None:
        request["min_age_hours"] = min_age_hours
    result = _invoke(make_client, function, request)
    if not result["known"]:
        raise AdminError(f"Tenant '{tenant}' is not known: it has no room, no recording and no file.")
    first = result["started_at"]
    while result["remaining_tenants"]:
        done = number(result["tenants"], "tenant")
        print(f"Audited {done}, {result['remaining_tenants']} remaining …", file=sys.stderr)
        resume = {"not_audited_since": first, "checkpoint": result["checkpoint"]}
        more = _invoke(make_client, function, request | resume)
        if not more["progressed"]:
            break
        result = _merge(result, more)
    return result


def exit_code(result: Json) -> int:
    """Return the exit status. An incomplete audit that found nothing is a failure."""
    if any(result["totals"][kind] for kind in FOUND):
        return SOMETHING_FOUND
    return FAILED if result["incomplete"] or result["remaining_tenants"] else NOTHING_FOUND


def _find_function(make_client: ClientFactory, stack: str) -> str:
    try:
        resource = make_client("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId=AUDIT_ALIAS)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise AdminError(f"There is no stack '{stack}' with an audit in this region and account.") from None
    return str(resource["StackResourceDetail"]["PhysicalResourceId"])


def _invoke(make_client: ClientFactory, function: str, request: Json) -> Json:
    with step("The audit compares what is stored (12 minutes at most, then it resumes)"):
        response = make_client("lambda").invoke(FunctionName=function, Payload=json.dumps(request))
    result: Json = json.loads(response["Payload"].read())
    if response.get("FunctionError"):
        raise AdminError(f"The audit failed: {result.get('errorMessage') or result}")
    if "remaining_tenants" not in result:
        raise AdminError(f"The stack has another release than this command. Deploy it first. It returned: {result}")
    return result


def _merge(before: Json, after: Json) -> Json:
    """Add up two executions. What does not belong to a tenant is in each of them, so the last one counts."""
    return {
        **after,
        "started_at": before["started_at"],
        "tenants": before["tenants"] + after["tenants"],
        "reports": _merge_reports([*before["reports"], *after["reports"]]),
        "omitted": before["omitted"] + after["omitted"],
        "incomplete": list(dict.fromkeys([*before["incomplete"], *after["incomplete"]])),
        **{
            group: {kind: count + after[group].get(kind, 0) for kind, count in before[group].items()}
            for group in ("totals", "alarming")
        },
    }


def _merge_reports(reports: Sequence[Json]) -> list[Json]:
    """Return one report for each tenant. Each execution reports a part of a large tenant."""
    merged: dict[str, Json] = {}
    for report in reports:
        known = merged.setdefault(report["tenant_id"], report)
        if known is not report:
            merged[report["tenant_id"]] = known | {
                **{name: known[name] + report[name] for name in ("recordings", "files", *FOUND, *DONE)},
                "counts": {kind: count + report["counts"].get(kind, 0) for kind, count in known["counts"].items()},
                "incomplete": list(dict.fromkeys([*known["incomplete"], *report["incomplete"]])),
                "compared": known["compared"] and report["compared"],
                "held": known["held"] or report["held"],
            }
    return list(merged.values())
