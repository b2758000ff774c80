"""The command line `recordings`: tables for people, `--json` for scripts, an exit code for every kind of end."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from recordings_client.calls import failed
from recordings_client.client import VERSION
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
from recordings_client.models import Page, Recording, Room, Status
from recordings_client.showing import ShownClient
from recordings_client.terminal import facts, printable, table, width_of
from recordings_client.words import facts_of, instant, length, line_of, size

T = TypeVar("T")


class Exit(IntEnum):
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

app = typer.Typer(
    name="recordings",
    help="Record rooms, and get the recordings.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Its boxes would break ids and commands at their edges.
    rich_markup_mode=None,
)
rooms_app = typer.Typer(
    help="The rooms that can be recorded.", no_args_is_help=True, epilog=EPILOG, rich_markup_mode=None
)
app.add_typer(rooms_app, name="rooms")


class Tier(StrEnum):
    STANDARD = "standard"
    BULK = "bulk"
    EXPEDITED = "expedited"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    url: str
    token: str
    timeout: float
    retries: int


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(VERSION)
        raise typer.Exit


def _time(given: str) -> datetime:
    at = datetime.fromisoformat(given)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, with the names of the API.")]
RoomId = Annotated[str, typer.Argument(metavar="ROOM", help="The room's id.", show_default=False)]
RecordingId = Annotated[str, typer.Argument(metavar="RECORDING", help="The recording's id.", show_default=False)]
Key = Annotated[
    str | None, typer.Option("--idempotency-key", help="Make the call once, however often it is sent.", metavar="KEY")
]


@app.callback()
def main(
    context: typer.Context,
    url: Annotated[str, typer.Option(envvar="RECORDINGS_URL", help="Where the API is: https://host")] = "",
    token: Annotated[
        str,
        typer.Option(
            envvar="RECORDINGS_TOKEN",
            show_default=False,
            help="The access token. Others on this machine can read a command line: better in the environment.",
        ),
    ] = "",
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds to wait for an answer.")] = 30.0,
    retries: Annotated[int, typer.Option(min=0, help="Repeats of a request that failed for a while.")] = 3,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    context.obj = _Settings(url=url.strip(), token=token.strip(), timeout=timeout, retries=retries)


@rooms_app.command("list", epilog=EPILOG)
def list_rooms(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Rooms on one page.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page begins.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All pages.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the rooms."""
    with _client(context, as_json) as client:
        page = _all(client.iter_rooms()) if everything else client.list_rooms(limit=limit, cursor=cursor)
        if as_json:
            return _print_json(_envelope(page))
        rows = [
            (room.id, room.name, room.active_recording_id, "yes" if room.record_on_start else "no")
            for room in page.items
        ]
        _print_page(("room", "name", "recording now", "records on start"), rows, page)


@rooms_app.command("put", epilog=EPILOG)
def put_room(
    context: typer.Context,
    room_id: RoomId,
    name: Annotated[str, typer.Option(help="What people call it.", show_default=False)],
    meeting: Annotated[
        str | None, typer.Option(help="The Cloudflare meeting it is; without, the API makes one.", metavar="UUID")
    ] = None,
    record_on_start: Annotated[
        bool | None, typer.Option("--record-on-start/--no-record-on-start", help="Record when a meeting begins.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create or update a room."""
    with _client(context, as_json) as client:
        room = client.put_room(room_id, name=name, cloudflare_meeting_id=meeting, record_on_start=record_on_start)
        _print_room(room, as_json)


@rooms_app.command("show", epilog=EPILOG)
def show_room(context: typer.Context, room_id: RoomId, as_json: AsJson = False) -> None:
    """Show one room."""
    with _client(context, as_json) as client:
        _print_room(client.get_room(room_id), as_json)


@rooms_app.command("delete", epilog=EPILOG)
def delete_room(context: typer.Context, room_id: RoomId, key: Key = None, as_json: AsJson = False) -> None:
    """Delete a room; its recordings stay."""
    with _client(context, as_json) as client:
        client.delete_room(room_id, idempotency_key=key)
        _print_outcome({"id": room_id, "deleted": True}, f"{room_id} is deleted.", as_json)


@app.command(epilog=EPILOG)
def start(
    context: typer.Context,
    room_id: RoomId,
    max_duration: Annotated[
        int | None, typer.Option(min=60, max=86_400, help="Stop by itself after so many seconds.")
    ] = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Start recording a room."""
    with _client(context, as_json) as client:
        started = client.start(room_id, max_duration_seconds=max_duration, idempotency_key=key)
        _print_outcome(started, f"{started.id} is {started.status} since {instant(started.started_at)}.", as_json)


@app.command(epilog=EPILOG)
def stop(context: typer.Context, room_id: RoomId, key: Key = None, as_json: AsJson = False) -> None:
    """Stop the recording of a room."""
    with _client(context, as_json) as client:
        stopped = client.stop(room_id, idempotency_key=key)
        _print_outcome(stopped, f"{stopped.id} is {stopped.status}.", as_json)


@app.command(epilog=EPILOG)
def sync(context: typer.Context, room_id: RoomId, key: Key = None, as_json: AsJson = False) -> None:
    """Bring a room's recordings in line with Cloudflare."""
    with _client(context, as_json) as client:
        synced = client.sync(room_id, idempotency_key=key)
        lines = [
            f"{synced.synced_count} imported or changed.",
            *(f"{one.id} {one.status}" for one in synced.recordings),
        ]
        _print_outcome(synced, "\n".join(lines), as_json)


@app.command("list", epilog=EPILOG)
def list_recordings(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Recordings on one page.")] = 20,
    offset: Annotated[int | None, typer.Option(min=0, help="Leave out so many.")] = None,
    cursor: Annotated[str | None, typer.Option(help="Where the page begins; not together with --offset.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All pages.")] = False,
    room: Annotated[str | None, typer.Option(help="Only of this room.")] = None,
    status: Annotated[list[Status] | None, typer.Option(help="Only with this status; may be repeated.")] = None,
    created_after: Annotated[
        datetime | None, typer.Option(parser=_time, metavar="TIME", help="Only begun later; UTC unless it has a zone.")
    ] = None,
    created_before: Annotated[
        datetime | None, typer.Option(parser=_time, metavar="TIME", help="Only begun earlier.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List recordings, newest first."""
    if everything and (offset is not None or cursor is not None):
        raise typer.BadParameter("--all begins with the first page: leave out --offset and --cursor")
    with _client(context, as_json) as client:
        if everything:
            page = _all(
                client.iter_recordings(
                    room_id=room, status=status or None, created_after=created_after, created_before=created_before
                )
            )
        else:
            page = client.list_recordings(
                limit=limit,
                offset=offset,
                cursor=cursor,
                room_id=room,
                status=status or None,
                created_after=created_after,
                created_before=created_before,
            )
        if as_json:
            return _print_json(_envelope(page))
        rows = [
            (
                one.id,
                one.room_id,
                one.status,
                length(one.duration_seconds),
                size(one.size_bytes),
                instant(one.created_at),
            )
            for one in page.items
        ]
        _print_page(("recording", "room", "status", "length", "size", "created"), rows, page)


@app.command(epilog=EPILOG)
def show(context: typer.Context, recording_id: RecordingId, as_json: AsJson = False) -> None:
    """Show one recording with its history."""
    with _client(context, as_json) as client:
        recording = client.get(recording_id)
        if as_json:
            return _print_json(recording)
        known = [(name, value) for name, value in facts_of(recording) if value]
        for line in facts(known, width=width_of(sys.stdout)):
            typer.echo(line)


@app.command(epilog=EPILOG)
def download(
    context: typer.Context,
    recording_id: RecordingId,
    to: Annotated[
        Path,
        typer.Option(
            "--to", "-o", help="File or directory; in a directory the name is RECORDING and the file's extension."
        ),
    ] = Path(),
    resume: Annotated[bool, typer.Option("--resume/--no-resume", help="Go on with what an earlier try left.")] = True,
    wait: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="First wait so long until it is ready.")
    ] = None,
    url_only: Annotated[bool, typer.Option("--url-only", help="Print the address, download nothing.")] = False,
    expires_in: Annotated[
        int | None, typer.Option(min=60, max=604_800, help="Seconds that the address is good for.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Download a recording; a broken download goes on where it was."""
    with _client(context, as_json) as client:
        if wait is not None:
            client.wait_until_ready(recording_id, timeout=wait)
        if url_only:
            link = client.download_url(recording_id, expires_in=expires_in)
            return _print_outcome(link, link.download_url, as_json)
        with client.showing(recording_id) as progress:
            path = client.download(recording_id, to, resume=resume, expires_in=expires_in, progress=progress)
        outcome = {"recording_id": recording_id, "path": str(path), "size_bytes": path.stat().st_size}
        _print_outcome(outcome, str(path), as_json)


@app.command(epilog=EPILOG)
def archive(context: typer.Context, recording_id: RecordingId, key: Key = None, as_json: AsJson = False) -> None:
    """Move a recording to cold storage."""
    with _client(context, as_json) as client:
        archived = client.archive(recording_id, idempotency_key=key)
        _print_outcome(archived, f"{archived.id} is {archived.status}; the file is on its way.", as_json)


@app.command(epilog=EPILOG)
def restore(
    context: typer.Context,
    recording_id: RecordingId,
    days: Annotated[int, typer.Option(min=1, max=30, help="How long the copy is kept.")] = 7,
    tier: Annotated[Tier, typer.Option(help="How fast, at what price.")] = Tier.STANDARD,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a readable copy of an archived recording."""
    with _client(context, as_json) as client:
        restoring = client.restore(recording_id, days=days, tier=tier.value, idempotency_key=key)
        expected = restoring.archive.expected_at if restoring.archive else None
        when = f" It is expected at {instant(expected)}." if expected else ""
        _print_outcome(restoring, f"A copy of {restoring.id} has been asked for.{when}", as_json)


@app.command(epilog=EPILOG)
def recover(context: typer.Context, recording_id: RecordingId, key: Key = None, as_json: AsJson = False) -> None:
    """Process again what is stuck in processing."""
    with _client(context, as_json) as client:
        recovering = client.recover(recording_id, idempotency_key=key)
        _print_outcome(recovering, recovering.message or f"{recovering.id} is {recovering.status}.", as_json)


@app.command(epilog=EPILOG)
def delete(context: typer.Context, recording_id: RecordingId, key: Key = None, as_json: AsJson = False) -> None:
    """Delete a recording; undelete brings it back."""
    with _client(context, as_json) as client:
        deleted = client.delete(recording_id, idempotency_key=key)
        _print_outcome(deleted, f"{deleted.id} is deleted.", as_json)


@app.command(epilog=EPILOG)
def undelete(context: typer.Context, recording_id: RecordingId, key: Key = None, as_json: AsJson = False) -> None:
    """Bring a deleted recording back."""
    with _client(context, as_json) as client:
        undeleted = client.undelete(recording_id, idempotency_key=key)
        _print_outcome(undeleted, f"{undeleted.id} is back, and {undeleted.status}.", as_json)


@app.command(epilog=EPILOG)
def watch(
    context: typer.Context,
    recording_id: RecordingId,
    interval: Annotated[float, typer.Option(min=0.01, help="Seconds between two looks.")] = 2.0,
    give_up_after: Annotated[float | None, typer.Option(min=0, metavar="SECONDS", help="Exit 5 after so long.")] = None,
    as_json: AsJson = False,
) -> None:
    """Follow a recording until it has a file, is archived, or failed; with --json a line for every change."""
    with _client(context, as_json) as client:
        last = None
        for recording in _changes(client, recording_id, interval=interval, give_up_after=give_up_after):
            last = recording
            if as_json:
                typer.echo(json.dumps(plain(recording)))
            else:
                typer.echo(printable(line_of(recording)))
        if last is not None and last.status is Status.FAILED:
            raise failed(last)


def _changes(
    client: ShownClient, recording_id: str, *, interval: float, give_up_after: float | None
) -> Iterator[Recording]:
    """The recording each time it differs, until nothing more will happen by itself."""
    began, seen = time.monotonic(), None
    while True:
        recording = client.get(recording_id)
        if recording != seen:
            seen = recording
            yield recording
        moving = recording.archive is not None and recording.archive.state in ("moving", "restoring")
        # Of a status that is not known here, nobody can say that it is the last one.
        settled = recording.status.is_known and recording.status not in (Status.RECORDING, Status.PROCESSING)
        if settled and not moving:
            return
        if give_up_after is not None and time.monotonic() - began + interval > give_up_after:
            raise NotReadyInTime(f"After {give_up_after:g} s the recording is still {line_of(recording)}")
        with client.waiting.on(f"Still {line_of(recording)}".__str__):
            time.sleep(interval)


@contextmanager
def _client(context: typer.Context, as_json: bool) -> Iterator[ShownClient]:
    """A client for one command; what goes wrong inside is said in sentences and becomes the exit code."""
    settings: _Settings = context.obj
    for value, missing in ((settings.url, NO_URL), (settings.token, NO_TOKEN)):
        if not value:
            raise typer.BadParameter(missing)
    if not (settings.token.isascii() and settings.token.isprintable() and " " not in settings.token):
        raise typer.BadParameter(f"the token holds a character that no token has. {NEW_TOKEN}")
    try:
        with ShownClient(
            settings.url, settings.token, timeout=settings.timeout, retries=settings.retries, quiet=as_json
        ) as client:
            yield client
    except RecordingsError as error:
        _complain(error, settings, context.params, as_json)
        raise typer.Exit(exit_code(error)) from None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except ImportError as error:
        # httpx knows of some kinds of proxies only that it could be taught them.
        raise typer.BadParameter(f"the proxy of this environment cannot be used: {error}") from None
    except BrokenPipeError:
        # Whoever read the output has enough; typer ends quietly then.
        raise
    except OSError as error:
        _say_on_stderr(str(error))
        raise typer.Exit(Exit.USAGE) from None


def exit_code(error: RecordingsError) -> Exit:
    """How a command ends that met this error."""
    if isinstance(error, NotFound):
        return Exit.NOT_FOUND
    if isinstance(error, NotReadyInTime):
        return Exit.TIMEOUT
    if isinstance(error, ServerFailure | NoAnswer | UnexpectedAnswer | DownloadFailed):
        return Exit.SERVER
    return Exit.REFUSED


def _complain(error: RecordingsError, settings: _Settings, given: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        told = {"code": error.code, "status": error.status, "detail": error.detail, "request_id": error.request_id}
        more = {name: error.document[name] for name in ("errors", "recording") if name in error.document}
        typer.echo(json.dumps({**told, **more}), err=True)
        return
    asked = Asked(
        url=settings.url,
        token=settings.token,
        timeout=settings.timeout,
        room=given.get("room_id"),
        recording=given.get("recording_id"),
    )
    for line in explain(error, asked):
        _say_on_stderr(line)


def _say_on_stderr(line: str) -> None:
    # The terminal breaks the line where it ends: an id or a command in it stays whole.
    typer.secho(printable(line), err=True, fg=typer.colors.RED)


def _print_page(names: Sequence[str], rows: Sequence[Sequence[str | None]], page: Page[T]) -> None:
    for line in table(names, rows, width=width_of(sys.stdout)):
        typer.echo(line)
    if page.total is not None:
        typer.echo(f"{len(page.items)} of {page.total}")
    if page.next_cursor:
        typer.echo(f"more: --cursor {printable(page.next_cursor)}")


def _print_room(room: Room, as_json: bool) -> None:
    lines = [f"{room.id}: {room.name}", f"meeting {room.cloudflare_meeting_id or '–'}"]
    lines.append(f"recording now: {room.active_recording_id or 'no'}")
    lines.append(f"records on start: {'yes' if room.record_on_start else 'no'}")
    _print_outcome(room, "\n".join(lines), as_json)


def _print_outcome(outcome: object, words: str, as_json: bool) -> None:
    if as_json:
        return _print_json(outcome)
    for line in words.split("\n"):
        typer.echo(printable(line))


def _print_json(value: object) -> None:
    typer.echo(json.dumps(plain(value), indent=2))


def _all(items: Iterable[T]) -> Page[T]:
    found = tuple(items)
    return Page(items=found, limit=None, total=len(found), offset=None, next_cursor=None)


def _envelope(page: Page[T]) -> dict[str, object]:
    meta = {"total": page.total, "limit": page.limit, "offset": page.offset, "next_cursor": page.next_cursor}
    return {"data": [plain(one) for one in page.items], "meta": meta}


def plain(value: object) -> Any:
    """As the API writes it."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return instant(value) if isinstance(value, datetime) else value
