"""`python -m admin register-webhook …` and `python -m admin reconcile …`, with the AWS credentials of the shell."""

import argparse
import json
import sys
from typing import Any

import boto3
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

API = "https://api.cloudflare.com/client/v4"
EVENTS = ["recording.statusUpdate"]
TIMEOUT = (5, 20)
KINDS = ("orphans", "removed", "phantoms", "mismatches", "stalled")


class Refused(Exception):
    """One clear line: what went wrong."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it did what it should."""
    args = parser().parse_args(arguments)
    try:
        if args.command == "register-webhook":
            token = json.loads(boto3.client("secretsmanager").get_secret_value(SecretId=args.secret)["SecretString"])[
                "api_token"
            ]
            print(register_webhook(args.api, args.account, args.app, token, args.url))
        else:
            show(reconcile(args.stack, args.tenant, repair=args.repair))
    except (Refused, requests.RequestException, ClientError, BotoCoreError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="recordings-admin", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    hook = commands.add_parser("register-webhook", help="have Cloudflare send its webhooks to the API; safe to repeat")
    hook.add_argument("--url", required=True, help="the API's address, as the stack's output ApiUrl tells it")
    hook.add_argument("--secret", required=True, help="ARN of the secret that holds Cloudflare's api_token")
    hook.add_argument("--account", required=True, help="Cloudflare account id")
    hook.add_argument("--app", required=True, help="RealtimeKit app id")
    hook.add_argument("--api", default=API, help="where Cloudflare's API is")
    audit = commands.add_parser("reconcile", help="compare what is stored with the records")
    audit.add_argument("--stack", required=True, help="name of the CloudFormation stack")
    audit.add_argument("--tenant", help="one tenant; all of them without it")
    audit.add_argument("--repair", action="store_true", help="remove orphans that were orphans hours ago too")
    return top


def register_webhook(api: str, account: str, app: str, token: str, url: str) -> str:
    """List the webhooks there are, and add ours unless it is among them. Raises Refused."""
    base = f"{api}/accounts/{account}/realtime/kit/{app}/webhooks"
    target = f"{url.rstrip('/')}/webhooks/cloudflare"
    headers = {"Authorization": f"Bearer {token}"}
    known = _data(requests.get(base, headers=headers, timeout=TIMEOUT)) or []
    lines = [f"  {hook.get('url')}  {'on' if hook.get('enabled') else 'off'}" for hook in known]
    ours = next((hook for hook in known if hook.get("url") == target), None)
    if ours is not None and ours.get("enabled") and set(EVENTS) <= set(ours.get("events") or []):
        return "\n".join(["Webhooks:", *lines, f"{target} is registered already."])
    if ours is not None:
        change = {"events": sorted({*(ours.get("events") or []), *EVENTS}), "enabled": True}
        _data(requests.patch(f"{base}/{ours['id']}", json=change, headers=headers, timeout=TIMEOUT))
        return "\n".join(["Webhooks:", *lines, f"{target} was incomplete and is now on."])
    made = {"name": "recordings", "url": target, "events": EVENTS, "enabled": True}
    _data(requests.post(base, json=made, headers=headers, timeout=TIMEOUT))
    return "\n".join(["Webhooks:", *lines, f"{target} is now registered."])


def _data(answer: requests.Response) -> Any:
    try:
        document = answer.json()
    except ValueError:
        document = {}
    if not answer.ok or document.get("success") is False:
        raise Refused(f"Cloudflare answered {answer.status_code}: {answer.text[:200]}")
    return document.get("data")


def reconcile(stack: str, tenant: str | None, *, repair: bool) -> dict[str, Any]:
    """Run the stack's audit. Raises Refused when it fails."""
    name = boto3.client("cloudformation").describe_stack_resource(
        StackName=stack, LogicalResourceId="AuditStorage"
    )["StackResourceDetail"]["PhysicalResourceId"]  # fmt: skip
    # The function may take its full quarter of an hour, and must not be started twice.
    client = boto3.client("lambda", config=Config(read_timeout=905, retries={"total_max_attempts": 1}))
    answer = client.invoke(FunctionName=name, Payload=json.dumps({"tenant": tenant, "repair": repair}))
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    if "totals" not in found:
        raise Refused(f"the audit failed: {found.get('errorMessage', found)}")
    return found


def show(found: dict[str, Any]) -> None:
    """Print a report: what was found of each tenant, and the totals."""
    for report in found["reports"]:
        print(f"{report['tenant_id']}: {report['recordings']} recordings, {report['files']} files")
        for kind in KINDS:
            for one in report[kind]:
                print(f"  {kind}: {one if isinstance(one, str) else one['store'] + ' ' + one['key']}")
    print(", ".join(f"{found['totals'][kind]} {kind}" for kind in KINDS))


if __name__ == "__main__":
    sys.exit(main())
