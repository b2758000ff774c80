"""The envelopes of RealtimeKit and of Cloudflare's gateway, and parsers for queries and bodies."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from tools.local.standin.state import Fault, Settings

HTML = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
TRUTHS = {"true": True, "false": False}

type Json = dict[str, Any]


class Refused(Exception):
    """RealtimeKit rejects the call with this status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def success(data: Any, *, status: int = 200, **more: Any) -> web.Response:
    return web.json_response({"success": True, "data": data, **more}, status=status)


def failure(status: int, message: str) -> web.Response:
    """RealtimeKit's own error envelope."""
    return web.json_response({"success": False, "error": {"code": status, "message": message}}, status=status)


def refusal(status: int, errors: Mapping[int, str], headers: dict[str, str] | None = None) -> web.Response:
    """The error envelope of Cloudflare's gateway; `errors` maps its codes to messages."""
    listed = [{"code": code, "message": message} for code, message in errors.items()]
    document = {"success": False, "errors": listed, "messages": [], "result": None}
    return web.json_response(document, status=status, headers=headers)


def no_route(request: web.Request) -> web.Response:
    """Return the gateway's response to an unknown path or method."""
    uri = request.path
    return refusal(404, {7003: f"Could not route to {uri}, perhaps your object identifier is invalid?",
                         7000: "No route for that URI"})  # fmt: skip


def as_told(fault: Fault) -> web.Response:
    """Return the response of a fault."""
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    match fault.body:
        case "html":
            return web.Response(status=fault.status, text=HTML, content_type="text/html", headers=headers)
        case "errors":
            return refusal(fault.status, {10000: "a fault was asked for"}, headers)
        case "empty":
            return web.Response(status=fault.status, headers=headers)
        case "unsuccessful":
            return web.json_response(
                {"success": False, "error": {"code": 500, "message": "a fault was asked for"}}, status=200
            )
        case _:
            response = failure(fault.status, "a fault was asked for")
            response.headers.update(headers)
            return response


# ---------------------------------------------------------------- requests


async def body_of(request: web.Request) -> Json:
    """Return the JSON object of the body; empty without a body."""
    try:
        found = await request.json()
    except json.JSONDecodeError:
        found = None
    return found if isinstance(found, dict) else {}


def checked(body: Json, types: Mapping[str, type | tuple[type, ...]], *required: str) -> Json:
    """Return the named fields of a body. Raises Refused (422) with the name of a missing or malformed field."""
    for name in required:
        if body.get(name) is None:
            raise Refused(422, f"{name} is required")
    for name, wanted in types.items():
        # A bool is an int in Python, but not in JSON.
        odd = isinstance(body.get(name), bool) and wanted in (int, (int, float))
        if name in body and (odd or not isinstance(body[name], wanted)):
            raise Refused(422, f"{name} is of the wrong type")
    return {name: body[name] for name in types if name in body}


def whole_number(query: Mapping[str, str], name: str, default: int) -> int:
    """Return a number of the query. Raises Refused (422)."""
    try:
        number = float(query.get(name, default))
    except ValueError:
        number = -1
    if number < 0 or number != int(number):
        raise Refused(422, f"{name} must be a number, 0 or more")
    return int(number)


def choice(query: Mapping[str, str], name: str, *choices: str) -> str | None:
    """Return a word of the query, or None if it is missing. Raises Refused (422)."""
    found = query.get(name)
    if found is not None and found not in choices:
        raise Refused(422, f"{name} must be one of {', '.join(choices)}")
    return found


def truth(query: Mapping[str, str], name: str) -> bool | None:
    """Return a boolean of the query, or None if it is missing. Raises Refused (422)."""
    found = choice(query, name, *TRUTHS)
    return None if found is None else TRUTHS[found]


def time_in(query: Mapping[str, str], name: str) -> datetime | None:
    """Return a time of the query, or None if it is missing. Raises Refused (422)."""
    try:
        found = datetime.fromisoformat(query[name]) if name in query else None
    except ValueError:
        raise Refused(422, f"{name} must be a time in ISO format") from None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


# ---------------------------------------------------------------- listings


def window(query: Mapping[str, str], settings: Settings, total: int) -> tuple[range, Json]:
    """Return the rows of a listing that a page has, and its paging. Raises Refused (422)."""
    size = whole_number(query, "per_page", settings.page_size) or settings.page_size
    page = max(0, whole_number(query, "page_no", settings.page_base) - settings.page_base)
    shown = range(min(page * size, total), min((page + 1) * size, total))
    paging = {
        "total_count": total,
        "start_offset": page * size + 1 if shown else 0,
        "end_offset": page * size + len(shown),
    }
    return shown, paging


def paged[T](query: Mapping[str, str], settings: Settings, rows: Sequence[T]) -> tuple[list[T], Json]:
    """Return the rows of one page, and its paging. Raises Refused (422)."""
    shown, paging = window(query, settings, len(rows))
    return [*rows[shown.start : shown.stop]], paging


def between[T](query: Mapping[str, str], rows: Iterable[T], time_of: Callable[[T], datetime]) -> list[T]:
    """Return the rows whose time is between `start_time` and `end_time`. Raises Refused (422)."""
    first, last = time_in(query, "start_time"), time_in(query, "end_time")
    return [one for one in rows if (first is None or time_of(one) >= first) and (last is None or time_of(one) <= last)]
