"""Reads of single recordings, for the repositories of recordings and of rooms."""

from collections.abc import Iterable, Iterator

from recordings.adapters.dynamodb.keys import LINK, is_sort_key, partition
from recordings.adapters.dynamodb.queries import get_item, get_items
from recordings.adapters.dynamodb.recording_items import CloudflareLinkItem, RecordingItem
from recordings.adapters.dynamodb.room_items import RoomItem
from recordings.domain.recording import Recording


def read_live(tenant_id: str, recording_id: str) -> Recording | None:
    """Read a recording that is not deleted; None if there is none."""
    item = get_item(RecordingItem, partition(tenant_id, "REC"), recording_id)
    return item.to_domain() if item is not None else None


def read_including_deleted(tenant_id: str, recording_id: str) -> Recording | None:
    """Read a recording, deleted or not; None if there is none."""
    # The first partition again at the end: an undelete may move the recording between the two reads.
    for name in ("REC", "TRASH", "REC"):
        item = get_item(RecordingItem, partition(tenant_id, name), recording_id)
        if item is not None:
            return item.to_domain()
    return None


def read_all_including_deleted(keys: Iterable[tuple[str, str]]) -> Iterator[Recording | None]:
    """Read recordings by tenant id and recording id, in the order of the keys; None for one that does not exist.

    Few are deleted, so a batch reads the live ones and single requests read the others.
    """
    keys = list(keys)
    live_keys = dict.fromkeys((partition(tenant_id, "REC"), recording_id) for tenant_id, recording_id in keys)
    live = {(item.tenant_id, item.sk): item.to_domain() for item in get_items(RecordingItem, list(live_keys))}
    for key in keys:
        yield live.get(key) or read_including_deleted(*key)


def read_link(cloudflare_recording_id: str) -> CloudflareLinkItem | None:
    """Read the link of a Cloudflare recording; None if there is none."""
    return get_item(CloudflareLinkItem, CloudflareLinkItem.at(cloudflare_recording_id).pk, LINK)


def read_links(cloudflare_recording_ids: Iterable[str]) -> list[CloudflareLinkItem]:
    """Read the links of those Cloudflare recordings that have one."""
    wanted = [CloudflareLinkItem.at(one).pk for one in dict.fromkeys(cloudflare_recording_ids) if is_sort_key(one)]
    return get_items(CloudflareLinkItem, [(pk, LINK) for pk in wanted])


def blocker_of(room: RoomItem) -> Recording | None:
    """Return the recording that holds a room, if it still exists."""
    return read_live(room.tenant_id, room.active_recording_id) if room.active_recording_id is not None else None
