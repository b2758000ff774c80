"""When TTL deletes a deleted recording: after the configured days. Never if it is not deleted."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.settings import TABLE
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from tests.support.builders import NOON, a_recording
from tests.support.table import a_table


@pytest.fixture(autouse=True)
def _table() -> Iterator[None]:
    with a_table():
        yield


def stored(recording: Recording) -> dict[str, dict[str, str]]:
    """The item of a recording, in DynamoDB's format."""
    pages = client.get_paginator("scan").paginate(TableName=TABLE)
    (item,) = [
        item for page in pages for item in page["Items"] if item["sk"]["S"] == recording.id and "history" in item
    ]
    return dict(item)  # type: ignore[arg-type]


def after_a_delete() -> Recording:
    recordings, recording = DynamoRecordings(), a_recording(status=Status.READY)
    recordings.add(recording, lease_nonce=None)
    deleted = recording.deleted(at=NOON)
    recordings.save(recording, deleted)
    return deleted


@pytest.mark.parametrize("days", [1, 30, 3650])
def test_a_deleted_recording_expires_after_the_days_of_retention(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    monkeypatch.setenv("RETENTION_DAYS", str(days))
    expires = int(stored(after_a_delete())["expires_at"]["N"])
    assert expires == int((NOON + timedelta(days=days)).timestamp())


@pytest.mark.parametrize("days", ["0", None])
def test_without_retention_a_deleted_recording_never_expires(monkeypatch: pytest.MonkeyPatch, days: str | None) -> None:
    if days is None:
        monkeypatch.delenv("RETENTION_DAYS", raising=False)
    else:
        monkeypatch.setenv("RETENTION_DAYS", days)
    assert "expires_at" not in stored(after_a_delete())


def test_a_live_or_undeleted_recording_never_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETENTION_DAYS", "1")
    deleted = after_a_delete()
    back = deleted.undeleted()
    DynamoRecordings().save(deleted, back)
    assert "expires_at" not in stored(back)
    live = a_recording(status=Status.READY, id=f"{deleted.id[:-1]}1", cloudflare_recording_id="capture_2")
    DynamoRecordings().add(live, lease_nonce=None)
    assert "expires_at" not in stored(live)
