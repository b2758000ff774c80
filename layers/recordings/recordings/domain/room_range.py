"""A range of a tenant's rooms, in the order of their folders in a bucket: the unit of one audit step."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

# Characters that sort in the same order in a room id and in the name of its folder, and after the slash that ends it.
SAME_ORDER: Final = re.compile(r"[A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class RoomRange:
    """The rooms whose folders sort after `low` and not after `high`. None: the range has no limit on that side."""

    low: str | None = None
    high: str | None = None

    @property
    def whole(self) -> bool:
        """Whether the range contains all rooms."""
        return self.low is None and self.high is None

    def contains(self, room_id: str) -> bool:
        """Return whether a room is in the range."""
        return self.contains_folder(f"{quote(room_id, safe='')}/")

    def contains_folder(self, folder: str) -> bool:
        """Return whether the folder of a room, with its slash, is in the range."""
        return (self.low is None or folder > self.low) and (self.high is None or folder <= self.high)

    @property
    def id_bounds(self) -> tuple[str, str]:
        """Two texts that enclose the room ids of the range.

        Ids with a colon may lie outside: a folder's name encodes the colon, which then sorts elsewhere.
        """
        return _same_order_prefix(self.low), f"{_same_order_prefix(self.high)}~"


def _same_order_prefix(folder: str | None) -> str:
    found = SAME_ORDER.match(folder or "")
    assert found is not None, "the pattern matches the empty text too"
    return found[0]


ALL_ROOMS: Final = RoomRange()
