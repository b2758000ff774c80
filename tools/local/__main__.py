"""`python -m tools.local up|deploy|down|status|logs|reset|token|invoke|concurrency|filters [--name NAME]`."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from tools.local import mappings, progress, stack

PASTE = "Paste this into any shell; the token is the tenant acme's and good for an hour:"


@progress.shown()
def main() -> int:
    """Run one command. An error is one line on stderr."""
    args = parser().parse_args()
    try:
        run(args, getattr(args, "name", "default"))
    except (stack.StackError, BotoCoreError, ClientError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser. `--name` can stand before or after the command."""
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", default=argparse.SUPPRESS, help="which stack (default: default)")
    top = argparse.ArgumentParser(prog=".venv/bin/python -m tools.local", description=__doc__, parents=[named])
    commands = top.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", parents=[named], help="start a stack and deploy the template into it")
    up.add_argument("--port", type=int, help=f"port of the API (default: {stack.DEFAULT_PORT} if free)")
    up.add_argument(
        "--concurrency",
        type=int,
        help="functions that may run at once; LOCAL_CONCURRENCY sets it too (default: no limit)",
    )
    limit = commands.add_parser("concurrency", parents=[named], help="change how many functions may run at once")
    limit.add_argument("functions", type=int, nargs="?", help="how many; left out: no limit")
    filters = commands.add_parser("filters", parents=[named], help="whether streams are filtered for the functions")
    filters.add_argument("state", choices=["ignored", "kept"])
    commands.add_parser("deploy", parents=[named], help="deploy the code as it is now; the data stays")
    commands.add_parser("down", parents=[named], help="stop the stack")
    commands.add_parser("status", parents=[named], help="what runs")
    logs = commands.add_parser("logs", parents=[named], help="the functions' and the processes' logs")
    logs.add_argument("function", nargs="?", help="logical id of one function")
    commands.add_parser("reset", parents=[named], help="wipe the data")
    token = commands.add_parser("token", parents=[named], help="print an access token")
    token.add_argument("--tenant", required=True)
    token.add_argument("--scope", default=stack.SCOPES)
    invoke = commands.add_parser("invoke", parents=[named], help="run one function")
    invoke.add_argument("--function", required=True, help="logical id")
    invoke.add_argument("--event", type=Path, required=True, help="file with the event as JSON")
    return top


def run(args: argparse.Namespace, name: str) -> None:
    """Carry out the command."""
    COMMANDS[args.command](args, name)


def _up(args: argparse.Namespace, name: str) -> None:
    wanted = (args.port, args.concurrency)
    if (running := stack.running(name)) and wanted in ((None, None), (port_of(running), None)):
        print(f"The local stack '{name}' is up already: {running['api_url']}")
    else:
        started = time.monotonic()
        running = stack.up(name, args.port, concurrency=args.concurrency)
        print(f"The local stack '{name}' is up after {time.monotonic() - started:.0f} s: {running['api_url']}")
    print(welcome(running, name))


def _concurrency(args: argparse.Namespace, name: str) -> None:
    stack.load(name)
    stack.limit_concurrency(name, args.functions)
    print(f"In '{name}' {args.functions or 'all'} functions may run at once.")


def _filters(args: argparse.Namespace, name: str) -> None:
    change = mappings.ignore_filters if args.state == "ignored" else mappings.restore_filters
    change(stack.load(name))
    print(f"The filters of streams are {args.state} in '{name}'.")


def _deploy(_: argparse.Namespace, name: str) -> None:
    stack.deploy(name)
    print(f"Deployed into '{name}'.")


def _down(_: argparse.Namespace, name: str) -> None:
    stack.down(name)
    print(f"'{name}' is down.")


def _status(_: argparse.Namespace, name: str) -> None:
    for key, value in stack.status(name).items():
        print(f"{key:10} {value}")


def _logs(args: argparse.Namespace, name: str) -> None:
    print("\n".join(stack.logs(name, args.function)))
    if not args.function:
        for log in sorted(stack.folder(name).glob("*.log")):
            print(f"\n--- {log}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-40:]))


def _reset(_: argparse.Namespace, name: str) -> None:
    with progress.step("Wipe the data"):
        stack.reset(name)
    print(f"The data of '{name}' is gone.")


def _token(args: argparse.Namespace, name: str) -> None:
    print(stack.token(stack.load(name), args.tenant, args.scope))


def _invoke(args: argparse.Namespace, name: str) -> None:
    event = args.event.read_bytes()
    try:
        json.loads(event)
    except ValueError as error:
        raise stack.StackError(f"{args.event} is no JSON ({error}): events/ has an example for each.") from None
    with progress.step(f"Run {args.function}"):
        response = stack.invoke(name, args.function, event)
    print(json.dumps(response, indent=2))


COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace, str], None]]] = {
    "up": _up,
    "concurrency": _concurrency,
    "filters": _filters,
    "deploy": _deploy,
    "down": _down,
    "status": _status,
    "logs": _logs,
    "reset": _reset,
    "token": _token,
    "invoke": _invoke,
}


def port_of(running: dict[str, Any]) -> int:
    """Return the port of the stack's API."""
    return int(running["api_url"].rpartition(":")[2])


def welcome(running: dict[str, Any], name: str) -> str:
    """Return how to stop the stack, and commands to paste into a shell."""
    auth, api = '-H "Authorization: Bearer $TOKEN"', "$API/api/v1"
    return "\n".join(
        [
            f"Stop it: {stack.make('down', name)}. Its logs: .venv/bin/python -m tools.local --name {name} logs",
            "",
            PASTE,
            "",
            f"API={running['api_url']}",
            f"TOKEN={stack.token(running, 'acme')}",
            f'curl -sS {auth} -X PUT {api}/rooms/hall -d \'{{"name": "Hall"}}\'',
            f"curl -sS {auth} -X POST {api}/rooms/hall/recordings/start",
            f"curl -sS {auth} -X POST {api}/rooms/hall/recordings/stop",
            f"curl -sS {auth} {api}/recordings",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
