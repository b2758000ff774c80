from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.domain.recording import Recording
from recordings.domain.storage_keys import (
    ROOTS,
    FileKind,
    archive_key,
    archive_prefix,
    attempt_key,
    delivery_folder,
    delivery_key,
    is_below,
    named_by,
    owner_of,
    quarantine_key,
    quarantine_prefix,
    recording_prefix,
)
from recordings.domain.stored_file import Store
from tests.support.builders import a_recording

MEETING = "8a5d9a5c-1a2b-4c3d-9e8f-0123456789ab"
# Tenants and rooms with names like the folders of others.
NAMES = st.sampled_from(["delivered", "quarantine", "recordings", "rec_1", "a/b", "..", "日", "%2F", "a b", "room:1"])
RECORDINGS = st.builds(
    lambda tenant, room, attempt: a_recording(tenant_id=tenant, room_id=room, attempt=attempt),
    NAMES,
    NAMES,
    st.integers(1, 10**6),
)


def keys_of(recording: Recording) -> dict[FileKind, tuple[Store, str]]:
    delivered = delivery_key(recording.tenant_id, recording.room_id, f"{MEETING}_1767700800000.mp4")
    assert delivered is not None
    return {
        FileKind.ATTEMPT: ("r2", attempt_key(recording)),
        FileKind.DELIVERY: ("r2", delivered),
        FileKind.QUARANTINE: ("r2", quarantine_key(recording)),
        FileKind.ARCHIVE: ("s3", archive_key(recording, recording.attempt)),
    }


@given(RECORDINGS)
def test_every_key_names_its_owner(recording: Recording) -> None:
    for kind, (store, key) in keys_of(recording).items():
        owner = owner_of(store, key)
        assert owner is not None
        assert (owner.kind, owner.tenant_id, owner.room_id) == (kind, recording.tenant_id, recording.room_id)
        if kind is not FileKind.DELIVERY:
            assert (owner.recording_id, owner.attempt) == (recording.id, recording.attempt)


@given(RECORDINGS)
def test_every_key_lies_below_one_root_of_its_store(recording: Recording) -> None:
    for store, key in keys_of(recording).values():
        assert len([root for root in ROOTS[store] if key.startswith(root) and is_below(root, key)]) == 1


@given(RECORDINGS, RECORDINGS)
def test_two_recordings_share_no_key(one: Recording, other: Recording) -> None:
    mine = set(keys_of(replace(one, id=f"{one.id[:-1]}1")).values())
    others = set(keys_of(replace(other, id=f"{other.id[:-1]}2")).values())
    shared = {owner_of(store, key) for store, key in mine & others}
    assert {owner.kind for owner in shared if owner} <= {FileKind.DELIVERY}


def test_keys_are_those_of_the_first_release() -> None:
    recording = a_recording(attempt=3)
    assert attempt_key(recording) == f"tenant_1/room_1/{recording.id}/3/recording.mp4"
    assert archive_key(recording, 2) == f"recordings/tenant_1/room_1/{recording.id}/2/recording.mp4"
    assert delivery_folder("a/b", "room 1") == "delivered/a%2Fb/room%201"
    assert quarantine_key(recording) == f"quarantine/tenant_1/room_1/{recording.id}/3/recording"
    assert quarantine_key(recording, 1) == f"quarantine/tenant_1/room_1/{recording.id}/1/recording"


def test_prefixes_hold_every_attempt() -> None:
    recording = a_recording(attempt=3)
    for attempt in (1, 2, 3, 10):
        assert attempt_key(replace(recording, attempt=attempt)).startswith(recording_prefix(recording))
        assert archive_key(recording, attempt).startswith(archive_prefix(recording))
        assert quarantine_key(recording, attempt).startswith(quarantine_prefix(recording))


@pytest.mark.parametrize(
    ("store", "key"),
    [
        ("r2", ""),
        ("r2", "loose.mp4"),
        ("r2", "tenant_1/room_1/rec_1/1/"),
        ("r2", "tenant_1/room_1/capture/1/recording.mp4"),
        ("r2", "tenant_1/room_1/rec_1/one/recording.mp4"),
        ("r2", "tenant_1/room_1/rec_1/٣/recording.mp4"),
        ("r2", "tenant 1/room_1/rec_1/1/recording.mp4"),
        ("r2", "/room_1/rec_1/1/recording.mp4"),
        ("r2", "delivered/tenant_1/room_1/"),
        ("r2", "delivered/tenant_1/capture.mp4"),
        ("r2", "recordings/tenant_1/room_1/rec_1/1/recording.mp4"),
        ("s3", "tenant_1/room_1/rec_1/1/recording.mp4"),
        ("s3", "elsewhere/tenant_1/room_1/rec_1/1/recording.mp4"),
        ("s3", "delivered/tenant_1/room_1/capture.mp4"),
    ],
)
def test_a_foreign_key_has_no_owner(store: Store, key: str) -> None:
    assert owner_of(store, key) is None


@given(st.sampled_from(["r2", "s3"]), st.text(alphabet="/recordings_1%2Fdelv qunt", max_size=60))
def test_any_text_can_be_checked_for_its_owner(store: Store, key: str) -> None:
    owner = owner_of(store, key)
    assert owner is None or owner.file_name


@pytest.mark.parametrize("name", [None, "", "a/b.mp4", "/", "../x"])
def test_a_file_name_that_leaves_the_folder_has_no_delivery_key(name: str | None) -> None:
    assert delivery_key("tenant_1", "room_1", name) is None


@pytest.mark.parametrize("prefix", ["", "team7_standup_"])
def test_cloudflares_file_name_contains_meeting_and_time(prefix: str) -> None:
    reported = named_by(f"{prefix}{MEETING}_1767700800123.mp4")
    assert reported == (MEETING, datetime(2026, 1, 6, 12, 0, 0, 123000, tzinfo=UTC))


@pytest.mark.parametrize("name", ["", "capture.mp4", f"{MEETING}.mp4", f"x{MEETING}_1.mp4", f"{MEETING}_1"])
def test_another_file_name_contains_nothing(name: str) -> None:
    assert named_by(name) is None


def test_every_time_that_a_file_name_may_contain_is_a_date() -> None:
    named = named_by(f"{MEETING}_{10**14 - 1}.mp4")
    assert named is not None
    assert (named[0], named[1].year) == (MEETING, 5138)
    assert named_by(f"{MEETING}_{10**14}.mp4") is None
