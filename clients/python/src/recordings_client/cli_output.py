"""How commands print their results: tables and sentences for people, JSON for scripts."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any, TypeVar

import typer

from recordings_client.models import Page, Room
from recordings_client.terminal import printable, table, width_of
from recordings_client.words import instant

T = TypeVar("T")


def print_page(names: Sequence[str], rows: Sequence[Sequence[str | None]], page: Page[T]) -> None:
    for line in table(names, rows, width=width_of(sys.stdout)):
        typer.echo(line)
    if page.total is not None:
        typer.echo(f"{len(page.items)} of {page.total}")
    if page.next_cursor:
        typer.echo(f"more: --cursor {printable(page.next_cursor)}")


def print_room(room: Room, as_json: bool) -> None:
    lines = [f"{room.id}: {room.name}", f"meeting {room.cloudflare_meeting_id or '–'}"]
    lines.append(f"recording now: {room.active_recording_id or 'no'}")
    lines.append(f"records on start: {'yes' if room.record_on_start else 'no'}")
    print_outcome(room, "\n".join(lines), as_json)


def print_outcome(outcome: object, words: str, as_json: bool) -> None:
    if as_json:
        return print_json(outcome)
    for line in words.split("\n"):
        typer.echo(printable(line))


def print_json(value: object) -> None:
    typer.echo(json.dumps(plain(value), indent=2))


def complete_page(items: Iterable[T]) -> Page[T]:
    found = tuple(items)
    return Page(items=found, limit=None, total=len(found), offset=None, next_cursor=None)


def envelope(page: Page[T]) -> dict[str, object]:
    meta = {"total": page.total, "limit": page.limit, "offset": page.offset, "next_cursor": page.next_cursor}
    return {"data": [plain(item) for item in page.items], "meta": meta}


def plain(value: object) -> Any:
    """Return the value as JSON types, with times as the API formats them."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return instant(value) if isinstance(value, datetime) else value
