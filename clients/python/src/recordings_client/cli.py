"""The command line `recordings`: tables for people, `--json` for scripts, an exit code for every outcome."""

import json
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from recordings_client.calls import failed
from recordings_client.cli_frame import EPILOG as EPILOG
from recordings_client.cli_frame import AsJson, Key, RecordingId, RoomId, Settings, open_client
from recordings_client.cli_frame import Exit as Exit
from recordings_client.cli_frame import exit_code as exit_code
from recordings_client.cli_output import complete_page, envelope, print_json, print_outcome, print_page
from recordings_client.cli_output import plain as plain
from recordings_client.cli_rooms import rooms_app
from recordings_client.cli_watch import changes
from recordings_client.client import VERSION
from recordings_client.models import Status
from recordings_client.terminal import facts, printable, width_of
from recordings_client.words import facts_of, instant, length, line_of, size

app = typer.Typer(
    name="recordings",
    help="Record rooms and download the recordings.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Its boxes break ids and commands at their edges.
    rich_markup_mode=None,
)
app.add_typer(rooms_app, name="rooms")


class Tier(StrEnum):
    STANDARD = "standard"
    BULK = "bulk"
    EXPEDITED = "expedited"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(VERSION)
        raise typer.Exit


def _time(given: str) -> datetime:
    at = datetime.fromisoformat(given)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


@app.callback()
def main(
    context: typer.Context,
    url: Annotated[str, typer.Option(envvar="RECORDINGS_URL", help="URL of the API: https://host")] = "",
    token: Annotated[
        str,
        typer.Option(
            envvar="RECORDINGS_TOKEN",
            show_default=False,
            help="Access token. Other users of this machine can read a command line: prefer the environment variable.",
        ),
    ] = "",
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds to wait for a response.")] = 30.0,
    retries: Annotated[int, typer.Option(min=0, help="Retries of a request that failed temporarily.")] = 3,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    context.obj = Settings(url=url.strip(), token=token.strip(), timeout=timeout, retries=retries)


@app.command(epilog=EPILOG)
def start(
    context: typer.Context,
    room_id: RoomId,
    max_duration: Annotated[
        int | None, typer.Option(min=60, max=86_400, help="Stop the recording after this many seconds.")
    ] = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Start recording a room."""
    with open_client(context, as_json) as client:
        started = client.start(room_id, max_duration_seconds=max_duration, idempotency_key=key)
        print_outcome(started, f"{started.id} is {started.status} since {instant(started.started_at)}.", as_json)


@app.command(epilog=EPILOG)
def stop(context: typer.Context, room_id: RoomId, key: Key = None, as_json: AsJson = False) -> None:
    """Stop the recording of a room."""
    with open_client(context, as_json) as client:
        stopped = client.stop(room_id, idempotency_key=key)
        print_outcome(stopped, f"{stopped.id} is {stopped.status}.", as_json)


@app.command(epilog=EPILOG)
def sync(context: typer.Context, room_id: RoomId, key: Key = None, as_json: AsJson = False) -> None:
    """Compare a room's recordings with Cloudflare's, and import what is missing."""
    with open_client(context, as_json) as client:
        synced = client.sync(room_id, idempotency_key=key)
        lines = [
            f"{synced.synced_count} imported or changed.",
            *(f"{recording.id} {recording.status}" for recording in synced.recordings),
        ]
        print_outcome(synced, "\n".join(lines), as_json)


@app.command("list", epilog=EPILOG)
def list_recordings(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Recordings on one page.")] = 20,
    offset: Annotated[int | None, typer.Option(min=0, help="Skip this many.")] = None,
    cursor: Annotated[str | None, typer.Option(help="Where the page begins. Excludes --offset.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All pages.")] = False,
    room: Annotated[str | None, typer.Option(help="Only recordings of this room.")] = None,
    status: Annotated[
        list[Status] | None, typer.Option(help="Only recordings with this status. Can be repeated.")
    ] = None,
    created_after: Annotated[
        datetime | None,
        typer.Option(
            parser=_time, metavar="TIME", help="Only recordings created after this time. UTC unless it has a zone."
        ),
    ] = None,
    created_before: Annotated[
        datetime | None, typer.Option(parser=_time, metavar="TIME", help="Only recordings created before this time.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List recordings, newest first."""
    if everything and (offset is not None or cursor is not None):
        raise typer.BadParameter("--all begins with the first page: leave out --offset and --cursor")
    with open_client(context, as_json) as client:
        if everything:
            page = complete_page(
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
            return print_json(envelope(page))
        rows = [
            (
                recording.id,
                recording.room_id,
                recording.status,
                length(recording.duration_seconds),
                size(recording.size_bytes),
                instant(recording.created_at),
            )
            for recording in page.items
        ]
        print_page(("recording", "room", "status", "length", "size", "created"), rows, page)


@app.command(epilog=EPILOG)
def show(context: typer.Context, recording_id: RecordingId, as_json: AsJson = False) -> None:
    """Show one recording with its history."""
    with open_client(context, as_json) as client:
        recording = client.get(recording_id)
        if as_json:
            return print_json(recording)
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
            "--to", "-o", help="File or directory. In a directory the name is RECORDING and the file's extension."
        ),
    ] = Path(),
    resume: Annotated[bool, typer.Option("--resume/--no-resume", help="Continue an earlier download.")] = True,
    wait: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Wait this long until the file is ready.")
    ] = None,
    url_only: Annotated[bool, typer.Option("--url-only", help="Print the presigned URL and download nothing.")] = False,
    expires_in: Annotated[
        int | None, typer.Option(min=60, max=604_800, help="Seconds for which the URL is valid.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Download a recording. A broken download continues where it stopped."""
    with open_client(context, as_json) as client:
        if wait is not None:
            client.wait_until_ready(recording_id, timeout=wait)
        if url_only:
            link = client.download_url(recording_id, expires_in=expires_in)
            return print_outcome(link, link.download_url, as_json)
        with client.showing(recording_id) as progress:
            path = client.download(recording_id, to, resume=resume, expires_in=expires_in, progress=progress)
        outcome = {"recording_id": recording_id, "path": str(path), "size_bytes": path.stat().st_size}
        print_outcome(outcome, str(path), as_json)


@app.command(epilog=EPILOG)
def archive(context: typer.Context, recording_id: RecordingId, key: Key = None, as_json: AsJson = False) -> None:
    """Move a recording to cold storage."""
    with open_client(context, as_json) as client:
        archived = client.archive(recording_id, idempotency_key=key)
        print_outcome(archived, f"{archived.id} is {archived.status}; the file is on its way.", as_json)


@app.command(epilog=EPILOG)
def restore(
    context: typer.Context,
    recording_id: RecordingId,
    days: Annotated[int, typer.Option(min=1, max=30, help="Days for which the copy is readable.")] = 7,
    tier: Annotated[Tier, typer.Option(help="Retrieval tier. Faster tiers cost more.")] = Tier.STANDARD,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Request a readable copy of an archived recording."""
    with open_client(context, as_json) as client:
        restoring = client.restore(recording_id, days=days, tier=tier.value, idempotency_key=key)
        expected = restoring.archive.expected_at if restoring.archive else None
        when = f" It is expected at {instant(expected)}." if expected else ""
        print_outcome(restoring, f"A copy of {restoring.id} is requested.{when}", as_json)


@app.command(epilog=EPILOG)
def recover(context: typer.Context, recording_id: RecordingId, key: Key = None, as_json: AsJson = False) -> None:
    """Process a recording again that is stuck in processing."""
    with open_client(context, as_json) as client:
        recovering = client.recover(recording_id, idempotency_key=key)
        print_outcome(recovering, recovering.message or f"{recovering.id} is {recovering.status}.", as_json)


@app.command(epilog=EPILOG)
def delete(context: typer.Context, recording_id: RecordingId, key: Key = None, as_json: AsJson = False) -> None:
    """Delete a recording. `undelete` restores it."""
    with open_client(context, as_json) as client:
        deleted = client.delete(recording_id, idempotency_key=key)
        print_outcome(deleted, f"{deleted.id} is deleted.", as_json)


@app.command(epilog=EPILOG)
def undelete(context: typer.Context, recording_id: RecordingId, key: Key = None, as_json: AsJson = False) -> None:
    """Restore a deleted recording."""
    with open_client(context, as_json) as client:
        undeleted = client.undelete(recording_id, idempotency_key=key)
        print_outcome(undeleted, f"{undeleted.id} is back, and {undeleted.status}.", as_json)


@app.command(epilog=EPILOG)
def watch(
    context: typer.Context,
    recording_id: RecordingId,
    interval: Annotated[float, typer.Option(min=0.01, help="Seconds between two requests.")] = 2.0,
    give_up_after: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Exit with code 5 after this time.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Follow a recording until it is ready, archived or failed. With --json, print a line for every change."""
    with open_client(context, as_json) as client:
        last = None
        for recording in changes(client, recording_id, interval=interval, give_up_after=give_up_after):
            last = recording
            if as_json:
                typer.echo(json.dumps(plain(recording)))
            else:
                typer.echo(printable(line_of(recording)))
        if last is not None and last.status is Status.FAILED:
            raise failed(last)
