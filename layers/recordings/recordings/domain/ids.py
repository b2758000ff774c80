"""What names and ids look like that come from outside. Each is checked before it becomes part of a key or a URL."""

import re
from typing import Final

_TENANT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:~-]{0,127}")
# No "." and "..": clients remove them from a path (RFC 3986, 5.2.4).
ROOM_ID: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.:-]{1,128}")
# A ULID in Crockford's base 32: 10 characters of time, 16 of chance (the ULID specification).
RECORDING_ID: Final = re.compile(r"rec_[0-7][0-9A-HJKMNP-TV-Z]{25}")
# Cloudflare's ids are UUIDs (API reference, realtime_kit). No dots: in a path they would lead to another address.
_CLOUDFLARE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
# The ULID of 9999-12-31T23:59:59.999Z begins like this. A later time cannot be read as a date.
_LAST_TIME: Final = "rec_76EZ91ZPZZ"


def is_tenant_id(text: str) -> bool:
    """Whether a tenant may have this name."""
    return _TENANT_ID.fullmatch(text) is not None


def is_room_id(text: str) -> bool:
    """Whether a room may have this id."""
    return ROOM_ID.fullmatch(text) is not None


def is_recording_id(text: str) -> bool:
    """Whether a recording may have this id: its time is at most the end of the year 9999."""
    return RECORDING_ID.fullmatch(text) is not None and text[: len(_LAST_TIME)] <= _LAST_TIME


def is_cloudflare_id(given: object) -> bool:
    """Whether this can be an id that Cloudflare gave a recording, a meeting or a session."""
    return isinstance(given, str) and _CLOUDFLARE_ID.fullmatch(given) is not None
