"""Task tokens of the executions that wait for a recording's upload.

task token       T#<tenant>#TOKEN         rec_<ULID>       of the execution that waits

Not in items.py: every function that reads recordings imports this module, and each item class costs time at import.
"""

from datetime import timedelta
from typing import Final

from pynamodb.attributes import TTLAttribute, UnicodeAttribute

from recordings.adapters.dynamodb.attributes import IntegerAttribute
from recordings.adapters.dynamodb.connection import Item
from recordings.adapters.dynamodb.keys import partition
from recordings.adapters.dynamodb.queries import get_item
from recordings.adapters.dynamodb.writes import delete_item, put_item
from recordings.domain.errors import ConcurrentUpdate
from recordings.domain.recording import Recording

TASK_TOKEN_TTL: Final = timedelta(hours=24)


class TaskTokenItem(Item, discriminator="task_token"):
    token = UnicodeAttribute()
    attempt = IntegerAttribute(null=True)
    expires_at = TTLAttribute(null=True)


def store_task_token(recording: Recording, token: str) -> None:
    """Store the token of a recording's attempt, unless a newer attempt has stored one."""
    item = TaskTokenItem(*_key(recording), token=token, attempt=recording.attempt, expires_at=TASK_TOKEN_TTL)
    try:
        put_item(item, TaskTokenItem.attempt.does_not_exist() | (TaskTokenItem.attempt <= recording.attempt))
    except ConcurrentUpdate:
        return


def pop_task_token(recording: Recording, *, only: str | None = None) -> str | None:
    """Return the stored token and delete it; None if there is none, or if it is another than `only`."""
    # Read before the deletion: if its response were lost, the token would be lost too.
    stored = get_item(TaskTokenItem, *_key(recording))
    if stored is None or only not in (None, stored.token):
        return None
    try:
        delete_item(TaskTokenItem(*_key(recording)), TaskTokenItem.token == stored.token)
    except ConcurrentUpdate:
        # Another call deleted it, or a newer token is stored, which stays.
        pass
    return stored.token


def _key(recording: Recording) -> tuple[str, str]:
    return partition(recording.tenant_id, "TOKEN"), recording.id
