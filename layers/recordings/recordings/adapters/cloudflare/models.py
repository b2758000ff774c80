"""Cloudflare's responses as pydantic models, read leniently: only the id of a recording is required.

A field that is missing or malformed is None and costs no other field, and a row costs no other row.
Source of types and nullability: developers.cloudflare.com/api/resources/realtime_kit/subresources/recordings.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationError

from recordings.domain.ids import is_cloudflare_id
from recordings.domain.media import plausible_duration
from recordings.domain.provider_recording import ProviderRecording, ProviderStatus
from recordings.domain.storage_keys import named_by

# RealtimeKit (before: Dyte) is younger than this. Cloudflare writes 0001-01-01 and 1970-01-01 for "not set".
EARLIEST: Final = datetime(2020, 1, 1, tzinfo=UTC)
# A past event cannot be later than now. A day allows for clocks that differ.
MAX_CLOCK_SKEW: Final = timedelta(days=1)
# The largest object of R2 (R2, platform/limits).
MAX_SIZE_BYTES: Final = 5 * 1024**4
# More rows than any account has. A listing with a larger number is wrong.
MAX_ROWS: Final = 10**12
# No number of a response has more digits than this.
MAX_DIGITS: Final = 18
DIGITS: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
# The file name becomes the end of a key: without control characters, and without "." and "..", which clients resolve.
FILE_NAME: Final = re.compile(r"(?!(?:.*/)?\.{1,2}(?:/|$))[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,512}")
URL: Final = re.compile(r"[!-~]{1,8192}", re.ASCII)
# The file names of a track recording end like this. While it runs, they are this very pattern
# (recording-guide/track-recording). The name of a composite recording ends in the meeting's id and the time.
TRACK_FILE_NAME: Final = re.compile(
    r".*_(?:audio|video|\{\{\s*media_kind\s*\}\})_(?:[0-9]{1,14}|\{\{\s*date_time\s*\}\})\.\w+", re.ASCII
)
# The longest file name that is compared with TRACK_FILE_NAME.
MAX_TRACK_FILE_NAME: Final = 1024
# A track recording has a list of layers, and each layer has a map of files.
MAX_URL_NESTING: Final = 4


def parse_json(text: str | bytes) -> Any:
    """Parse JSON with numbers of any length.

    Raises:
        ValueError: it is no JSON
        RecursionError: it is nested too deep
    """
    # int() rejects thousands of digits (docs.python.org, "Integer string conversion length limitation").
    return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) <= 2 * MAX_DIGITS else float(digits))


def _required_id(value: str) -> str:
    if not is_cloudflare_id(value):
        raise ValueError("not an id of Cloudflare")
    return value


def _id(value: object) -> str | None:
    # Any other text could lead to another path or key.
    return value if isinstance(value, str) and is_cloudflare_id(value) else None


def _status(value: object) -> ProviderStatus:
    return ProviderStatus(value) if isinstance(value, str) and value in ProviderStatus else ProviderStatus.UNKNOWN


def _time(value: object) -> datetime | None:
    """Return a time in whole seconds UTC, or None before `EARLIEST`."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        # OverflowError: the offset leads to a year before 1 or after 9999.
        return None
    return at if at >= EARLIEST else None


def _count(value: object, *, maximum: int) -> int | None:
    """Return a whole number from 0 to `maximum`, which may be a text of digits."""
    if isinstance(value, str):
        return _count(int(value), maximum=maximum) if DIGITS.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return int(value) if 0 <= value <= maximum else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _auto_started(reason: object) -> bool | None:
    return reason.get("reason") == "RECORD_ON_START" if isinstance(reason, dict) else None


def _id_inside(document: object) -> str | None:
    return _id(document.get("id")) if isinstance(document, dict) else None


def _text(value: object, form: re.Pattern[str]) -> str | None:
    return value if isinstance(value, str) and form.fullmatch(value) else None


OptionalId = Annotated[str | None, PlainValidator(_id)]
Instant = Annotated[datetime | None, PlainValidator(_time)]
RowCount = Annotated[int | None, PlainValidator(partial(_count, maximum=MAX_ROWS))]


class Response(BaseModel):
    """Base of the models. An error does not show the input, which may contain signed URLs."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True, hide_input_in_errors=True)


class RecordingRow(Response):
    """A recording, alone or in a listing."""

    id: Annotated[str, AfterValidator(_required_id)]
    status: Annotated[ProviderStatus, PlainValidator(_status)] = ProviderStatus.UNKNOWN
    invoked_time: Instant = None
    started_time: Instant = None
    stopped_time: Instant = None
    download_url_expiry: Instant = None
    session_id: OptionalId = None
    file_size: Annotated[int | None, PlainValidator(partial(_count, maximum=MAX_SIZE_BYTES))] = None
    recording_duration: Annotated[int | None, PlainValidator(plausible_duration)] = None
    auto_started: Annotated[bool | None, PlainValidator(_auto_started)] = Field(None, validation_alias="start_reason")
    meeting_id: Annotated[str | None, PlainValidator(_id_inside)] = Field(None, validation_alias="meeting")
    # Several fields together show whether the files are those of tracks, so these stay as they are.
    type: Any = None
    output_file_name: Any = None
    download_url: Any = None

    @classmethod
    def parse(cls, row: object, *, known_id: str | None = None) -> Self | None:
        """Read a row. If its id is missing or malformed, `known_id` takes its place; without one, return None."""
        try:
            return cls.model_validate(row)
        except ValidationError:
            # Only the id can be invalid, or the row is no object.
            return cls.model_validate({**row, "id": known_id}) if known_id and isinstance(row, dict) else None

    def to_domain(self, *, now: datetime) -> ProviderRecording:
        """Return the recording. Without a valid time of its start, that is `now`."""
        latest = now + MAX_CLOCK_SKEW
        invoked = _between(self.invoked_time, EARLIEST, latest)
        # An event before the recording was requested is an event of another one.
        earliest = invoked - MAX_CLOCK_SKEW if invoked is not None else EARLIEST
        name = _text(self.output_file_name, FILE_NAME)
        named = named_by(name) if name is not None else None
        urls = [*_urls(self.download_url)]
        tracks = len(urls) > 1 or self._has_tracks()
        return ProviderRecording(
            cloudflare_recording_id=self.id,
            status=self.status,
            invoked_at=invoked or now,
            started_at=_between(self.started_time, earliest, latest),
            stopped_at=_between(self.stopped_time, earliest, latest),
            session_id=self.session_id,
            file_name=name,
            size_bytes=self.file_size,
            duration_seconds=self.recording_duration,
            download_url=urls[0] if len(urls) == 1 and not tracks else None,
            tracks=tracks,
            url_expires_at=self.download_url_expiry,
            auto_started=self.auto_started,
            meeting_id=self.meeting_id,
            likely_meeting_id=_id(named[0]) if named else None,
        )

    def _has_tracks(self) -> bool:
        """Whether it is a track recording: one file for each participant, and none of the whole meeting.

        The guide (recording-guide/track-recording) gives such a row a `type` and URLs grouped by layer. The API
        reference has neither, so the form of the file name counts as well.
        """
        if self.type == "TRACK":
            return True
        layers = self.download_url if isinstance(self.download_url, list) else [self.download_url]
        if any(isinstance(layer, dict) and "download_urls" in layer for layer in layers):
            return True
        name = self.output_file_name
        return isinstance(name, str) and TRACK_FILE_NAME.fullmatch(name[:MAX_TRACK_FILE_NAME]) is not None


class Paging(Response):
    """What a listing says about a page. The offsets count rows."""

    start_offset: RowCount = None
    end_offset: RowCount = None
    total_count: RowCount = None


class Session(Response):
    """A session of a meeting."""

    status: Any = None
    ended_at: Instant = None
    updated_at: Instant = None

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Read the session. The API reference has it inside `session`, the guide does not."""
        session = data.get("session", data)
        return cls.model_validate(session if isinstance(session, dict) else {})

    @property
    def end(self) -> datetime | None:
        """When the session ended, or None if it goes on."""
        return self.ended_at or self.updated_at if self.status == "ENDED" else None


class Meeting(Response):
    """A meeting."""

    id: OptionalId = None
    record_on_start: Annotated[bool | None, PlainValidator(_flag)] = None


class PublicKey(Response):
    """The key that signs webhooks, in PEM."""

    public_key: str = Field(validation_alias="publicKey")


class PublishedKey(Response):
    """The response with the key that signs webhooks."""

    data: PublicKey


def _between(at: datetime | None, earliest: datetime, latest: datetime) -> datetime | None:
    return at if at is not None and earliest <= at <= latest else None


def _urls(value: object, depth: int = 0) -> Iterator[str]:
    """Yield each URL of a file. `RecordingRow._has_tracks` describes the layers of a track recording."""
    if depth > MAX_URL_NESTING:
        return
    if isinstance(value, dict):
        # A layer has its name beside its URLs.
        inner = value.get("download_urls", value.get("download_url"))
        value = [*value.values()] if inner is None else [inner]
    if isinstance(value, list):
        for item in value:
            yield from _urls(item, depth + 1)
    elif (url := _text(value, URL)) is not None:
        yield url
