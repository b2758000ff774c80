"""Task tokens of the executions that wait for a recording's upload."""

from datetime import timedelta
from typing import Final

from recordings.adapters.dynamodb.items import TaskTokenItem
from recordings.adapters.dynamodb.keys import partition
from recordings.adapters.dynamodb.queries import get_item
from recordings.adapters.dynamodb.writes import delete_item, put_item
from recordings.domain.errors import ConcurrentUpdate
from recordings.domain.recording import Recording

TASK_TOKEN_TTL: Final = timedelta(hours=24)


def store_task_token(recording: Recording, token: str) -> None:
    """Store the token of a recording's attempt, unless a newer attempt has stored one."""
    item = TaskTokenItem(*_key(recording), token=token, attempt=recording.attempt, expires_at=TASK_TOKEN_TTL)
    try:
        put_item(item, TaskTokenItem.attempt.does_not_exist() | (TaskTokenItem.attempt <= recording.attempt))
    except ConcurrentUpdate:
        return


def pop_task_token(recording: Recording, *, only: str | None = None) -> str | None:
    """Return the stored token and delete it; with `only`, nothing but that one. None if there is none."""
    # Read first: a lost response to the removal would take the token with it.
    stored = get_item(TaskTokenItem, *_key(recording))
    if stored is None or only not in (None, stored.token):
        return None
    try:
        delete_item(TaskTokenItem(*_key(recording)), TaskTokenItem.token == stored.token)
    except ConcurrentUpdate:
        # It is gone, or a newer one is stored: that one stays.
        pass
    return stored.token


def _key(recording: Recording) -> tuple[str, str]:
    return partition(recording.tenant_id, "TOKEN"), recording.id
