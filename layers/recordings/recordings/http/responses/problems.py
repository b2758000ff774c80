"""The documents of refused requests. Functions load them with the first error that they return."""

from typing import Annotated, Any, Final

from pydantic import Field

from recordings.domain.lifecycle import Status
from recordings.http.responses.base import (
    MAX_DETAIL_CHARACTERS,
    MAX_FIELD_CHARACTERS,
    Document,
    Origin,
    RecordingId,
    StartedAt,
)

SHORT: Final[dict[str, Any]] = {"maxLength": MAX_DETAIL_CHARACTERS}


class Problem(Document):
    """What went wrong, as in RFC 9457."""

    type: Annotated[str, Field(json_schema_extra={"const": "about:blank"})]
    title: Annotated[str, Field(description="The status in words.")]
    status: Annotated[
        int, Field(description="The status of the response.", json_schema_extra={"minimum": 400, "maximum": 599})
    ]
    code: Annotated[
        str,
        Field(description="The cause. Stable: decide by this.", json_schema_extra={"pattern": "^[a-z]+(_[a-z]+)*$"}),
    ]
    detail: Annotated[
        str, Field(description="A sentence for people: what is wrong, and what to do.", json_schema_extra=SHORT)
    ]
    request_id: Annotated[
        str,
        Field(
            description="Finds the cause in our logs. The same as `X-Request-Id`. If the response is repeated because"
            " of an `Idempotency-Key`, the id of the first request."
        ),
    ]


class FieldError(Document):
    """An invalid field of the request."""

    field: Annotated[
        str,
        Field(
            description="A query parameter, a body field, a path parameter, a header, or `body`. A longer name is cut.",
            json_schema_extra={"maxLength": MAX_FIELD_CHARACTERS},
        ),
    ]
    message: Annotated[str, Field(description="What is wrong with it.", json_schema_extra=SHORT)]


class InvalidRequest(Problem):
    """The request itself is invalid. The same request never succeeds."""

    code: Annotated[str, Field(json_schema_extra={"const": "invalid_request"})]
    errors: Annotated[list[FieldError], Field(json_schema_extra={"minItems": 1})]


class Blocker(Document):
    """The recording that blocks the request."""

    id: RecordingId
    status: Status
    started_at: StartedAt
    origin: Origin


class RoomAlreadyRecording(Problem):
    """The room is being recorded, because of a call or by Cloudflare on its own."""

    code: Annotated[str, Field(json_schema_extra={"const": "room_already_recording"})]
    recording: Annotated[
        Blocker | None, Field(description="The recording that is running. Null while another call is starting one.")
    ]


class RoomRecording(Problem):
    """The room is being recorded, so it keeps its meeting."""

    code: Annotated[str, Field(json_schema_extra={"const": "room_recording"})]
    recording: Annotated[
        Blocker | None, Field(description="The recording that is running. Null while a call is starting one.")
    ]
