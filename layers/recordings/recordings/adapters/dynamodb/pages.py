"""Pages of recordings, newest first: from rows, or from day tallies while the table has no rows yet."""

from recordings.adapters.dynamodb.cursors import decode_cursor, encode_cursor
from recordings.adapters.dynamodb.day_pages import read_day_page
from recordings.adapters.dynamodb.layout import current_layout
from recordings.adapters.dynamodb.row_pages import read_row_page
from recordings.domain.ids import is_room_id
from recordings.ports.repositories import CountedPage, Filter


def read_page(tenant_id: str, only: Filter, *, limit: int, offset: int, cursor: str | None) -> CountedPage:
    """Read a page: after `cursor` if there is one, else after `offset` recordings.

    Raises:
        InvalidCursor: the cursor is not one of this list
        Throttled, InfrastructureError
    """
    after = decode_cursor("recordings", cursor) if cursor is not None else None
    if only.room_id is not None and not is_room_id(only.room_id):
        return CountedPage([], 0)
    read = read_row_page if current_layout().reads_rows else read_day_page
    items, total, has_more = read(tenant_id, only, limit=limit, offset=offset, after=after)
    return CountedPage(items, total, encode_cursor("recordings", items[-1].id) if has_more and items else None)
