"""What every command shares: options, the client, exit codes and how an error is reported."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Final

import typer

from recordings_client.errors import (
    DownloadFailed,
    NoAnswer,
    NotFound,
    NotReadyInTime,
    RecordingsError,
    ServerFailure,
    UnexpectedAnswer,
)
from recordings_client.explain import NEW_TOKEN, NO_TOKEN, NO_URL, Asked, explain
from recordings_client.showing import ShownClient
from recordings_client.terminal import printable


class Exit(IntEnum):
    """The exit codes. 130 (interrupted) is typer's own."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    SERVER = 3
    NOT_FOUND = 4
    TIMEOUT = 5


EPILOG: Final = (
    "Exit codes: 0 done; 1 refused by the API (or the recording failed); 2 wrong use, or a file that cannot be "
    "written; 3 network or server; 4 not found; 5 waited too long; 130 interrupted."
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON with the field names of the API.")]
RoomId = Annotated[str, typer.Argument(metavar="ROOM", help="The room's id.", show_default=False)]
RecordingId = Annotated[str, typer.Argument(metavar="RECORDING", help="The recording's id.", show_default=False)]
Key = Annotated[
    str | None, typer.Option("--idempotency-key", help="Key that makes repeats of this command safe.", metavar="KEY")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options that stand before the command. `timeout` is in seconds."""

    url: str
    token: str
    timeout: float
    retries: int


@contextmanager
def open_client(context: typer.Context, as_json: bool) -> Iterator[ShownClient]:
    """Open the client for one command. An error in the block is reported in sentences and becomes the exit code."""
    settings: Settings = context.obj
    for value, missing in ((settings.url, NO_URL), (settings.token, NO_TOKEN)):
        if not value:
            raise typer.BadParameter(missing)
    if not (settings.token.isascii() and settings.token.isprintable() and " " not in settings.token):
        raise typer.BadParameter(f"the token has a character that no token has. {NEW_TOKEN}")
    try:
        with ShownClient(
            settings.url, settings.token, timeout=settings.timeout, retries=settings.retries, quiet=as_json
        ) as client:
            yield client
    except RecordingsError as error:
        _report(error, settings, context.params, as_json)
        raise typer.Exit(exit_code(error)) from None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except ImportError as error:
        # httpx needs another package for some kinds of proxies.
        raise typer.BadParameter(f"the proxy of this environment cannot be used: {error}") from None
    except BrokenPipeError:
        # The reader of the pipe has ended. typer exits without a message.
        raise
    except OSError as error:
        _print_error(str(error))
        raise typer.Exit(Exit.USAGE) from None


def exit_code(error: RecordingsError) -> Exit:
    """Return the exit code for an error."""
    if isinstance(error, NotFound):
        return Exit.NOT_FOUND
    if isinstance(error, NotReadyInTime):
        return Exit.TIMEOUT
    if isinstance(error, ServerFailure | NoAnswer | UnexpectedAnswer | DownloadFailed):
        return Exit.SERVER
    return Exit.REFUSED


def _report(error: RecordingsError, settings: Settings, given: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        report = {"code": error.code, "status": error.status, "detail": error.detail, "request_id": error.request_id}
        more = {name: error.document[name] for name in ("errors", "recording") if name in error.document}
        typer.echo(json.dumps({**report, **more}), err=True)
        return
    asked = Asked(
        url=settings.url,
        token=settings.token,
        timeout=settings.timeout,
        room=given.get("room_id"),
        recording=given.get("recording_id"),
    )
    for line in explain(error, asked):
        _print_error(line)


def _print_error(line: str) -> None:
    # The terminal wraps the line itself, so that an id or a command in it can be copied whole.
    typer.secho(printable(line), err=True, fg=typer.colors.RED)
