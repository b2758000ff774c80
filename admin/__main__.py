"""Commands for whoever operates a deployed stack, with the AWS credentials of the shell."""

import argparse
import json
import os
import sys
from typing import Any, NoReturn

import boto3
import requests
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError, PartialCredentialsError

from admin import Refused
from admin.reconcile import FAILED, clients, exit_code, lines, reconcile
from tools.local import progress
from tools.local import stack as local_stack

API = "https://api.cloudflare.com/client/v4"
EVENTS = ["recording.statusUpdate"]
TIMEOUT = (5, 20)
# What shells give for Ctrl-C.
INTERRUPTED = 130
RECONCILE = """\
Compare what is stored in R2 and S3, and what Cloudflare holds, with the records, and report:

  orphans     bytes that no recording owns: files, unfinished uploads, captures at Cloudflare
  phantoms    recordings whose file is missing
  mismatches  another size, checksum or status than was recorded
  stalled     recordings whose work has come to a stand

Nothing is changed without --repair. What is missing or unowned is confirmed when two looks six hours apart agree; the
deployed stack itself looks twice on every Sunday. A file that a recording owns is never touched."""
EXITS = (
    "exit status: 0 nothing found, 3 something found, 1 an error, or nothing found in an incomplete audit, "
    "130 interrupted"
)


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with a command line."""

    def error(self, message: str) -> NoReturn:
        self.exit(FAILED, f"error: {message} ({self.prog} --help tells more)\n")


@progress.shown()
def main(arguments: list[str] | None = None) -> int:
    """Run one command and give its exit status: 0 when it did what it should, and found nothing where it looked."""
    args = parser().parse_args(arguments)
    try:
        if args.command == "register-webhook":
            with progress.step("Register the webhook"):
                told = register_webhook(args.api, args.account, args.app, api_token(args.secret), args.url)
            print(told)
            return 0
        return audit(args)
    except (NoCredentialsError, NoRegionError, PartialCredentialsError) as error:
        print(f"error: {error} Give the shell a profile (AWS_PROFILE) or keys, and AWS_REGION.", file=sys.stderr)
        return FAILED
    except (Refused, requests.RequestException, ClientError, BotoCoreError) as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def api_token(secret: str) -> str:
    """Cloudflare's token in the secret. Raises Refused when it holds none."""
    held = boto3.client("secretsmanager").get_secret_value(SecretId=secret).get("SecretString", "")
    try:
        token = json.loads(held)["api_token"]
    except (ValueError, TypeError, KeyError):
        token = None
    if not isinstance(token, str) or not token:
        raise Refused(f'the secret {secret} does not hold {{"api_token": "…"}}: see section 2 of docs/deploy.md')
    return token


def audit(args: argparse.Namespace) -> int:
    """Reconcile, and print the report. Raises Refused."""
    if args.tenant == "":
        raise Refused("--tenant is empty; leave it out to look at all of them")
    for name in ("stack", "local"):
        if getattr(args, name) == "":
            raise Refused(f"--{name} is empty")
    stack, local = place(args)
    make = clients(local)
    found = reconcile(make, stack, tenant=args.tenant, repair=args.repair, min_age_hours=args.min_age)
    print(json.dumps(found, indent=2) if args.json else "\n".join(lines(found, repair=args.repair)))
    return exit_code(found)


def place(args: argparse.Namespace) -> tuple[str, str | None]:
    """The stack's name, and the local stack's if it is one. Raises Refused when none was named and none is at hand."""
    local = args.local
    stack = args.stack or os.environ.get("RECORDINGS_STACK")
    if local is None and stack:
        return stack, None
    if local is None and (local_stack.folder("default") / "stack.json").exists():
        print("This is of the local stack 'default'; --stack names another one.", file=sys.stderr)
        local = "default"
    if local is None:
        raise Refused("which stack? Name it with --stack or in RECORDINGS_STACK, or take a local one with --local")
    return f"recordings-{local}", local


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = Parser(prog="recordings-admin", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    hook = commands.add_parser("register-webhook", help="have Cloudflare send its webhooks to the API; safe to repeat")
    hook.add_argument("--url", required=True, help="the API's address, as the stack's output ApiUrl tells it")
    hook.add_argument("--secret", required=True, help="ARN of the secret that holds Cloudflare's api_token")
    hook.add_argument("--account", required=True, help="Cloudflare account id")
    hook.add_argument("--app", required=True, help="RealtimeKit app id")
    hook.add_argument("--api", default=API, help="where Cloudflare's API is")
    audit = commands.add_parser(
        "reconcile",
        help="compare what is stored, and what Cloudflare holds, with the records; or repair that",
        description=RECONCILE,
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = audit.add_mutually_exclusive_group()
    where.add_argument(
        "--stack",
        help="name of the CloudFormation stack, in the region and account of the shell; else that in RECORDINGS_STACK, "
        "or a local stack that is up",
    )
    where.add_argument("--local", nargs="?", const="default", metavar="NAME", help="a local stack instead")
    audit.add_argument("--tenant", help="one tenant; all of them without it")
    audit.add_argument(
        "--repair", action="store_true", help="remove confirmed orphans, adopt captures, bring in line what differs"
    )
    audit.add_argument(
        "--min-age",
        type=hours,
        metavar="HOURS",
        help="files and uploads younger than this are no orphans yet, because their recording may still come (48)",
    )
    audit.add_argument("--json", action="store_true", help="the report as JSON")
    return top


def hours(text: str) -> int:
    """A whole number of hours, from 0 to a year's."""
    if not text.isascii() or not text.isdecimal() or int(text) > 8760:
        raise argparse.ArgumentTypeError("a whole number of hours, 8760 at most, is wanted")
    return int(text)


def register_webhook(api: str, account: str, app: str, token: str, url: str) -> str:
    """List the webhooks there are, and add ours unless it is among them. Raises Refused."""
    base = f"{api}/accounts/{account}/realtime/kit/{app}/webhooks"
    target = f"{url.rstrip('/')}/webhooks/cloudflare"
    headers = {"Authorization": f"Bearer {token}"}
    known = _webhooks(base, headers)
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


def _webhooks(base: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    """Those that are registered. The API reference lists them at /webhooks, the webhook guide at /webhooks/all."""
    answer = requests.get(base, headers=headers, timeout=TIMEOUT)
    if answer.status_code in {404, 405}:
        answer = requests.get(f"{base}/all", headers=headers, timeout=TIMEOUT)
    return _data(answer) or []


def _data(answer: requests.Response) -> Any:
    try:
        document = answer.json()
    except ValueError:
        document = {}
    if not answer.ok or document.get("success") is False:
        raise Refused(f"Cloudflare answered {answer.status_code}: {answer.text[:200]}")
    return document.get("data")


if __name__ == "__main__":
    sys.exit(main())
