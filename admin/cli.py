"""The command line `recordings-admin`. It uses the AWS credentials and the region of the shell."""

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Final, cast

import requests
import typer
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError, PartialCredentialsError
from typer.main import get_command

from admin import AdminError, deployment, webhook
from admin.progress import step
from admin.reconcile import FAILED, exit_code, reconcile
from admin.report import lines
from admin.stack import choose_stack, client_factory
from admin.table import open_table

# Shells use this status after Ctrl-C.
INTERRUPTED: Final = 130
MAX_MIN_AGE_HOURS: Final = 8760
# Typer exports BadParameter. Its base class is that of every mistake in a command line.
MISTAKE: Final = cast(
    "type[typer.BadParameter]",
    next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"),
)

Stack = Annotated[
    str | None,
    typer.Option(
        help="Name of the CloudFormation stack. Without it: RECORDINGS_STACK, or the local stack that is up.",
        show_default=False,
    ),
]
Local = Annotated[
    str | None, typer.Option(metavar="[NAME]", help="A local stack (its name: default).", show_default=False)
]
Tenant = Annotated[str | None, typer.Option(help="One tenant. Without it: all tenants.", show_default=False)]

app = typer.Typer(
    name="recordings-admin",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Its boxes break names and keys at their edges.
    rich_markup_mode=None,
)


@app.callback()
def main() -> None:
    """Commands for operators of a deployed stack. They use the AWS credentials and the region of the shell."""


@app.command(
    "reconcile",
    epilog="exit status: 0 nothing found, 3 something found, 1 an error, or nothing found in an incomplete audit, "
    "130 interrupted",
)
def reconcile_command(
    stack: Stack = None,
    local: Local = None,
    tenant: Tenant = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Delete confirmed orphans, import Cloudflare's recordings, and restart what is stalled.",
        ),
    ] = False,
    min_age: Annotated[
        str | None,
        typer.Option(
            metavar="HOURS",
            help="Files and uploads that are not older are no orphans, because their recording may not be stored "
            "yet (48).",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> int:
    """Compare R2, S3 and Cloudflare with the table, and report what differs.

    \b
    orphans     bytes without a recording: files, unfinished uploads, recordings at Cloudflare
    phantoms    recordings whose file is absent
    mismatches  another size, checksum or status than recorded
    stalled     recordings whose processing or archive move makes no progress

    Nothing is changed without --repair. A finding of absence is confirmed if two audits six hours apart agree. The
    deployed stack runs two audits each Sunday. A file that a recording owns is never deleted.
    """
    hours = None if min_age is None else whole_hours(min_age)
    require_texts(tenant=tenant, stack=stack, local=local)
    chosen, local_name = choose_stack(stack=stack, local=local)
    found = reconcile(client_factory(local_name), chosen, tenant=tenant, repair=repair, min_age_hours=hours)
    print(json.dumps(found, indent=2) if as_json else "\n".join(lines(found, repair=repair)))
    return exit_code(found)


@app.command("migrate", epilog="exit status: 0 done or nothing to do, 1 an error, 130 interrupted")
def migrate_command(
    stack: Stack = None,
    local: Local = None,
    rate: Annotated[
        float, typer.Option(min=1, max=10_000, help="Recordings a second. Each takes up to 18 write units.")
    ] = 200,
    workers: Annotated[int, typer.Option(min=1, max=8, help="Tenants at the same time.")] = 4,
    settle_seconds: Annotated[
        float | None,
        typer.Option(min=0, help="Wait after each change of the layout, at least 180 (240).", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what there is to do, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the first change.")] = False,
) -> int:
    """Move the lists of recordings to rows and tallies by calendar, while the service runs.

    Run it once, after the deployment of this release. It can be interrupted and repeated at any time, and resumes where
    it was. Until it has finished everything works as before. DynamoDB's throttles slow it down, not the service.
    """
    chosen, local_name = choose_stack(stack=stack, local=local)
    make_client = client_factory(local_name)
    outputs = deployment.describe_outputs(make_client, chosen)
    deployment.require_one_release(make_client, chosen, outputs)
    wait_seconds = 0.0 if local_name is not None else deployment.seconds_until_alone(make_client, chosen)
    open_table(make_client, outputs, local_name)
    from admin.lists import commands, migration
    from admin.lists.pace import Pace

    if settle_seconds is None:
        settle_seconds = migration.SETTLE_SECONDS
    elif settle_seconds < migration.MIN_SETTLE_SECONDS and local_name is None:
        raise AdminError(f"--settle-seconds must be at least {migration.MIN_SETTLE_SECONDS} unless the stack is local.")
    commands.migrate(
        Pace(rate),
        workers=workers,
        settle_seconds=settle_seconds,
        dry_run=dry_run,
        confirm=lambda: yes or typer.confirm("Begin or resume the migration?", err=True),
        wait_seconds=wait_seconds,
    )
    return 0


@app.command("tallies", epilog="exit status: 0 everything is right, 1 something differs or an error, 130 interrupted")
def tallies_command(
    stack: Stack = None,
    local: Local = None,
    tenant: Tenant = None,
    check: Annotated[bool, typer.Option("--check", help="Compare and change nothing.")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Compare and mend what differs.")] = False,
    rate: Annotated[float, typer.Option(min=1, max=10_000, help="Corrections a second.")] = 200,
    workers: Annotated[int, typer.Option(min=1, max=8, help="Tenants at the same time.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print the differences as JSON.")] = False,
) -> int:
    """Compare lists with the recordings: the rows, and the tallies of tenants and rooms at every level.

    The service may run meanwhile. --rebuild loses no change that happens at the same time.
    """
    if check == rebuild:
        raise AdminError("Name either --check or --rebuild.")
    require_texts(tenant=tenant, stack=stack, local=local)
    chosen, local_name = choose_stack(stack=stack, local=local)
    make_client = client_factory(local_name)
    outputs = deployment.describe_outputs(make_client, chosen)
    if rebuild:
        deployment.require_one_release(make_client, chosen, outputs)
    open_table(make_client, outputs, local_name)
    from admin.lists import commands
    from admin.lists.pace import Pace

    return commands.tallies(Pace(rate), tenant=tenant, repair=rebuild, as_json=as_json, workers=workers)


@app.command("register-webhook")
def register_webhook_command(
    url: Annotated[str, typer.Option(help="URL of the API: the stack's output ApiUrl.")],
    secret: Annotated[str, typer.Option(help="ARN of the secret that holds Cloudflare's api_token.")],
    account: Annotated[str, typer.Option(help="Cloudflare account id.")],
    app_id: Annotated[str, typer.Option("--app", help="RealtimeKit app id.")],
    api: Annotated[str, typer.Option(help="URL of Cloudflare's API.")] = webhook.API,
) -> int:
    """Make Cloudflare send its webhooks to the API. Safe to repeat."""
    with step("Register the webhook"):
        said = webhook.register_webhook(api, account, app_id, webhook.api_token(secret), url)
    print(said)
    return 0


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status. Write a mistake or a failure to stderr, in one line."""
    try:
        status = get_command(app).main(
            args=with_stack_name(arguments), prog_name="recordings-admin", standalone_mode=False
        )
    except MISTAKE as error:
        return fail(f"{error.format_message()} (recordings-admin --help shows the commands and options)")
    except (NoCredentialsError, NoRegionError, PartialCredentialsError) as error:
        return fail(f"{error} Set AWS_PROFILE or keys, and AWS_REGION.")
    except (AdminError, requests.RequestException, ClientError, BotoCoreError) as error:
        return fail(str(error))
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return status if isinstance(status, int) else 0


def fail(message: str) -> int:
    """Write a message to stderr, in one line, and return the exit status of a failure."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return FAILED


def with_stack_name(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the name `default` after a `--local` without a name."""
    named: list[str] = []
    for position, argument in enumerate(arguments):
        named.append(argument)
        follows = arguments[position + 1] if position + 1 < len(arguments) else "-"
        if argument == "--local" and follows.startswith("-"):
            named.append("default")
    return named


def require_texts(**options: str | None) -> None:
    """Check that no option is an empty text.

    Raises:
        AdminError: one is
    """
    for name, value in options.items():
        if value == "":
            raise AdminError(f"--{name} is empty. Name one, or leave the option out.")


def whole_hours(text: str) -> int:
    """Return a number of hours, at most those of a year.

    Raises:
        typer.BadParameter: the text is no such number
    """
    # int() also accepts "+5", "5_0" and the digits of other scripts.
    if not text.isascii() or not text.isdecimal() or int(text) > MAX_MIN_AGE_HOURS:
        raise typer.BadParameter(f"--min-age needs a whole number of hours, at most {MAX_MIN_AGE_HOURS}.")
    return int(text)
