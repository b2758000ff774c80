"""Some of a tenant's rooms, in the order of their folders in a store: what an audit looks at at once."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

# Characters that sort alike in a room's id and in the name of its folder, and after the slash that ends it.
ALIKE: Final = re.compile(r"[A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class RoomRange:
    """The rooms whose folders, which end with a slash, come after `low` and up to `high`; None: there is no end."""

    low: str | None = None
    high: str | None = None

    @property
    def whole(self) -> bool:
        """Whether these are all rooms."""
        return self.low is None and self.high is None

    def holds(self, room_id: str) -> bool:
        """Whether a room is one of them."""
        return self.has_folder(f"{quote(room_id, safe='')}/")

    def has_folder(self, folder: str) -> bool:
        """Whether a folder is that of one of them."""
        return (self.low is None or folder > self.low) and (self.high is None or folder <= self.high)

    @property
    def ids(self) -> tuple[str, str]:
        """The ids of its rooms lie between these, but for some with a colon, which is sorted otherwise in a folder."""
        return _alike(self.low), f"{_alike(self.high)}~"


def _alike(folder: str | None) -> str:
    found = ALIKE.match(folder or "")
    assert found is not None, "it matches the empty text too"
    return found[0]


EVERY_ROOM: Final = RoomRange()
