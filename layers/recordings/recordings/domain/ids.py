"""The format of ids that come from outside. Each is checked before it becomes part of a key or a URL."""

import re
from typing import Final

_TENANT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:~-]{0,127}")
# No "." and "..": clients remove them from a path (RFC 3986, 5.2.4).
ROOM_ID: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.:-]{1,128}")
# A ULID in Crockford's base 32: 10 characters of time, 16 random ones (ULID specification).
RECORDING_ID: Final = re.compile(r"rec_[0-7][0-9A-HJKMNP-TV-Z]{25}")
# Cloudflare's ids are UUIDs (API reference, realtime_kit). No dots, because clients remove them from a path.
_CLOUDFLARE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
# The ULID of 9999-12-31T23:59:59.999Z begins with this. Python's datetime has no later time.
_LAST_TIME: Final = "rec_76EZ91ZPZZ"


def is_tenant_id(text: str) -> bool:
    """Return whether this is a valid tenant id."""
    return _TENANT_ID.fullmatch(text) is not None


def is_room_id(text: str) -> bool:
    """Return whether this is a valid room id."""
    return ROOM_ID.fullmatch(text) is not None


def is_recording_id(text: str) -> bool:
    """Return whether this is a valid recording id, whose time is not after the year 9999."""
    return RECORDING_ID.fullmatch(text) is not None and text[: len(_LAST_TIME)] <= _LAST_TIME


def is_cloudflare_id(given: object) -> bool:
    """Return whether this can be Cloudflare's id of a recording, a meeting or a session."""
    return isinstance(given, str) and _CLOUDFLARE_ID.fullmatch(given) is not None
