"""What is deleted of earlier attempts, and what quarantine keeps."""

from dataclasses import replace

import pytest

from recordings.domain.errors import ChecksumMismatch
from recordings.domain.lifecycle import Status
from recordings.domain.storage_keys import attempt_key, quarantine_key, recording_prefix
from recordings.services.transfer.attempt_files import quarantine, remove_attempt_files
from tests.support.builders import a_recording
from tests.support.fakes import MemoryObjectStore

RECORDING = a_recording(status=Status.PROCESSING)
KEY = attempt_key(RECORDING)
NEXT_KEY = attempt_key(replace(RECORDING, attempt=2))
CONTENT = b"x" * 100


class LosingStore(MemoryObjectStore):
    """A store whose copies lack the last byte."""

    def copy(self, source_key: str, target_key: str) -> None:
        super().copy(source_key, target_key)
        self.put(target_key, self.objects[source_key][0][:-1], content_type="video/mp4")


def test_a_file_stays_where_it_is_until_quarantine_has_all_of_it() -> None:
    store = LosingStore()
    store.put(KEY, CONTENT, content_type="video/mp4")
    with pytest.raises(ChecksumMismatch, match="99 bytes are in quarantine of 100"):
        quarantine(store, RECORDING, KEY, attempt=1)
    assert store.objects[KEY][0] == CONTENT


def test_a_repeated_quarantine_changes_nothing() -> None:
    store = MemoryObjectStore()
    store.put(KEY, CONTENT, content_type="video/mp4")
    for _ in range(2):
        quarantine(store, RECORDING, KEY, attempt=1)
    assert {key: content for key, (content, _) in store.objects.items()} == {quarantine_key(RECORDING, 1): CONTENT}


def test_only_files_of_earlier_attempts_are_removed() -> None:
    store = MemoryObjectStore()
    other = f"{recording_prefix(RECORDING)}notes.txt"
    for key in (KEY, NEXT_KEY, other):
        store.put(key, CONTENT, content_type="video/mp4")
    remove_attempt_files(store, RECORDING, until=1)
    assert sorted(store.objects) == sorted([NEXT_KEY, other])
