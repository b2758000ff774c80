"""What the documents share: their base, how they are written as JSON, and the types of common fields.

A response never rejects data: a limit such as `ge=0` would turn a value that an older release stored into a 500. So
limits and constants are documented only.
"""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

# Only these names: `pydantic.networks` and RootModel each add 20 to 30 ms to a cold start.
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from recordings.domain.lifecycle import Status

if TYPE_CHECKING:
    # Documents without a recording do not load its module.
    from recordings.domain.recording import Recording

# Of problem documents.
MAX_DETAIL_CHARACTERS: Final = 300
MAX_FIELD_CHARACTERS: Final = 64
INSTANT_PATTERN: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$"


class Document(BaseModel):
    """Base of what the API returns. An unknown value is null, never missing, so no field has a default.

    `from_domain` validates a document as a whole, with nested dictionaries and domain values. Nested models would each
    build a validator of their own, at the first request.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True, defer_build=True)


class RecordingEnvelope(Document):
    """Base of envelopes whose `data` has fields of a recording only."""

    @classmethod
    def from_domain(cls, recording: "Recording") -> Self:
        return cls.model_validate({"data": recording})


def to_json(document: Document) -> str:
    """Serialize a document byte for byte as the first release did.

    `model_dump_json` writes no space after `:` and `,` and leaves non-ASCII characters as they are.
    """
    return json.dumps(to_dict(document))


def to_dict(document: Document) -> dict[str, Any]:
    """Return the document as JSON values."""
    return document.model_dump(mode="json", by_alias=True)


def format_instant(at: datetime) -> str:
    """Format a time as RFC 3339 in UTC, in whole seconds, with a Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def documented(**schema: Any) -> WithJsonSchema:
    """Describe a field by this JSON Schema. It checks nothing."""
    return WithJsonSchema(schema, mode="serialization")


def statuses(*allowed: Status) -> WithJsonSchema:
    """Document which statuses a field can have. It checks nothing."""
    return documented(type="string", enum=[*map(str, allowed)])


Instant = Annotated[
    AwareDatetime,
    PlainSerializer(format_instant, return_type=str, when_used="json"),
    documented(type="string", format="date-time", pattern=INSTANT_PATTERN),
]


AT_LEAST_0: Final[dict[str, Any]] = {"minimum": 0}


AT_LEAST_1: Final[dict[str, Any]] = {"minimum": 1}


NOT_EMPTY: Final[dict[str, Any]] = {"minLength": 1}


RecordingId = Annotated[
    str,
    Field(
        description="The recording's id. Opaque.",
        examples=["rec_01KE9EDY806S2TGZ7Z3QHSBYMG"],
        json_schema_extra=NOT_EMPTY,
    ),
]


RoomId = Annotated[str, Field(description="The room's id.", examples=["room_abc123"], json_schema_extra=NOT_EMPTY)]


Duration = Annotated[
    int | None,
    Field(description="Length of the file in whole seconds. Null while it is unknown.", json_schema_extra=AT_LEAST_0),
]


StartedAt = Annotated[Instant, Field(description="When the recording began.")]


Origin = Annotated[
    str,
    Field(description="`api`: started by an API call. `auto`: started by Cloudflare on its own."),
    documented(type="string", enum=["api", "auto"]),
]


Provider = Annotated[str, documented(type="string", enum=["r2", "s3"])]


PROVIDER: Final = "Where the file is: `r2`, or `s3` for cold storage and its copies."


NextCursor = Annotated[str | None, Field(description="The `cursor` of the next page. Null on the last page.")]


class CursorPageMeta(Document):
    """Base of what lists that page by cursor only say about a page."""

    limit: int
    next_cursor: NextCursor
