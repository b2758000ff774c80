"""The commands `recordings rooms …`."""

from typing import Annotated

import typer

from recordings_client.cli_frame import EPILOG, AsJson, Key, RoomId, open_client
from recordings_client.cli_output import complete_page, envelope, print_json, print_outcome, print_page, print_room

rooms_app = typer.Typer(
    help="The rooms that can be recorded.", no_args_is_help=True, epilog=EPILOG, rich_markup_mode=None
)


@rooms_app.command("list", epilog=EPILOG)
def list_rooms(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Rooms on one page.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page begins.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All pages.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the rooms."""
    with open_client(context, as_json) as client:
        page = complete_page(client.iter_rooms()) if everything else client.list_rooms(limit=limit, cursor=cursor)
        if as_json:
            return print_json(envelope(page))
        rows = [
            (room.id, room.name, room.active_recording_id, "yes" if room.record_on_start else "no")
            for room in page.items
        ]
        print_page(("room", "name", "recording now", "records on start"), rows, page)


@rooms_app.command("put", epilog=EPILOG)
def put_room(
    context: typer.Context,
    room_id: RoomId,
    name: Annotated[str, typer.Option(help="Name that people see.", show_default=False)],
    meeting: Annotated[
        str | None, typer.Option(help="Cloudflare meeting of the room. By default the API creates one.", metavar="UUID")
    ] = None,
    record_on_start: Annotated[
        bool | None, typer.Option("--record-on-start/--no-record-on-start", help="Record when a meeting starts.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create or update a room."""
    with open_client(context, as_json) as client:
        room = client.put_room(room_id, name=name, cloudflare_meeting_id=meeting, record_on_start=record_on_start)
        print_room(room, as_json)


@rooms_app.command("show", epilog=EPILOG)
def show_room(context: typer.Context, room_id: RoomId, as_json: AsJson = False) -> None:
    """Show one room."""
    with open_client(context, as_json) as client:
        print_room(client.get_room(room_id), as_json)


@rooms_app.command("delete", epilog=EPILOG)
def delete_room(context: typer.Context, room_id: RoomId, key: Key = None, as_json: AsJson = False) -> None:
    """Delete a room. Its recordings stay."""
    with open_client(context, as_json) as client:
        client.delete_room(room_id, idempotency_key=key)
        print_outcome({"id": room_id, "deleted": True}, f"{room_id} is deleted.", as_json)
