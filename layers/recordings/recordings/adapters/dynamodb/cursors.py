"""The opaque cursors of lists: the name of the list, and the sort key of the last item of a page.

A cursor holds no tenant, so it cannot lead to another tenant's data. The name prevents its use with another list.
Cursors of the first release lack the name; they are accepted if their sort key can be one of the list.
"""

import base64
import binascii
import re
from typing import Final, Literal

from recordings.domain.errors import InvalidCursor
from recordings.domain.ids import RECORDING_ID, is_recording_id, is_room_id

type List = Literal["recordings", "rooms", "access"]

# No sort key contains it.
_SEPARATOR: Final = "/"
_ACCESS_KEY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z#[0-9a-f]{16}")


def encode_cursor(of: List, sort_key: str) -> str:
    """Return the cursor of the page that begins after a sort key."""
    return base64.urlsafe_b64encode(f"{of}{_SEPARATOR}{sort_key}".encode()).decode().rstrip("=")


def decode_cursor(of: List, cursor: str) -> str:
    """Return the sort key in a cursor of this list.

    Raises:
        InvalidCursor: it is anything else
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        # ValueError: characters outside ASCII, or bytes that are not UTF-8.
        text = ""
    name, named, sort_key = text.rpartition(_SEPARATOR)
    if (named and name != of) or not _is_of(of, sort_key, named=bool(named)):
        raise InvalidCursor("the cursor was not issued by this API")
    return sort_key


def _is_of(of: List, sort_key: str, *, named: bool) -> bool:
    if of == "recordings":
        return is_recording_id(sort_key)
    if of == "access":
        return named and _ACCESS_KEY.fullmatch(sort_key) is not None
    # Without a name, an id of a recording's form is taken for a recording, not for a room of such an id.
    return is_room_id(sort_key) and (named or not RECORDING_ID.fullmatch(sort_key))
