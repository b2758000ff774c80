"""Day tallies: what a tenant's, and a room's, live recordings of one day add up to.

They make `total` a sum of a few items, and let a page skip whole days without reading a recording.
"""

from collections.abc import Iterator, Mapping

from recordings.adapters.dynamodb.keys import is_partition_key
from recordings.adapters.dynamodb.queries import query_items
from recordings.adapters.dynamodb.recording_items import DayTallyItem, day_tally_key
from recordings.adapters.dynamodb.transaction import Transaction
from recordings.domain.recording import Recording
from recordings.domain.tally import day_of


def add_to_tallies(transaction: Transaction, recording: Recording, counters: Mapping[str, int]) -> None:
    """Add to the counters of the recording's day: the tenant's and the room's."""
    if not counters:
        return
    actions = [getattr(DayTallyItem, name).add(amount) for name, amount in counters.items()]
    for room_id in (None, recording.room_id):
        transaction.update(DayTallyItem.at(recording.tenant_id, room_id, day_of(recording.created_at)), actions)


def list_days(tenant_id: str, room_id: str | None) -> Iterator[DayTallyItem]:
    """Read the tallies of a tenant (`room_id` None) or of a room, the newest day first."""
    pk = day_tally_key(tenant_id, room_id)
    if is_partition_key(pk):
        yield from query_items(DayTallyItem, pk, newest_first=True)
