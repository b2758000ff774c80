"""A file that Cloudflare delivers after another one was fetched is deleted if nothing can be lost."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from recordings.domain.archive import Archive
from recordings.domain.lifecycle import Status
from recordings.domain.provider_recording import ProviderStatus
from recordings.domain.recording import Recording
from recordings.services.transfer.late_delivery import RemoveLateDelivery
from tests.support.builders import NOON, a_capture, a_file, a_recording
from tests.unit.services.world import Trap, World

DELIVERED = "delivered/tenant_1/room_1/late.mp4"
CONTENT = b"x" * 1000


@pytest.fixture
def world() -> World:
    """Run a full sync: Cloudflare still lists the recording, and the last one was more than a day ago."""
    world = World()
    world.sync()
    world.cloudflare.captured["capture_1"] = a_capture(
        status=ProviderStatus.UPLOADED, download_url="https://files/1", url_expires_at=NOON + timedelta(days=7)
    )
    world.clock.advance(days=1, hours=1)
    return world


def stored(world: World, **facts: Any) -> Recording:
    """Return a recording whose file of 1,000 bytes was fetched although its delivery was requested."""
    reported = {"status": Status.READY, "file": a_file(key="fetched"), "delivery_key": DELIVERED}
    recording = a_recording(**reported | facts)
    world.recordings.add(recording, lease_nonce=None)
    if recording.file is not None:
        store = world.r2 if recording.file.store == "r2" else world.s3
        store.put(recording.file.key, CONTENT, content_type="video/mp4")
    return world.recordings.get_including_deleted("tenant_1", recording.id)


def delivered(world: World, content: bytes = CONTENT) -> None:
    world.r2.put(DELIVERED, content, content_type="video/mp4")


def in_archive(**facts: Any) -> dict[str, Any]:
    return {
        "status": Status.ARCHIVED,
        "archived_at": NOON,
        "file": a_file(store="s3", key="cold"),
        "archive": Archive(**{"state": "stored", "storage_class": "GLACIER"} | facts),
    }


@pytest.mark.parametrize("facts", [{}, in_archive(), {"deleted_at": NOON}], ids=["ready", "archived", "deleted"])
def test_the_next_full_sync_deletes_a_late_delivery(world: World, facts: dict[str, Any]) -> None:
    recording = stored(world, **facts)
    delivered(world)
    assert world.sync() == 0
    assert DELIVERED not in world.r2.objects
    assert world.batch_result.removed == 1
    assert world.recordings.get_including_deleted("tenant_1", recording.id) == recording
    assert "fetched" in world.r2.objects or "cold" in world.s3.objects


def test_only_a_full_sync_checks_for_late_deliveries(world: World) -> None:
    stored(world)
    world.sync()
    delivered(world)
    world.clock.advance(minutes=5)
    world.trap = Trap(9999, only="store")
    world.sync()
    assert world.trap.calls == []
    assert DELIVERED in world.r2.objects
    world.trap = Trap(9999, only="provider.get")
    world.clock.advance(days=1)
    world.sync()
    # Cloudflare gets no request about it.
    assert world.trap.calls == []
    assert DELIVERED not in world.r2.objects


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"file": a_file(key=DELIVERED)}, id="it is the file"),
        pytest.param({"partial": True}, id="our file is partial"),
        pytest.param({"status": Status.FAILED, "file": None, "duration_seconds": None}, id="there is no file"),
        pytest.param(in_archive(state="moving", moved_from=DELIVERED) | {"file": a_file(key=DELIVERED)}, id="it moves"),
    ],
)
def test_a_delivery_that_may_be_needed_stays(world: World, facts: dict[str, Any]) -> None:
    stored(world, **facts)
    delivered(world)
    world.sync()
    assert DELIVERED in world.r2.objects


def test_a_delivery_larger_than_our_file_is_left_to_an_operator(world: World) -> None:
    stored(world)
    delivered(world, CONTENT + b"and more")
    world.sync()
    assert DELIVERED in world.r2.objects


@pytest.mark.parametrize("facts", [{}, in_archive()], ids=["ready", "archived"])
def test_a_delivery_stays_while_our_file_is_missing(world: World, facts: dict[str, Any]) -> None:
    recording = stored(world, **facts)
    assert recording.file is not None
    (world.r2 if recording.file.store == "r2" else world.s3).delete(recording.file.key)
    delivered(world)
    world.sync()
    assert DELIVERED in world.r2.objects


def test_a_file_of_another_size_than_was_stored_is_no_reason_to_delete(world: World) -> None:
    stored(world)
    world.r2.put("fetched", b"short", content_type="video/mp4")
    delivered(world)
    world.sync()
    assert DELIVERED in world.r2.objects


def test_a_missing_delivery_costs_one_request(world: World) -> None:
    stored(world)
    world.trap = Trap(9999, only="store")
    world.sync()
    assert world.trap.calls == ["store.head"]
    assert replace(world.batch_result, queued=0).removed == 0


def test_a_moved_file_that_urls_still_need_is_no_late_delivery() -> None:
    kept = in_archive(moved_from=DELIVERED, source_kept_until=NOON + timedelta(hours=1))
    assert a_recording(**kept, delivery_key=DELIVERED).superseded_delivery is None
    emptied = in_archive(moved_from=DELIVERED)
    assert a_recording(**emptied, delivery_key=DELIVERED).superseded_delivery == DELIVERED


def test_a_file_that_no_other_one_superseded_stays(world: World) -> None:
    recording = stored(world, file=a_file(key=DELIVERED))
    assert recording.superseded_delivery is None
    assert not RemoveLateDelivery(store=world.r2, archive=world.s3)(recording)
    assert DELIVERED in world.r2.objects
