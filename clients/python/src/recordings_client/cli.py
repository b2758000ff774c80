"""The command line `recordings`: tables for people, `--json` for scripts, an exit code for every kind of end."""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from recordings_client.calls import failed
from recordings_client.client import VERSION, Client
from recordings_client.downloads import ProgressCallback
from recordings_client.errors import (
    DownloadFailed,
    InvalidRequest,
    NoAnswer,
    NotFound,
    NotReadyInTime,
    RecordingsError,
    RoomAlreadyRecording,
    ServerFailure,
    UnexpectedAnswer,
)
from recordings_client.models import Page, Recording, Room, Status
from recordings_client.policy import Policy

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
    "written; 3 network or server; 4 not found; 5 waited too long."
)

app = typer.Typer(
    name="recordings",
    help="Record rooms, and get the recordings.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
rooms_app = typer.Typer(help="The rooms that can be recorded.", no_args_is_help=True, epilog=EPILOG)
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
        table = _table("room", "name", "recording now", "records on start")
        for room in page.items:
            _row(table, room.id, room.name, room.active_recording_id, "yes" if room.record_on_start else "no")
        _print_page(table, page)


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
        _print_outcome(started, f"{started.id} is {started.status} since {_instant(started.started_at)}.", as_json)


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
        table = _table("recording", "room", "status", "length", "size", "created")
        for one in page.items:
            length, size = _length(one.duration_seconds), _size(one.size_bytes)
            _row(table, one.id, one.room_id, one.status, length, size, _instant(one.created_at))
        _print_page(table, page)


@app.command(epilog=EPILOG)
def show(context: typer.Context, recording_id: RecordingId, as_json: AsJson = False) -> None:
    """Show one recording with its history."""
    with _client(context, as_json) as client:
        recording = client.get(recording_id)
        if as_json:
            return _print_json(recording)
        about = Table.grid(padding=(0, 2))
        for name, value in _facts(recording):
            if value:
                about.add_row(Text(name, style="bold"), Text(_printable(value)))
        _console().print(about)


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
        with _bar(recording_id, hidden=as_json) as progress:
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
        when = f" It is expected at {_instant(expected)}." if expected else ""
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
                _console().print(Text(_printable(_line(recording))), soft_wrap=True)
        if last is not None and last.status is Status.FAILED:
            raise failed(last)


def _changes(client: Client, recording_id: str, *, interval: float, give_up_after: float | None) -> Iterator[Recording]:
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
            raise NotReadyInTime(f"After {give_up_after:g} s the recording is still {_line(recording)}")
        time.sleep(interval)


@contextmanager
def _client(context: typer.Context, as_json: bool) -> Iterator[Client]:
    """A client for one command; what goes wrong inside is said in a sentence and becomes the exit code."""
    settings: _Settings = context.obj
    for value, name in ((settings.url, "RECORDINGS_URL or --url"), (settings.token, "RECORDINGS_TOKEN or --token")):
        if not value:
            raise typer.BadParameter(f"set {name}")
    try:
        policy = Policy(retries=settings.retries)
        with Client(settings.url, settings.token, timeout=settings.timeout, policy=policy) as client:
            yield client
    except RecordingsError as error:
        _complain(error, as_json)
        raise typer.Exit(exit_code(error)) from None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except OSError as error:
        _errors().print(Text(_printable(str(error)), style="red"), soft_wrap=True)
        raise typer.Exit(Exit.USAGE) from None


@contextmanager
def _bar(title: str, *, hidden: bool) -> Iterator[ProgressCallback | None]:
    """Shows on stderr how far a download is."""
    if hidden:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=_errors()) as bar:
        task = bar.add_task(escape(_printable(title)), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def exit_code(error: RecordingsError) -> Exit:
    """How a command ends that met this error."""
    if isinstance(error, NotFound):
        return Exit.NOT_FOUND
    if isinstance(error, NotReadyInTime):
        return Exit.TIMEOUT
    if isinstance(error, ServerFailure | NoAnswer | UnexpectedAnswer | DownloadFailed):
        return Exit.SERVER
    return Exit.REFUSED


def _complain(error: RecordingsError, as_json: bool) -> None:
    if as_json:
        told = {"code": error.code, "status": error.status, "detail": error.detail, "request_id": error.request_id}
        more = {name: error.document[name] for name in ("errors", "recording") if name in error.document}
        typer.echo(json.dumps({**told, **more}), err=True)
        return
    lines = [str(error)]
    if isinstance(error, InvalidRequest):
        lines += [f"  {one.field}: {one.message}" for one in error.errors]
    if isinstance(error, RoomAlreadyRecording) and error.recording:
        lines.append(f"  {error.recording.id} is {error.recording.status}")
    for line in lines:
        _errors().print(Text(_printable(line), style="red"), soft_wrap=True)


def _console() -> Console:
    # Into a pipe nothing is cut off to the width of a screen that is not there.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)


def _errors() -> Console:
    return Console(stderr=True, highlight=False)


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        # An id that is cut off is of no use.
        table.add_column(name, overflow="fold")
    return table


def _row(table: Table, *cells: str | None) -> None:
    table.add_row(*(Text(_printable(cell or "–")) for cell in cells))


def _print_page(table: Table, page: Page[T]) -> None:
    console = _console()
    console.print(table)
    if page.total is not None:
        console.print(f"{len(page.items)} of {page.total}")
    if page.next_cursor:
        console.print(Text(f"more: --cursor {_printable(page.next_cursor)}"), soft_wrap=True)


def _print_room(room: Room, as_json: bool) -> None:
    lines = [f"{room.id}: {room.name}", f"meeting {room.cloudflare_meeting_id or '–'}"]
    lines.append(f"recording now: {room.active_recording_id or 'no'}")
    lines.append(f"records on start: {'yes' if room.record_on_start else 'no'}")
    _print_outcome(room, "\n".join(lines), as_json)


def _print_outcome(outcome: object, words: str, as_json: bool) -> None:
    if as_json:
        return _print_json(outcome)
    for line in words.split("\n"):
        typer.echo(_printable(line))


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
    return _instant(value) if isinstance(value, datetime) else value


def _facts(recording: Recording) -> Iterator[tuple[str, str | None]]:
    yield "recording", recording.id
    yield "room", " ".join(filter(None, (recording.room.id, recording.room.name)))
    yield "status", _line(recording)
    yield "length", _length(recording.duration_seconds)
    yield "size", _size(recording.size_bytes)
    yield "started", _instant(recording.started_at)
    yield "stopped", _instant(recording.stopped_at)
    yield "archived", _instant(recording.archived_at)
    yield "stored in", recording.provider
    yield "begun by", recording.origin
    if recording.archive_error:
        yield "archive error", recording.archive_error.message
    for change in recording.history:
        yield "history", f"{_instant(change.at)} {change.status} ({change.cause})"


def _line(recording: Recording) -> str:
    """Where a recording stands, in a line."""
    words = [str(recording.status)]
    if recording.partial:
        words.append("(partial)")
    if recording.failure:
        words.append(f"({recording.failure.code}: {recording.failure.message})")
    if recording.archive:
        words.append(recording.archive.state)
        if recording.archive.expected_at:
            words.append(f"expected {_instant(recording.archive.expected_at)}")
        if recording.archive.restored_until:
            words.append(f"until {_instant(recording.archive.restored_until)}")
    if recording.progress:
        words.append(recording.progress.step)
        done, total = recording.progress.bytes_done, recording.progress.bytes_total
        if done is not None and total:
            words.append(f"{_size(done)} of {_size(total)} ({100 * done // total} %)")
        if recording.progress.stalled:
            words.append("stalled")
    return " ".join(words)


def _instant(at: datetime | None) -> str | None:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def _length(seconds: int | None) -> str | None:
    return None if seconds is None else f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _size(count: int | None) -> str | None:
    if count is None:
        return None
    size, units = float(count), iter(("B", "kB", "MB", "GB"))
    for unit in units:
        if size < 1000:
            return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _printable(text: str) -> str:
    """Names come from elsewhere, and may not steer the terminal."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
