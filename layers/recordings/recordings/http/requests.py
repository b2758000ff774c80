"""What callers may send: a model for each body and each query string, and the functions that parse them.

Every invalid field is reported at once. Nothing that a caller sent is repeated, except the names of fields, and these
are cut.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from urllib.parse import parse_qsl
from uuid import UUID

# Only these names: `pydantic.networks` and RootModel each add 20 to 30 ms to a cold start.
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from recordings.domain.ids import is_cloudflare_id
from recordings.domain.lifecycle import Status
from recordings.http.problems import FieldError, invalid_request
from recordings.ports.repositories import Filter

MAX_LIMIT: Final = 100
# The largest integer that every JSON reader holds exactly. Source: RFC 8259, section 6.
MAX_OFFSET: Final = 2**53 - 1
# int() also takes " 5", "+5", "5_0" and digits of other scripts, and raises for more than 4,300 digits.
WHOLE_NUMBER_PATTERN: Final = re.compile(r"-?[0-9]{1,18}")
# RFC 3339, section 5.6, which allows a space and lower case; the colon of the offset may be missing. pydantic also
# takes seconds since 1970, and times without seconds.
TIMESTAMP_PATTERN: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:?\d{2})", re.ASCII
)
UUID_PATTERN: Final = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class RequestBody(BaseModel):
    """Base of JSON bodies. Values are not converted, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class RequestQuery(BaseModel):
    """Base of query strings. Every value is text, so fields convert it with WHOLE_NUMBER or Timestamp."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    # Parameters that may occur several times.
    repeatable: ClassVar[frozenset[str]] = frozenset()


def _whole_number(value: object) -> object:
    if isinstance(value, str):
        if not WHOLE_NUMBER_PATTERN.fullmatch(value):
            raise PydanticCustomError("whole_number", "Input should be a whole number in decimal digits")
        return int(value)
    return value


def _timestamp(value: object) -> object:
    if isinstance(value, str) and not TIMESTAMP_PATTERN.fullmatch(value):
        raise PydanticCustomError("timestamp", "Input should be an RFC 3339 time with an offset")
    return value


def _uuid(value: object) -> object:
    # pydantic also takes braces and the prefix `urn:uuid:`, and its message quotes a character of the input.
    if isinstance(value, str) and not UUID_PATTERN.fullmatch(value):
        raise PydanticCustomError("uuid", "Input should be a UUID")
    return value


# Instead of the messages of pydantic, by the type of the error.
MESSAGES: Final = {
    "extra_forbidden": "Field is not known",
    "json_invalid": "Body should be valid JSON",
    "json_type": "Body should be valid JSON",
    "model_type": "Body should be a JSON object",
}
# Stands after the constraints. Before them, the JSON Schema would say `"ge": 1` and not `"minimum": 1`.
WHOLE_NUMBER: Final = BeforeValidator(_whole_number)
# Plain assignments. `type Timestamp = …` would become a component of this name in the OpenAPI document.
Timestamp = Annotated[AwareDatetime, BeforeValidator(_timestamp)]
MeetingId = Annotated[UUID, BeforeValidator(_uuid)]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Maximum number of items in a page."), WHOLE_NUMBER]
Cursor = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=2000,
        pattern="^[A-Za-z0-9_-]+$",
        description="`meta.next_cursor` of the previous page. Opaque.",
    ),
]


# ---------------------------------------------------------------- bodies


class NoBody(RequestBody):
    """An endpoint that takes no body. An empty one and `{}` are allowed."""


class StartRecordingBody(RequestBody):
    """Options of a new recording."""

    max_duration_seconds: Annotated[
        int | None, Field(ge=60, le=86_400, description="Cloudflare stops the recording after this time.")
    ] = None


class PutRoomBody(RequestBody):
    """The room to store. Omitted fields keep their value, or take the default in a new room."""

    name: Annotated[str, Field(min_length=1, max_length=200, description="The room's name, for people.")]
    cloudflare_meeting_id: Annotated[
        MeetingId | None, Field(description="An existing RealtimeKit meeting. If omitted, a new room gets a new one.")
    ] = None
    record_on_start: Annotated[
        bool | None, Field(description="Whether Cloudflare starts recording when the first participant joins.")
    ] = None


class RestoreRecordingBody(RequestBody):
    """Which readable copy to make."""

    days: Annotated[int, Field(ge=1, le=30, description="Number of days for which the copy is kept.")] = 7
    tier: Annotated[
        Literal["standard", "bulk", "expedited"], Field(description="Retrieval tier. Faster tiers cost more.")
    ] = "standard"


# ---------------------------------------------------------------- query strings


class NoQuery(RequestQuery):
    """An endpoint that takes no query parameter."""


class CursorQuery(RequestQuery):
    """Base of lists that page by cursor only."""

    limit: Limit = 20
    cursor: Cursor = None


class ListRoomsQuery(CursorQuery):
    """Which page of the rooms to return."""


class ListAccessQuery(CursorQuery):
    """Which page of a recording's access log to return."""


class ListRecordingsQuery(RequestQuery):
    """Which recordings to return, and which page of them."""

    repeatable = frozenset({"status"})

    limit: Limit = 20
    offset: Annotated[
        int | None,
        Field(ge=0, le=MAX_OFFSET, description="Number of items to skip. Not together with `cursor`."),
        WHOLE_NUMBER,
    ] = None
    cursor: Cursor = None
    room_id: Annotated[
        str | None, Field(min_length=1, max_length=1000, description="Only recordings of this room.")
    ] = None
    status: Annotated[tuple[Status, ...], Field(description="Only recordings with one of these statuses.")] = ()
    created_after: Annotated[Timestamp | None, Field(description="Only recordings created after this time.")] = None
    created_before: Annotated[Timestamp | None, Field(description="Only recordings created before this time.")] = None

    @model_validator(mode="after")
    def _cursor_or_offset(self) -> Self:
        if self.cursor is not None and self.offset is not None:
            raise PydanticCustomError("cursor_and_offset", "Give cursor or offset, not both", {"field": "cursor"})
        return self

    def filters(self) -> Filter:
        """Return the filters. They do not depend on the page."""
        return Filter(
            room_id=self.room_id,
            statuses=frozenset(self.status),
            created_after=self.created_after,
            created_before=self.created_before,
        )


class DownloadRecordingQuery(RequestQuery):
    """How long the download URL is valid."""

    expires_in: Annotated[
        int, Field(ge=60, le=604_800, description="Maximum lifetime of the URL in seconds."), WHOLE_NUMBER
    ] = 3600


# ---------------------------------------------------------------- parsing


def parse_request[Q: RequestQuery, B: RequestBody](
    query: type[Q], parameters: Sequence[tuple[str, str]], body: type[B], raw_body: bytes
) -> tuple[Q, B]:
    """Parse the query parameters and the JSON body. An empty body counts as `{}`.

    Raises:
        ProblemError: 400 `invalid_request`, with all invalid fields of both
    """
    parsed_query, query_errors = _parsed_query(query, parameters)
    parsed_body, body_errors = _parsed_body(body, raw_body)
    if parsed_query is None or parsed_body is None or query_errors:
        raise invalid_request([*query_errors, *body_errors])
    return parsed_query, parsed_body


def _parsed_body[B: RequestBody](model: type[B], raw_body: bytes) -> tuple[B | None, list[FieldError]]:
    try:
        return model.model_validate_json(raw_body.strip() or b"{}"), []
    except ValidationError as error:
        return None, [*_field_errors(error, "body")]


def _parsed_query[Q: RequestQuery](
    model: type[Q], parameters: Sequence[tuple[str, str]]
) -> tuple[Q | None, list[FieldError]]:
    values: dict[str, Any] = {}
    errors: list[FieldError] = []
    for name, value in parameters:
        if name in model.repeatable:
            values.setdefault(name, []).append(value)
        elif name in values:
            errors.append(FieldError(field=name, message="Parameter must not occur more than once"))
        else:
            values[name] = value
    try:
        return model.model_validate(values), errors
    except ValidationError as error:
        return None, [*errors, *_field_errors(error, "query")]


def query_parameters(raw_query: str) -> list[tuple[str, str]]:
    """Split a query string into decoded names and values, in their order."""
    return parse_qsl(raw_query, keep_blank_values=True)


def _field_errors(error: ValidationError, place: str) -> Iterator[FieldError]:
    for detail in error.errors(include_url=False, include_input=False):
        yield FieldError(field=_field_name(detail, place), message=MESSAGES.get(detail["type"], detail["msg"]))


def _field_name(detail: ErrorDetails, place: str) -> str:
    """Return the name that the caller wrote: `status`, not `status.1`. A check of two fields names one of them."""
    if named := detail.get("ctx", {}).get("field"):
        return str(named)
    return str(detail["loc"][0]) if detail["loc"] else place


# ---------------------------------------------------------------- Cloudflare's webhooks


class WebhookNotification(BaseModel):
    """The two ids that a webhook is trusted for. Everything else is read from Cloudflare's API."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    cloudflare_recording_id: str
    meeting_id: str | None = None


def parse_webhook(raw_body: bytes) -> WebhookNotification | None:
    """Return what a webhook is about, or None if it is about something else or cannot be read.

    Source: RealtimeKit, "Webhooks", event `recording.statusUpdate`.
    """
    try:
        document = json.loads(raw_body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("event") != "recording.statusUpdate":
        return None
    recording = document.get("recording")
    if not isinstance(recording, dict):
        return None
    meeting = document.get("meeting")
    recording_id = recording.get("recordingId") or recording.get("id")
    meeting_id = recording.get("meetingId") or (meeting.get("id") if isinstance(meeting, dict) else None)
    if not isinstance(recording_id, str) or not is_cloudflare_id(recording_id):
        return None
    return WebhookNotification(
        cloudflare_recording_id=recording_id, meeting_id=meeting_id if is_cloudflare_id(meeting_id) else None
    )
