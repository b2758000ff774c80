"""What RealtimeKit tells of one recording, read leniently: only an id is needed, and what is odd counts as not told.

Types and nullability: developers.cloudflare.com/api/resources/realtime_kit/subresources/recordings. An odd value in one
row must never cost another row, so nothing here raises for what Cloudflare sent.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from recordings.domain.ids import is_cloudflare_id
from recordings.domain.media import plausible_duration
from recordings.domain.provider_recording import ProviderRecording, ProviderStatus
from recordings.domain.storage_keys import named_by

# A time before this was never set: RealtimeKit (once Dyte) is younger. 0001-01-01 and 1970-01-01 stand for no time.
EARLIEST: Final = datetime(2020, 1, 1, tzinfo=UTC)
# What has happened cannot be later than now; clocks differ.
AHEAD: Final = timedelta(days=1)
# The largest object that R2 takes (R2, platform/limits).
MAX_SIZE_BYTES: Final = 5 * 1024**4
# No number of a listing has more digits than this.
MAX_DIGITS: Final = 18
DIGITS: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
# It becomes the end of a key of ours: no control characters, and no "." or ".." that a client would resolve.
FILE_NAME: Final = re.compile(r"(?!(?:.*/)?\.{1,2}(?:/|$))[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,512}")
URL: Final = re.compile(r"[!-~]{1,8192}", re.ASCII)
# The file names of a track recording end so, or are this very pattern while it runs (recording-guide/track-recording).
# A composite recording's name ends in the meeting's id and the time.
TRACK_FILE_NAME: Final = re.compile(
    r".*_(?:audio|video|\{\{\s*media_kind\s*\}\})_(?:[0-9]{1,14}|\{\{\s*date_time\s*\}\})\.\w+", re.ASCII
)
# A row nests its URLs in a list of layers with a map of files each; nothing deeper is read.
MAX_NESTING: Final = 4


def parsed(text: str | bytes) -> Any:
    """JSON, in which a number of any length is read. Raises ValueError or RecursionError."""
    # int() refuses thousands of digits (docs.python.org, "Integer string conversion length limitation").
    return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) <= 2 * MAX_DIGITS else float(digits))


def recording_id(row: object) -> str | None:
    """The id of a row; None when the row cannot be read."""
    given = row.get("id") if isinstance(row, dict) else None
    return given if isinstance(given, str) and is_cloudflare_id(given) else None


def read_capture(data: Mapping[str, Any], capture_id: str, *, now: datetime) -> ProviderRecording:
    """The recording of this id, whatever is null, missing or odd in what is told of it."""
    invoked = time_of(data.get("invoked_time"), upto=now + AHEAD)
    # What comes before the order itself is no time of this recording.
    earliest = invoked - AHEAD if invoked is not None else EARLIEST
    name = _text(data.get("output_file_name"), FILE_NAME)
    named = named_by(name) if name is not None else None
    reason, meeting, status = data.get("start_reason"), data.get("meeting"), data.get("status")
    given = data.get("download_url")
    urls = [*_urls(given)]
    tracks = len(urls) > 1 or _is_of_tracks(data, given)
    return ProviderRecording(
        id=capture_id,
        status=ProviderStatus(status) if isinstance(status, str) and status in set(ProviderStatus) else _UNKNOWN,
        invoked_at=invoked or now,
        started_at=time_of(data.get("started_time"), since=earliest, upto=now + AHEAD),
        stopped_at=time_of(data.get("stopped_time"), since=earliest, upto=now + AHEAD),
        session_id=_id(data.get("session_id")),
        file_name=name,
        size_bytes=whole(data.get("file_size"), MAX_SIZE_BYTES),
        duration_seconds=plausible_duration(data.get("recording_duration")),
        download_url=urls[0] if len(urls) == 1 and not tracks else None,
        tracks=tracks,
        url_expires_at=time_of(data.get("download_url_expiry")),
        auto_started=reason.get("reason") == "RECORD_ON_START" if isinstance(reason, dict) else None,
        meeting_id=_id(meeting.get("id")) if isinstance(meeting, dict) else None,
        likely_meeting_id=_id(named[0]) if named else None,
    )


_UNKNOWN: Final = ProviderStatus.UNKNOWN


def time_of(given: object, *, since: datetime = EARLIEST, upto: datetime | None = None) -> datetime | None:
    """A time in whole seconds UTC, between these; None when it is not told, or cannot be."""
    if not isinstance(given, str):
        return None
    try:
        at = datetime.fromisoformat(given)
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        # Overflow: an offset leads out of the years that there are.
        return None
    if at < max(since, EARLIEST) or (upto is not None and at > upto):
        return None
    return at


def whole(given: object, largest: int) -> int | None:
    """A number from 0 to `largest` that is told as number or in digits; None when it is not told, or cannot be."""
    if isinstance(given, str):
        return whole(int(given), largest) if DIGITS.fullmatch(given) else None
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    if isinstance(given, float) and not math.isfinite(given):
        return None
    return int(given) if 0 <= given <= largest else None


def _is_of_tracks(data: Mapping[str, Any], download_url: object) -> bool:
    """Whether a row is of a track recording: separate files of the participants, none of the whole meeting.

    The guide (recording-guide/track-recording) gives such a row a `type`, and URLs grouped by layer. The API reference
    has neither. So the form of the file name counts as well.
    """
    if data.get("type") == "TRACK":
        return True
    layers = download_url if isinstance(download_url, list) else [download_url]
    if any(isinstance(layer, dict) and "download_urls" in layer for layer in layers):
        return True
    name = data.get("output_file_name")
    return isinstance(name, str) and TRACK_FILE_NAME.fullmatch(name[:1024]) is not None


def _urls(given: object, depth: int = 0) -> Iterator[str]:
    """Each URL of a file. A track recording has a list of layers, each with a map of files (see `_is_of_tracks`)."""
    if depth > MAX_NESTING:
        return
    match given:
        case dict():
            # Beside the URLs of a layer stands its name.
            inner = given.get("download_urls", given.get("download_url"))
            for one in given.values() if inner is None else [inner]:
                yield from _urls(one, depth + 1)
        case list():
            for one in given:
                yield from _urls(one, depth + 1)
        case _:
            if (url := _text(given, URL)) is not None:
                yield url


def _text(given: object, form: re.Pattern[str]) -> str | None:
    return given if isinstance(given, str) and form.fullmatch(given) else None


def _id(given: object) -> str | None:
    """An id that Cloudflare gave; None for anything that could lead to another address or key."""
    return given if isinstance(given, str) and is_cloudflare_id(given) else None
