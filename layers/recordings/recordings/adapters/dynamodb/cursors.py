"""The opaque cursors of lists: which list, and the sort key of the last item that was shown.

A cursor holds no tenant, so it cannot lead into another's data; the list's name keeps it from being used with another
list. Cursors of the first release lack that name. They are still taken where their sort key is one of the list's.
"""

import base64
import binascii
from typing import Final, Literal

from recordings.domain.errors import InvalidCursor
from recordings.domain.ids import RECORDING_ID, is_recording_id, is_room_id

type List = Literal["recordings", "rooms"]

# No id holds one.
_SEPARATOR: Final = "/"


def encode_cursor(of: List, sort_key: str) -> str:
    """The cursor of the page after this sort key."""
    return base64.urlsafe_b64encode(f"{of}{_SEPARATOR}{sort_key}".encode()).decode().rstrip("=")


def decode_cursor(of: List, cursor: str) -> str:
    """The sort key in a cursor of this list. Raises InvalidCursor for anything else."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        # ValueError: characters outside ASCII, and bytes that are no UTF-8.
        text = ""
    name, named, sort_key = text.rpartition(_SEPARATOR)
    if (named and name != of) or not _is_of(of, sort_key, named=bool(named)):
        raise InvalidCursor("the cursor was not issued by this API")
    return sort_key


def _is_of(of: List, sort_key: str, *, named: bool) -> bool:
    if of == "recordings":
        return is_recording_id(sort_key)
    # Without a name it is more likely a cursor of recordings than that of a room with such an id.
    return is_room_id(sort_key) and (named or not RECORDING_ID.fullmatch(sort_key))
