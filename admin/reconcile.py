"""Run the audit of a deployed stack, and tell what it found."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from admin import Refused
from tools.local import progress
from tools.local import stack as local_stack

type Json = dict[str, Any]
type Clients = Callable[[str], Any]

FOUND: Final = ("orphans", "phantoms", "mismatches", "stalled")
DONE: Final = ("removed", "adopted", "reconciled")
ONE: Final = {"orphans": "orphan", "phantoms": "phantom", "mismatches": "mismatch"}
# The alias of the function (template.yaml, AutoPublishAlias): what it names is whole, whatever is being deployed.
AUDIT: Final = "AuditStorageAliaslive"
NOTHING_FOUND, FAILED, SOMETHING_FOUND = 0, 1, 3


def clients(local: str | None) -> Clients:
    """Makes clients of AWS with the credentials of the shell, or of a local stack. Raises Refused."""
    # The function may take its full quarter of an hour, and must not be started twice.
    config = Config(connect_timeout=5, read_timeout=905, retries={"total_max_attempts": 1})
    more: Json = {}
    if local is not None:
        try:
            running = local_stack.load(local)
        except local_stack.StackError as error:
            raise Refused(str(error)) from None
        more = {
            "endpoint_url": running["endpoints"]["aws"],
            "region_name": running["region"],
            "aws_access_key_id": running["credentials"]["aws"]["access_key_id"],
            "aws_secret_access_key": running["credentials"]["aws"]["secret_access_key"],
        }
    make: Any = boto3.client  # the name of the service is not known to the type checker
    return lambda service: make(service, config=config, **more)


def reconcile(make: Clients, stack: str, *, tenant: str | None, repair: bool, min_age_hours: int | None) -> Json:
    """Audit one tenant, or all of them however many runs that takes. Raises Refused when a run fails."""
    function = _function(make, stack)
    asked: Json = {"tenant": tenant, "repair": repair}
    if min_age_hours is not None:
        asked["min_age_hours"] = min_age_hours
    found = _run(make, function, asked)
    if not found["known"]:
        raise Refused(f"nothing is known of a tenant '{tenant}': it has no room, no recording and no file")
    while found["left"]:
        print(f"Looked at {number(found['tenants'], 'tenant')}, {found['left']} to go …", file=sys.stderr)
        more = _run(make, function, asked | {"unless_since": found["began"], "goes_on": found["goes_on"]})
        if not more["moved"]:
            break
        found = _merged(found, more)
    return found


def _function(make: Clients, stack: str) -> str:
    try:
        told = make("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId=AUDIT)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise Refused(f"there is no stack '{stack}' with an audit here: is the region right?") from None
    return str(told["StackResourceDetail"]["PhysicalResourceId"])


def _run(make: Clients, function: str, asked: Json) -> Json:
    with progress.step("The audit looks at what is stored (12 minutes at most, then it goes on)"):
        answer = make("lambda").invoke(FunctionName=function, Payload=json.dumps(asked))
    found: Json = json.loads(answer["Payload"].read())
    if answer.get("FunctionError") or "totals" not in found:
        raise Refused(f"the audit failed: {found.get('errorMessage') or found}")
    return found


def _merged(before: Json, after: Json) -> Json:
    """What several runs found; what concerns no tenant is told by each, and the last one knows best."""
    return {
        **after,
        "began": before["began"],
        "tenants": before["tenants"] + after["tenants"],
        "reports": _joined([*before["reports"], *after["reports"]]),
        "omitted": before["omitted"] + after["omitted"],
        "incomplete": list(dict.fromkeys([*before["incomplete"], *after["incomplete"]])),
        **{
            sums: {kind: count + after[sums].get(kind, 0) for kind, count in before[sums].items()}
            for sums in ("totals", "alarming")
        },
    }


def _joined(reports: Sequence[Json]) -> list[Json]:
    """One report for each tenant: of a large one each run tells a part."""
    joined: dict[str, Json] = {}
    for report in reports:
        known = joined.setdefault(report["tenant_id"], report)
        if known is not report:
            joined[report["tenant_id"]] = known | {
                **{name: known[name] + report[name] for name in ("recordings", "files", *FOUND, *DONE)},
                "counts": {kind: count + report["counts"].get(kind, 0) for kind, count in known["counts"].items()},
                "incomplete": list(dict.fromkeys([*known["incomplete"], *report["incomplete"]])),
                "compared": known["compared"] and report["compared"],
                "held": known["held"] or report["held"],
            }
    return list(joined.values())


def exit_code(found: Json) -> int:
    """3 when something was found. Nothing found in an incomplete audit is no good news."""
    if any(found["totals"][kind] for kind in FOUND):
        return SOMETHING_FOUND
    return FAILED if found["incomplete"] or found["left"] else NOTHING_FOUND


def lines(found: Json, *, repair: bool) -> Iterator[str]:
    """A report for people: each tenant of whom there is something to tell, then the sums."""
    for report in found["reports"]:
        held = f"{number(report['recordings'], 'recording')}, {number(report['files'], 'file')}"
        yield f"{printable(report['tenant_id'])}: {held}"
        for kind in (*FOUND, *DONE):
            for row in report[kind]:
                yield f"  {ONE.get(kind, kind):<10} {printable(_row(kind, row))}"
            if (more := report["counts"][kind] - len(report[kind])) > 0:
                yield f"  {'':<10} … and {number(more, f'more {ONE.get(kind, kind)}', f'more {kind}')}"
        if report["held"]:
            yield "  No file is removed: no recording is left to own any. Was the table lost, or restored?"
    if found["omitted"]:
        yield f"Findings that found no place here: of {number(found['omitted'], 'tenant')}; --tenant shows them"
    totals: Json = found["totals"]
    sums = ", ".join(number(totals[kind], ONE.get(kind, kind), kind) for kind in (*FOUND, *DONE))
    confirmed = f"; confirmed phantoms: {found['alarming'].get('confirmed_phantoms', 0)}"
    yield f"{number(found['tenants'], 'tenant')}: {sums}{confirmed if totals['phantoms'] else ''}"
    if found["unregistered"]:
        yield f"At Cloudflare, of meetings that no room owns: {number(found['unregistered'], 'capture')}"
    for stray in found["strays"]:
        yield f"In no tenant's folder: {stray['store']} {printable(stray['key'])}"
    for why in found["incomplete"]:
        yield f"Incomplete: {printable(why)}"
    if found["left"]:
        yield f"Incomplete: not reached: {number(found['left'], 'tenant')}"
    if not repair and any(totals[kind] for kind in FOUND):
        yield (
            "Nothing was changed. --repair removes confirmed orphans, adopts captures, and brings in line what is "
            "stalled or has another status at Cloudflare."
        )


def number(many: int, one: str, more: str | None = None) -> str:
    """So many of something."""
    return f"{many} {one if many == 1 else more or f'{one}s'}"


def _row(kind: str, row: Any) -> str:
    match kind:
        case "orphans" | "removed" if row["store"] == "cloudflare":
            return f"cloudflare {row['key']} (room {row['room_id']}, began {row['at']})"
        case "orphans" | "removed":
            what = "unfinished upload" if row["upload_id"] else f"{row['size']} bytes"
            return f"{row['store']} {row['key']} ({what} of {row['at']}, {_since(row)})"
        case "phantoms":
            return f"{row['recording_id']} {row['store']} {row['key']} ({_since(row)})"
        case "mismatches":
            told = f"{row['recording_id']} {row['kind']}: recorded {row['recorded']}, found {row['found']}"
            return f"{told} ({_since(row)})" if "since" in row else told
        case "stalled":
            return f"{row['recording_id']} {row['step']}, since {row['since']}"
        case "adopted":
            return f"cloudflare {row['cloudflare_recording_id']} as {row['recording_id']}"
        case _:
            return str(row)


def _since(row: Json) -> str:
    # Two looks, six hours apart, confirm it.
    return f"seen since {row['since']}, {'confirmed' if row['confirmed'] else 'not confirmed yet'}"


def printable(text: str) -> str:
    """Names come from outside: nothing in them may steer a terminal."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
