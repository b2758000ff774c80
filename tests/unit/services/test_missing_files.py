"""One response without a file proves nothing. A second one, long enough after it, does."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from recordings.domain.errors import (
    ProviderNotFound,
    ProviderRecordingFailed,
    SourceExpired,
    SourceUnavailable,
    TracksOnly,
)
from recordings.domain.lifecycle import Status
from recordings.domain.provider_recording import ProviderRecording, ProviderStatus
from recordings.domain.reconciliation import EXPIRED, LOST, TRACKS
from recordings.domain.recording import Recording
from recordings.domain.transfer import Attempt, UploadState
from recordings.services.transfer.mark import MarkFailed
from recordings.services.transfer.provider_file import ProviderFileUrl
from tests.unit.services.world import World


@pytest.fixture
def world() -> World:
    """Return a world whose room has been recording for two seconds."""
    world = World()
    world.start()
    world.clock.advance(seconds=2)
    return world


def stored(world: World) -> Recording:
    return world.all()[0]


def looking_again(world: World) -> None:
    world.clock.advance(minutes=10)


def never_listed(world: World, monkeypatch: pytest.MonkeyPatch, get: Callable[[str], ProviderRecording]) -> None:
    """Make Cloudflare list nothing, and respond to requests for one recording with `get`."""
    monkeypatch.setattr(world.cloudflare, "list_by_meeting", lambda meeting_id: iter([]))
    monkeypatch.setattr(world.cloudflare, "list_page", lambda number: ([], False))
    monkeypatch.setattr(world.cloudflare, "get", get)


def unknown(cloudflare_recording_id: str) -> ProviderRecording:
    raise ProviderNotFound


# Everything that compares a recording with Cloudflare.
HEARERS: dict[str, Callable[[World], object]] = {
    "room sync": lambda world: world.sync_recordings(),
    "scheduled sync": lambda world: world.sync(),
    "webhook": lambda world: world.webhook("capture_1"),
}


@pytest.mark.parametrize("hearer", HEARERS)
def test_one_not_found_response_fails_and_stops_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, hearer: str
) -> None:
    world.cloudflare.go("capture_1")
    with monkeypatch.context() as lagging:
        never_listed(world, lagging, unknown)
        HEARERS[hearer](world)
        world.clock.advance(minutes=1)
        HEARERS[hearer](world)
    assert stored(world).status is Status.RECORDING
    for _ in range(3):
        world.clock.advance(minutes=5)
        HEARERS[hearer](world)
    assert stored(world).status is Status.RECORDING
    assert stored(world).missing_since is None
    assert [one.cloudflare_recording_id for one in world.cloudflare.running()] == ["capture_1"]
    assert world.actions == []


@pytest.mark.parametrize("hearer", ["room sync", "scheduled sync"])
def test_a_second_response_long_after_the_first_settles_it(
    world: World, monkeypatch: pytest.MonkeyPatch, hearer: str
) -> None:
    never_listed(world, monkeypatch, unknown)
    HEARERS[hearer](world)
    assert (stored(world).missing_since, stored(world).version) == (world.clock(), 1)
    looking_again(world)
    HEARERS[hearer](world)
    assert (stored(world).status, stored(world).failure) == (Status.FAILED, LOST)
    assert stored(world).missing_since is None
    world.assert_sound()


def test_a_positive_response_in_between_resets_the_first_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as lagging:
        never_listed(world, lagging, unknown)
        world.sync()
    world.clock.advance(minutes=9)
    world.sync()
    assert stored(world).missing_since is None
    never_listed(world, monkeypatch, unknown)
    world.clock.advance(minutes=9)
    world.sync()
    assert stored(world).status is Status.RECORDING


def test_a_listing_that_contains_it_again_creates_an_item(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as lagging:
        never_listed(world, lagging, unknown)
        world.sync()
    assert [item.cloudflare_recording_id for batch in world.scan().batches for item in batch] == ["capture_1"]
    world.sync()
    assert world.scan().batches == []


def test_a_change_of_the_recording_resets_missing_since(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    never_listed(world, monkeypatch, unknown)
    world.sync()
    world.clock.advance(minutes=9)
    world.stop()
    assert (stored(world).status, stored(world).missing_since) == (Status.PROCESSING, None)
    world.clock.advance(minutes=1)
    world.sync()
    assert stored(world).status is Status.PROCESSING
    looking_again(world)
    world.sync()
    assert stored(world).failure == LOST


def test_a_response_to_an_outdated_record_is_not_stored(world: World) -> None:
    before = stored(world)
    world.stop()
    after = stored(world)
    world.recordings.note_missing(before, world.clock())
    assert stored(world) == after


# ---------------------------------------------------------------- a file without a URL


def reported(world: World, **changes: Any) -> None:
    world.cloudflare._change("capture_1", **changes)


def uploaded_without_url(world: World) -> Recording:
    world.stop()
    world.cloudflare.upload("capture_1")
    reported(world, download_url=None, url_expires_at=None)
    return stored(world)


@pytest.mark.parametrize("hearer", [*HEARERS, "executions"])
def test_processing_waits_for_a_late_url(world: World, hearer: str) -> None:
    recording = uploaded_without_url(world)
    hear = HEARERS.get(hearer) or (lambda world: world.process(recording))
    for _ in range(3):
        hear(world)
        world.clock.advance(minutes=3)
    assert stored(world).status is Status.PROCESSING
    reported(world, download_url="https://files/1")
    assert world.process(recording) == "ready"


@pytest.mark.parametrize("hearer", [*HEARERS, "executions"])
def test_a_recording_whose_url_never_comes_fails(world: World, hearer: str) -> None:
    recording = uploaded_without_url(world)
    hear = HEARERS.get(hearer) or (lambda world: world.process(recording))
    hear(world)
    world.clock.advance(minutes=20)
    hear(world)
    looking_again(world)
    hear(world)
    assert (stored(world).status, stored(world).failure) == (Status.FAILED, EXPIRED)
    world.assert_sound()


def test_the_webhook_and_the_workflow_confirm_each_other(world: World) -> None:
    recording = uploaded_without_url(world)
    world.webhook("capture_1")
    assert stored(world).missing_since == world.clock()
    looking_again(world)
    assert world.process(recording) == "failed"
    assert stored(world).failure == EXPIRED


def test_an_end_without_a_url_is_an_end(world: World) -> None:
    world.cloudflare.upload("capture_1")
    reported(world, download_url=None)
    world.sync_recordings()
    assert stored(world).status is Status.PROCESSING
    assert list(world.executions.started) == [(stored(world).id, 1)]


@pytest.mark.parametrize("back_to", [ProviderStatus.RECORDING, ProviderStatus.INVOKED, ProviderStatus.PAUSED])
def test_responses_out_of_order_change_nothing(world: World, back_to: ProviderStatus) -> None:
    recording = world.stop()
    world.cloudflare.upload("capture_1")
    whole = world.cloudflare.get("capture_1")
    # Long after the upload a response is from before its beginning.
    world.clock.advance(hours=1)
    reported(world, status=back_to, download_url=None, stopped_at=None)
    world.reconcile()(None, stored(world), world.cloudflare.get("capture_1"))
    assert stored(world).status is Status.PROCESSING
    world.cloudflare.captured["capture_1"] = whole
    world.sync()
    assert world.process(replace(recording, attempt=stored(world).attempt)) == "ready"


def test_our_bucket_is_checked_before_missing_since_is_stored() -> None:
    world = World(delivers=True)
    world.start()
    world.stop()
    world.cloudflare.end("capture_1")
    world.cloudflare.deliver("capture_1")
    reported(world, status=ProviderStatus.UPLOADED, download_url=None)
    world.sync_recordings()
    assert stored(world).missing_since is None
    assert world.process(stored(world)) == "ready"


# ---------------------------------------------------------------- what is final at once


def test_an_errored_recording_without_a_file_fails_at_once(world: World) -> None:
    world.cloudflare.lose("capture_1")
    (failed,) = world.sync_recordings()
    assert (failed.status, failed.failure) == (Status.FAILED, LOST)


@pytest.mark.parametrize("hearer", [*HEARERS, "executions"])
def test_separate_tracks_fail_with_their_own_code(world: World, hearer: str) -> None:
    recording = world.stop()
    world.cloudflare.upload("capture_1")
    reported(world, download_url=None, tracks=True)
    if hearer == "executions":
        assert world.process(recording) == "failed"
    else:
        HEARERS[hearer](world)
        if stored(world).status is Status.PROCESSING:
            # Fresh, and its run is at work: a scheduled sync leaves it alone.
            world.clock.advance(minutes=11)
            HEARERS[hearer](world)
    assert (stored(world).status, stored(world).failure) == (Status.FAILED, TRACKS)
    assert world.r2.objects == {}


# ---------------------------------------------------------------- the tasks of the workflow


def locate(world: World) -> str:
    attempt = Attempt(tenant_id="tenant_1", recording_id=stored(world).id, attempt=1)
    return ProviderFileUrl(**world.ports("recordings", "provider")).of_attempt(attempt)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"download_url": None}, SourceExpired),
        ({"download_url": None, "tracks": True}, TracksOnly),
        ({}, ProviderRecordingFailed),
    ],
)
def test_a_copy_waits_for_a_url_until_a_second_response_denies_it(
    world: World, changes: dict[str, Any], error: type[Exception]
) -> None:
    world.stop()
    world.cloudflare.upload("capture_1")
    reported(world, **changes)
    if not changes:
        world.cloudflare.forget("capture_1")
    if error is not TracksOnly:
        with pytest.raises(SourceUnavailable):
            locate(world)
        looking_again(world)
    with pytest.raises(error):
        locate(world)


def test_a_url_resets_missing_since(world: World) -> None:
    uploaded_without_url(world)
    with pytest.raises(SourceUnavailable):
        locate(world)
    assert stored(world).missing_since is not None
    reported(world, download_url="https://files/1")
    assert locate(world) == "https://files/1"
    assert stored(world).missing_since is None


def test_a_later_response_resets_what_an_earlier_one_stored(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = world.stop()
    responses = [unknown, world.cloudflare.get]
    monkeypatch.setattr(
        world.cloudflare, "get", lambda cloudflare_recording_id: responses.pop(0)(cloudflare_recording_id)
    )
    assert world.check(recording) is None
    assert (responses, stored(world).missing_since) == ([], None)


def test_a_failure_is_not_stored_after_a_better_response(world: World) -> None:
    recording = uploaded_without_url(world)
    world.check(recording)
    looking_again(world)
    with pytest.raises(SourceExpired):
        world.check(recording)
    reported(world, download_url="https://files/1")
    assert world.check(recording) == UploadState(state="uploaded")
    attempt = Attempt(tenant_id="tenant_1", recording_id=recording.id, attempt=1)
    mark = MarkFailed(**world.ports("recordings"))
    assert mark(attempt, EXPIRED) is Status.PROCESSING
    # A change that does not depend on Cloudflare's response is stored.
    assert mark(attempt, replace(EXPIRED, code="file_invalid")) is Status.FAILED


def test_a_listing_and_a_response_that_disagree_import_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.cloudflare.end("capture_1")
    world.sync()
    world.cloudflare.begin_by_itself("meeting_1")
    world.cloudflare.lose("capture_2")
    with monkeypatch.context() as lagging:
        lagging.setattr(world.cloudflare, "get", unknown)
        assert world.sync_recordings() == []
    assert len(world.all()) == 1
    assert [one.cloudflare_recording_id for one in world.sync_recordings()] == ["capture_2"]


def test_an_import_uses_the_last_response(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.cloudflare.end("capture_1")
    world.sync()
    world.cloudflare.begin_by_itself("meeting_1")
    listed = replace(world.cloudflare.lose("capture_2"), auto_started=None)
    world.cloudflare.lose("capture_2", url="https://rest")
    monkeypatch.setattr(world.cloudflare, "list_by_meeting", lambda meeting_id: iter([listed]))
    assert [one.status for one in world.sync_recordings()] == [Status.PROCESSING]
